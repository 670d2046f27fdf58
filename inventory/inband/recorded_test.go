package inband

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/muster-boot/muster/inventory"
)

var update = flag.Bool("update", false, "rewrite the golden reports")

const machines = "../../testdata/machines"

// recorded unpacks a recorded host and returns its root.
func recorded(t *testing.T, name string) fs.FS {
	t.Helper()
	f, err := os.Open(filepath.Join(machines, name, "tree.tar.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for tr := tar.NewReader(z); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return os.DirFS(dir)
		}
		if err == nil {
			err = unpack(filepath.Join(dir, h.Name), h, tr)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func unpack(name string, h *tar.Header, r io.Reader) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	switch h.Typeflag {
	case tar.TypeDir:
		return os.MkdirAll(name, 0o755)
	case tar.TypeSymlink:
		return os.Symlink(h.Linkname, name)
	}
	content, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	return os.WriteFile(name, content, 0o644)
}

// udevNames is disk by name, as udev made them.
func udevNames(t *testing.T, name string) map[string]string {
	t.Helper()
	f, err := os.Open(filepath.Join(machines, name, "by-id.txt"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	names := map[string]string{}
	for s := bufio.NewScanner(f); s.Scan(); {
		if link, disk, ok := strings.Cut(s.Text(), " -> "); ok {
			names[link] = disk
		}
	}
	return names
}

func TestDisksHaveTheNamesThatUdevGave(t *testing.T) {
	for name, shared := range map[string][]string{
		"qemu-q35-uefi": nil,
		// Two namespaces have one model and serial, and udev's link goes to either.
		"qemu-pc-bios": {"nvme-QEMU_NVMe_Ctrl_NVME-MULTI"},
	} {
		want := udevNames(t, name)
		for _, s := range shared {
			delete(want, s)
		}
		got := map[string]string{}
		for _, d := range Read(recorded(t, name), Options{}).Disks {
			for _, n := range d.ByID {
				got[n] = d.Name
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: names differ (-udev +ours):\n%s", name, diff)
		}
	}
}

// stubs answers in place of the drivers and disks of a recorded host.
type stubs struct{}

func (stubs) Port(name string) (Port, error) {
	return Port{MAC: "52:54:00:aa:00:ff", Firmware: "1.0 of " + name}, nil
}

func (stubs) Signatures(disk string) ([]string, error) {
	switch disk {
	case "sda":
		return nil, errors.New("input/output error")
	case "vda":
		return []string{"gpt at 512"}, nil
	}
	return nil, nil
}

func TestReportsOfRecordedHosts(t *testing.T) {
	for _, name := range []string{"qemu-q35-uefi", "qemu-pc-bios"} {
		o := Options{
			Now: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC), Boot: "52:54:00:aa:00:ff",
			Addresses: map[string]string{"eth0": "10.0.2.15"}, Ports: stubs{}, Contents: stubs{},
			KernelLog: []string{"e1000e 0000:00:03.0: Direct firmware load for e/x.bin failed with error -2"},
		}
		got, err := json.MarshalIndent(Read(recorded(t, name), o), "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		golden := filepath.Join("testdata", name+".json")
		if *update {
			if err := os.WriteFile(golden, append(got, '\n'), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)+"\n"); diff != "" {
			t.Errorf("%s: report differs (-want +got):\n%s", name, diff)
		}
	}
}

func TestAnEmptyTreeGivesAReportThatSaysSo(t *testing.T) {
	r := Read(os.DirFS(t.TempDir()), Options{})
	if r.Witness != inventory.Scout || len(r.Disks)+len(r.NICs) != 0 || r.TPM != nil || r.BMC != nil {
		t.Errorf("report of nothing is %+v", r)
	}
	if len(r.Problems) != 2 {
		t.Errorf("problems are %q", r.Problems)
	}
}

func TestContentsAreUnknownUnlessLookedAt(t *testing.T) {
	root := recorded(t, "qemu-pc-bios")
	for _, d := range Read(root, Options{}).Disks {
		if d.Signatures != nil {
			t.Errorf("%s was not looked at and has signatures %q", d.Name, d.Signatures)
		}
	}
	for _, d := range Read(root, Options{Contents: stubs{}}).Disks {
		if unreadable := d.Name == "sda"; unreadable != (d.Signatures == nil) {
			t.Errorf("%s was looked at and has signatures %#v", d.Name, d.Signatures)
		}
	}
}

func put(t *testing.T, dir, name, content string) {
	t.Helper()
	name = filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestWhatStandsOnADiskHoldsIt(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "sys/block/sda/size", "1000\n")
	put(t, dir, "sys/block/sda/sda1/partition", "1\n")
	put(t, dir, "sys/block/sda/sda1/holders/dm-0", "")
	put(t, dir, "sys/block/sda/sda2/partition", "2\n")
	put(t, dir, "sys/block/dm-0/dm/name", "vg-root\n")
	put(t, dir, "sys/block/dm-0/size", "500\n")
	put(t, dir, "sys/block/sdb/size", "1000\n")
	put(t, dir, "sys/block/sr0/size", "1000\n")
	put(t, dir, "sys/block/sdc/size", "0\n")
	put(t, dir, "proc/mounts", "/dev/sda2 /boot ext4 rw 0 0\nproc /proc proc rw 0 0\n")
	disks := Read(os.DirFS(dir), Options{}).Disks
	names := []string{}
	for _, d := range disks {
		names = append(names, d.Name)
	}
	if !slices.Equal(names, []string{"sda", "sdb"}) {
		t.Fatalf("disks are %q", names)
	}
	if want := []string{"dm-0 (vg-root)", "mounted at /boot"}; !slices.Equal(disks[0].Holders, want) || !disks[0].BootMedium {
		t.Errorf("sda is held by %q, boot medium %v", disks[0].Holders, disks[0].BootMedium)
	}
	if len(disks[1].Holders) != 0 || disks[1].BootMedium {
		t.Errorf("sdb is held by %q, boot medium %v", disks[1].Holders, disks[1].BootMedium)
	}
}

func TestSmallFacts(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "sys/class/tpm/tpm0/tpm_version_major", "2\n")
	put(t, dir, "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c", "\x06\x00\x00\x00\x01")
	put(t, dir, "dev/ipmi0", "")
	r := Read(os.DirFS(dir), Options{})
	if r.TPM == nil || r.TPM.Version != "2.0" {
		t.Errorf("security chip is %+v", r.TPM)
	}
	if r.Firmware.Mode != "uefi" || r.Firmware.SecureBoot == nil || !*r.Firmware.SecureBoot {
		t.Errorf("firmware is %+v", r.Firmware)
	}
	if r.BMC == nil || !r.BMC.Present || r.BMC.Via != "ipmi" {
		t.Errorf("BMC is %+v", r.BMC)
	}
}
