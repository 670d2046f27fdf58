package ramdisk

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// kernelDeb is the Debian kernel package of the lab's cache.
func kernelDeb(t *testing.T) string {
	t.Helper()
	cache := os.Getenv("MUSTER_LAB_CACHE")
	if cache == "" {
		cache = "/var/cache/muster-lab"
	}
	deb := filepath.Join(cache, "kernel", "current.deb")
	if _, err := os.Stat(deb); err != nil {
		if os.Getuid() != 0 {
			t.Skipf("%v; run make lab as root", err)
		}
		t.Fatalf("%v; run make lab", err)
	}
	return deb
}

// staticProgram builds something that may stand for the scout.
func staticProgram(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "main.go"), "package main\n\nfunc main() {}\n")
	out := filepath.Join(dir, "scout")
	cmd := exec.Command("go", "build", "-o", out, filepath.Join(dir, "main.go"))
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOARCH=amd64")
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, b)
	}
	return out
}

// unpacked is an initramfs as cpio unpacks it, modules' tables read.
type unpacked struct {
	dir     string
	aliases [][2]string         // pattern, module
	needs   map[string][]string // module to the files it needs, itself first
}

func unpackInitrd(t *testing.T, initrd []byte, version string) unpacked {
	t.Helper()
	z, err := zstd.NewReader(bytes.NewReader(initrd))
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	u := unpacked{dir: t.TempDir(), needs: map[string][]string{}}
	cmd := exec.Command("cpio", "-idm", "--quiet", "--no-absolute-filenames")
	cmd.Dir, cmd.Stdin = u.dir, z
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("cpio: %v\n%s", err, out)
	}
	lines := func(table string) []string {
		b, err := os.ReadFile(filepath.Join(u.dir, "lib/modules", version, table))
		if err != nil {
			t.Fatal(err)
		}
		return strings.Split(strings.TrimSpace(string(b)), "\n")
	}
	for _, l := range lines("modules.alias") {
		if f := strings.Fields(l); len(f) == 3 {
			u.aliases = append(u.aliases, [2]string{f[1], f[2]})
		}
	}
	for _, l := range lines("modules.dep") {
		file, rest, _ := strings.Cut(l, ":")
		u.needs[moduleName(file)] = append([]string{file}, strings.Fields(rest)...)
	}
	return u
}

func (u unpacked) drivers(modalias string) []string {
	var names []string
	for _, a := range u.aliases {
		if ok, err := path.Match(a[0], modalias); ok && err == nil && !slices.Contains(names, a[1]) {
			names = append(names, a[1])
		}
	}
	return names
}

