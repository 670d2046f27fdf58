package media

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/muster-boot/muster/images/overlay"
)

// tool runs a maker of images.
func tool(t *testing.T, name string, args ...string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil && os.Geteuid() != 0 {
		t.Skip(name + " is not installed; make lab installs it")
	}
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v (install it with make lab)\n%s", name, err, out)
	}
}

// everyBase makes an image of each kind that people use.
func everyBase(t *testing.T) map[string]string {
	t.Helper()
	dir, tree := t.TempDir(), t.TempDir()
	write := func(name string, content []byte) {
		name = filepath.Join(tree, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	noise := make([]byte, 3<<20+123)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(noise) // it never fails
	write("rootfs.squashfs", noise)
	write("boot/grub/grub.cfg", []byte("linux /boot/kernel quiet\n"))
	write("boot/efi.img", noise[:1440<<10])
	for i := range 60 {
		write(fmt.Sprintf("boot/file-%02d", i), noise[:i])
	}
	out := map[string]string{}
	for _, name := range []string{"hybrid", "genisoimage", "grub-mkrescue", "over-4-GiB"} {
		out[name] = filepath.Join(dir, name+".iso")
	}
	tool(t, "xorriso", "-as", "mkisofs", "-R", "-J", "-append_partition", "2", "0xef", tree+"/boot/efi.img",
		"-e", "--interval:appended_partition_2:all::", "-no-emul-boot", "-isohybrid-gpt-basdat", "-o", out["hybrid"], tree)
	tool(t, "genisoimage", "-quiet", "-R", "-J", "-o", out["genisoimage"], tree)
	tool(t, "grub-mkrescue", "--install-modules=normal linux", "--locales=", "--fonts=", "--themes=", "-o", out["grub-mkrescue"], tree)
	tool(t, "xorriso", "-as", "mkisofs", "-R", "-J", "-o", out["over-4-GiB"], tree)
	if err := os.Truncate(out["over-4-GiB"], 4<<30+6000); err != nil { // all of it a hole, and no whole sectors
		t.Fatal(err)
	}
	return out
}

// writtenOut makes a file of a host's image: a copy of the base, changed.
func writtenOut(t *testing.T, base string, o *overlay.Overlay) *os.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "host.iso")
	tool(t, "cp", "--sparse=always", base, path)
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	var at int64
	for _, s := range o.Segments(0, o.Size()) {
		if s.Data != nil || s.Offset != at {
			data := make([]byte, s.Length)
			if _, err := o.ReadAt(data, at); err != nil {
				t.Fatal(err)
			}
			if _, err := f.WriteAt(data, at); err != nil {
				t.Fatal(err)
			}
		}
		at += s.Length
	}
	return f
}

func TestRangesOfEveryKindOfImageAreThoseOfItWrittenOut(t *testing.T) {
	for name, base := range everyBase(t) {
		t.Run(name, func(t *testing.T) {
			o := buildOverlay(t, base)
			want := writtenOut(t, base, o)
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				f, err := os.Open(base)
				if err != nil {
					t.Error(err)
					return
				}
				defer f.Close()
				Serve(w, r, Medium{Name: "x.iso", Base: f, Overlay: o})
			}))
			defer server.Close()
			r := rand.New(rand.NewPCG(5, 6))
			seams := seamsOf(o)
			for range 400 {
				from := min(max(0, seams[r.IntN(len(seams))]+r.Int64N(5000)-2500), o.Size()-1)
				to := min(o.Size()-1, from+r.Int64N(1<<uint(1+r.IntN(20))))
				sameRange(t, server, want, from, to)
			}
		})
	}
}

// seamsOf are the places where something else begins, and two where nothing
// does.
func seamsOf(o *overlay.Overlay) []int64 {
	seams := []int64{o.Size(), o.Size() / 3, 1 << 32}
	var at int64
	for _, s := range o.Segments(0, o.Size()) {
		seams = append(seams, at)
		at += s.Length
	}
	return seams
}

func sameRange(t *testing.T, server *httptest.Server, want *os.File, from, to int64) {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", from, to))
	response, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	got, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	expected := make([]byte, to-from+1)
	if _, err := want.ReadAt(expected, from); err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusPartialContent || !bytes.Equal(got, expected) {
		t.Fatalf("bytes %d-%d: status %d, %d bytes that differ", from, to, response.StatusCode, len(got))
	}
}
