package site

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	v1 "github.com/muster-boot/muster/provisioner/api/v1"
	"github.com/muster-boot/muster/provisioner/lab"
)

// programs are built once, by TestMain, from the source under test.
var programs Programs

func TestMain(m *testing.M) {
	zerolog.SetGlobalLevel(zerolog.Disabled)
	dir, err := os.MkdirTemp("", "muster-programs")
	if err == nil {
		programs, err = Build(context.Background(), dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// Waits for real machines under emulation; a healthy run takes a fifth.
const (
	bootTime    = 4 * time.Minute
	installTime = 8 * time.Minute
)

func silent(name string, third int) Network {
	return Network{Network: lab.Network{Name: name, Address: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 78, byte(third), 1}), 24)}}
}

func discovering(name string, third int) Network {
	n := silent(name, third)
	n.Discover = true
	return n
}

// newSite is a site with ramdisk and appliance in its catalog.
func newSite(t *testing.T, deadlines map[string]string, networks ...Network) *Site {
	t.Helper()
	return openSite(t, Options{Programs: programs, Networks: networks, Deadlines: deadlines})
}

func openSite(t *testing.T, o Options) *Site {
	t.Helper()
	l := lab.ForTest(t, Networks(o.Networks)...)
	s, err := Open(t.Context(), l, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the server's last words:\n%s", s.LastWords())
		}
	})
	if err := s.Equip(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// mac is the address of the n-th host of a test.
func mac(n int) string { return fmt.Sprintf("52:54:00:74:00:%02x", n) }

// machine is a host that fits edge-minimum.
func machine(n int, firmware lab.Firmware, network string) lab.Spec {
	return lab.Spec{
		Name: fmt.Sprintf("host-%d", n), Firmware: firmware, Serial: fmt.Sprintf("SN-%04d", n),
		UUID: fmt.Sprintf("74657374-0000-4000-8000-%012d", n),
		NICs: []lab.NIC{{MAC: mac(n), Network: network}}, Disks: []lab.Disk{{Kind: lab.NVMe, GB: 100}},
	}
}

// order imports and starts an order for the machines, listed by serial and MAC.
func (s *Site) order(t *testing.T, specs ...lab.Spec) {
	t.Helper()
	var rows strings.Builder
	rows.WriteString("serial,mac,name\n")
	for _, m := range specs {
		fmt.Fprintf(&rows, "%s,%s,%s\n", m.Serial, m.NICs[0].MAC, m.Name)
	}
	yaml := "name: batch\nprofile: edge-minimum\nimage: " + ApplianceImage + "\nhandoff: {driver: callhome}\nafter: reboot\n"
	if err := s.Order(t.Context(), yaml, rows.String()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Muster(t.Context(), "order", "start", "batch"); err != nil {
		t.Fatal(err)
	}
}

func (s *Site) add(t *testing.T, spec lab.Spec) *lab.Host {
	t.Helper()
	h, err := s.Lab.AddHost(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func powerOn(t *testing.T, h *lab.Host) {
	t.Helper()
	if err := h.PowerOn(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// await waits for one of the phases and ends the test when another came.
func (s *Site) await(t *testing.T, within time.Duration, ref string, phases ...string) v1.Host {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	h, err := s.Await(ctx, ref, phases...)
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, h.NextEvidence, s.told(t, ref))
	}
	return h
}

// told is the end of a host's journal, for a failure.
func (s *Site) told(t *testing.T, ref string) string {
	t.Helper()
	entries, err := s.Client.Journal(context.WithoutCancel(t.Context()), ref, "")
	if err != nil {
		return err.Error()
	}
	const most = 12
	var lines []string
	for _, e := range entries[max(0, len(entries)-most):] {
		lines = append(lines, e.At.UTC().Format(time.TimeOnly)+" "+e.Text)
	}
	return strings.Join(lines, "\n")
}

// journal is all that happened to a host, also under ids that it had before.
func (s *Site) journal(t *testing.T, ref string) []v1.Entry {
	t.Helper()
	entries, err := s.Client.Journal(t.Context(), ref, "")
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

// checkJournal holds that a host's journal has no gap and no double, and that
// it moved to each of the phases exactly once.
func (s *Site) checkJournal(t *testing.T, ref string, once ...string) {
	t.Helper()
	moves, last := map[string]int{}, map[string]uint64{} // by phase, by id
	for _, e := range s.journal(t, ref) {
		if e.Seq != last[e.Host]+1 {
			t.Errorf("journal of %s: entry %d of id %s follows %d", ref, e.Seq, e.Host, last[e.Host])
		}
		last[e.Host] = e.Seq
		if e.Kind == "move" {
			moves[e.Phase]++
		}
	}
	for _, phase := range once {
		if moves[phase] != 1 {
			t.Errorf("%s moved %d times to %s", ref, moves[phase], phase)
		}
	}
}