// devices is what must find its driver: ids from the vendors' own lists, as
// the PCI core words them.
func devices() map[string][2]string {
	return map[string][2]string{
		"Intel 82574L":            {"pci:v00008086d000010D3sv00008086sd0000A01Fbc02sc00i00", "e1000e"},
		"Intel 82540EM":           {"pci:v00008086d0000100Esv00001AF4sd00001100bc02sc00i00", "e1000"},
		"Intel I350":              {"pci:v00008086d00001521sv00008086sd00000001bc02sc00i00", "igb"},
		"Intel I225-LM":           {"pci:v00008086d000015F2sv00008086sd00000000bc02sc00i00", "igc"},
		"Intel 82599ES":           {"pci:v00008086d000010FBsv00008086sd00000003bc02sc00i00", "ixgbe"},
		"Intel X550T":             {"pci:v00008086d00001563sv00008086sd00000001bc02sc00i00", "ixgbe"},
		"Intel X710":              {"pci:v00008086d00001572sv00008086sd00000007bc02sc00i00", "i40e"},
		"Intel E810-XXV":          {"pci:v00008086d0000159Bsv00008086sd00000003bc02sc00i00", "ice"},
		"Broadcom BCM5720":        {"pci:v000014E4d0000165Fsv00001028sd000008FFbc02sc00i00", "tg3"},
		"Broadcom BCM5709":        {"pci:v000014E4d00001639sv00001028sd00000236bc02sc00i00", "bnx2"},
		"Broadcom BCM57810":       {"pci:v000014E4d0000168Esv00001028sd00001F61bc02sc00i00", "bnx2x"},
		"Broadcom BCM57416":       {"pci:v000014E4d000016D8sv00001028sd00001FEBbc02sc00i00", "bnxt_en"},
		"Mellanox ConnectX-3":     {"pci:v000015B3d00001003sv000015B3sd00000055bc02sc00i00", "mlx4_core"},
		"Mellanox ConnectX-4 Lx":  {"pci:v000015B3d00001015sv000015B3sd00000069bc02sc00i00", "mlx5_core"},
		"Mellanox ConnectX-6 Dx":  {"pci:v000015B3d0000101Dsv000015B3sd00000058bc02sc00i00", "mlx5_core"},
		"QLogic FastLinQ QL41000": {"pci:v00001077d00008070sv00001077sd00000001bc02sc00i00", "qede"},
		"QLogic 8200":             {"pci:v00001077d00008020sv00001077sd0000020Bbc02sc00i00", "qlcnic"},
		"Realtek RTL8168":         {"pci:v000010ECd00008168sv00001458sd0000E000bc02sc00i00", "r8169"},
		"Realtek RTL8125":         {"pci:v000010ECd00008125sv00001458sd0000E000bc02sc00i00", "r8169"},
		"VMware vmxnet3":          {"pci:v000015ADd000007B0sv000015ADsd000007B0bc02sc00i00", "vmxnet3"},
		"virtio over PCI":         {"pci:v00001AF4d00001041sv00001AF4sd00001100bc02sc00i00", "virtio_pci"},
		"virtio network":          {"virtio:d00000001v00001AF4", "virtio_net"},
		"virtio disk":             {"virtio:d00000002v00001AF4", "virtio_blk"},
		"virtio SCSI":             {"virtio:d00000008v00001AF4", "virtio_scsi"},
		"AHCI by class":           {"pci:v0000FFFFd00000001sv00000000sd00000000bc01sc06i01", "ahci"},
		"NVMe by class":           {"pci:v0000144Dd0000A808sv0000144Dsd0000A801bc01sc08i02", "nvme"},
		"PERC H730 (MegaRAID)":    {"pci:v00001000d0000005Dsv00001028sd00001F49bc01sc04i00", "megaraid_sas"},
		"PERC H755 (MegaRAID)":    {"pci:v00001000d000010E2sv00001028sd00001AE1bc01sc04i00", "megaraid_sas"},
		"SAS3008":                 {"pci:v00001000d00000097sv00001028sd00001F45bc01sc07i00", "mpt3sas"},
		"Smart Array P408i":       {"pci:v00009005d0000028Fsv0000103Csd00000600bc01sc07i00", "smartpqi"},
		"Smart Array P440ar":      {"pci:v0000103Cd00003239sv0000103Csd000021C0bc01sc04i00", "hpsa"},
		"Adaptec series 8":        {"pci:v00009005d0000028Dsv00009005sd00000500bc01sc04i00", "aacraid"},
		"SCSI disk":               {"scsi:t-0x00", "sd_mod"},
		"USB storage":             {"usb:v0781p5583d0100dc00dsc00dp00ic08isc06ip50in00", "usb_storage"},
		"USB keyboard":            {"hid:b0003g0001v00000627p00000001", "hid_generic"},
	}
}

