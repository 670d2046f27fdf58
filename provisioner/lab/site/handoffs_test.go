package site

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	v1 "github.com/muster-boot/muster/provisioner/api/v1"
	"github.com/muster-boot/muster/provisioner/lab"
)

// TestHostsAreHandedOverByAServerThatIsKilledWhileTheyWork takes two hosts from
// power-on to the end of their hand-offs: one that Palette knows then, as its
// stand-in says by itself, and one that has content and a cluster definition at
// its own API. The server is killed while the one verifies and again while the
// other installs.
func TestHostsAreHandedOverByAServerThatIsKilledWhileTheyWork(t *testing.T) {
	t.Parallel()
	network := silent("lan", 80)
	l := lab.ForTest(t, network.Network)
	h, err := OpenHandoffs(l, netip.MustParseAddrPort("10.78.80.1:443"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Palette.Close(); err != nil {
			t.Error(err)
		}
	})
	s, err := Open(t.Context(), l, Options{Programs: programs, Networks: []Network{network}, Config: h.Config})
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
	first, second := machine(81, lab.BIOS, "lan"), machine(82, lab.UEFI, "lan")
	for _, o := range []struct {
		name, handoff string
		host          lab.Spec
	}{
		{"central", "{driver: palette, project: edge}", first},
		{"local", "{driver: localui, password: ui, content: {file: " + ContentBundle + "}, definition: {file: " + ClusterDefinition + "}}\nsecrets: {ui: \"a password of the lab\"}", second},
	} {
		yaml := "name: " + o.name + "\nprofile: edge-minimum\nimage: " + ApplianceImage + "\nafter: reboot\nhandoff: " + o.handoff + "\n"
		if err := s.Order(t.Context(), yaml, "serial,mac,name\n"+o.host.Serial+","+o.host.NICs[0].MAC+","+o.host.Name+"\n"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Muster(t.Context(), "order", "start", o.name); err != nil {
			t.Fatal(err)
		}
	}
	a, b := s.add(t, first), s.add(t, second)
	powerOn(t, a)
	s.catch(t, first.Serial, "verifying")
	whileVerifying := restart(t, s)
	powerOn(t, b)
	s.catch(t, second.Serial, "installing")
	whileInstalling := restart(t, s)

	central := s.await(t, installTime, first.Name, "registered", "failed", "quarantined")
	if central.Receipt == nil || central.Receipt.Driver != "palette" {
		t.Fatalf("%s: %s, receipt %+v", central.Phase, central.Why, central.Receipt)
	}
	if known, ok := h.Palette.Host(central.Receipt.ID); !ok || !strings.Contains(fmt.Sprint(known.Device["nics"]), first.NICs[0].MAC) {
		t.Errorf("Palette knows of %s: %+v", central.Receipt.ID, known)
	}
	local := s.await(t, installTime, second.Name, "registered", "failed", "quarantined")
	if local.Receipt == nil || local.Receipt.Driver != "localui" || local.Receipt.ID != second.Name {
		t.Fatalf("%s: %s, receipt %+v", local.Phase, local.Why, local.Receipt)
	}
	for _, want := range []string{second.NICs[0].MAC, "managed locally", ContentBundle, ClusterDefinition} {
		if !strings.Contains(local.Receipt.Proof, want) {
			t.Errorf("the proof lacks %q: %s", want, local.Receipt.Proof)
		}
	}
	if !slices.ContainsFunc(local.Progress.Stages, func(s v1.Stage) bool { return s.Stage == "content" && s.Bytes == s.Total && s.Bytes > contentSize }) {
		t.Errorf("its progress does not tell of the upload: %+v", local.Progress)
	}
	for _, spec := range []lab.Spec{first, second} {
		s.checkJournal(t, spec.Serial, "verifying", "installing", "installed", "registered")
	}
	s.checkLeft(t, first.Serial, "verifying", whileVerifying)
	s.checkLeft(t, second.Serial, "installing", whileInstalling)
}
