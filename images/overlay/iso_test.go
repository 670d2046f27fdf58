package overlay

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/muster-boot/muster/images/iso"
)

// run runs a peer that makes or reads images.
func run(t testing.TB, name string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil && os.Geteuid() != 0 {
		t.Skip(name + " is not installed; make lab installs it")
	}
	cmd := exec.Command(name, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %v: %v (install it with make lab)\n%s%s", name, args, err, out, stderr.Bytes())
	}
	return string(out)
}

const grubConfig = `set timeout=5
menuentry "Installer" {
	linux ($root)/boot/kernel root=live:CDLABEL=COS_LIVE install-mode quiet --- splash
	initrd ($root)/boot/initrd
}
`

const isolinuxConfig = `default install
label install
  kernel /boot/kernel
  append initrd=/boot/initrd quiet
label menu
  kernel vesamenu.c32
  append menu.cfg
`

// sourceTree is what the images of the tests are made of.
func sourceTree(t testing.TB) string {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	tree := t.TempDir()
	blob := func(size int) string {
		b := make([]byte, size)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return string(b)
	}
	write(t, tree, "boot/kernel", blob(100_000))
	write(t, tree, "boot/initrd", blob(50_000))
	write(t, tree, "boot/grub/grub.cfg", grubConfig)
	write(t, tree, "isolinux/isolinux.cfg", isolinuxConfig)
	write(t, tree, "isolinux/isolinux.bin", blob(4096))
	write(t, tree, "rootfs.squashfs", blob(300_001))
	write(t, tree, "files-iso/config.yaml", "#cloud-config\n")
	write(t, tree, "empty", "")
	write(t, tree, "Long Directory-Name with spaces/a rather long file name.text", "long\n")
	write(t, tree, "d1/d2/d3/d4/d5/d6/d7/d8/d9/d10/deep.txt", "deep\n")
	for i := range 100 { // several sectors of records, all full
		write(t, tree, fmt.Sprintf("many/file-%03d.bin", i), blob(r.IntN(300)))
		write(t, tree, fmt.Sprintf("full/directory-%03d/x", i%20), "x")
	}
	return tree
}

func write(t testing.TB, tree, name, content string) {
	t.Helper()
	name = filepath.Join(tree, name)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// efiImage makes a FAT image with a GRUB configuration.
func efiImage(t testing.TB, kilobytes int, options ...string) string {
	t.Helper()
	dir := t.TempDir()
	image := filepath.Join(dir, "efi.img")
	if err := os.WriteFile(image, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image, int64(kilobytes)<<10); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "grub.cfg", grubConfig)
	write(t, dir, "BOOTX64.EFI", strings.Repeat("efi binary", 9000))
	run(t, "mformat", append([]string{"-i", image}, append(options, "::")...)...)
	run(t, "mmd", "-i", image, "::EFI", "::EFI/BOOT", "::EFI/debian-installer")
	run(t, "mcopy", "-i", image, filepath.Join(dir, "BOOTX64.EFI"), "::EFI/BOOT/BOOTX64.EFI")
	run(t, "mcopy", "-i", image, filepath.Join(dir, "grub.cfg"), "::EFI/debian-installer/grub.cfg")
	return image
}

// base is an image of a test.
type base struct {
	path   string
	size   int64
	tree   string // made of
	file   *os.File
	index  Index
	joliet bool
}

func openBase(t testing.TB, path, tree string) *base {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	x, err := Scan(f, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(x)
	if err != nil {
		t.Fatal(err)
	}
	b := &base{path: path, size: info.Size(), tree: tree, file: f, joliet: len(x.Trees) == 2}
	if err := json.Unmarshal(data, &b.index); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(x, b.index); diff != "" {
		t.Fatalf("the index does not survive JSON (-before +after):\n%s", diff)
	}
	return b
}

// bases makes one image of each kind that people use.
func bases(t *testing.T) map[string]*base {
	t.Helper()
	tree := sourceTree(t)
	dir := t.TempDir()
	out := map[string]*base{}
	add := func(name, tool string, args ...string) {
		path := filepath.Join(dir, name+".iso")
		run(t, tool, append(append([]string{}, args...), "-o", path, tree)...)
		out[name] = openBase(t, path, tree)
	}
	hybrid := []string{"-as", "mkisofs", "-V", "COS_LIVE", "-append_partition", "2", "0xef", efiImage(t, 1440),
		"-e", "--interval:appended_partition_2:all::", "-no-emul-boot", "-isohybrid-gpt-basdat"}
	add("xorriso-hybrid", "xorriso", append(hybrid, "-R", "-J", "-joliet-long")...)
	add("xorriso-rock-ridge-only", "xorriso", append(hybrid, "-R")...)
	add("xorriso-joliet-only", "xorriso", append(hybrid, "--norock", "-J")...)
	add("genisoimage", "genisoimage", "-quiet", "-R", "-J", "-V", "COS_LIVE", "-b", "isolinux/isolinux.bin", "-c", "isolinux/boot.cat",
		"-no-emul-boot", "-boot-load-size", "4", "-boot-info-table")
	add("genisoimage-joliet-only", "genisoimage", "-quiet", "-J", "-V", "COS_LIVE", "-D", "-input-charset", "utf-8")
	path := filepath.Join(dir, "grub-mkrescue.iso")
	run(t, "grub-mkrescue", "--install-modules=normal linux", "--locales=", "--fonts=", "--themes=", "-o", path, tree, "--", "-joliet", "on", "-volid", "COS_LIVE")
	out["grub-mkrescue"] = openBase(t, path, tree)
	return out
}

func build(t testing.TB, b *base, changes ...Change) *Overlay {
	t.Helper()
	o, err := Build(b.file, b.index, changes)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// writeOut makes a file of an overlay.
func writeOut(t testing.TB, o *Overlay) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "host.iso")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := io.Copy(f, io.NewSectionReader(o, 0, o.Size())); err != nil {
		t.Fatal(err)
	}
	return path
}

// contents reads every file of an image by the iso package.
func contents(t *testing.T, path string) map[string]string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	v, err := iso.Open(f, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	err = v.Walk(func(file iso.File) error {
		if file.Dir {
			out[file.Path] = "a directory"
			return nil
		}
		data, err := io.ReadAll(file.Content(f))
		out[file.Path] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
