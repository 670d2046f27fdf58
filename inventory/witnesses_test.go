package inventory

import (
	"strings"
	"testing"
)

func twoWitnesses() (scout, bmc Report) {
	scout = Report{
		Witness: Scout, System: System{Manufacturer: "Dell Inc.", Serial: "7ABC123", UUID: "4c4c4544-0041-4210-8043-b7c04f333233"},
		Memory: 31 << 30, DIMMs: []DIMM{{Slot: "A1", Size: 32 << 30}}, CPUs: []CPU{{Slot: "1"}}, NICs: []NIC{{MAC: "52:54:00:00:00:01"}},
	}
	bmc = scout
	bmc.Witness, bmc.Memory = BMC, 32<<30
	bmc.System = System{Manufacturer: "Dell", Serial: "CNIVC1", SKU: "7abc123", UUID: "44454c4c-4100-1042-8043-b7c04f333233"}
	return scout, bmc
}

func TestWitnessesThatSpellDifferentlyAgree(t *testing.T) {
	scout, bmc := twoWitnesses()
	if got := Disagreements(scout, bmc); len(got) > 0 {
		t.Errorf("%+v", got)
	}
	for _, pair := range [][2]string{{"HPE", "Hewlett Packard Enterprise"}, {"Supermicro", "Super Micro Computer, Inc."}, {"Lenovo", "LENOVO"}, {"Intel Corporation", "intel"}} {
		if !sameMaker(pair[0], pair[1]) {
			t.Errorf("%q and %q are two makers", pair[0], pair[1])
		}
	}
	if sameMaker("Dell", "HPE") {
		t.Error("Dell is HPE")
	}
}

func TestWhatOneDoesNotSayIsNoDisagreement(t *testing.T) {
	scout, bmc := twoWitnesses()
	for _, pair := range [][2]Report{{scout, {}}, {{}, bmc}, {{}, {}}} {
		if got := Disagreements(pair[0], pair[1]); len(got) > 0 {
			t.Errorf("%+v", got)
		}
	}
	bmc.DIMMs, bmc.Memory = nil, 32<<30 // a rounded summary
	scout.DIMMs, scout.Memory = nil, 31<<30
	if got := Disagreements(scout, bmc); len(got) > 0 {
		t.Errorf("what firmware keeps is missed: %+v", got)
	}
}

func TestADisagreementHasBothNumbersAndBothWitnesses(t *testing.T) {
	for what, change := range map[string]func(*Report){
		"Memory":        func(r *Report) { r.DIMMs = []DIMM{{Size: 64 << 30}} },
		"Maker":         func(r *Report) { r.System.Manufacturer = "HPE" },
		"Serial number": func(r *Report) { r.System.Serial, r.System.SKU = "OTHER1", "" },
		"UUID":          func(r *Report) { r.System.UUID = "5c4c4544-0041-4210-8043-b7c04f333233" },
		"Processors":    func(r *Report) { r.CPUs = make([]CPU, 2) },
		"Network ports": func(r *Report) { r.NICs = []NIC{{MAC: "52:54:00:00:00:02"}} },
	} {
		scout, bmc := twoWitnesses()
		change(&bmc)
		got := Disagreements(scout, bmc)
		if len(got) != 1 || got[0].What != what {
			t.Errorf("%s: %+v", what, got)
			continue
		}
		if s := got[0].Sentence(); !strings.Contains(s, got[0].BMC) || !strings.Contains(s, got[0].Scout) || !strings.Contains(s, "the BMC says") {
			t.Errorf("%s: %s", what, s)
		}
	}
	scout, bmc := twoWitnesses()
	bmc.DIMMs = []DIMM{{Size: 64 << 30}}
	const want = "Memory: the BMC says 64 GiB, the scout says 32 GiB."
	if got := Disagreements(scout, bmc)[0].Sentence(); !strings.HasPrefix(got, want) {
		t.Error(got)
	}
}
