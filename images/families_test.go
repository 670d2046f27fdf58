package images

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/muster-boot/muster/images/recipe"
)

// TestEachFamilyIsRecognisedByItsMedium has one small medium for each family,
// laid out as the real one is.
func TestEachFamilyIsRecognisedByItsMedium(t *testing.T) {
	c := open(t, t.TempDir())
	tests := []struct {
		name, family, label, files string
		lacks                      string
	}{
		{"Palette", "kairos", "COS_LIVE", "boot/kernel boot/initrd rootfs.squashfs boot/grub2/grub.cfg", "which kairos it is"},
		{"Palette with content", "kairos", "COS_LIVE", "boot/kernel boot/initrd rootfs.squashfs opt/spectrocloud/content/a.zst", "its content bundle"},
		{"Palette for Trusted Boot", "kairos-uki", "UKI_ISO_INSTALL", "efiboot.img config.yaml", "signed EFI program"},
		{"Debian netinst", "debian", "Debian_12.8.0_amd64_n", ".disk/info install.amd/vmlinuz install.amd/initrd.gz isolinux/txt.cfg EFI/boot/bootx64.efi", "cannot be netbooted"},
		{"Debian for arm64", "debian", "Debian_12.8.0_arm64_n", ".disk/info install.a64/vmlinuz install.a64/initrd.gz EFI/boot/bootaa64.efi", "cannot be netbooted"},
		{"Ubuntu 22.04", "ubuntu", "Ubuntu-Server_22.04.5_LTS_amd64", ".disk/info casper/vmlinuz casper/initrd casper/install-sources.yaml casper/ubuntu-server-minimal.squashfs", "whole ISO in memory"},
		{"Ubuntu 20.04", "ubuntu", "Ubuntu-Server_20.04", ".disk/info casper/vmlinuz casper/initrd casper/filesystem.squashfs", "whole ISO in memory"},
		{"AlmaLinux", "anaconda", "AlmaLinux-9-4-x86_64-dvd", "images/pxeboot/vmlinuz images/pxeboot/initrd.img images/install.img BaseOS/x EFI/BOOT/BOOTX64.EFI", "the packages to install behind (/BaseOS)"},
		{"Fedora CoreOS", "coreos", "fedora-coreos-41", "images/pxeboot/vmlinuz images/pxeboot/initrd.img images/pxeboot/rootfs.img images/ignition.img coreos/igninfo.json", "no boot loader configuration"},
		{"Talos", "talos", "TALOS_V1_8_3", "boot/vmlinuz boot/initramfs.xz boot/grub/grub.cfg", "registry"},
		{"something else", "", "SYSTEMRESCUE", "sysresccd/boot/x86_64/vmlinuz EFI/BOOT/BOOTX64.EFI", "UKI_ISO_INSTALL"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			files := map[string]string{}
			for _, name := range strings.Fields(tt.files) {
				files[name] = name
			}
			i := add(t, c, makeISO(t, tt.label, files), "")
			if i.Family != tt.family || (len(i.Why) == 0) != (tt.family == "") {
				t.Errorf("family %q, want %q, because %q", i.Family, tt.family, i.Why)
			}
			if !strings.Contains(strings.Join(i.Lacks, "\n"), tt.lacks) {
				t.Errorf("it lacks %q, want something about %q", i.Lacks, tt.lacks)
			}
			r, known := c.Recipe(i)
			if !known || r.Kernel == "" {
				return
			}
			if got := read(t, c, i.Digest, r.Kernel); "/"+got != r.Kernel {
				t.Errorf("its kernel reads %q", got)
			}
		})
	}
}

func TestNetbootSetsAreRecognised(t *testing.T) {
	c := open(t, t.TempDir())
	for family, paths := range map[string][]string{
		"scout": {"/kernel", "/initrd"}, "debian-netboot": {"/linux", "/initrd.gz"},
		"flatcar": {"/flatcar_production_pxe.vmlinuz", "/flatcar_production_pxe_image.cpio.gz"},
	} {
		var parts []SetPart
		for _, path := range paths {
			parts = append(parts, SetPart{path, strings.NewReader(family + path)})
		}
		if i, err := c.AddSet(t.Context(), parts, AddOptions{}); err != nil || i.Family != family {
			t.Errorf("%s: family %q, %v", family, i.Family, err)
		}
	}
}

// disk is a disk of 1 MiB with a partition table.
func disk(gpt bool) []byte {
	d := make([]byte, 1<<20)
	copy(d[510:], "\x55\xaa")
	if gpt {
		copy(d[512:], "EFI PART")
	}
	return d
}

// packed runs a program of the system over data.
func packed(t *testing.T, data []byte, program string, args ...string) []byte {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil && os.Geteuid() != 0 {
		t.Skipf("%s is not installed", program)
	}
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Stdin = bytes.NewReader(data)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v (install it with make lab)", program, err)
	}
	return out
}

