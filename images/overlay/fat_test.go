package overlay

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/muster-boot/muster/images/iso"
)

// fatImages are one of each kind, with a long name and a file in pieces.
func fatImages(t testing.TB) map[string]string {
	t.Helper()
	out := map[string]string{
		"FAT12": efiImage(t, 1440),
		"FAT16": efiImage(t, 32<<10, "-T", "65536", "-h", "16", "-s", "63"),
		"FAT32": efiImage(t, 64<<10, "-F", "-T", "131072", "-h", "16", "-s", "63"),
	}
	for _, image := range out {
		dir := t.TempDir()
		put := func(name, to, content string) {
			write(t, dir, name, content)
			run(t, "mcopy", "-o", "-i", image, filepath.Join(dir, name), to)
		}
		put("a", "::EFI/a-hole.bin", strings.Repeat("a", 3000))
		put("b", "::EFI/after it.bin", "b")
		run(t, "mdel", "-i", image, "::EFI/a-hole.bin")
		put("c", "::EFI/A Long Name of a Configuration.cfg", strings.Repeat("# filler\n", 1500)+grubConfig)
	}
	return out
}

func openFATFile(t testing.TB, path string) (*fat, []byte) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := openFAT(bytes.NewReader(data), 0, int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	return f, data
}

func TestFilesInFATReadAsMtoolsReadsThem(t *testing.T) {
	for name, path := range fatImages(t) {
		t.Run(name, func(t *testing.T) {
			f, data := openFATFile(t, path)
			if kind := fmt.Sprint("FAT", f.bits); kind != name {
				t.Errorf("it is taken for %s", kind)
			}
			var names []string
			err := f.walk(func(name string, file FATFile) error {
				names = append(names, name)
				got, err := file.read(bytes.NewReader(data))
				if err != nil {
					return err
				}
				if want := run(t, "mtype", "-i", path, "::"+name); string(got) != want {
					t.Errorf("%s has %d bytes, mtools reads %d", name, len(got), len(want))
				}
				return nil
			})
			want := []string{"/EFI/BOOT/BOOTX64.EFI", "/EFI/debian-installer/GRUB.CFG", "/EFI/after it.bin", "/EFI/A Long Name of a Configuration.cfg"}
			if diff := cmp.Diff(want, names); diff != "" || err != nil {
				t.Errorf("error %v (-want +got):\n%s", err, diff)
			}
		})
	}
}

func TestAFileInFATShrinksAndGrows(t *testing.T) {
	for name, path := range fatImages(t) {
		for _, size := range []int{1, 1000, 13_600, 13_656, 20_000} {
			t.Run(fmt.Sprint(name, " ", size), func(t *testing.T) {
				f, data := openFATFile(t, path)
				const file = "/EFI/A Long Name of a Configuration.cfg"
				text := bytes.Repeat([]byte("x"), size)
				changed := bytes.Clone(data)
				err := f.walk(func(name string, file FATFile) error {
					if !strings.Contains(name, "Long") {
						return nil
					}
					change := newFATChange(f)
					file, err := change.grow(file, int64(size))
					if err != nil {
						return err
					}
					patches, err := change.patches()
					for _, p := range append(patches, file.write(bytes.Clone(text))...) {
						copy(changed[p.at:], p.data)
					}
					return err
				})
				if err != nil {
					t.Fatal(err)
				}
				image := filepath.Join(t.TempDir(), "fat.img")
				if err := os.WriteFile(image, changed, 0o600); err != nil {
					t.Fatal(err)
				}
				if got := run(t, "mtype", "-i", image, "::"+file); strings.TrimRight(got, "\n") != string(text) {
					t.Errorf("mtools reads %d bytes, want %d", len(got), len(text))
				}
				if got, want := run(t, "mtype", "-i", image, "::EFI/BOOT/BOOTX64.EFI"), run(t, "mtype", "-i", path, "::EFI/BOOT/BOOTX64.EFI"); got != want {
					t.Error("another file changed")
				}
				run(t, "fsck.vfat", "-n", image)
			})
		}
	}
}

