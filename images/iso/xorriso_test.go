package iso

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// xorriso runs the peer that images are made with and compared against.
func xorriso(t *testing.T, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath("xorriso"); err != nil && os.Geteuid() != 0 {
		t.Skip("xorriso is not installed")
	}
	out, err := exec.Command("xorriso", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("xorriso %v: %v (install it with make lab)\n%s", args, err, out)
	}
	return string(out)
}

func TestExtentsEqualXorrisos(t *testing.T) {
	for name, options := range map[string][]string{
		"rock ridge":            {"-R"},
		"rock ridge and joliet": {"-R", "-J", "-joliet-long"},
		"joliet only":           {"--norock", "-J", "-joliet-long"},
		"relocated directories": {"-R", "-rr_reloc_dir", "moved"},
		"deep, unrelocated":     {"-R", "-D"},
	} {
		t.Run(name, func(t *testing.T) {
			tree := t.TempDir()
			links := name != "joliet only"
			plant(t, tree, rand.New(rand.NewPCG(7, uint64(len(name)))), links)
			image := filepath.Join(t.TempDir(), "x.iso")
			xorriso(t, append(append([]string{"-as", "mkisofs", "-V", "COS_LIVE", "-o", image}, options...), tree)...)
			compareWithXorriso(t, image, tree)
		})
	}
}

func TestHybridImagesReadLikePlainOnes(t *testing.T) {
	tree := t.TempDir()
	plant(t, tree, rand.New(rand.NewPCG(1, 1)), true)
	efi := filepath.Join(t.TempDir(), "efi.img")
	if err := os.WriteFile(efi, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	image := filepath.Join(t.TempDir(), "x.iso")
	xorriso(t, "-as", "mkisofs", "-R", "-J", "-V", "COS_LIVE", "-append_partition", "2", "0xef", efi,
		"-e", "--interval:appended_partition_2:all::", "-no-emul-boot", "-isohybrid-gpt-basdat", "-o", image, tree)
	compareWithXorriso(t, image, tree)
}

// plant makes a tree with what real images have: deep directories, long names,
// names outside ASCII, empty files, files of many sizes, links.
func plant(t *testing.T, tree string, r *rand.Rand, links bool) {
	t.Helper()
	put := func(name string, size int) {
		content := make([]byte, size)
		for i := range content {
			content[i] = byte(r.Uint32())
		}
		name = filepath.Join(tree, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("boot/kernel", 100_000)
	put("boot/initrd", sectorSize)
	put("rootfs.squashfs", 300_001)
	put("empty", 0)
	put("Grüße/übergröße.txt", 10)
	put("boot/"+strings.Repeat("very-long-", 9)+"name", 5)
	put("d1/d2/d3/d4/d5/d6/d7/d8/d9/d10/deep.txt", 77)
	for i := range 120 { // more records than one sector holds
		put(fmt.Sprintf("many/file-%03d.bin", i), r.IntN(5000))
	}
	if !links {
		return
	}
	put("long/"+strings.Repeat("n", 240), 9)
	for name, target := range map[string]string{
		"boot/vmlinuz": "kernel", "long/up": "../boot/./initrd", "abs": "/boot/kernel",
		"long/link": strings.Repeat("n", 240), "long/many": strings.Repeat("../long/", 40) + "link",
	} {
		if err := os.Symlink(target, filepath.Join(tree, name)); err != nil {
			t.Fatal(err)
		}
	}
}

// compareWithXorriso holds every file's place and size against report_lba, and
// its content against the tree that the image was made of.
func compareWithXorriso(t *testing.T, image, tree string) {
	t.Helper()
	f, err := os.Open(image)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	v, err := Open(f, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	if v.Label() != "COS_LIVE" {
		t.Errorf("label is %q", v.Label())
	}
	got := map[string]string{}
	walked := map[string]bool{}
	err = v.Walk(func(file File) error {
		walked[file.Path] = true
		if !file.Dir && file.Target == "" && file.Size > 0 && file.Path != "/boot.catalog" { // xorriso's own
			got[file.Path] = fmt.Sprint(file.Extents[0].Offset/sectorSize, " ", file.Size)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(reportLBA(t, image), got); diff != "" {
		t.Errorf("places differ from xorriso's (-xorriso +ours):\n%s", diff)
	}
	compareWithTree(t, v, f, tree, walked)
}

// reportLBA asks xorriso for "first block, size" of each file.
func reportLBA(t *testing.T, image string) map[string]string {
	t.Helper()
	args := []string{"-indev", image, "-find", "/", "-type", "f", "-exec", "report_lba", "--"}
	line := regexp.MustCompile(`(?m)^File data lba: +0 , +(\d+) , +\d+ , +(\d+) , '(.*)'$`)
	want := map[string]string{}
	for _, m := range line.FindAllStringSubmatch(xorriso(t, args...), -1) {
		if size, _ := strconv.Atoi(m[2]); size > 0 {
			want[m[3]] = m[1] + " " + m[2]
		}
	}
	if len(want) < 100 {
		t.Fatalf("xorriso lists only %d files", len(want))
	}
	return want
}

func compareWithTree(t *testing.T, v *Volume, image io.ReaderAt, tree string, walked map[string]bool) {
	t.Helper()
	err := filepath.WalkDir(tree, func(name string, d os.DirEntry, err error) error {
		if err != nil || name == tree {
			return err
		}
		inside := strings.TrimPrefix(name, tree)
		if !walked[inside] {
			t.Errorf("%s was not walked", inside)
		}
		if d.IsDir() || inside == "/abs" { // absolute only inside the image
			return nil
		}
		want, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		file, err := v.Lookup(inside)
		if err != nil {
			t.Error(err)
			return nil
		}
		got, err := io.ReadAll(file.Content(image))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes read, want %d, error %v", inside, len(got), len(want), err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestAnImageCutAnywhereIsRefused(t *testing.T) {
	tree := t.TempDir()
	plant(t, tree, rand.New(rand.NewPCG(3, 3)), true)
	image := filepath.Join(t.TempDir(), "x.iso")
	xorriso(t, "-as", "mkisofs", "-R", "-no-pad", "-o", image, tree)
	whole, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	for cut := len(whole) - 1; cut > 0; cut -= len(whole)/37 + 1 {
		v, err := Open(bytes.NewReader(whole), int64(cut))
		if err == nil {
			err = v.Walk(func(File) error { return nil })
		}
		if err == nil {
			t.Errorf("%d of %d bytes were taken for a whole image", cut, len(whole))
		}
	}
}

func TestContentEqualsItsExtentsJoined(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		image := rapid.SliceOfN(rapid.Byte(), 100, 100).Draw(t, "image")
		var f File
		var want []byte
		for range rapid.IntRange(1, 6).Draw(t, "extents") {
			offset := rapid.IntRange(0, 90).Draw(t, "offset")
			length := rapid.IntRange(0, 10).Draw(t, "length")
			f.Extents = append(f.Extents, Extent{int64(offset), int64(length)})
			want = append(want, image[offset:offset+length]...)
		}
		f.Size = int64(len(want))
		content := f.Content(bytes.NewReader(image))
		from := rapid.IntRange(0, len(want)).Draw(t, "from")
		if _, err := content.Seek(int64(from), io.SeekStart); err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(content)
		if err != nil || !bytes.Equal(got, want[from:]) {
			t.Fatalf("got %v, %v, want %v", got, err, want[from:])
		}
	})
}
