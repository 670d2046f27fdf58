package site

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/muster-boot/muster/images/overlay"
)

// mountBase is an image to be mounted.
type mountBase struct {
	name, path string
	options    []string          // to mount it by
	files      int               // that it has at least
	known      map[string]string // digests of its files, from their source
}

const mountArgument = "muster.attempt=0123456789abcdef"

const mountConfig = "linux /boot/kernel quiet\ninitrd /boot/initrd\n"

// wanted are the files that differ in a host's image, with their content.
func (b mountBase) wanted() map[string]string {
	out := map[string]string{"/boot/grub/grub.cfg": strings.Replace(mountConfig, "quiet", "quiet "+mountArgument, 1)}
	for _, c := range mountChanges() {
		out[c.Path] = string(c.Content)
	}
	return out
}

// mountChanges replace a file by a shorter and one by a longer, and add files:
// more than the root has room for, and one deep down.
func mountChanges() []overlay.Change {
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	changes := []overlay.Change{
		{Path: "/rootfs.squashfs", Content: []byte("shorter"), Time: at},
		{Path: "/files-iso/config.yaml", Content: bytes.Repeat([]byte("#cloud-config\n"), 700), Time: at},
		{Path: "/d1/d2/d3/d4/d5/host.yaml", Content: []byte("deep\n"), Time: at},
		{Path: "/many/added.yaml", Content: []byte("among many\n"), Time: at},
	}
	for i := range 30 {
		name := fmt.Sprintf("/host-%02d.yaml", i)
		changes = append(changes, overlay.Change{Path: name, Content: []byte(name), Time: at})
	}
	return changes
}

// mountTree is what the images are made of.
func mountTree(t *testing.T) (dir string, known map[string]string) {
	t.Helper()
	files := map[string]string{
		"boot/grub/grub.cfg":     mountConfig,
		"boot/kernel":            strings.Repeat("kernel", 9000),
		"boot/initrd":            strings.Repeat("initrd", 5000),
		"rootfs.squashfs":        strings.Repeat("rootfs", 40000),
		"files-iso/config.yaml":  "#cloud-config\n",
		"d1/d2/d3/d4/d5/x.txt":   "deep\n",
		"isolinux/isolinux.bin":  strings.Repeat("isolinux", 512),
		"Long Name/Some-one.txt": "long\n",
	}
	for i := range 60 { // more than one sector of records
		files[fmt.Sprintf("many/file-%03d.bin", i)] = strings.Repeat(fmt.Sprint(i, "|"), i)
	}
	dir, known = t.TempDir(), map[string]string{}
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o644)); err != nil {
			t.Fatal(err)
		}
		known["/"+name] = digestOf(content)
	}
	delete(known, "/isolinux/isolinux.bin") // genisoimage writes its boot info table there
	return dir, known
}

func digestOf(content string) string {
	sum := sha256.Sum256([]byte(content))
	return hex.EncodeToString(sum[:])
}

// mountBases makes an image of each kind that people use.
func mountBases(t *testing.T) []mountBase {
	t.Helper()
	tree, known := mountTree(t)
	dir := t.TempDir()
	efi := filepath.Join(dir, "efi.img")
	shell(t, dir, "truncate -s 1440K "+efi+" && mformat -i "+efi+" :: && mmd -i "+efi+" ::EFI && mcopy -i "+efi+" "+tree+"/boot/grub/grub.cfg ::EFI/grub.cfg")
	var out []mountBase
	add := func(name string, options []string, command string) {
		path := filepath.Join(dir, name+".iso")
		shell(t, dir, command+" -o "+path+" "+tree)
		out = append(out, mountBase{name: name, path: path, options: options, files: len(known), known: known})
	}
	add("hybrid", []string{bestNames, jolietNames}, "xorriso -as mkisofs -quiet -V COS_LIVE -R -J -joliet-long -append_partition 2 0xef "+efi+
		" -e --interval:appended_partition_2:all:: -no-emul-boot -isohybrid-gpt-basdat")
	add("genisoimage", []string{bestNames, jolietNames, plainNames}, "genisoimage -quiet -R -J -V COS_LIVE -b isolinux/isolinux.bin -c isolinux/boot.cat"+
		" -no-emul-boot -boot-load-size 4 -boot-info-table")
	rescue := filepath.Join(dir, "grub-mkrescue.iso")
	shell(t, dir, "grub-mkrescue '--install-modules=normal linux' --locales= --fonts= --themes= -o "+rescue+" "+tree+" -- -joliet on -volid COS_LIVE 2>&1")
	out = append(out, mountBase{name: "grub-mkrescue", path: rescue, options: []string{bestNames, jolietNames}, files: len(known), known: known})
	return append(out, mountBig(t, tree, known))
}

// bigSize is more than one extent holds (ECMA-119 §9.1.4: 32 bits).
const bigSize = 4<<30 + 5<<20

// seams are sectors of the big file at which two are read: its beginning, where
// its extents may meet, and its end. Makers of images end an extent at 4 GiB
// less a sector, or earlier by some.
func seams() []int64 {
	const sector = 2048
	return []int64{0, 4<<30/sector - 17, 4<<30/sector - 2, 4<<30/sector - 1, 4 << 30 / sector, bigSize/sector - 2}
}

// mountBig makes an image with a file over 4 GiB, which is a hole but for its
// seams, as is the image.
func mountBig(t *testing.T, tree string, known map[string]string) mountBase {
	t.Helper()
	const sector = 2048
	big, err := os.Create(filepath.Join(tree, "big.bin"))
	if err != nil {
		t.Fatal(err)
	}
	defer big.Close()
	if err := big.Truncate(bigSize); err != nil {
		t.Fatal(err)
	}
	for i, at := range seams() {
		if _, err := big.WriteAt([]byte(fmt.Sprint("seam ", i)), at*sector+100); err != nil {
			t.Fatal(err)
		}
	}
	h := sha256.New()
	for _, at := range seams() {
		if _, err := io.Copy(h, io.NewSectionReader(big, at*sector, 2*sector)); err != nil {
			t.Fatal(err)
		}
	}
	known = maps.Clone(known)
	known["/big.bin"] = hex.EncodeToString(h.Sum(nil))
	path := filepath.Join(t.TempDir(), "big.iso")
	sparse(t, path, exec.Command("xorriso", "-as", "mkisofs", "-quiet", "-iso-level", "3", "-R", "-J", "-o", "-", tree))
	return mountBase{name: "big", path: path, options: []string{bestNames}, files: len(known), known: known}
}

// sparse writes what a program prints to a file, and leaves out runs of zeros.
func sparse(t *testing.T, path string, cmd *exec.Cmd) {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var words bytes.Buffer
	cmd.Stderr = &words
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	b, zeros := make([]byte, 64<<10), make([]byte, 64<<10)
	var at int64
	for err == nil {
		var n int
		n, err = io.ReadFull(out, b)
		if !bytes.Equal(b[:n], zeros[:n]) {
			if _, err := f.WriteAt(b[:n], at); err != nil {
				t.Fatal(err)
			}
		}
		at += int64(n)
	}
	if err := errors.Join(f.Truncate(at), cmd.Wait()); err != nil || at < bigSize {
		t.Fatalf("%v: %d bytes, %v\n%s", cmd.Args, at, err, words.Bytes())
	}
}
