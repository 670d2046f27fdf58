package overlay

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/muster-boot/muster/images/iso"
)

// bigSize is more than one extent can hold (§9.1.4: 32 bits).
const bigSize = 4<<30 + 5<<20

// bigImage makes an image with a file over 4 GiB that takes no room on disk: in
// an image of xorriso's, whose last file is small, that file is stretched over a
// hole.
func bigImage(t *testing.T) *base {
	t.Helper()
	tree := t.TempDir()
	write(t, tree, "boot/grub/grub.cfg", grubConfig)
	write(t, tree, "big.bin", "begin")
	write(t, tree, "big0.txt", "after it")
	order := filepath.Join(t.TempDir(), "order")
	write(t, filepath.Dir(order), "order", "-100 /big.bin\n")
	path := filepath.Join(t.TempDir(), "big.iso")
	run(t, "xorriso", "-as", "mkisofs", "-iso-level", "3", "-R", "-J", "-no-pad", "--sort-weight-list", order, "-o", path, tree)
	b := openBase(t, path, tree)
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	start := stretch(t, b, f)
	for _, at := range []int64{4<<30 - 4, bigSize - 4} {
		if _, err := f.WriteAt([]byte("mark"), start+at); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Truncate(roundUp(start + bigSize)); err != nil {
		t.Fatal(err)
	}
	return openBase(t, path, tree)
}

// stretch gives big.bin a second record in each tree, and the volume its size.
func stretch(t *testing.T, b *base, f *os.File) (start int64) {
	t.Helper()
	const most = 4<<30 - sectorSize // of one extent, in whole sectors
	builder, err := newBuilder(b.file, &b.index)
	if err != nil {
		t.Fatal(err)
	}
	for i := range builder.trees {
		tree := &builder.trees[i]
		d, err := tree.edit(0)
		if err != nil {
			t.Fatal(err)
		}
		r, ok := tree.match(d.records[2:], "big.bin", nil)
		if !ok || roundUp(r.Extent.Offset+r.Extent.Length) != b.size {
			t.Fatalf("big.bin is not the last file of the image")
		}
		start = r.Extent.Offset
		rest := r
		rest.At, rest.Bytes = isNew, bytes.Clone(r.Bytes)
		setExtent(rest.Bytes, iso.Extent{Offset: start + most, Length: bigSize - most})
		setExtent(r.Bytes, iso.Extent{Offset: start, Length: most})
		r.Bytes[25] |= 1 << 7
		d.add(rest, tree.Joliet)
		s := d.sectors[0].records // the new one stands before the old one of the same name
		for j := range s[1:] {
			if s[j].At == isNew {
				s[j], s[j+1] = s[j+1], s[j]
				break
			}
		}
		patches := append(d.patches(d.Extent.Offset), patch{at: tree.Descriptor + 80, data: both32(uint32(roundUp(start+bigSize) / sectorSize))})
		for _, p := range patches {
			if _, err := f.WriteAt(p.data, p.at); err != nil {
				t.Fatal(err)
			}
		}
	}
	return start
}

func TestFilesOver4GiBStayAndCanBeReplaced(t *testing.T) {
	b := bigImage(t)
	if b.size < bigSize {
		t.Fatalf("the image has only %d bytes", b.size)
	}
	host := build(t, b, Change{Path: "/big-host.yaml", Content: []byte("host")}, Change{Args: []string{"console=ttyS0"}})
	v, err := iso.Open(host, host.Size())
	if err != nil {
		t.Fatal(err)
	}
	big, err := v.Lookup("/big.bin")
	if err != nil || big.Size != bigSize || len(big.Extents) < 2 {
		t.Fatalf("big.bin has %d bytes in %d extents, %v", big.Size, len(big.Extents), err)
	}
	mark := make([]byte, 8)
	if _, err := big.Content(host).ReadAt(mark, 4<<30-4); err != nil || string(mark) != "mark\x00\x00\x00\x00" {
		t.Errorf("at 4 GiB it holds %q, %v", mark, err)
	}
	image := sparseCopy(t, b, host)
	for name, want := range map[string]string{"/big-host.yaml": "host", "/big0.txt": "after it", "/boot/grub/grub.cfg": strings.Replace(grubConfig, "quiet", "quiet console=ttyS0", 1)} {
		to := filepath.Join(t.TempDir(), "x")
		run(t, "xorriso", "-osirrox", "on", "-indev", image, "-extract", name, to)
		if got, err := os.ReadFile(to); err != nil || string(got) != want {
			t.Errorf("xorriso reads %s as %q, %v", name, got, err)
		}
	}
	for _, tree := range []string{"-R", "-J"} {
		if got := run(t, "isoinfo", "-i", image, tree, "-x", "/big-host.yaml"); got != "host" {
			t.Errorf("isoinfo %s reads /big-host.yaml as %q", tree, got)
		}
	}
	if got := run(t, "bsdtar", "-xOf", image, "big-host.yaml", "big0.txt"); got != "after ithost" {
		t.Errorf("bsdtar reads the two small files as %q", got)
	}
	if got := run(t, "7z", "l", "-slt", image, "big.bin"); !strings.Contains(got, "Size = 4300210176") {
		t.Errorf("7z lists big.bin otherwise:\n%s", got)
	}
	if got, want := places(t, image), places(t, b.path); got != want || want == "" {
		t.Errorf("xorriso finds big.bin at %s, in the base at %s", got, want)
	}
	small := build(t, b, Change{Path: "/big.bin", Content: []byte("small")})
	image = sparseCopy(t, b, small)
	if got := run(t, "7z", "l", "-slt", image, "big.bin"); !strings.Contains(got, "Size = 5\n") {
		t.Errorf("7z lists the replaced big.bin otherwise:\n%s", got)
	}
}

// places asks xorriso for the extents of big.bin.
func places(t *testing.T, image string) string {
	t.Helper()
	out := run(t, "xorriso", "-indev", image, "-find", "/big.bin", "-exec", "report_lba", "--")
	return strings.Join(regexp.MustCompile(`(?m)^File data lba: .*$`).FindAllString(out, -1), "\n")
}

// sparseCopy writes an overlay out over a copy of its base's beginning; the rest
// of the base is a hole but for the marks.
func sparseCopy(t *testing.T, b *base, o *Overlay) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "host.iso")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, part := range [][2]int64{{0, 2 << 20}, {b.size - 8<<20, o.Size()}} {
		if _, err := io.Copy(io.NewOffsetWriter(f, part[0]), io.NewSectionReader(o, part[0], part[1]-part[0])); err != nil {
			t.Fatal(err)
		}
	}
	return path
}
