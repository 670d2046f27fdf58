package main

import (
	"strings"
	"testing"

	v1 "github.com/muster-boot/muster/provisioner/api/v1"
	"github.com/muster-boot/muster/provisioner/handoff/palette/palettetest"
	"github.com/muster-boot/muster/provisioner/lab/site"
	"github.com/muster-boot/muster/redfish/bmctest"
)

func TestAHostOfTheDemoIsJudgedByItsProofToo(t *testing.T) {
	all := roles(cast())
	receipt := &v1.Receipt{Driver: "callhome", ID: "h-1", Proof: "an agent called"}
	memory := v1.Finding{Check: "memory", Blocking: true, Sentence: "Memory: expected at least 8 GiB."}
	hint := memory
	hint.Blocking = false
	for _, c := range []struct {
		name, role string
		host       v1.Host
		wrong      string // empty: as it should be
	}{
		{"registered with a receipt", "media-1", v1.Host{Phase: "registered", Boot: "virtual-media", Receipt: receipt}, ""},
		{"registered by Palette", "bios-1", v1.Host{Phase: "registered", Boot: "bios-pxe", Receipt: &v1.Receipt{Driver: "palette", Proof: "it is known"}}, ""},
		{"managed locally and given content", "uefi-1", v1.Host{Phase: "registered", Boot: "uefi-pxe", Receipt: &v1.Receipt{Driver: "localui", Proof: "it lists " + site.ContentBundle}}, ""},
		{"managed locally without content", "uefi-1", v1.Host{Phase: "registered", Boot: "uefi-pxe", Receipt: &v1.Receipt{Driver: "localui", Proof: "it is ready"}}, "says nothing of " + site.ContentBundle},
		{"registered without one", "uefi-1", v1.Host{Phase: "registered", Boot: "uefi-pxe"}, "without a receipt"},
		{"registered by another driver", "uefi-1", v1.Host{Phase: "registered", Boot: "uefi-pxe", Receipt: &v1.Receipt{Driver: "other", Proof: "x"}}, "without a receipt"},
		{"registered by another way", "media-1", v1.Host{Phase: "registered", Boot: "uefi-pxe", Receipt: receipt}, "booted by uefi-pxe, not by virtual-media"},
		{"shipped with proof and record", "ship-1", v1.Host{Phase: "shipped", Boot: "bios-pxe", Shipment: &v1.Shipment{Proof: "silence", Record: "records/h-1.json"}}, ""},
		{"shipped without a record", "ship-1", v1.Host{Phase: "shipped", Boot: "bios-pxe", Shipment: &v1.Shipment{Proof: "silence"}}, "without proof or record"},
		{"registered instead of shipped", "ship-1", v1.Host{Phase: "registered", Boot: "bios-pxe", Receipt: receipt}, "not shipped"},
		{"failed", "bios-1", v1.Host{Phase: "failed", Why: "no call."}, "is failed, not registered: no call."},
		{"quarantined for its memory", "small-1", v1.Host{Phase: "quarantined", Findings: []v1.Finding{memory}}, ""},
		{"quarantined for something else", "small-1", v1.Host{Phase: "quarantined", Findings: []v1.Finding{{Check: "disk-empty", Blocking: true, Sentence: "x"}}}, "not by the check memory"},
		{"quarantined though memory only warns", "small-1", v1.Host{Phase: "quarantined", Findings: []v1.Finding{hint}}, "not by the check memory"},
		{"registered where it should not be", "small-1", v1.Host{Phase: "registered", Receipt: receipt}, "not quarantined"},
		{"seen and never answered", "stray-1", v1.Host{Phase: "unknown"}, ""},
		{"answered though in no manifest", "stray-1", v1.Host{Phase: "unknown", Address: "10.77.1.100"}, "was answered"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := by(c.role, all).judge(c.host)
			if (err == nil) != (c.wrong == "") || err != nil && !strings.Contains(err.Error(), c.wrong) {
				t.Errorf("%v, want %q", err, c.wrong)
			}
		})
	}
}

func TestWhatPaletteKnowsIsHeldAgainstTheMachine(t *testing.T) {
	r := by("bios-1", roles(cast()))
	nics := func(mac string) map[string]any {
		return map[string]any{"nics": []any{map[string]any{"macAddr": mac}}}
	}
	mine, tagged := r.spec.NICs[0].MAC, map[string]string{"rack": "r4"}
	for _, c := range []struct {
		name  string
		known palettetest.Host
		found bool
		wrong string
	}{
		{"the machine", palettetest.Host{UID: "u", Device: nics(mine), Labels: tagged}, true, ""},
		{"nobody", palettetest.Host{}, false, "does not know bios-1"},
		{"another machine", palettetest.Host{UID: "u", Device: nics("52:54:00:00:00:99"), Labels: tagged}, true, "another machine as u"},
		{"without tags", palettetest.Host{UID: "u", Device: nics(mine)}, true, "not told the tags"},
	} {
		err := r.central(c.known, c.found)
		if (err == nil) != (c.wrong == "") || err != nil && !strings.Contains(err.Error(), c.wrong) {
			t.Errorf("%s: %v, want %q", c.name, err, c.wrong)
		}
	}
}

func TestABMCIsLeftAsItWas(t *testing.T) {
	medium := []bmctest.Boot{{Device: bmctest.DeviceMedium}, {}}
	good := bmctest.State{Boots: medium, Enabled: "Disabled"}
	with := func(f func(*bmctest.State)) bmctest.State {
		s := good
		f(&s)
		return s
	}
	for _, c := range []struct {
		name            string
		state           bmctest.State
		requests, media int
		wrong           string
	}{
		{"as it was", good, 1, 1, ""},
		{"no medium booted", with(func(s *bmctest.State) { s.Boots = []bmctest.Boot{{}} }), 1, 1, "never booted a medium"},
		{"a medium in", with(func(s *bmctest.State) { s.Inserted = []string{"http://192.0.2.1/x.iso"} }), 1, 1, "still in"},
		{"an override", with(func(s *bmctest.State) { s.Target, s.Enabled = "Cd", "Continuous" }), 1, 1, "Cd Continuous"},
		{"a session", with(func(s *bmctest.State) { s.Sessions = 1 }), 1, 1, "1 sessions"},
		{"two requests at once", good, 2, 1, "2 requests"},
		{"two media at once", good, 1, 2, "2 media"},
	} {
		err := left(c.state, c.requests, c.media)
		if (err == nil) != (c.wrong == "") || err != nil && !strings.Contains(err.Error(), c.wrong) {
			t.Errorf("%s: %v, want %q", c.name, err, c.wrong)
		}
	}
}

// TestTheDemosManifestsFitTheirColumns holds that each row has a cell for each
// column, and that no two hosts are one.
func TestTheDemosManifestsFitTheirColumns(t *testing.T) {
	seen := map[string]bool{}
	for _, b := range cast() {
		for _, r := range b.hosts {
			if b.name != "" && strings.Count(r.row, ",") != strings.Count(b.columns, ",") {
				t.Errorf("%s: %q has not the cells of %q", r.spec.Name, r.row, b.columns)
			}
			for _, key := range []string{r.spec.Name, r.spec.Serial, r.spec.UUID, r.spec.NICs[0].MAC} {
				if seen[key] {
					t.Errorf("%s is of two hosts", key)
				}
				seen[key] = true
			}
		}
	}
}