func TestAFullFATImageIsSaid(t *testing.T) {
	f, _ := openFATFile(t, efiImage(t, 1440))
	err := f.walk(func(name string, file FATFile) error {
		_, err := newFATChange(f).grow(file, 2<<20)
		return err
	})
	if !errors.Is(err, ErrCannot) || !strings.Contains(err.Error(), "the FAT image is full") {
		t.Errorf("got %v", err)
	}
}

// smallFAT is a FAT12 image of 16 sectors: a file of two clusters that do not
// follow each other, and one in a directory.
func smallFAT() []byte {
	const sector = 512
	b := make([]byte, 16*sector)
	le := binary.LittleEndian
	le.PutUint16(b[11:], sector)
	b[13], b[16] = 1, 1      // sectors in a cluster, tables
	le.PutUint16(b[14:], 1)  // reserved
	le.PutUint16(b[17:], 16) // entries in the root
	le.PutUint16(b[19:], 16) // sectors
	le.PutUint16(b[22:], 1)  // sectors of the table
	b[510], b[511] = 0x55, 0xaa
	copy(b[sector:], "\xf8\xff\xff\x04\xf0\xff\xff\xff\xff\xff\x0f\x00") // 2 to 4, 3, 4 and 5 last
	entry := func(at int, name string, attributes byte, cluster uint16, size uint32) {
		copy(b[at:], name)
		b[at+11] = attributes
		le.PutUint16(b[at+26:], cluster)
		le.PutUint32(b[at+28:], size)
	}
	entry(2*sector, "GRUB    CFG", 0, 2, 600)
	entry(2*sector+32, "EFI        ", attrDirectory, 3, 0)
	entry(4*sector, ".          ", attrDirectory, 3, 0)
	entry(4*sector+32, "ENTRY   CFG", 0, 5, 22)
	copy(b[3*sector:], bytes.Repeat([]byte("#\n"), sector/2))
	copy(b[5*sector:], "linux /vmlinuz quiet \n")
	copy(b[6*sector:], "linux /vmlinuz quiet \n")
	return b
}

func TestAChainInPiecesIsFollowed(t *testing.T) {
	data := smallFAT()
	f, err := openFAT(bytes.NewReader(data), 0, int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	err = f.walk(func(name string, file FATFile) error {
		text, err := file.read(bytes.NewReader(data))
		got[fmt.Sprint(name, " in ", len(file.Runs), " ending ", string(text[len(text)-2:]))] = len(text)
		return err
	})
	want := map[string]int{"/GRUB.CFG in 2 ending \x00\x00": 600, "/EFI/ENTRY.CFG in 1 ending  \n": 22}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("error %v (-want +got):\n%s", err, diff)
	}
}

func TestAChainThatLoopsIsDamage(t *testing.T) {
	data := smallFAT()
	copy(data[512+3:], "\x02\x20\x00") // 2 to 2
	f, err := openFAT(bytes.NewReader(data), 0, int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	if err := f.walk(func(string, FATFile) error { return nil }); !errors.Is(err, iso.ErrDamaged) {
		t.Errorf("got %v, want damaged", err)
	}
}

func FuzzFAT(f *testing.F) {
	small := smallFAT()
	f.Add(small)
	wide := smallFAT()
	wide[22] = 0 // FAT32: the table's sectors and the root's cluster lie elsewhere
	wide[36], wide[44] = 1, 3
	f.Add(wide)
	f.Add(small[:2048])
	f.Fuzz(func(t *testing.T, data []byte) {
		r := bytes.NewReader(data)
		v, err := openFAT(r, 0, int64(len(data)))
		if err != nil {
			return
		}
		_ = v.walk(func(name string, file FATFile) error {
			for _, run := range file.Runs {
				if run.Offset < 0 || run.Length <= 0 || run.Offset+run.Length > int64(len(data)) {
					t.Errorf("%s lies outside", name)
				}
			}
			if more, err := newFATChange(v).grow(file, file.capacity()+5000); err == nil && more.capacity() < file.capacity()+5000 {
				t.Errorf("%s did not grow", name)
			}
			if text, err := file.read(r); err == nil && int64(len(text)) != file.Size {
				t.Errorf("%s has %d bytes, want %d", name, len(text), file.Size)
			}
			return nil
		})
	})
}
