package overlay

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEveryKindOfImageHasASmallIndexAndOverlay(t *testing.T) {
	for name, b := range bases(t) {
		t.Run(name, func(t *testing.T) {
			for i, tree := range b.index.Trees {
				refs := 0
				for _, d := range tree.Dirs {
					refs += len(d.Refs)
					if len(b.index.Trees) == 2 && d.Twin < 0 && d.Path != "/rr_moved" {
						t.Errorf("%s in tree %d has no twin", d.Path, i)
					}
				}
				// Itself, its record, both path tables; each as a parent too, and some moved.
				if n := len(tree.Dirs); refs < 5*n-2 || refs > 8*n {
					t.Errorf("%d places name %d directories", refs, n)
				}
			}
			if held := build(t, b, hostChanges()...).Held(); held > 64<<10 {
				t.Errorf("%d bytes are held for a host", held)
			}
		})
	}
}

func TestConfigurationsAreFound(t *testing.T) {
	var got []string
	b := hybrid(t, "-append_partition", "2", "0xef", efiImage(t, 1440), "-e", "--interval:appended_partition_2:all::", "-no-emul-boot")
	for _, c := range b.index.Configs {
		at := "tree "
		if c.FAT != nil {
			at = "fat "
		}
		got = append(got, at+string(c.Syntax)+" "+c.Path)
	}
	want := []string{"tree grub /boot/grub/grub.cfg", "tree syslinux /isolinux/isolinux.cfg", "fat grub /EFI/debian-installer/GRUB.CFG"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// FuzzImage scans, changes and reads images that nobody vouches for. The first
// 16 sectors are left out: hardly anything is read there.
func FuzzImage(f *testing.F) {
	tree := f.TempDir()
	write(f, tree, "boot/grub/grub.cfg", grubConfig)
	write(f, tree, "d1/d2/d3/d4/d5/d6/d7/d8/d9/x", "x")
	for i, options := range [][]string{
		{"xorriso", "-as", "mkisofs", "-R", "-J", "-no-pad"},
		{"genisoimage", "-quiet", "-R", "-no-pad"},
		{"genisoimage", "-quiet", "-J", "-D", "-no-pad"},
	} {
		path := filepath.Join(f.TempDir(), string(rune('a'+i)))
		run(f, options[0], append(options[1:], "-o", path, tree)...)
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data[16*sectorSize:])
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		image := append(make([]byte, 16*sectorSize), data...)
		x, err := Scan(bytes.NewReader(image), int64(len(image)))
		if err != nil {
			return
		}
		changes := []Change{{Path: "/host.yaml", Content: []byte("x")}, {Path: "/boot/grub/grub.cfg"}, {Path: "/d1/d2/d3/d4/d5/d6/d7/d8/y"}}
		if len(x.Configs) > 0 {
			changes = append(changes, Change{Args: []string{"quiet"}})
		}
		o, err := Build(bytes.NewReader(image), x, changes)
		if err != nil {
			return
		}
		if n, err := io.Copy(io.Discard, io.NewSectionReader(o, 0, o.Size())); err != nil || n != o.Size() {
			t.Errorf("%d of %d bytes read, %v", n, o.Size(), err)
		}
	})
}
