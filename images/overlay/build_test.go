package overlay

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// hybrid makes the image that most tests need.
func hybrid(t testing.TB, options ...string) *base {
	t.Helper()
	tree := sourceTree(t)
	path := filepath.Join(t.TempDir(), "hybrid.iso")
	args := append([]string{"-as", "mkisofs", "-V", "COS_LIVE", "-R", "-J", "-joliet-long"}, options...)
	run(t, "xorriso", append(args, "-o", path, tree)...)
	return openBase(t, path, tree)
}

func TestTheSameChangesGiveTheSameBytes(t *testing.T) {
	b := hybrid(t)
	changes, _ := wishes()
	one, two := build(t, b, changes...), build(t, b, changes...)
	if one.Digest() != two.Digest() || one.Size() != two.Size() {
		t.Error("two overlays of the same changes differ")
	}
	image := writeOut(t, one)
	first, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	second := make([]byte, two.Size())
	if _, err := two.On(bytes.NewReader(first[:b.size])).ReadAt(second[:0], 0); err != nil {
		t.Error(err)
	}
	if _, err := two.ReadAt(second, 0); err != nil || !bytes.Equal(first, second) {
		t.Errorf("two overlays of the same changes read otherwise, %v", err)
	}
	changes[0].Content = append(changes[0].Content, 'x')
	if other := build(t, b, changes...); other.Digest() == one.Digest() {
		t.Error("another change has the same digest")
	}
}

func TestNothingChangedIsTheBase(t *testing.T) {
	b := hybrid(t)
	o := build(t, b)
	if o.Size() != b.size || len(o.patches) != 0 {
		t.Errorf("the overlay has %d bytes and %d patches, the base %d bytes", o.Size(), len(o.patches), b.size)
	}
}

func TestAnyRangeIsThatOfTheImageWrittenOut(t *testing.T) {
	b := hybrid(t, "-append_partition", "2", "0xef", efiImage(t, 1440), "-e", "--interval:appended_partition_2:all::", "-no-emul-boot")
	changes, _ := wishes()
	o := build(t, b, append(changes, Change{Args: []string{"console=ttyS0"}})...)
	whole, err := os.ReadFile(writeOut(t, o))
	if err != nil || int64(len(whole)) != o.Size() {
		t.Fatalf("%d bytes written, want %d, %v", len(whole), o.Size(), err)
	}
	rapid.Check(t, func(t *rapid.T) {
		around := append([]patch{{at: 0}, {at: o.Size()}}, o.patches...)
		near := rapid.SampledFrom(around).Draw(t, "near").at
		off := max(0, near+rapid.Int64Range(-3000, 3000).Draw(t, "off"))
		n := rapid.Int64Range(0, 200_000).Draw(t, "n")
		want := whole[min(off, o.Size()):min(off+n, o.Size())]
		got := make([]byte, n)
		read, err := o.ReadAt(got, off)
		if !bytes.Equal(got[:read], want) || (int64(read) < n) != (err == io.EOF) {
			t.Fatalf("ReadAt(%d bytes, %d) = %d, %v, want %d bytes", n, off, read, err, len(want))
		}
		var joined []byte
		for _, s := range o.Segments(off, n) {
			if s.Length <= 0 || s.Data != nil && int64(len(s.Data)) != s.Length {
				t.Fatalf("segment of %d bytes with %d in memory", s.Length, len(s.Data))
			}
			data := s.Data
			if data == nil {
				data = make([]byte, s.Length)
				if _, err := b.file.ReadAt(data, s.Offset); err != nil {
					t.Fatal(err)
				}
			}
			joined = append(joined, data...)
		}
		if !bytes.Equal(joined, want) {
			t.Fatalf("segments of %d bytes from %d differ", n, off)
		}
	})
}

func TestRandomChangesAreFoundAgain(t *testing.T) {
	b := hybrid(t)
	before := contents(t, b.path)
	r := rand.New(rand.NewPCG(3, 4))
	dirs := []string{"", "/many", "/full", "/full/directory-007", "/boot/grub", "/d1/d2/d3/d4/d5/d6/d7/d8/d9/d10"}
	for range 5 {
		want := map[string]string{}
		for name, content := range before {
			want[name] = content
		}
		var changes []Change
		for range r.IntN(120) {
			name := dirs[r.IntN(len(dirs))] + "/" + strings.Repeat(string(rune('a'+r.IntN(26))), 1+r.IntN(100)) + ".cfg"
			content := strings.Repeat("x", r.IntN(5000))
			changes, want[name] = append(changes, Change{Path: name, Content: []byte(content)}), content
		}
		got := contents(t, writeOut(t, build(t, b, changes...)))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%d changes (-want +got):\n%.2000s", len(changes), diff)
		}
	}
}

