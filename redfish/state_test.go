package redfish

import (
	"net/http"
	"testing"

	"github.com/muster-boot/muster/redfish/quirk"
)

func TestASlotIsFullByInsertedAndConnectedViaAndByItsImageLast(t *testing.T) {
	yes, no := new(true), new(false)
	for _, tc := range []struct {
		name string
		slot Slot
		full bool
	}{
		{"Supermicro after an eject: Image stays", Slot{inserted: no, connected: "NotConnected", Image: isoURL}, false},
		{"the same, without Inserted", Slot{connected: "NotConnected", Image: isoURL}, false},
		{"inserted and not connected", Slot{inserted: yes, connected: "NotConnected", Image: isoURL}, false},
		{"iLO: Image is empty and not null", Slot{inserted: no, connected: "NotConnected"}, false},
		{"inserted", Slot{inserted: yes, connected: "URI", Image: isoURL}, true},
		{"a viewer's, without a name", Slot{inserted: yes, connected: "Applet"}, true},
		{"connected, without Inserted", Slot{connected: "URI"}, true},
		{"an Image alone", Slot{Image: isoURL}, true},
		{"nothing", Slot{}, false},
	} {
		if got := tc.slot.Connected(); got != tc.full {
			t.Errorf("%s: %t, want %t", tc.name, got, tc.full)
		}
	}
}

// TestASlotThatIsStillTakenIsTriedAgain is of iLO, which answers 400 while its one
// scripted medium is being let go.
func TestASlotThatIsStillTakenIsTriedAgain(t *testing.T) {
	slot := func(id string) Slot {
		return Slot{Path: mgrPath + "/VirtualMedia/" + id, ID: id, Usable: true, insert: "x"}
	}
	s := State{Slots: []Slot{slot("1"), slot("2")}}
	says := func(id string) reply { return reply{status: http.StatusBadRequest, messages: []message{{id: id}}} }
	taken, fault := try{}.after(says("MaxVirtualMediaConnectionEstablished"), s, bootISO, quirk.Standard())
	if fault != nil || taken.slot != 0 {
		t.Errorf("while it is taken: slot %d, %v", taken.slot, fault)
	}
	for range triesInSlot - 1 {
		taken, fault = taken.after(says("MaxVirtualMediaConnectionEstablished"), s, bootISO, quirk.Standard())
	}
	if fault != nil || taken.slot != 1 {
		t.Errorf("when it stays taken: slot %d, %v", taken.slot, fault)
	}
	if other, fault := (try{}).after(says("GeneralError"), s, bootISO, quirk.Standard()); fault != nil || other.slot != 1 {
		t.Errorf("refused otherwise: slot %d, %v", other.slot, fault)
	}
}

func TestAnOverrideThatBootsTheDiskIsNone(t *testing.T) {
	for _, tc := range []struct {
		name string
		o    Override
		none bool
	}{
		{"disabled", Override{Target: "Cd", Enabled: "Disabled"}, true},
		{"sushy-tools after an eject", Override{Target: "Hdd", Enabled: "Continuous"}, true},
		{"no target", Override{Target: "None", Enabled: "Once"}, true},
		{"a CD", Override{Target: "Cd", Enabled: "Once"}, false},
		{"a CD, pending", Override{Target: "None", Enabled: "Disabled", pending: &Override{Target: "Cd", Enabled: "Once"}}, false},
	} {
		if got := normal(tc.o); got != tc.none {
			t.Errorf("%s: %t, want %t", tc.name, got, tc.none)
		}
	}
}
