package images

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/muster-boot/muster/images/iso"
	"github.com/muster-boot/muster/images/recipe"
)

func TestAddRecognisesAnInstallerAndTellsProgress(t *testing.T) {
	c := open(t, t.TempDir())
	data, err := os.ReadFile(makeISO(t, "COS_LIVE", kairos()))
	if err != nil {
		t.Fatal(err)
	}
	var last, total int64
	got, err := c.Add(t.Context(), bytes.NewReader(data), AddOptions{
		Name: "palette-4.9", Size: int64(len(data)), Meta: map[string]string{"pe": "4.9"},
		Progress: func(done, of int64) {
			if done <= last {
				t.Errorf("progress went from %d to %d", last, done)
			}
			last, total = done, of
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := Image{
		Digest: got.Digest, Name: "palette-4.9", Form: recipe.ISO, Size: int64(len(data)), Family: "kairos", Label: "COS_LIVE",
		Added: got.Added, Meta: map[string]string{"pe": "4.9"}, Tags: []string{"palette-4.9"},
		Why: []string{"it has /boot/kernel, /boot/initrd, /rootfs.squashfs", "its volume label is COS_LIVE"},
		Lacks: []string{"netboot leaves the user-data baked into it behind (/files-iso/config.yaml); boot it from virtual media if the host needs that",
			"it has no boot loader configuration in which kernel arguments can be changed", "/rootfs.squashfs does not say what it is: it is no squashfs",
			"its root file system does not say which kairos it is, so it counts as an old one; image add --version kairos=VERSION says it",
			"its root file system does not say whether it is fips; if it is, image add --trait fips says so"},
		Own:  recipe.Told{Version: map[string]string{}},
		Left: []recipe.Left{{Path: "/files-iso/config.yaml", What: "the user-data baked into it", Whole: true}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if last != got.Size || total != got.Size || len(got.Digest) != 64 {
		t.Errorf("progress ended at %d of %d, digest is %q", last, total, got.Digest)
	}
}

func TestAnISOOfNoKnownLayoutIsKeptAndSaysWhatItLacks(t *testing.T) {
	c := open(t, t.TempDir())
	i := add(t, c, makeISO(t, "DEBIAN", map[string]string{"boot/kernel": "k", "boot/initrd": "i", "README": "r"}), "")
	want := []string{"it has no /rootfs.squashfs, which every Kairos or Palette installer (kairos) has"}
	if diff := cmp.Diff(want, i.Lacks); diff != "" || i.Family != "" || i.Label != "DEBIAN" {
		t.Errorf("family %q, label %q, lacks (-want +got):\n%s", i.Family, i.Label, diff)
	}
	if len(c.List()) != 1 {
		t.Error("it was not kept")
	}
}

func TestTheSameContentIsTheSameImage(t *testing.T) {
	dir := t.TempDir()
	c := open(t, dir)
	image := makeISO(t, "COS_LIVE", kairos())
	first, second := add(t, c, image, "old"), add(t, c, image, "new")
	if first.Digest != second.Digest || second.Name != "new" {
		t.Errorf("got %.12s %q, then %.12s %q", first.Digest, first.Name, second.Digest, second.Name)
	}
	if diff := cmp.Diff([]string{"new", "old"}, second.Tags); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}
	if third := add(t, c, image, ""); third.Name != "new" || len(c.List()) != 1 || len(tree(t, dir)) != 3 {
		t.Errorf("third %q, %d images, files %v", third.Name, len(c.List()), tree(t, dir))
	}
}

func TestARefusedImageLeavesNothing(t *testing.T) {
	whole, err := os.ReadFile(makeISO(t, "COS_LIVE", kairos()))
	if err != nil {
		t.Fatal(err)
	}
	half := whole[:len(whole)/2]
	gone := errors.New("the line dropped")
	stopped, stop := context.WithCancel(t.Context())
	tests := []struct {
		name string
		ctx  context.Context
		r    io.Reader
		o    AddOptions
		is   error
		text string
	}{
		{"cut short", t.Context(), bytes.NewReader(half), AddOptions{}, iso.ErrTruncated, "are missing; fetch it again"},
		{"no ISO", t.Context(), strings.NewReader("<html>404</html>"), AddOptions{}, iso.ErrNotISO, "muster image add takes installer ISOs"},
		{"nothing", t.Context(), strings.NewReader(""), AddOptions{}, iso.ErrNotISO, "it has only 0 bytes"},
		{"the reader fails", t.Context(), io.MultiReader(bytes.NewReader(half), iotest.ErrReader(gone)), AddOptions{}, gone, ""},
		{"stopped half-way", stopped, io.MultiReader(bytes.NewReader(half), atEnd(stop), bytes.NewReader(half)), AddOptions{}, context.Canceled, ""},
		{"fewer bytes than announced", t.Context(), bytes.NewReader(whole), AddOptions{Size: int64(len(whole)) + 1}, nil, "were announced; send it again"},
		{"larger than the disk", t.Context(), bytes.NewReader(whole), AddOptions{Size: 1 << 60}, nil, "no space left: the image has 1.2 EB"},
		{"a name with a slash", t.Context(), bytes.NewReader(whole), AddOptions{Name: "a/b"}, nil, "use up to 128 letters"},
		{"a name that is a digest", t.Context(), bytes.NewReader(whole), AddOptions{Name: "sha256:x"}, nil, "looks like a digest"},
		{"a name like a digest", t.Context(), bytes.NewReader(whole), AddOptions{Name: "c0ffee"}, nil, "looks like a digest"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			c := open(t, dir)
			_, err := c.Add(tt.ctx, tt.r, tt.o)
			if err == nil || tt.is != nil && !errors.Is(err, tt.is) || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("got %v, want %v and %q", err, tt.is, tt.text)
			}
			if left := tree(t, dir); len(left) > 0 || len(c.List()) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

// atEnd is an empty reader that calls f when it is reached.
func atEnd(f func()) io.Reader {
	return readerFunc(func([]byte) (int, error) {
		f()
		return 0, io.EOF
	})
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

func TestAFullDiskLosesNothing(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("mounting a small tmpfs needs root")
	}
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	c, err := Open(dir, clock(), Options{Guard: loopback, KeepFree: -1})
	if err != nil {
		t.Fatal(err)
	}
	kept := addScout(t, c, "kept", "kernel", "initrd")
	before := tree(t, dir)

	_, err = c.Add(t.Context(), io.LimitReader(zeros{}, 2<<20), AddOptions{})
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "remove images or free some space, then add it again") {
		t.Errorf("an ISO: %v", err)
	}
	_, err = c.AddSet(t.Context(), []SetPart{{"/kernel", strings.NewReader("k")}, {"/initrd", io.LimitReader(zeros{}, 2<<20)}}, AddOptions{})
	if !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("a set: %v", err)
	}
	endless := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.Copy(w, io.LimitReader(zeros{}, 2<<20)) // the other side goes when its disk is full
	}))
	defer endless.Close()
	if _, err = c.AddURL(t.Context(), endless.URL+"/x.iso", AddOptions{}); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("a URL: %v", err)
	}
	if _, err := c.Tag("kept", "after:all"); err != nil {
		t.Errorf("a tag, when there is space again: %v", err)
	}
	if diff := cmp.Diff(before, tree(t, dir)); diff != "" {
		t.Errorf("files changed (-before +after):\n%s", diff)
	}
	if got := read(t, c, kept.Digest, "/initrd"); got != "initrd" {
		t.Errorf("the image that was there reads %q", got)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// TestAnImportLeavesSomeOfTheDiskFree adds more than fits, of a size that nobody
// told.
func TestAnImportLeavesSomeOfTheDiskFree(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("mounting a small tmpfs needs root")
	}
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=96m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	const keep = 48 << 20
	c, err := Open(dir, clock(), Options{Guard: loopback, KeepFree: keep})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	before := tree(t, dir)
	said := 0 // Content-Length; 0: none
	endless := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if said > 0 {
			w.Header().Set("Content-Length", strconv.Itoa(said))
		}
		_, _ = io.Copy(w, io.LimitReader(zeros{}, 200<<20)) // the other side goes
	}))
	defer endless.Close()
	least, url := int64(1<<40), endless.URL+"/x.iso"
	look := func(int64, int64) {
		free, _, _ := c.free()
		least = min(least, free)
	}
	_, plain := c.Add(t.Context(), io.LimitReader(zeros{}, 200<<20), AddOptions{Progress: look})
	_, unsaid := c.AddURL(t.Context(), url, AddOptions{Progress: look})
	said = 200 << 20
	_, fetched := c.AddURL(t.Context(), url, AddOptions{Progress: look})
	for _, err := range []error{plain, unsaid, fetched} {
		if !errors.Is(err, ErrNoSpace) || !strings.Contains(err.Error(), "of which muster keeps 50 MB; remove images") {
			t.Errorf("got %v", err)
		}
	}
	if least < keep-2*flushEvery || least > keep+flushEvery {
		t.Errorf("the disk had only %d bytes left, or never less", least)
	}
	if diff := cmp.Diff(before, tree(t, dir)); diff != "" {
		t.Errorf("files changed (-before +after):\n%s", diff)
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

// TestAKilledAddLeavesNothing kills a process of its own that has received half
// an image.
func TestAKilledAddLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	image, err := os.ReadFile(makeISO(t, "COS_LIVE", kairos()))
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), "MUSTER_TEST_RECEIVE="+dir)
	in, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := in.Write(image[:len(image)/2]); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(out, make([]byte, 1)); err != nil { // it has received something
		t.Fatal(err)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := child.Wait(); err == nil {
		t.Fatal("the child ended by itself")
	}
	if len(tree(t, dir)) == 0 {
		t.Fatal("the child had written nothing; the test proves nothing")
	}
	// A second orphan: contents in place, killed before the record was written.
	if err := os.WriteFile(dir+"/"+blobDir+"/"+strings.Repeat("a", 64), []byte("orphan"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := open(t, dir)
	if left := tree(t, dir); len(left) > 0 || len(c.List()) > 0 {
		t.Errorf("after reopening: %v, images %v", left, c.List())
	}
}

// TestMain lets the test binary be the process that is killed above.
func TestMain(m *testing.M) {
	dir := os.Getenv("MUSTER_TEST_RECEIVE")
	if dir == "" {
		os.Exit(m.Run())
	}
	c, err := Open(dir, clock(), Options{})
	if err == nil {
		_, err = c.Add(context.Background(), os.Stdin, AddOptions{Progress: func(int64, int64) { fmt.Print(".") }})
	}
	fmt.Fprintln(os.Stderr, "not killed:", err)
	os.Exit(1)
}
