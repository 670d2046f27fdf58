package overlay

import (
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// wishes are changes of every kind; want is what they make of files.
func wishes() (changes []Change, want map[string]string) {
	want = map[string]string{
		"/autoinstall.yaml":      "#cloud-config\nautoinstall: {}\n",
		"/zz_muster.yaml":        strings.Repeat("# host\n", 1000),
		"/files-iso/config.yaml": strings.Repeat("#cloud-config\n", 500),
		"/rootfs.squashfs":       "shorter now",
		"/empty":                 "no longer empty",
		"/many/file-077.bin":     "changed",
		"/Long Directory-Name with spaces/a rather long file name.text": "replaced\n",
		"/Long Directory-Name with spaces/Another One.yaml":             "added\n",
		"/d1/d2/d3/d4/d5/d6/d7/d8/d9/d10/host.yaml":                     "deep too\n",
		"/d1/d2/d3/d4/d5/d6/d7/d8/d9/d10/nothing":                       "",
	}
	for i := range 40 { // more than the sectors of these have room for
		want[fmt.Sprintf("/host-%02d.yaml", i)] = fmt.Sprint("root ", i)
		want[fmt.Sprintf("/many/file-%03d-host.bin", i*2)] = fmt.Sprint("many ", i)
		want[fmt.Sprintf("/full/host-%02d.yaml", i)] = fmt.Sprint("full ", i)
		want[fmt.Sprintf("/d1/d2/d3/d4/d5/d6/d7/d8/h%d", i)] = fmt.Sprint("deep ", i)
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		changes = append(changes, Change{Path: name, Content: []byte(want[name])})
	}
	return changes, want
}

// reader is a peer that unpacks an image into a directory.
type reader struct {
	name              string
	rockRidge, joliet bool // needs such a tree
	plain             bool // reads names that nobody chose
	sequential        bool // never goes back, and so finds no directory that a moved one leads back to
	unpack            func(t *testing.T, image, dir string)
}

func readers() []reader {
	xorriso := func(options ...string) func(*testing.T, string, string) {
		return func(t *testing.T, image, dir string) {
			run(t, "xorriso", append(options, "-osirrox", "on", "-indev", image, "-extract", "/", dir)...)
		}
	}
	bsdtar := func(options ...string) func(*testing.T, string, string) {
		return func(t *testing.T, image, dir string) {
			run(t, "bsdtar", append(options, "-xf", image, "-C", dir)...)
		}
	}
	return []reader{
		{name: "xorriso", unpack: xorriso()},
		{name: "xorriso, Joliet", joliet: true, unpack: xorriso("-read_fs", "norock")},
		{name: "7z", unpack: func(t *testing.T, image, dir string) { run(t, "7z", "x", "-bd", "-y", "-o"+dir, image) }},
		{name: "isoinfo, Rock Ridge", rockRidge: true, unpack: isoinfo("-R")},
		{name: "isoinfo, Joliet", joliet: true, unpack: isoinfo("-J")},
		{name: "bsdtar", sequential: true, unpack: bsdtar()},
		{name: "bsdtar, Joliet", joliet: true, sequential: true, unpack: bsdtar("--options", "iso9660:!rockridge")},
		{name: "bsdtar, plain", plain: true, sequential: true, unpack: bsdtar("--options", "iso9660:!rockridge,iso9660:!joliet")},
	}
}

// isoinfo has it list a tree, and print some of its files.
func isoinfo(tree string) func(*testing.T, string, string) {
	return func(t *testing.T, image, dir string) {
		for name := range strings.Lines(run(t, "isoinfo", "-i", image, tree, "-f")) {
			name = strings.TrimSuffix(name, "\n")
			content := ""
			if printed(name) {
				content = run(t, "isoinfo", "-i", image, tree, "-x", name)
			}
			write(t, dir, strings.ReplaceAll(name, "/", "|"), content)
		}
	}
}

// printed tells whether isoinfo prints a file: some of each kind, it is slow.
func printed(name string) bool {
	return strings.HasSuffix(name, ".yaml") && !strings.Contains(name, "/host-")
}

// inListing is how isoinfo's listing is kept: without directories, and with
// directories that Rock Ridge moved at their new place.
func inListing(name string, listing map[string]string) string {
	if _, moved := listing["/|rr_moved"]; moved {
		name = strings.Replace(name, "/d1/d2/d3/d4/d5/d6/d7/d8/", "/rr_moved/d8/", 1)
	}
	return "/" + strings.ReplaceAll(name, "/", "|")
}

// unpacked reads a directory into a map.
func unpacked(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if err := os.Chmod(name, 0o600); err != nil {
			return err
		}
		data, err := os.ReadFile(name)
		out[strings.TrimPrefix(name, dir)] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestPeersReadEveryKindOfImageAsWanted(t *testing.T) {
	many, wanted := wishes()
	few, wantedFew := []Change{}, map[string]string{}
	for _, c := range many {
		if c.Path == "/autoinstall.yaml" || c.Path == "/files-iso/config.yaml" {
			few, wantedFew[c.Path] = append(few, c), wanted[c.Path]
		}
	}
	for name, b := range bases(t) {
		t.Run(name, func(t *testing.T) {
			image, smallImage := writeOut(t, build(t, b, many...)), writeOut(t, build(t, b, few...))
			for _, r := range readers() {
				if r.joliet && !b.joliet || r.rockRidge && !b.index.Trees[0].RockRidge {
					continue
				}
				if name == "genisoimage" && r.sequential && r.joliet {
					continue // it cannot read the base: genisoimage lays Joliet's parents behind their children
				}
				t.Run(r.name, func(t *testing.T) {
					if r.sequential {
						compare(t, r, b.path, smallImage, wantedFew)
						return
					}
					compare(t, r, b.path, image, wanted)
				})
			}
		})
	}
}

// compare holds what a reader finds in the image against what it finds in the
// base, and what was wanted.
func compare(t *testing.T, r reader, base, image string, want map[string]string) {
	t.Helper()
	before, after := t.TempDir(), t.TempDir()
	r.unpack(t, base, before)
	r.unpack(t, image, after)
	expected, got := unpacked(t, before), unpacked(t, after)
	for _, catalogue := range []string{"/isolinux/boot.cat", "/boot.catalog"} { // xorriso's own view; its bytes are compared elsewhere
		delete(expected, catalogue)
		delete(got, catalogue)
	}
	if len(expected) < 120 {
		t.Fatalf("%s finds only %d files in the base", r.name, len(expected))
	}
	if r.plain {
		comparePlain(t, expected, got, want)
		return
	}
	for name, content := range want {
		if strings.HasPrefix(r.name, "isoinfo") {
			if !printed(name) {
				content = ""
			}
			name = inListing(name, expected)
		}
		expected[name] = content
	}
	if diff := cmp.Diff(expected, got); diff != "" {
		t.Errorf("%s finds otherwise (-want +got):\n%.3000s", r.name, diff)
	}
}

// comparePlain counts contents: names in the plain tree are made up.
func comparePlain(t *testing.T, before, got, want map[string]string) {
	t.Helper()
	count := func(contents map[string]string) map[string]int {
		out := map[string]int{}
		for _, content := range contents {
			out[content]++
		}
		return out
	}
	have, base := count(got), count(before)
	for content, n := range count(want) {
		if have[content] != base[content]+n {
			t.Errorf("the plain tree has %.30q %d times, want %d", content, have[content], base[content]+n)
		}
	}
}

func TestWhatFirmwareReadsKeepsEveryByte(t *testing.T) {
	changes, _ := wishes()
	changes = append(changes, Change{Args: []string{"console=ttyS0"}})
	for name, b := range bases(t) {
		t.Run(name, func(t *testing.T) {
			o := build(t, b, changes...)
			whole := make([]byte, b.size)
			if _, err := io.ReadFull(io.NewSectionReader(b.file, 0, b.size), whole); err != nil {
				t.Fatal(err)
			}
			mine := make([]byte, b.size)
			if _, err := o.ReadAt(mine, 0); err != nil {
				t.Fatal(err)
			}
			same := func(what string, offset, length int64) {
				if string(whole[offset:offset+length]) != string(mine[offset:offset+length]) {
					t.Errorf("%s changed", what)
				}
			}
			same("the system area with its partition tables", 0, 16*sectorSize)
			same("the backup GPT", b.size-34*512, 34*512)
			for _, x := range b.index.Untouched {
				if b.index.Configs[len(b.index.Configs)-1].FAT == nil {
					same("a boot image", x.Offset, x.Length)
				}
			}
			differ := 0
			for i := range whole {
				if whole[i] != mine[i] {
					differ++
				}
			}
			if differ > 20<<10 {
				t.Errorf("%d bytes of the base changed", differ)
			}
		})
	}
}
