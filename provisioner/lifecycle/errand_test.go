package lifecycle

import (
	"strings"
	"testing"
	"time"

	"github.com/muster-boot/muster/provisioner"
)

// withBMC is a host brought to a phase, long silent, whose BMC can do all.
func withBMC(t *testing.T, phase provisioner.Phase) provisioner.Host {
	t.Helper()
	h := at(t, phase)
	h.Intent.BMC = &provisioner.Controller{Address: "192.0.2.7", Password: []byte("sealed")}
	h.Facts.BMC = &provisioner.BMC{Abilities: provisioner.Abilities{Media: true, Network: true}}
	h.Facts.Scout, h.Facts.Steps = nil, nil
	return h
}

func errand(h *provisioner.Host, do provisioner.ErrandKind) *provisioner.Errand {
	h.Facts.Errands = append(h.Facts.Errands, provisioner.Errand{Attempt: h.Status.Attempt.ID, Do: do, Began: h.Status.Since, Tries: 1})
	return &h.Facts.Errands[len(h.Facts.Errands)-1]
}

func TestErrandFollowsFromFacts(t *testing.T) {
	later := start.Add(time.Hour)
	step := func(stage string) func(*provisioner.Host) {
		return func(h *provisioner.Host) {
			h.Facts.Steps = []provisioner.Step{{Attempt: h.Status.Attempt.ID, Stage: stage, At: later}}
		}
	}
	way := func(w provisioner.Way) func(*provisioner.Host) {
		return func(h *provisioner.Host) {
			h.Facts.Prepared = &provisioner.Prepared{Attempt: h.Status.Attempt.ID, Way: w}
		}
	}
	tests := []struct {
		name  string
		phase provisioner.Phase
		with  []func(*provisioner.Host)
		want  provisioner.ErrandKind
	}{
		{"a listed host is surveyed", provisioner.Expected, nil, provisioner.ErrandSurvey},
		{"not before its order is started", provisioner.Expected, []func(*provisioner.Host){func(h *provisioner.Host) { h.Intent.Started = false }}, ""},
		{"not while a person holds it", provisioner.Expected, []func(*provisioner.Host){func(h *provisioner.Host) { h.Intent.Hold = "cabling" }}, ""},
		{"not without the BMC's password", provisioner.Expected, []func(*provisioner.Host){func(h *provisioner.Host) { h.Intent.BMC.Password = nil }}, ""},
		{"not before DHCP gave the BMC an address", provisioner.Expected, []func(*provisioner.Host){func(h *provisioner.Host) { h.Intent.BMC.Address, h.Intent.BMC.MAC = "", "52:54:00:00:00:07" }}, ""},
		{"at the address that DHCP gave", provisioner.Expected, []func(*provisioner.Host){func(h *provisioner.Host) {
			h.Intent.BMC.Address, h.Intent.BMC.MAC = "", "52:54:00:00:00:07"
			h.Facts.BMCLease = &provisioner.BMCLease{MAC: "52:54:00:00:00:07", Address: "192.0.2.7"}
		}}, provisioner.ErrandSurvey},
		{"not at the address of another MAC", provisioner.Expected, []func(*provisioner.Host){func(h *provisioner.Host) {
			h.Intent.BMC.Address, h.Intent.BMC.MAC = "", "52:54:00:00:00:07"
			h.Facts.BMCLease = &provisioner.BMCLease{MAC: "52:54:00:00:00:08", Address: "192.0.2.7"}
		}}, ""},
		{"not without a BMC", provisioner.Expected, []func(*provisioner.Host){func(h *provisioner.Host) { h.Intent.BMC = nil }}, ""},
		{"a refused password is not tried again", provisioner.Expected, []func(*provisioner.Host){func(h *provisioner.Host) { errand(h, provisioner.ErrandSurvey).Final = true }}, ""},
		{"what was begun and is not done is begun again", provisioner.Expected, []func(*provisioner.Host){func(h *provisioner.Host) { errand(h, provisioner.ErrandSurvey) }}, provisioner.ErrandSurvey},
		{"the scout comes by the network", provisioner.Discovered, nil, provisioner.ErrandNetwork},
		{"by medium where the host's address is its own", provisioner.Discovered, []func(*provisioner.Host){func(h *provisioner.Host) { h.Intent.Row.Static.Address = "192.0.2.8/24" }}, provisioner.ErrandMedium},
		{"by medium where the network is refused", provisioner.Discovered, []func(*provisioner.Host){func(h *provisioner.Host) { errand(h, provisioner.ErrandNetwork).Final = true }}, provisioner.ErrandMedium},
		{"by medium where the network boot stays silent", provisioner.Discovered, []func(*provisioner.Host){func(h *provisioner.Host) { errand(h, provisioner.ErrandNetwork).Done = h.Status.Since }}, provisioner.ErrandMedium},
		{"a living scout is left alone", provisioner.Verifying, []func(*provisioner.Host){func(h *provisioner.Host) { h.Facts.Scout = &provisioner.Contact{Last: later} }}, ""},
		{"an ISO goes into the drive", provisioner.Installing, []func(*provisioner.Host){way(provisioner.WayMedia)}, provisioner.ErrandMedium},
		{"firmware fetches by the network", provisioner.Installing, []func(*provisioner.Host){way(provisioner.WayUEFIHTTP)}, provisioner.ErrandNetwork},
		{"a disk image wants the scout", provisioner.Installing, []func(*provisioner.Host){way(provisioner.WayWrite)}, provisioner.ErrandNetwork},
		{"an installer that spoke is left alone", provisioner.Installing, []func(*provisioner.Host){way(provisioner.WayMedia), step(provisioner.StageEarly)}, ""},
		{"nothing is powered while the disk is written", provisioner.Installing, []func(*provisioner.Host){way(provisioner.WayMedia), step(provisioner.StageWriting)}, ""},
		{"a host that went off is started from its disk", provisioner.Installing, []func(*provisioner.Host){way(provisioner.WayMedia), step(provisioner.StageWritten), func(h *provisioner.Host) { h.Intent.After = provisioner.AfterPowerOff }}, provisioner.ErrandDisk},
		{"what was put in is taken out", provisioner.Registered, []func(*provisioner.Host){func(h *provisioner.Host) { errand(h, provisioner.ErrandMedium) }}, provisioner.ErrandClear},
		{"once", provisioner.Registered, []func(*provisioner.Host){func(h *provisioner.Host) {
			errand(h, provisioner.ErrandMedium)
			errand(h, provisioner.ErrandClear).Done = later
		}}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := withBMC(t, tt.phase)
			if tt.phase == provisioner.Discovered || tt.phase == provisioner.Verifying {
				h.Facts.Report = nil
			}
			for _, with := range tt.with {
				with(&h)
			}
			if got, ok := Errand(h, later); got != tt.want || ok != (tt.want != "") {
				t.Errorf("Errand = %q, %v; want %q", got, ok, tt.want)
			}
		})
	}
}