func TestDiskImagesAreRecognisedInAnyCoding(t *testing.T) {
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	if _, err := z.Write(disk(false)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	c := open(t, t.TempDir())
	coding := regexp.MustCompile(`raw|gzip|xz|zstd|qcow2`)
	for why, data := range map[string][]byte{
		"it is a disk image (raw) with a partition table (GPT)":   disk(true),
		"it is a disk image (raw) with a partition table (MBR)":   disk(false),
		"it is a disk image (gzip) with a partition table (MBR)":  zipped.Bytes(),
		"it is a disk image (xz) with a partition table (GPT)":    packed(t, disk(true), "xz", "-c"),
		"it is a disk image (zstd) with a partition table (GPT)":  packed(t, disk(true), "zstd", "-c"),
		"it is a disk image (qcow2) with a partition table (GPT)": qcow2(t, disk(true)),
	} {
		i, err := c.Add(t.Context(), bytes.NewReader(data), AddOptions{})
		if err != nil || i.Form != recipe.Disk || i.Family != "disk" || len(i.Why) == 0 || i.Why[0] != why || i.Coding != coding.FindString(why) {
			t.Errorf("%s: got %+v, %v", why, i, err)
			continue
		}
		if content, err := c.Whole(i.Digest); err != nil || content.Size != int64(len(data)) || content.Close() != nil {
			t.Errorf("%s: the whole of it: %v", why, err)
		}
	}
	for name, data := range map[string][]byte{
		"gzip of a text": packed(t, []byte(strings.Repeat("text ", 1000)), "gzip", "-c"),
		"broken gzip":    zipped.Bytes()[:20], "broken xz": []byte("\xfd7zXZ\x00garbage"), "broken zstd": []byte("\x28\xb5\x2f\xfdgarbage"),
		"a short file": disk(false)[:512],
	} {
		if i, err := c.Add(t.Context(), bytes.NewReader(data), AddOptions{}); err == nil || !strings.Contains(err.Error(), "no disk image") {
			t.Errorf("%s: got %+v, %v", name, i, err)
		}
	}
}

// qcow2 has qemu-img make such a file of a disk, with more options.
func qcow2(t *testing.T, disk []byte, options ...string) []byte {
	t.Helper()
	dir := t.TempDir()
	raw, out := filepath.Join(dir, "raw"), filepath.Join(dir, "qcow2")
	if err := os.WriteFile(raw, disk, 0o600); err != nil {
		t.Fatal(err)
	}
	packed(t, nil, "qemu-img", append(append([]string{"convert", "-f", "raw", "-O", "qcow2"}, options...), raw, out)...)
	data, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestADiskImageThatCannotBeWrittenWholeIsRefused(t *testing.T) {
	full, r := disk(true), rand.New(rand.NewPCG(1, 2))
	for range 64 << 10 { // packs to about half
		full = fmt.Appendf(full, "%08x", r.Uint32())
	}
	base := qcow2(t, full)
	path := filepath.Join(t.TempDir(), "base")
	if err := os.WriteFile(path, base, 0o600); err != nil {
		t.Fatal(err)
	}
	child := filepath.Join(t.TempDir(), "child")
	packed(t, nil, "qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", path, child)
	difference, err := os.ReadFile(child)
	if err != nil {
		t.Fatal(err)
	}
	c := open(t, t.TempDir())
	for name, whole := range map[string][]byte{"qcow2": base, "packed qcow2": qcow2(t, full, "-c"), "xz": packed(t, full, "xz", "-c")} {
		if _, err := c.Add(t.Context(), bytes.NewReader(whole), AddOptions{}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := c.Add(t.Context(), bytes.NewReader(whole[:len(whole)/8*7]), AddOptions{}); err == nil || !strings.Contains(err.Error(), "cut short") {
			t.Errorf("%s cut short: %v", name, err)
		}
	}
	if _, err := c.Add(t.Context(), bytes.NewReader(append(packed(t, full, "xz", "-c"), make([]byte, 8)...)), AddOptions{}); err != nil {
		t.Errorf("xz with padding: %v", err)
	}
	if _, err := c.Add(t.Context(), bytes.NewReader(difference), AddOptions{}); err == nil || !strings.Contains(err.Error(), "make it whole with qemu-img convert") {
		t.Errorf("a difference to another file: %v", err)
	}
	if _, err := c.Add(t.Context(), bytes.NewReader(qcow2(t, make([]byte, 1<<20))), AddOptions{}); err == nil || !strings.Contains(err.Error(), "no disk image") {
		t.Errorf("qcow2 without a partition table: %v", err)
	}
}

func TestASitesRecipeIsUsed(t *testing.T) {
	dir := t.TempDir()
	const own = "family: plant7\nabout: plant 7 installer\nform: iso\nneeds: [/live/vmlinuz]\nkernel: /live/vmlinuz\n" +
		"config: {format: cloud-config, netboot: x}\nends: it powers off\n"
	if err := os.WriteFile(filepath.Join(dir, "plant7.yaml"), []byte(own), 0o600); err != nil {
		t.Fatal(err)
	}
	book, err := recipe.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	c, err := Open(t.TempDir(), clock(), Options{Recipes: book})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	i := add(t, c, makeISO(t, "P7", map[string]string{"live/vmlinuz": "the kernel"}), "")
	if got := read(t, c, i.Digest, "/live/vmlinuz"); i.Family != "plant7" || got != "the kernel" {
		t.Errorf("family %q, kernel %q", i.Family, got)
	}
}
