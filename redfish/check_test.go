package redfish

import (
	"strings"
	"testing"
	"time"

	"github.com/muster-boot/muster/redfish/quirk"
)

func TestACheckSaysWhatABMCCanDoAndChangesNothing(t *testing.T) {
	s := newStandin(t)
	s.tree[mgrPath]["DateTime"] = "2026-11-22T13:00:00Z"
	noon := func() time.Time { return time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC) }
	c, err := s.connect(Options{}).Check(t.Context(), Want{URLs: bootISO.URLs}, noon)
	if err != nil {
		t.Fatal(err)
	}
	if !c.Medium.Can || !strings.Contains(c.Medium.Why, "slot 2") || !c.Network.Can || c.HTTP.Can || c.HTTP.Why == "" || c.Skew == nil || *c.Skew != time.Hour || c.About.Family != "standard" {
		t.Errorf("%+v", c)
	}
	if len(s.changes()) != 0 {
		t.Errorf("it changed %v", s.changes())
	}
}

func TestACheckSaysWhyNot(t *testing.T) {
	none := judge(State{}, bootISO, quirk.Standard())
	for name, a := range map[string]Ability{"medium": none.Medium, "http": none.HTTP, "network": none.Network} {
		if a.Can || !strings.Contains(a.Why, "cannot choose what the host boots") {
			t.Errorf("%s: %+v", name, a)
		}
	}
	s := ready()
	s.Boot.targets = []string{"Cd"}
	if c := judge(s, bootISO, quirk.Quirk{Media: quirk.Media{Refuse: "Boot it by PXE."}}); c.Medium.Why != "Boot it by PXE." || c.Network.Can {
		t.Errorf("%+v", c)
	}
	s.Boot.targets = nil
	if c := judge(s, bootISO, quirk.Standard()); !c.HTTP.Can || !strings.Contains(c.HTTP.Why, "only a try shows") || !c.Medium.Can {
		t.Errorf("%+v", c)
	}
}