func TestASurveyThatAnsweredShowsTheHost(t *testing.T) {
	h := withBMC(t, provisioner.Expected)
	errand(&h, provisioner.ErrandSurvey).Done = start.Add(time.Second)
	m, ok := Next(h, start.Add(time.Minute))
	if !ok || m.To != provisioner.Discovered || !strings.Contains(m.Why, "192.0.2.7") {
		t.Errorf("Next = %+v, %v; want discovered, with the BMC's address", m, ok)
	}
}

func TestWitnessesThatDifferQuarantineWithBothNumbers(t *testing.T) {
	h := at(t, provisioner.Verifying)
	h.Facts.Report = &provisioner.Report{Attempt: h.Status.Attempt.ID, Report: goodReport()}
	survey := goodReport()
	survey.DIMMs[0].Size = 64 << 30
	h.Facts.Survey = &provisioner.Report{Report: survey}
	m, ok := Next(h, start.Add(time.Minute))
	if !ok || m.To != provisioner.Quarantined {
		t.Fatalf("Next = %+v, %v; want quarantined", m, ok)
	}
	for _, want := range []string{"64 GiB as the BMC says", "8 GiB as the scout says"} {
		if !strings.Contains(m.Why, want) {
			t.Errorf("%q does not say %q", m.Why, want)
		}
	}
}

func TestAMediumThatNobodyReadIsToldFromOneThatStopped(t *testing.T) {
	h := withBMC(t, provisioner.Discovered)
	errand(&h, provisioner.ErrandMedium).Done = start.Add(time.Minute)
	if got := Awaiting(h); !strings.Contains(got, "has not fetched a byte") {
		t.Errorf("unread medium: %q", got)
	}
	h.Facts.Progress = []provisioner.Progress{{Attempt: h.Status.Attempt.ID, Stage: provisioner.StageMedium, Bytes: 4_000_000, At: start}}
	if got := Awaiting(h); !strings.Contains(got, "has read 4.0 MB") {
		t.Errorf("half-read medium: %q", got)
	}
	h.Facts.Errands[0].Done = time.Time{}
	h.Facts.Errands[0].Problem, h.Facts.Errands[0].Final = "the licence for virtual media is missing.", true
	if got := Awaiting(h); !strings.Contains(got, "licence") || !strings.Contains(got, "muster host retry") {
		t.Errorf("refused medium: %q", got)
	}
}
