package site

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/muster-boot/muster/provisioner/lab"
)

// TestTheScoutNamesDisksAsTheInstalledSystemsUdevDoes gives a host one disk of
// each kind, has the appliance's live system, which runs Debian's udev, list
// /dev/disk/by-id on the console, and finds there the name that the scout gave
// each disk.
func TestTheScoutNamesDisksAsTheInstalledSystemsUdevDoes(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil, silent("lan", 60))
	spec := machine(1, lab.UEFI, "lan")
	spec.Disks = []lab.Disk{
		{Kind: lab.NVMe, GB: 100},
		{Kind: lab.SATA, GB: 300, Rotational: true},
		{Kind: lab.SCSI, GB: 310, Rotational: true, WWN: 0x5000c50015ea71ac},
		{Kind: lab.Virtio, GB: 320},
	}
	const marker = "by-id listing:"
	yaml := "name: batch\nprofile: edge-minimum\nimage: " + ApplianceImage + "\nhandoff: {driver: callhome}\nafter: reboot\n" +
		"config:\n  stages:\n    kairos-install.pre.before:\n    - commands: [\"for f in /dev/disk/by-id/*; do echo '" + marker + "' $f; done; echo '" + marker + "' end\"]\n"
	manifest := "serial,mac,name\n" + spec.Serial + "," + spec.NICs[0].MAC + "," + spec.Name + "\n"
	if err := s.Order(t.Context(), yaml, manifest); err != nil {
		t.Fatal(err)
	}
	if image, err := s.Client.Image(t.Context(), ApplianceImage); err != nil || image.Version["kairos"] != "v3.5.0" {
		t.Errorf("its root file system was not read: %v, %v, lacks %q", image.Version, err, image.Lacks)
	}
	if _, err := s.Muster(t.Context(), "order", "start", "batch"); err != nil {
		t.Fatal(err)
	}
	h := s.add(t, spec)
	powerOn(t, h)
	ctx, cancel := context.WithTimeout(t.Context(), installTime)
	defer cancel()
	if err := h.WaitConsole(ctx, marker+" end"); err != nil {
		t.Fatal(err)
	}
	host, err := s.Client.Host(t.Context(), spec.Serial)
	if err != nil {
		t.Fatal(err)
	}
	if len(host.Report.Disks) != len(spec.Disks) {
		t.Errorf("the scout found %d disks of %d: %+v", len(host.Report.Disks), len(spec.Disks), host.Report.Disks)
	}
	listed := listing(t, h.Console(), marker)
	for _, d := range host.Report.Disks {
		if d.ByID == "" || !slices.Contains(listed, "/dev/disk/by-id/"+d.ByID) {
			t.Errorf("%s (%s): the scout says %q, udev made %v", d.Name, d.Kind, d.ByID, listed)
		}
	}
}

func listing(t *testing.T, console, marker string) []string {
	t.Helper()
	data, err := os.ReadFile(console)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for line := range strings.Lines(string(data)) {
		if _, name, ok := strings.Cut(strings.TrimSpace(line), marker+" "); ok {
			names = append(names, strings.TrimSpace(name))
		}
	}
	return names
}

// awaitReport waits until a host has a hardware report.
func (s *Site) awaitReport(t *testing.T, ref string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), bootTime)
	defer cancel()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		if h, err := s.Client.Host(ctx, ref); err == nil && h.Report != nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s was never reported", ref)
		case <-tick.C:
		}
	}
}