// TestARamdiskOfDebiansKernel builds once, since unpacking a kernel package
// takes most of a test's time, and looks at the result from several sides.
func TestARamdiskOfDebiansKernel(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "bnx2x", "bnx2x-e2-7.13.21.0.fw"), "blob")
	o := Options{KernelDeb: quickToRead(t, kernelDeb(t)), Scout: staticProgram(t), Version: "1.0", Firmware: []string{dir}}
	stages := map[string]int64{}
	o.Progress = func(stage string, done, total int64) {
		if done > total {
			t.Errorf("%s: %d of %d bytes", stage, done, total)
		}
		stages[stage] = done * 100 / total
	}
	var kernel, initrd bytes.Buffer
	m, err := Build(t.Context(), o, &kernel, &initrd)
	if err != nil {
		t.Fatal(err)
	}
	u := unpackInitrd(t, initrd.Bytes(), m.Kernel)
	t.Logf("kernel %s: %d bytes, initramfs %d bytes, %d modules", m.Kernel, m.KernelBytes, m.InitrdBytes, len(m.Modules))

	t.Run("every device finds a driver with all that it needs", func(t *testing.T) { everyDevice(t, u, m) })
	t.Run("kernel and initramfs stay under 60 MB", func(t *testing.T) {
		if sum := m.KernelBytes + m.InitrdBytes; sum > 60e6 || m.KernelBytes != int64(kernel.Len()) || m.InitrdBytes != int64(initrd.Len()) {
			t.Errorf("kernel %d, initramfs %d bytes; written %d and %d", m.KernelBytes, m.InitrdBytes, kernel.Len(), initrd.Len())
		}
	})
	t.Run("firmware is inside or told missing", func(t *testing.T) {
		if !slices.Equal(m.Firmware, []string{"bnx2x/bnx2x-e2-7.13.21.0.fw"}) {
			t.Errorf("blobs are %q", m.Firmware)
		}
		if b, err := os.ReadFile(filepath.Join(u.dir, "lib/firmware", m.Firmware[0])); err != nil || string(b) != "blob" {
			t.Errorf("the blob is %q, %v", b, err)
		}
		if !slices.Contains(m.Missing, Blob{Module: "bnx2x", Name: "bnx2x/bnx2x-e1-7.13.21.0.fw"}) || slices.Contains(m.Missing, Blob{Module: "bnx2x", Name: m.Firmware[0]}) {
			t.Errorf("missing are %v", m.Missing)
		}
	})
	t.Run("it tells its version", func(t *testing.T) {
		b, err := os.ReadFile(filepath.Join(u.dir, VersionFile))
		if err != nil || strings.TrimSpace(string(b)) != m.Version || !strings.HasPrefix(m.Version, "1.0+") {
			t.Errorf("the ramdisk says %q, %v; the manifest %q", b, err, m.Version)
		}
	})
	t.Run("progress comes to its end", func(t *testing.T) {
		if stages["kernel package"] != 100 || stages["initramfs"] < 99 {
			t.Errorf("stages end at %v", stages)
		}
	})
}

func everyDevice(t *testing.T, u unpacked, m Manifest) {
	for name, d := range devices() {
		found := u.drivers(d[0])
		if !slices.Contains(found, d[1]) {
			t.Errorf("%s: %s finds %q, want %s", name, d[0], found, d[1])
		}
		for _, file := range u.needs[d[1]] {
			if _, err := os.Stat(filepath.Join(u.dir, "lib/modules", m.Kernel, file)); err != nil {
				t.Errorf("%s needs %s: %v", d[1], file, err)
			}
		}
		if len(u.needs[d[1]]) == 0 {
			t.Errorf("%s has no line in modules.dep", d[1])
		}
	}
}

func TestWhatCannotBecomeARamdiskIsRefused(t *testing.T) {
	dir := t.TempDir()
	script, meta, dynamic := filepath.Join(dir, "scout"), filepath.Join(dir, "meta.deb"), "/bin/sh"
	write(t, script, "#!/bin/sh\n")
	write(t, meta, string(makeDeb(t, ".xz", map[string]string{"./usr/share/doc/x": "nothing"})))
	scout := staticProgram(t)
	tests := []struct {
		name, want string
		options    Options
	}{
		{"a script", "no Linux program", Options{KernelDeb: meta, Scout: script}},
		{"a program with libraries", "CGO_ENABLED=0", Options{KernelDeb: meta, Scout: dynamic}},
		{"a metapackage", "not a metapackage", Options{KernelDeb: meta, Scout: scout}},
		{"no package", "no such file", Options{KernelDeb: filepath.Join(dir, "gone.deb"), Scout: scout}},
		{"no scout", "no such file", Options{KernelDeb: meta, Scout: filepath.Join(dir, "gone")}},
	}
	for _, test := range tests {
		_, err := Build(t.Context(), test.options, io.Discard, io.Discard)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error is %v, want one with %q", test.name, err, test.want)
		}
	}
}

func TestACancelledBuildEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	o := Options{KernelDeb: kernelDeb(t), Scout: staticProgram(t)}
	o.Progress = func(string, int64, int64) { cancel() }
	if _, err := Build(ctx, o, io.Discard, io.Discard); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
}
