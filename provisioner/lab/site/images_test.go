package site

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/muster-boot/muster/provisioner/api/v1"
	"github.com/muster-boot/muster/provisioner/lab"
)

// orderOf imports and starts an order of one host with the given lines.
func (s *Site) orderOf(t *testing.T, spec lab.Spec, lines ...string) {
	t.Helper()
	yaml := "name: batch\nprofile: edge-minimum\nhandoff: {driver: callhome}\nafter: reboot\n" + strings.Join(lines, "\n") + "\n"
	rows := fmt.Sprintf("serial,mac,name\n%s,%s,%s\n", spec.Serial, spec.NICs[0].MAC, spec.Name)
	if err := s.Order(t.Context(), yaml, rows); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Muster(t.Context(), "order", "start", "batch"); err != nil {
		t.Fatal(err)
	}
}

// medium waits until the host's present attempt has an ISO.
func (s *Site) medium(t *testing.T, ref string) v1.Medium {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), bootTime)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		m, err := s.Client.Medium(ctx, ref)
		if err == nil {
			return m
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s has no ISO of its own: %v", ref, err)
		case <-tick.C:
		}
	}
}

// TestAHostInstallsFromItsOwnISOInACDDrive takes a BIOS host by an ISO that its
// drive reads by ranges, with a configuration that was added to it. Before that
// the order is changed, the site's time zone too, and the server is killed
// between two ranges: the ISO stays what it was.
func TestAHostInstallsFromItsOwnISOInACDDrive(t *testing.T) {
	t.Parallel()
	network := silent("lan", 60)
	network.BMC = netip.MustParsePrefix("10.78.60.250/24")
	s := newSite(t, nil, network)
	spec := machine(1, lab.BIOS, "lan")
	spec.Drive = true
	lines := []string{"image: " + ApplianceImage, "transport: media", "config: {site: {zone: '{{.Site.TimeZone}}'}}"}
	s.orderOf(t, spec, lines...)
	h := s.add(t, spec)
	powerOn(t, h)
	m := s.medium(t, spec.Serial)
	s.await(t, bootTime, spec.Serial, "installing")
	s.killedBetweenRanges(t, m, func() {
		lines[2] = "config: {site: {zone: changed}}"
		s.orderOf(t, spec, lines...)
		s.configure(t, "site: {time_zone: Asia/Tokyo}\n")
	})
	if err := h.PowerOff(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := h.InsertMedium(t.Context(), m.URL); err != nil {
		t.Fatal(err)
	}
	h.BootOnce(lab.FromCD)
	powerOn(t, h)
	done := s.await(t, installTime, spec.Serial, "registered")
	if done.Attempt != m.Attempt || done.Boot != "virtual-media" {
		t.Errorf("registered by attempt %s and %s, its ISO was of %s", done.Attempt, done.Boot, m.Attempt)
	}
	s.checkRead(t, done, "10.78.60.250")
}

// checkRead holds that the ISO was read from an address, and that progress and
// journal say so.
func (s *Site) checkRead(t *testing.T, h v1.Host, from string) {
	t.Helper()
	read := func(p v1.Stage) bool { return p.Stage == "medium" && p.Bytes > 1<<20 && p.Total > p.Bytes/2 }
	if h.Progress == nil || !slices.ContainsFunc(h.Progress.Stages, read) {
		t.Errorf("nothing was counted of the medium: %+v", h.Progress)
	}
	said := func(e v1.Entry) bool { return strings.Contains(e.Text, from) && strings.Contains(e.Text, "ISO") }
	if !slices.ContainsFunc(s.journal(t, h.ID), said) {
		t.Errorf("the journal does not say that %s read the ISO", from)
	}
}

// configure adds lines to the server's configuration, for its next start.
func (s *Site) configure(t *testing.T, lines string) {
	t.Helper()
	f, err := os.OpenFile(s.configPath(), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(lines); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// killedBetweenRanges reads one half of a medium, has everything change, kills
// the server, and reads the rest.
func (s *Site) killedBetweenRanges(t *testing.T, m v1.Medium, change func()) {
	t.Helper()
	reader, err := s.Lab.Client(t.Context(), "lan", netip.MustParsePrefix("10.78.60.50/24"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	get := func(name string, args ...string) (body []byte, etag string) {
		t.Helper()
		file, heads := filepath.Join(dir, name), filepath.Join(dir, name+".head")
		args = append([]string{"-sS", "-f", "-m", "60", "-D", heads, "-o", file}, append(args, m.URL)...)
		if out, err := reader.Command(t.Context(), "curl", args...).CombinedOutput(); err != nil {
			t.Fatalf("curl: %v\n%s", err, out)
		}
		head, err := os.ReadFile(heads)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(head)) {
			if name, value, _ := strings.Cut(line, ":"); strings.EqualFold(name, "ETag") {
				etag = strings.TrimSpace(value)
			}
		}
		body, err = os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return body, etag
	}
	half := m.Size/2 + 1000
	first, tag := get("first", "-r", fmt.Sprintf("0-%d", half-1))
	change()
	restart(t, s)
	rest, _ := get("rest", "-r", fmt.Sprintf("%d-", half), "-H", "If-Range: "+tag)
	whole, after := get("whole")
	if tag == "" || after != tag {
		t.Errorf("the ETag was %s and is %s", tag, after)
	}
	if int64(len(whole)) != m.Size || !bytes.Equal(append(first, rest...), whole) {
		t.Errorf("two halves of %d and %d bytes are not the whole of %d", len(first), len(rest), len(whole))
	}
}

// TestAHostInstallsFromItsOwnISOByUEFIHTTPBoot boots a host's own ISO by its
// firmware alone: no PXE, no loader of ours between firmware and ISO.
func TestAHostInstallsFromItsOwnISOByUEFIHTTPBoot(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil, silent("lan", 70))
	spec := machine(1, lab.UEFI, "lan")
	spec.HTTPBoot = true
	s.orderOf(t, spec, "image: "+ApplianceImage, "transport: uefi-http")
	h := s.add(t, spec)
	powerOn(t, h)
	done := s.await(t, installTime, spec.Serial, "registered")
	if done.Boot != "uefi-http" {
		t.Errorf("registered by %s", done.Boot)
	}
	s.checkRead(t, done, done.Address)
	for _, e := range s.journal(t, spec.Serial) {
		if e.Attempt == done.Attempt && strings.HasPrefix(e.Text, "Stage kernel") {
			t.Errorf("the install attempt fetched a kernel by a loader: %s", e.Text)
		}
	}
}

// TestADiskImageIsWrittenByTheScoutAndItsCloudInitCallsHome takes a Debian
// system with cloud-init from a compressed disk image to registered: by the
// NoCloud volume beside it and cloud-init's own phone_home.
func TestADiskImageIsWrittenByTheScoutAndItsCloudInitCallsHome(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil, silent("lan", 80))
	disk, err := lab.CloudImage("zstd")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Muster(t.Context(), "image", "add", disk, "--name", "debian-cloud"); err != nil {
		t.Fatal(err)
	}
	spec := machine(1, lab.BIOS, "lan")
	s.orderOf(t, spec, "image: debian-cloud")
	h := s.add(t, spec)
	powerOn(t, h)
	done := s.await(t, 2*installTime, spec.Serial, "registered")
	if done.Receipt == nil || !strings.Contains(done.Receipt.Proof, "cloud-init") {
		t.Errorf("the receipt is not cloud-init's: %+v", done.Receipt)
	}
	stages := map[string]v1.Stage{}
	for _, p := range done.Progress.Stages {
		stages[p.Stage] = p
	}
	for _, name := range []string{"write", "verify"} {
		if p := stages[name]; p.Bytes == 0 || p.Bytes != p.Total {
			t.Errorf("stage %s counted %d of %d bytes", name, p.Bytes, p.Total)
		}
	}
}

// TestDebiansInstallerFetchesItsPreseedAndCallsHome netboots Debian's own
// installer until its early_command calls, on a network with neither router nor
// name server. A mirror to install from is not here.
func TestDebiansInstallerFetchesItsPreseedAndCallsHome(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil, silent("lan", 90))
	kernel, initrd, err := lab.DebianInstaller()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Muster(t.Context(), "image", "add", kernel, initrd, "--name", "debian-12"); err != nil {
		t.Fatal(err)
	}
	spec := machine(1, lab.BIOS, "lan")
	s.orderOf(t, spec, "image: debian-12")
	h := s.add(t, spec)
	powerOn(t, h)
	s.awaitStage(t, installTime, spec.Serial, "config")
	s.awaitStage(t, bootTime, spec.Serial, "early")
	if err := h.PowerOff(t.Context()); err != nil {
		t.Fatal(err)
	}
}
