package main

import (
	"strings"
	"testing"

	v1 "github.com/muster-boot/muster/provisioner/api/v1"
)

func TestAHostOfTheDemoIsJudgedByItsProofToo(t *testing.T) {
	roles := map[string]role{}
	for _, r := range cast() {
		roles[r.spec.Name] = r
	}
	receipt := &v1.Receipt{Driver: "callhome", ID: "h-1", Proof: "an agent called"}
	memory := v1.Finding{Check: "memory", Blocking: true, Sentence: "Memory: expected at least 8 GiB."}
	hint := memory
	hint.Blocking = false
	for _, c := range []struct {
		name, role string
		host       v1.Host
		wrong      string // empty: as it should be
	}{
		{"registered with a receipt", "bios-1", v1.Host{Phase: "registered", Receipt: receipt}, ""},
		{"registered without one", "uefi-1", v1.Host{Phase: "registered"}, "without a receipt"},
		{"registered by another driver", "uefi-1", v1.Host{Phase: "registered", Receipt: &v1.Receipt{Driver: "other", Proof: "x"}}, "without a receipt"},
		{"failed", "bios-1", v1.Host{Phase: "failed", Why: "no call."}, "is failed, not registered: no call."},
		{"quarantined for its memory", "small-1", v1.Host{Phase: "quarantined", Findings: []v1.Finding{memory}}, ""},
		{"quarantined for something else", "small-1", v1.Host{Phase: "quarantined", Findings: []v1.Finding{{Check: "disk-empty", Blocking: true, Sentence: "x"}}}, "not by the check memory"},
		{"quarantined though memory only warns", "small-1", v1.Host{Phase: "quarantined", Findings: []v1.Finding{hint}}, "not by the check memory"},
		{"registered where it should not be", "small-1", v1.Host{Phase: "registered", Receipt: receipt}, "not quarantined"},
		{"seen and never answered", "stray-1", v1.Host{Phase: "unknown"}, ""},
		{"answered though in no manifest", "stray-1", v1.Host{Phase: "unknown", Address: "10.77.1.100"}, "was answered"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := roles[c.role].judge(c.host)
			if (err == nil) != (c.wrong == "") || err != nil && !strings.Contains(err.Error(), c.wrong) {
				t.Errorf("%v, want %q", err, c.wrong)
			}
		})
	}
}
