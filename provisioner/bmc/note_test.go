package bmc

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/muster-boot/muster/inventory"
	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/redfish"
)

func TestATargetIsAvoidedOnceItsAttemptIsOverAndNobodyWasSeen(t *testing.T) {
	begun := note{}.started("a-1", redfish.Working{Slot: "/s", Target: "Cd"})
	medium := []provisioner.Step{{Attempt: "a-1", Stage: provisioner.StageMedium}, {Attempt: "a-1", Stage: provisioner.StageScript}, {Attempt: "a-1", Stage: provisioner.StageKernel}}
	scout := provisioner.Report{Attempt: "a-1", Report: inventory.Report{Firmware: inventory.Firmware{Medium: true}}}
	later, earlier, at := scout, scout, time.Unix(1_800_000_000, 0)
	later.Attempt, later.Received = "a-2", at.Add(time.Minute)
	earlier.Attempt, earlier.Received = "a-0", at.Add(-time.Minute)
	boots := []provisioner.Errand{{Attempt: "a-1", Do: provisioner.ErrandMedium, Began: at}}
	for name, tc := range map[string]struct {
		before note
		facts  provisioner.Facts
		now    provisioner.AttemptID
		want   note
	}{
		"the attempt goes on":        {begun, provisioner.Facts{}, "a-1", begun},
		"nobody was seen":            {begun, provisioner.Facts{}, "a-2", note{Working: begun.Working, Avoid: []string{"Cd"}}},
		"read, and by network":       {begun, provisioner.Facts{Steps: medium}, "a-2", note{Working: begun.Working, Avoid: []string{"Cd"}}},
		"an installer was seen":      {begun, provisioner.Facts{Steps: []provisioner.Step{{Attempt: "a-1", Stage: provisioner.StageConfig}}}, "a-1", note{Working: begun.Working, Proven: "Cd"}},
		"its system called home":     {begun, provisioner.Facts{Booted: &provisioner.CallHome{Attempt: "a-1"}}, "a-2", note{Working: begun.Working, Proven: "Cd"}},
		"a scout reported":           {begun, provisioner.Facts{Report: &scout}, "a-2", note{Working: begun.Working, Proven: "Cd"}},
		"a scout came by network":    {begun, provisioner.Facts{Report: &provisioner.Report{Attempt: "a-1"}}, "a-2", note{Working: begun.Working, Avoid: []string{"Cd"}}},
		"it reported once more":      {begun, provisioner.Facts{Report: &later, Errands: boots}, "a-3", note{Working: begun.Working, Proven: "Cd"}},
		"a report of before":         {begun, provisioner.Facts{Report: &earlier, Errands: boots}, "a-3", note{Working: begun.Working, Avoid: []string{"Cd"}}},
		"it did boot before":         {note{Medium: begun.Medium, Proven: "Cd"}, provisioner.Facts{}, "a-2", note{Proven: "Cd"}},
		"what is proven ends others": {note{Medium: begun.Medium, Avoid: []string{"UsbCd"}}, provisioner.Facts{Booted: &provisioner.CallHome{Attempt: "a-1"}}, "a-2", note{Proven: "Cd"}},
		"nothing was begun":          {note{}, provisioner.Facts{}, "a-2", note{}},
	} {
		if got := tc.before.learn(provisioner.Host{Facts: tc.facts}, tc.now); cmp.Diff(tc.want, got) != "" {
			t.Errorf("%s: %s", name, cmp.Diff(tc.want, got))
		}
	}
}

func TestANoteSurvivesAndABrokenOneIsNone(t *testing.T) {
	n := note{Working: redfish.Working{Slot: "/s", Target: "Cd"}, Proven: "Cd"}
	if got := readNote(provisioner.BMC{Working: n.write()}); cmp.Diff(n, got) != "" {
		t.Error(cmp.Diff(n, got))
	}
	if got := readNote(provisioner.BMC{Working: []byte(`{"slot":7}`)}); cmp.Diff(note{}, got) != "" {
		t.Errorf("it reads %+v", got)
	}
	if got := n.started("a-2", redfish.Working{Target: "Cd"}); cmp.Diff(n, got) != "" {
		t.Error("a boot that was begun before changes what is known of the slot")
	}
}

func TestTheFirmwareBootsAsItBootedTheScout(t *testing.T) {
	report := func(mode string) *provisioner.Report {
		return &provisioner.Report{Report: inventory.Report{Firmware: inventory.Firmware{Mode: mode}}}
	}
	for _, tc := range []struct {
		goal   redfish.Goal
		report *provisioner.Report
		want   redfish.Mode
	}{
		{redfish.BootMedium, nil, redfish.UEFI}, {redfish.BootMedium, report("bios"), redfish.Legacy}, {redfish.BootNetwork, nil, ""},
		{redfish.BootNetwork, report("uefi"), redfish.UEFI}, {redfish.BootNetwork, report("bios"), redfish.Legacy},
		{redfish.BootHTTP, report("bios"), redfish.UEFI}, {redfish.Cleared, report("bios"), ""},
	} {
		if got := mode(tc.goal, provisioner.Host{Facts: provisioner.Facts{Report: tc.report}}); got != tc.want {
			t.Errorf("%s after %+v is %q, want %q", tc.goal, tc.report, got, tc.want)
		}
	}
}

func TestAnErrandIsASequenceOfGoals(t *testing.T) {
	all := provisioner.Abilities{Media: true, HTTP: true, Network: true}
	for _, tc := range []struct {
		do   provisioner.ErrandKind
		way  provisioner.Way
		can  provisioner.Abilities
		want []redfish.Goal
	}{
		{provisioner.ErrandNetwork, provisioner.WayNetboot, all, []redfish.Goal{redfish.BootNetwork}},
		{provisioner.ErrandNetwork, provisioner.WayUEFIHTTP, all, []redfish.Goal{redfish.BootHTTP}},
		{provisioner.ErrandNetwork, provisioner.WayUEFIHTTP, provisioner.Abilities{}, []redfish.Goal{redfish.BootNetwork}},
		{provisioner.ErrandDisk, "", all, []redfish.Goal{redfish.Cleared, redfish.PoweredOn}},
		{provisioner.ErrandOff, "", all, []redfish.Goal{redfish.PoweredOff, redfish.Cleared}},
		{provisioner.ErrandSurvey, "", all, nil}, {"dance", "", all, nil},
	} {
		if got := errand(tc.do, tc.way, tc.can); cmp.Diff(tc.want, got) != "" {
			t.Errorf("%s by %s: %s", tc.do, tc.way, cmp.Diff(tc.want, got))
		}
	}
}

func TestAClockFarOffIsWrong(t *testing.T) {
	skew := func(d time.Duration) *time.Duration { return &d }
	for _, tc := range []struct {
		skew *time.Duration
		want Answer
	}{
		{nil, Answer{ClockRight, Unknown, "it does not tell its time"}},
		{skew(-3 * time.Second), Answer{ClockRight, Yes, "it is 3s behind"}},
		{skew(time.Hour), Answer{ClockRight, No, "it is 1h0m0s ahead; set it, or let it ask an NTP server"}},
	} {
		if got := clock(tc.skew); got != tc.want {
			t.Errorf("got %+v, want %+v", got, tc.want)
		}
	}
}
