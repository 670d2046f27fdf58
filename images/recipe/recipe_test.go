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
		{"something else", listing{ISO, "Debian", []string{"/install.amd/vmlinuz"}}, "", nil, []string{
			"it has no /boot/kernel, which every Kairos or Palette installer (kairos) has",
			"it has no /boot/initrd, which every Kairos or Palette installer (kairos) has",
			"it has no /rootfs.squashfs, which every Kairos or Palette installer (kairos) has"}},
		{"the discovery ramdisk", listing{Set, "", []string{"/kernel", "/initrd"}}, "scout", []string{"it has /kernel, /initrd"}, nil},
		{"an ISO is no ramdisk", listing{ISO, "", []string{"/kernel", "/initrd", "/boot/kernel", "/boot/initrd"}}, "", nil,
			[]string{"it has no /rootfs.squashfs, which every Kairos or Palette installer (kairos) has"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, why, lacks := Recognise(tt.listing)
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

func TestFamiliesAreComplete(t *testing.T) {
	for _, r := range Families() {
		for _, path := range append([]string{r.Kernel}, r.Initrds...) {
			if !slices.Contains(r.Needs, path) {
				t.Errorf("%s boots %q but does not need it", r.Family, path)
			}
		}
		if found, ok := Find(r.Family); !ok || found.About == "" {
			t.Errorf("Find(%q) = %+v, %v", r.Family, found, ok)
		}
	}
	if _, ok := Find("windows"); ok {
		t.Error("found a family that is not there")
	}
}

func values() Values {
	return Values{
		Files: "http://10.1.0.5:8067/i/4f2a", Config: "http://10.1.0.5:8067/a/tok/config.yaml",
		Server: "http://10.1.0.5:8067", Token: "s3cr3t", Host: "h-7q2mk4xw",
	}
}

func TestNetbootFillsTheRecipeIn(t *testing.T) {
	for family, want := range map[string]Netboot{
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
		r, _ := Find(family)
		got, err := r.Netboot(values())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", family, diff)
		}
	}
}

func TestNetbootRefusesValuesThatCouldBreakOut(t *testing.T) {
	tests := []struct {
		name, family string
		change       func(*Values)
		want         string
	}{
		{"no files", "scout", func(v *Values) { v.Files = "" }, `files: "" is not an http URL`},
		{"slash at the end", "scout", func(v *Values) { v.Files += "/" }, "ends in a slash"},
		{"a second argument", "kairos", func(v *Values) { v.Config += " init=/bin/sh" }, `may not hold " "`},
		{"an iPXE setting", "kairos", func(v *Values) { v.Config += "${net0/mac}" }, `may not hold "$"`},
		{"a new line", "scout", func(v *Values) { v.Host = "h\nboot" }, `may not hold "\n"`},
		{"no token", "scout", func(v *Values) { v.Token = "" }, "the value is empty"},
		{"an extra that is two", "scout", func(v *Values) { v.Extra = []string{"a b"} }, `extra kernel argument: "a b" may not hold " "`},
		{"too long", "scout", func(v *Values) { v.Extra = []string{strings.Repeat("x", 2000)} }, "more than 1920"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, _ := Find(tt.family)
			v := values()
			tt.change(&v)
			if n, err := r.Netboot(v); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %+v, %v, want an error with %q", n, err, tt.want)
			}
		})
	}
	if _, err := (Recipe{}).Netboot(values()); err == nil {
		t.Error("an image of no family was booted")
	}
	scout, _ := Find("scout")
	v := values()
	v.Config, v.Extra = "", []string{"modprobe.blacklist=a,b"}
	if n, err := scout.Netboot(v); err != nil || !strings.HasSuffix(n.Cmdline, " modprobe.blacklist=a,b") {
		t.Errorf("extra argument: %q, %v", n.Cmdline, err)
	}
}