func TestKernelArgumentsChangeInEveryConfiguration(t *testing.T) {
	for name, b := range bases(t) {
		t.Run(name, func(t *testing.T) {
			o := build(t, b,
				Change{Path: "/boot/grub/grub.cfg", Content: []byte("linux /other quiet\n")},
				Change{Args: []string{"console=ttyS0", "ds=nocloud;s=/cdrom/"}, Drop: []string{"root", "quiet"}})
			got := contents(t, writeOut(t, o))
			if want := "linux /other console=ttyS0 'ds=nocloud;s=/cdrom/'\n"; got["/boot/grub/grub.cfg"] != want {
				t.Errorf("grub.cfg is %q, want %q", got["/boot/grub/grub.cfg"], want)
			}
			want := strings.Replace(isolinuxConfig, "initrd quiet", "initrd console=ttyS0 ds=nocloud;s=/cdrom/", 1)
			if diff := cmp.Diff(want, got["/isolinux/isolinux.cfg"]); diff != "" {
				t.Errorf("isolinux.cfg (-want +got):\n%s", diff)
			}
			compareFAT(t, b, o)
		})
	}
}

func TestAConfigurationInFATGrowsBeyondItsCluster(t *testing.T) {
	b := hybrid(t, "-append_partition", "2", "0xef", efiImage(t, 1440), "-e", "--interval:appended_partition_2:all::", "-no-emul-boot")
	long := "inst.ks=http://192.0.2.1:8067/" + strings.Repeat("t", 1500)
	o := build(t, b, Change{Args: []string{long}})
	boot := b.index.Untouched[len(b.index.Untouched)-1]
	data := make([]byte, boot.Length)
	if _, err := o.ReadAt(data, boot.Offset); err != nil {
		t.Fatal(err)
	}
	image := filepath.Join(t.TempDir(), "efi.img")
	if err := os.WriteFile(image, data, 0o600); err != nil {
		t.Fatal(err)
	}
	want := strings.Replace(grubConfig, "quiet ---", "quiet "+long+" ---", 1)
	if diff := cmp.Diff(want, run(t, "mtype", "-i", image, "::EFI/debian-installer/grub.cfg")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	run(t, "fsck.vfat", "-n", image)
}

// compareFAT has mtools read the boot image out of a host's image.
func compareFAT(t *testing.T, b *base, o *Overlay) {
	t.Helper()
	for _, config := range b.index.Configs {
		if config.FAT == nil {
			continue
		}
		image := filepath.Join(t.TempDir(), "efi.img")
		boot := b.index.Untouched[len(b.index.Untouched)-1]
		data := make([]byte, boot.Length)
		if _, err := o.ReadAt(data, boot.Offset); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(image, data, 0o600); err != nil {
			t.Fatal(err)
		}
		want := strings.Replace(grubConfig, "root=live:CDLABEL=COS_LIVE install-mode quiet ---", "install-mode console=ttyS0 'ds=nocloud;s=/cdrom/' ---", 1)
		got := run(t, "mtype", "-i", image, "::"+config.Path)
		if diff := cmp.Diff(want, strings.TrimRight(got, "\n")+"\n"); diff != "" {
			t.Errorf("grub.cfg in the boot image (-want +got):\n%s", diff)
		}
		run(t, "mcopy", "-n", "-i", image, "::EFI/BOOT/BOOTX64.EFI", filepath.Join(t.TempDir(), "x"))
	}
}

func TestLinksAreFollowed(t *testing.T) {
	tree := sourceTree(t)
	for link, target := range map[string]string{"config": "files-iso", "boot/current.cfg": "grub/grub.cfg", "dangling": "nowhere"} {
		if err := os.Symlink(target, filepath.Join(tree, link)); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "x.iso")
	run(t, "xorriso", "-as", "mkisofs", "-R", "-J", "-o", path, tree)
	b := openBase(t, path, tree)
	got := contents(t, writeOut(t, build(t, b,
		Change{Path: "/config/config.yaml", Content: []byte("one")},
		Change{Path: "/config/new.yaml", Content: []byte("two")},
		Change{Path: "/boot/current.cfg", Content: []byte("three")})))
	for name, want := range map[string]string{"/files-iso/config.yaml": "one", "/files-iso/new.yaml": "two", "/boot/grub/grub.cfg": "three"} {
		if got[name] != want {
			t.Errorf("%s holds %q, want %q", name, got[name], want)
		}
	}
	if _, err := Build(b.file, b.index, []Change{{Path: "/dangling"}}); !errors.Is(err, ErrCannot) {
		t.Errorf("a link to nothing: %v", err)
	}
}

func TestWhatCannotBeChangedIsRefusedInWords(t *testing.T) {
	tree := sourceTree(t)
	path := filepath.Join(t.TempDir(), "x.iso")
	run(t, "genisoimage", "-quiet", "-R", "-J", "-b", "isolinux/isolinux.bin", "-c", "isolinux/boot.cat", "-no-emul-boot", "-o", path, tree)
	b := openBase(t, path, tree)
	for _, tt := range []struct {
		change Change
		text   string
	}{
		{Change{Path: "/nocloud/user-data"}, "no directory /nocloud"},
		{Change{Path: "/boot"}, "it is a directory"},
		{Change{Path: "/boot/kernel/x"}, "no directory /boot/kernel"},
		{Change{Path: "relative"}, "clean, absolute path"},
		{Change{Path: "/boot/../x"}, "clean, absolute path"},
		{Change{Path: "/"}, "clean, absolute path"},
		{Change{Path: "/isolinux/isolinux.bin"}, "the firmware boots from that file"},
		{Change{Path: "/isolinux/boot.cat"}, "the firmware boots from that file"},
		{Change{Path: "/" + strings.Repeat("long", 60)}, "too long by"},
		{Change{Path: "/x", Args: []string{"quiet"}}, "make that a change of its own"},
		{Change{}, "neither a path nor kernel arguments"},
		{Change{Args: []string{"a b"}}, "holds ' '"},
		{Change{Args: []string{"a'b"}}, `holds '\''`},
		{Change{Args: []string{"a$b"}}, "holds '$'"},
	} {
		_, err := Build(b.file, b.index, []Change{tt.change})
		if !errors.Is(err, ErrCannot) || !strings.Contains(err.Error(), tt.text) {
			t.Errorf("%+v: %v, want %q", tt.change, err, tt.text)
		}
	}
}

func TestUDFIsRefusedInWords(t *testing.T) {
	path := filepath.Join(t.TempDir(), "udf.iso")
	run(t, "genisoimage", "-quiet", "-udf", "-R", "-J", "-o", path, sourceTree(t))
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Scan(f, info.Size()); !errors.Is(err, ErrCannot) || !strings.Contains(err.Error(), "UDF bridge") {
		t.Errorf("scan: %v", err)
	}
}

func TestAnImplantedChecksumIsSaid(t *testing.T) {
	tree := t.TempDir()
	write(t, tree, "md5sum.txt", "x")
	path := filepath.Join(t.TempDir(), "x.iso")
	run(t, "genisoimage", "-quiet", "-R", "-o", path, tree)
	run(t, "implantisomd5", path)
	lacks := strings.Join(openBase(t, path, tree).index.Lacks, "\n")
	for _, want := range []string{"isomd5sum", "md5sum.txt", "no boot loader configuration"} {
		if !strings.Contains(lacks, want) {
			t.Errorf("it does not say %s:\n%s", want, lacks)
		}
	}
}

func TestAnIndexOfAnotherImageOrFormatIsRefused(t *testing.T) {
	b := hybrid(t)
	changes, _ := wishes()
	for name, spoil := range map[string]func(*Index){
		"another format":      func(x *Index) { x.Format++ },
		"no tree":             func(x *Index) { x.Trees = nil },
		"one tree of two":     func(x *Index) { x.Trees = x.Trees[:1]; x.Trees[0].Dirs = nil },
		"another root":        func(x *Index) { x.Trees[0].Dirs[0].Extent.Offset += 5 * sectorSize },
		"a twin that is not":  func(x *Index) { x.Trees[0].Dirs[0].Twin = 1 << 20 },
		"a directory outside": func(x *Index) { x.Trees[0].Dirs[0].Extent.Length = 1 << 50 },
	} {
		var x Index
		data, err := json.Marshal(b.index)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(data, &x); err != nil {
			t.Fatal(err)
		}
		spoil(&x)
		if _, err := Build(b.file, x, changes); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestADirectoryThatMovesHoldsOnlyWhatChanged(t *testing.T) {
	b := hybrid(t)
	var changes []Change
	for _, name := range []string{"/many/file-077a.bin", "/many/file-077b.bin", "/many/file-077c.bin"} {
		changes = append(changes, Change{Path: name, Content: []byte("x")})
	}
	o := build(t, b, changes...)
	runs := 0
	for _, p := range o.patches {
		if p.data == nil {
			runs++
		}
	}
	if runs == 0 {
		t.Error("no sector of the base is shown at a new place")
	}
	if held := o.Held(); held > 32<<10 {
		t.Errorf("%d bytes are held", held)
	}
}

func TestABaseThatEndsWithinASectorIsFilledUp(t *testing.T) {
	b := hybrid(t)
	f, err := os.OpenFile(b.path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("trailing bytes"); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	b = openBase(t, b.path, b.tree)
	o := build(t, b, Change{Path: "/host.yaml", Content: []byte("host")})
	if o.Size()%sectorSize != 0 {
		t.Errorf("it has %d bytes", o.Size())
	}
	if got := contents(t, writeOut(t, o))["/host.yaml"]; got != "host" {
		t.Errorf("host.yaml holds %q", got)
	}
}

func TestReplacingOneOfTwoHardLinksLeavesTheOther(t *testing.T) {
	tree := t.TempDir()
	write(t, tree, "a-linked.yaml", "shared")
	if err := os.Link(filepath.Join(tree, "a-linked.yaml"), filepath.Join(tree, "b-linked.yaml")); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "x.iso")
	run(t, "xorriso", "-as", "mkisofs", "--hardlinks", "-R", "-J", "-o", path, tree)
	b := openBase(t, path, tree)
	image := writeOut(t, build(t, b, Change{Path: "/b-linked.yaml", Content: []byte("changed")}))
	for _, options := range [][]string{nil, {"-read_fs", "norock"}} {
		for name, want := range map[string]string{"/a-linked.yaml": "shared", "/b-linked.yaml": "changed"} {
			to := filepath.Join(t.TempDir(), "x")
			run(t, "xorriso", append(options[:len(options):len(options)], "-osirrox", "on", "-indev", image, "-extract", name, to)...)
			if got, err := os.ReadFile(to); err != nil || string(got) != want {
				t.Errorf("%v: %s holds %q, want %q, %v", options, name, got, want, err)
			}
		}
	}
}

func TestNamesInContinuationAreasStay(t *testing.T) {
	tree := t.TempDir()
	for i := range 12 { // each too long for its record (SUSP §5.1)
		write(t, tree, fmt.Sprintf("d/%d%s", i, strings.Repeat("n", 230)), "x")
		write(t, tree, fmt.Sprintf("%d%s", i, strings.Repeat("m", 230)), "x")
	}
	for _, tool := range [][]string{{"xorriso", "-as", "mkisofs", "-R"}, {"genisoimage", "-quiet", "-R"}} {
		path := filepath.Join(t.TempDir(), "x.iso")
		run(t, tool[0], append(tool[1:], "-o", path, tree)...)
		b := openBase(t, path, tree)
		want := contents(t, path)
		if len(want) != 25 {
			t.Errorf("%s made %d files", tool[0], len(want))
		}
		var changes []Change
		for i := range 20 {
			for _, dir := range []string{"/", "/d/"} {
				name := fmt.Sprintf("%snew-%d.yaml", dir, i)
				changes, want[name] = append(changes, Change{Path: name, Content: []byte("new")}), "new"
			}
		}
		if diff := cmp.Diff(want, contents(t, writeOut(t, build(t, b, changes...)))); diff != "" {
			t.Errorf("%s (-want +got):\n%.2000s", tool[0], diff)
		}
	}
}
