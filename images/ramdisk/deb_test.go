package ramdisk

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

// makeDeb is a package with the given files, in the given compression.
func makeDeb(t testing.TB, ending string, files map[string]string) []byte {
	t.Helper()
	var data bytes.Buffer
	w, err := compressor(ending, &data)
	if err != nil {
		t.Fatal(err)
	}
	tw := tar.NewWriter(w)
	for name, content := range files {
		if err := tw.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content)), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(tw, content); err != nil {
			t.Fatal(err)
		}
	}
	if err := tw.Close(); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	var deb bytes.Buffer
	deb.WriteString(arMagic)
	arAdd(&deb, "debian-binary", []byte("2.0\n"))
	arAdd(&deb, "control.tar.xz", []byte("odd"))
	arAdd(&deb, "data.tar"+ending, data.Bytes())
	return deb.Bytes()
}

func compressor(ending string, w io.Writer) (io.WriteCloser, error) {
	switch ending {
	case ".xz":
		return xz.NewWriter(w)
	case ".zst":
		return zstd.NewWriter(w)
	case ".gz":
		return gzip.NewWriter(w), nil
	}
	return plain{w}, nil
}

type plain struct{ io.Writer }

func (plain) Close() error { return nil }

func arAdd(w *bytes.Buffer, name string, content []byte) {
	fmt.Fprintf(w, "%-16s%-12d%-6d%-6d%-8s%-10d%s", name, 0, 0, 0, "100644", len(content), arTrailer)
	w.Write(content)
	if len(content)%2 == 1 {
		w.WriteByte('\n')
	}
}

func readAll(deb []byte) (map[string]string, error) {
	got := map[string]string{}
	err := walkDeb(bytes.NewReader(deb), func(name string, h *tar.Header, r io.Reader) error {
		b, err := io.ReadAll(io.LimitReader(r, 1<<20))
		got[name] = string(b)
		return err
	})
	return got, err
}

func TestPackagesOfEveryCompressionAreRead(t *testing.T) {
	files := map[string]string{"./boot/vmlinuz-6": "kernel", "./usr/lib/modules/6/kernel/a.ko": "module"}
	want := map[string]string{"boot/vmlinuz-6": "kernel", "lib/modules/6/kernel/a.ko": "module"}
	for _, ending := range []string{"", ".gz", ".xz", ".zst"} {
		got, err := readAll(makeDeb(t, ending, files))
		if err != nil {
			t.Fatalf("data.tar%s: %v", ending, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("data.tar%s differs (-want +got):\n%s", ending, diff)
		}
	}
}

func TestACutPackageIsAnError(t *testing.T) {
	for _, ending := range []string{".xz", ".zst", ".gz"} {
		deb := makeDeb(t, ending, map[string]string{"a": string(bytes.Repeat([]byte("content "), 1000))})
		for _, keep := range []int{0, 4, len(arMagic), 40, 70, len(deb) / 2, len(deb) - 20} {
			if got, err := readAll(deb[:keep]); err == nil {
				t.Errorf("data.tar%s cut to %d of %d bytes was read without an error: %d files", ending, keep, len(deb), len(got))
			}
		}
	}
}

func FuzzPackage(f *testing.F) {
	for _, ending := range []string{"", ".gz", ".xz", ".zst"} {
		f.Add(makeDeb(f, ending, map[string]string{"boot/vmlinuz-6": "kernel"}))
	}
	f.Add([]byte(arMagic))
	f.Fuzz(func(t *testing.T, deb []byte) {
		got, err := readAll(deb)
		if err == nil && !bytes.HasPrefix(deb, []byte(arMagic)) {
			t.Errorf("%d files read out of what is no package", len(got))
		}
	})
}
