package recipe

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type listing struct {
	form  Form
	label string
	paths []string
}

func (l listing) Form() Form           { return l.form }
func (l listing) Label() string        { return l.label }
func (l listing) Has(path string) bool { return slices.Contains(l.paths, path) }

func TestRecogniseTellsByWhatAndWhatIsMissing(t *testing.T) {
	kairos := []string{"/boot/kernel", "/boot/initrd", "/rootfs.squashfs"}
	tests := []struct {
		name       string
		listing    listing
		family     string
		why, lacks []string
	}{
		{"a Palette installer", listing{ISO, "COS_LIVE", kairos}, "kairos",
			[]string{"it has /boot/kernel, /boot/initrd, /rootfs.squashfs", "its volume label is COS_LIVE"}, nil},
		{"another label", listing{ISO, "MINE", kairos}, "kairos",
			[]string{"it has /boot/kernel, /boot/initrd, /rootfs.squashfs"}, nil},
		{"with a content bundle", listing{ISO, "", append(kairos, "/opt/spectrocloud/content")}, "kairos",
			[]string{"it has /boot/kernel, /boot/initrd, /rootfs.squashfs"},
			[]string{"netboot leaves its content bundle behind (/opt/spectrocloud/content); boot it from virtual media if the host needs that"}},
		{"one file short", listing{ISO, "COS_LIVE", kairos[:2]}, "", nil,
			[]string{"it has no /rootfs.squashfs, which every Kairos or Palette installer (kairos) has"}},
		{"something else", listing{ISO, "HIREN", []string{"/boot/vmlinuz"}}, "", nil, []string{
			"it has no /boot/initramfs.xz, which every Talos Linux image (talos) has"}},
		{"a form of no family", listing{"tape", "", nil}, "", nil, []string{`no family of images has the form "tape"`}},
		{"the discovery ramdisk", listing{Set, "", []string{"/kernel", "/initrd"}}, "scout", []string{"it has /kernel, /initrd"}, nil},
		{"an ISO is no ramdisk", listing{ISO, "", []string{"/kernel", "/initrd", "/boot/kernel", "/boot/initrd"}}, "", nil,
			[]string{"it has no /rootfs.squashfs, which every Kairos or Palette installer (kairos) has"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, why, lacks := Builtin().Recognise(tt.listing)
			if r.Family != tt.family {
				t.Errorf("family is %q, want %q", r.Family, tt.family)
			}
			if diff := cmp.Diff(tt.why, why); diff != "" {
				t.Errorf("why (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.lacks, lacks); diff != "" {
				t.Errorf("lacks (-want +got):\n%s", diff)
			}
		})
	}
}

// TestOfSeveralFamiliesTheMoreDemandingIsTaken: a medium may be a live system
// of one kind and the installer of another.
func TestOfSeveralFamiliesTheMoreDemandingIsTaken(t *testing.T) {
	pxe := []string{"/images/pxeboot/vmlinuz", "/images/pxeboot/initrd.img", "/images/install.img"}
	if r, _, _ := Builtin().Recognise(listing{ISO, "", pxe}); r.Family != "anaconda" {
		t.Errorf("family is %q, want anaconda", r.Family)
	}
	both := append(pxe, "/images/pxeboot/rootfs.img", "/coreos/igninfo.json")
	if r, _, _ := Builtin().Recognise(listing{ISO, "", both}); r.Family != "coreos" {
		t.Errorf("family is %q, want coreos", r.Family)
	}
}

func TestASignedInstallerIsToldByItsLabelAndByWhatItHasNot(t *testing.T) {
	for _, path := range []string{"/EFI/BOOT/BOOTX64.EFI", "/efiboot.img"} {
		r, why, lacks := Builtin().Recognise(listing{ISO, "UKI_ISO_INSTALL", []string{path, "/config.yaml"}})
		want := []string{"it has " + path, "it has no /boot/kernel, /rootfs.squashfs", "its volume label is UKI_ISO_INSTALL"}
		if diff := cmp.Diff(want, why); r.Family != "kairos-uki" || diff != "" {
			t.Errorf("%s: family is %q, why (-want +got):\n%s", path, r.Family, diff)
		}
		if len(lacks) == 0 || !strings.Contains(lacks[0], "boot it from virtual media or by UEFI HTTP boot") {
			t.Errorf("%s: lacks %q", path, lacks)
		}
		if _, err := r.Netboot(bootURLs(), nil); err == nil || !strings.Contains(err.Error(), "does not boot from the network") {
			t.Errorf("%s: netboot gave %v", path, err)
		}
	}
	for name, l := range map[string]listing{
		"any EFI medium":           {ISO, "ARCH_202611", []string{"/EFI/BOOT/BOOTX64.EFI"}},
		"with a kernel of its own": {ISO, "UKI_ISO_INSTALL", []string{"/EFI/BOOT/BOOTX64.EFI", "/boot/kernel"}},
	} {
		if r, _, lacks := Builtin().Recognise(l); r.Family != "" || len(lacks) == 0 {
			t.Errorf("%s is %q, lacks %q", name, r.Family, lacks)
		}
	}
}

func TestFamiliesAreComplete(t *testing.T) {
	for _, r := range Builtin().Recipes() {
		var needs []string
		for _, need := range r.Needs {
			needs = append(needs, choices(need)...)
		}
		for _, path := range append(given(r.Kernel, r.Rootfs), r.Initrds...) {
			if !slices.Contains(needs, path) {
				t.Errorf("%s boots %q but does not need it", r.Family, path)
			}
		}
		if r.Kernel != "" && r.Config.Format != None && r.Config.Netboot == "" {
			t.Errorf("%s does not say how its configuration comes in by netboot", r.Family)
		}
		if r.Media.File != "" && r.Config.Media == "" {
			t.Errorf("%s does not say how its configuration comes in from a medium", r.Family)
		}
	}
	if _, ok := Builtin().Find("windows"); ok {
		t.Error("found a family that is not there")
	}
}

func bootURLs() BootURLs {
	return BootURLs{
		Files: "http://10.1.0.5:8067/i/4f2a", ISO: "http://10.1.0.5:8067/i/4f2a.iso", Seed: "http://10.1.0.5:8067/a/tok/seed", Config: "http://10.1.0.5:8067/a/tok/config.yaml",
		Server: "http://10.1.0.5:8067", Token: "s3cr3t", Host: "h-7q2mk4xw", Disk: "nvme-QEMU_NVMe_Ctrl_S1",
	}
}

func TestNetbootFillsTheRecipeIn(t *testing.T) {
	for family, want := range map[string]Boot{
		"kairos": {
			Kernel: "http://10.1.0.5:8067/i/4f2a/boot/kernel", Initrds: []string{"http://10.1.0.5:8067/i/4f2a/boot/initrd"},
			Cmdline: "rd.neednet=1 ip=dhcp rd.cos.disable root=live:http://10.1.0.5:8067/i/4f2a/rootfs.squashfs netboot install-mode" +
				" config_url=http://10.1.0.5:8067/a/tok/config.yaml console=tty1 console=ttyS0",
		},
		"scout": {
			Kernel: "http://10.1.0.5:8067/i/4f2a/kernel", Initrds: []string{"http://10.1.0.5:8067/i/4f2a/initrd"},
			Cmdline: "muster.server=http://10.1.0.5:8067 muster.token=s3cr3t muster.host=h-7q2mk4xw console=tty0 console=ttyS0,115200",
		},
	} {
		r := named(t, family)
		got, err := r.Netboot(bootURLs(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", family, diff)
		}
	}
}

func TestArgumentsOfEveryFamilyCanBeFilledIn(t *testing.T) {
	want := map[string]string{
		"ubuntu": "ip=dhcp url=http://10.1.0.5:8067/i/4f2a.iso cloud-config-url=/dev/null autoinstall" +
			" ds=nocloud;s=http://10.1.0.5:8067/a/tok/seed/ console=tty0 console=ttyS0,115200",
		"anaconda": "ip=dhcp inst.stage2=http://10.1.0.5:8067/i/4f2a inst.ks=http://10.1.0.5:8067/a/tok/config.yaml console=tty0 console=ttyS0,115200",
	}
	for _, r := range Builtin().Recipes() {
		args, err := r.arguments(bootURLs(), nil)
		if err != nil {
			t.Errorf("%s: %v", r.Family, err)
		}
		if line, known := want[r.Family]; known && line != strings.Join(args, " ") {
			t.Errorf("%s: %s", r.Family, cmp.Diff(line, strings.Join(args, " ")))
		}
	}
}

func TestNoInstallerIsBootedThatWouldGetNothingToRead(t *testing.T) {
	for family, want := range map[string]string{
		"kairos-uki": "it is one signed EFI program",
		"debian":     "its initrd installs only from the medium",
		"disk":       "a disk image (disk) has no kernel that a boot loader could fetch",
	} {
		r := named(t, family)
		if b, err := r.Netboot(bootURLs(), nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %+v, %v, want an error with %q", family, b, err, want)
		}
	}
}

func TestNetbootRefusesValuesThatCouldBreakOut(t *testing.T) {
	tests := []struct {
		name, family string
		change       func(*BootURLs)
		args         []string
		want         string
	}{
		{"no files", "scout", func(b *BootURLs) { b.Files = "" }, nil, `files: "" is not an http URL`},
		{"slash at the end", "scout", func(b *BootURLs) { b.Files += "/" }, nil, "ends in a slash"},
		{"a second argument", "kairos", func(b *BootURLs) { b.Config += " init=/bin/sh" }, nil, `may not hold " "`},
		{"an iPXE setting", "kairos", func(b *BootURLs) { b.Config += "${net0/mac}" }, nil, `may not hold "$"`},
		{"a new line", "scout", func(b *BootURLs) { b.Host = "h\nboot" }, nil, `may not hold "\n"`},
		{"no token", "scout", func(b *BootURLs) { b.Token = "" }, nil, "the value is empty"},
		{"an extra that is two", "scout", func(*BootURLs) {}, []string{"a b"}, `extra kernel argument: "a b" may not hold " "`},
		{"too long", "scout", func(*BootURLs) {}, []string{strings.Repeat("x", 2000)}, "more than 1920"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := named(t, tt.family)
			b := bootURLs()
			tt.change(&b)
			if n, err := r.Netboot(b, tt.args); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %+v, %v, want an error with %q", n, err, tt.want)
			}
		})
	}
	if _, err := (Recipe{}).Netboot(bootURLs(), nil); err == nil {
		t.Error("an image of no family was booted")
	}
	scout := named(t, "scout")
	b := bootURLs()
	b.Config = ""
	if n, err := scout.Netboot(b, []string{"modprobe.blacklist=a,b"}); err != nil || !strings.HasSuffix(n.Cmdline, " modprobe.blacklist=a,b") {
		t.Errorf("extra argument: %q, %v", n.Cmdline, err)
	}
}
