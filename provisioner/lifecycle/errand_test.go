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
	h.Facts.BMC = &provisioner.BMC{Of: "192.0.2.7", Abilities: provisioner.Abilities{Media: true, Network: true}}
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
		{"by medium where muster answers no DHCP", provisioner.Discovered, []func(*provisioner.Host){func(h *provisioner.Host) { h.Facts.BMC.NoDHCP, h.Facts.Sighting = true, nil }}, provisioner.ErrandMedium},
		{"by the network although muster answers no DHCP there, as it was seen to boot", provisioner.Discovered, []func(*provisioner.Host){func(h *provisioner.Host) {
			h.Facts.BMC.NoDHCP = true
			h.Facts.Sighting = &provisioner.Sighting{Netboot: h.Status.Since.Add(-time.Hour)}
		}}, provisioner.ErrandNetwork},
		{"by the network although muster answers no DHCP there, as its order says", provisioner.Discovered, []func(*provisioner.Host){func(h *provisioner.Host) {
			h.Facts.BMC.NoDHCP, h.Intent.Way = true, provisioner.WayNetboot
		}}, provisioner.ErrandNetwork},
		{"by medium where the network is refused", provisioner.Discovered, []func(*provisioner.Host){func(h *provisioner.Host) { errand(h, provisioner.ErrandNetwork).Final = true }}, provisioner.ErrandMedium},
		{"by medium where the network boot stays silent", provisioner.Discovered, []func(*provisioner.Host){func(h *provisioner.Host) { errand(h, provisioner.ErrandNetwork).Done = h.Status.Since }}, provisioner.ErrandMedium},
		{"a boot of its own is given time", provisioner.Discovered, []func(*provisioner.Host){func(h *provisioner.Host) {
			h.Facts.Sighting = &provisioner.Sighting{Netboot: later.Add(-time.Minute)}
			h.Status.Since = later.Add(-time.Minute)
		}}, ""},
		{"but what was begun is brought to its end", provisioner.Discovered, []func(*provisioner.Host){func(h *provisioner.Host) {
			h.Facts.Sighting = &provisioner.Sighting{Netboot: later.Add(-time.Minute)}
			h.Status.Since = later.Add(-time.Minute)
			errand(h, provisioner.ErrandNetwork)
		}}, provisioner.ErrandNetwork},
		{"what an attempt before was refused comes last", provisioner.Discovered, []func(*provisioner.Host){func(h *provisioner.Host) {
			e := errand(h, provisioner.ErrandNetwork)
			e.Attempt, e.Final = "a-before", true
		}}, provisioner.ErrandMedium},
		{"a host that was faster than its survey is surveyed still", provisioner.Discovered, []func(*provisioner.Host){func(h *provisioner.Host) { h.Facts.BMC = nil }}, provisioner.ErrandSurvey},
		{"another BMC is surveyed, too", provisioner.Verifying, []func(*provisioner.Host){func(h *provisioner.Host) { h.Intent.BMC.Address = "192.0.2.99" }}, provisioner.ErrandSurvey},
		{"a survey is tried for ever", provisioner.Expected, []func(*provisioner.Host){func(h *provisioner.Host) {
			e := errand(h, provisioner.ErrandSurvey)
			e.Problem, e.Tries = "it does not answer", 50
		}}, provisioner.ErrandSurvey},
		{"a boot is not", provisioner.Discovered, []func(*provisioner.Host){func(h *provisioner.Host) {
			h.Facts.BMC.Abilities.Media = false
			e := errand(h, provisioner.ErrandNetwork)
			e.Problem, e.Tries = "it does not answer", MaxErrandTries
		}}, ""},
		{"a living scout is left alone", provisioner.Verifying, []func(*provisioner.Host){func(h *provisioner.Host) { h.Facts.Scout = &provisioner.Contact{Last: later} }}, ""},
		{"an ISO goes into the drive", provisioner.Installing, []func(*provisioner.Host){way(provisioner.WayMedia)}, provisioner.ErrandMedium},
		{"firmware fetches by the network", provisioner.Installing, []func(*provisioner.Host){way(provisioner.WayUEFIHTTP)}, provisioner.ErrandNetwork},
		{"a disk image wants the scout", provisioner.Installing, []func(*provisioner.Host){way(provisioner.WayWrite)}, provisioner.ErrandNetwork},
		{"and goes to no host that cannot bring it from there", provisioner.Installing, []func(*provisioner.Host){way(provisioner.WayWrite), func(h *provisioner.Host) { h.Facts.BMC.Abilities.Network = false }}, ""},
		{"an installation goes on when its order is stopped", provisioner.Installing, []func(*provisioner.Host){way(provisioner.WayMedia), func(h *provisioner.Host) { h.Intent.Started = false }}, provisioner.ErrandMedium},
		{"an installer that spoke is left alone", provisioner.Installing, []func(*provisioner.Host){way(provisioner.WayMedia), step(provisioner.StageEarly)}, ""},
		{"nothing is powered while the disk is written", provisioner.Installing, []func(*provisioner.Host){way(provisioner.WayMedia), step(provisioner.StageWriting)}, ""},
		{"a host that goes off is started from its disk", provisioner.Installing, []func(*provisioner.Host){way(provisioner.WayMedia), step(provisioner.StageWritten)}, provisioner.ErrandDisk},
		{"unless its order says that it reboots", provisioner.Installing, []func(*provisioner.Host){way(provisioner.WayMedia), step(provisioner.StageWritten), func(h *provisioner.Host) { h.Intent.After = provisioner.AfterReboot }}, ""},
		{"where the verdict was all, what is in is taken out", provisioner.Verifying, []func(*provisioner.Host){func(h *provisioner.Host) {
			h.Status.Phase, h.Intent.Image = provisioner.Ready, ""
			errand(h, provisioner.ErrandMedium)
		}}, provisioner.ErrandClear},
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

func TestAnErrandGoesOnOnlyWhileItsHostIsWhereItWasBegunFor(t *testing.T) {
	boots := func(h *provisioner.Host) provisioner.Errand { return *errand(h, provisioner.ErrandMedium) }
	surveys := func(h *provisioner.Host) provisioner.Errand { return *errand(h, provisioner.ErrandSurvey) }
	clears := func(h *provisioner.Host) provisioner.Errand { return *errand(h, provisioner.ErrandClear) }
	nothing := func(*provisioner.Host) {}
	for _, tt := range []struct {
		name   string
		phase  provisioner.Phase
		errand func(*provisioner.Host) provisioner.Errand
		then   func(*provisioner.Host)
		want   bool
	}{
		{"a boot", provisioner.Discovered, boots, nothing, true},
		{"a boot of a host that is held", provisioner.Discovered, boots, func(h *provisioner.Host) { h.Intent.Hold = "recall" }, false},
		{"a boot of a stopped order", provisioner.Discovered, boots, func(h *provisioner.Host) { h.Intent.Started = false }, false},
		{"a boot of an attempt before", provisioner.Discovered, boots, func(h *provisioner.Host) { h.Status.Attempt.ID = "a-next" }, false},
		{"a boot after a person's retry", provisioner.Installing, boots, func(h *provisioner.Host) { h.Status.Phase = provisioner.Expected }, false},
		{"a boot of a host without a BMC by now", provisioner.Discovered, boots, func(h *provisioner.Host) { h.Intent.BMC = nil }, false},
		{"an installation whose order is stopped", provisioner.Installing, boots, func(h *provisioner.Host) { h.Intent.Started = false }, true},
		{"a survey of a host that showed itself", provisioner.Expected, surveys, func(h *provisioner.Host) { h.Status.Phase, h.Status.Attempt.ID = provisioner.Discovered, "a-next" }, true},
		{"a clearing over the end", provisioner.Installed, clears, func(h *provisioner.Host) { h.Status.Phase = provisioner.Registered }, true},
		{"a clearing of a host that begins anew", provisioner.Installed, clears, func(h *provisioner.Host) { h.Status.Phase = provisioner.Expected }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := withBMC(t, tt.phase)
			e := tt.errand(&h)
			tt.then(&h)
			if got := GoesOn(h, e); got != tt.want {
				t.Errorf("GoesOn = %t", got)
			}
		})
	}
}

func TestWhatTheHostShowsOvertakesItsBMC(t *testing.T) {
	later := start.Add(time.Hour)
	heard := func(h *provisioner.Host) { h.Facts.Scout = &provisioner.Contact{Last: later} }
	spoke := func(h *provisioner.Host) {
		h.Facts.Steps = []provisioner.Step{{Attempt: h.Status.Attempt.ID, Stage: provisioner.StageConfig, At: later}}
	}
	media := func(h *provisioner.Host) {
		h.Facts.Prepared = &provisioner.Prepared{Attempt: h.Status.Attempt.ID, Way: provisioner.WayMedia}
	}
	for _, tt := range []struct {
		name  string
		phase provisioner.Phase
		do    provisioner.ErrandKind
		with  []func(*provisioner.Host)
		want  bool
	}{
		{"nothing heard", provisioner.Discovered, provisioner.ErrandNetwork, nil, false},
		{"its scout", provisioner.Discovered, provisioner.ErrandNetwork, []func(*provisioner.Host){heard}, true},
		{"the scout that is to make room for the installer", provisioner.Installing, provisioner.ErrandMedium, []func(*provisioner.Host){media, heard}, false},
		{"its installer", provisioner.Installing, provisioner.ErrandMedium, []func(*provisioner.Host){media, spoke}, true},
		{"the installer is not the installed system", provisioner.Installing, provisioner.ErrandDisk, []func(*provisioner.Host){media, spoke}, false},
		{"its system", provisioner.Installing, provisioner.ErrandDisk, []func(*provisioner.Host){func(h *provisioner.Host) {
			h.Facts.Booted = &provisioner.CallHome{Attempt: h.Status.Attempt.ID, At: later}
		}}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := withBMC(t, tt.phase)
			for _, with := range tt.with {
				with(&h)
			}
			errand(&h, tt.do)
			if _, got := Overtaken(h); got != tt.want {
				t.Errorf("Overtaken = %t", got)
			}
			h.Facts.Errands[0].Done = later
			if _, got := BootOpen(h); got {
				t.Error("done, and still open")
			}
		})
	}
}

func TestABMCThatStartsItsHostPutsTheDeadlineOff(t *testing.T) {
	h := withBMC(t, provisioner.Discovered)
	h.Facts.Report, h.Facts.Sighting = nil, nil
	if due := Due(h); !due.IsZero() || !strings.Contains(Awaiting(h), "its turn") {
		t.Errorf("while it waits for its turn it is due at %s: %s", due, Awaiting(h))
	}
	e := errand(&h, provisioner.ErrandNetwork)
	if due := Due(h); !due.IsZero() {
		t.Errorf("while its BMC is at it it is due at %s", due)
	}
	e.Done = start.Add(time.Hour)
	want := e.Done.Add(deadlines.Discover)
	if due := Due(h); !due.Equal(want) {
		t.Errorf("started at %s it is due at %s", e.Done, due)
	}
	if m, ok := Next(h, want); ok {
		t.Errorf("it moves to %s when it is due and not after", m.To)
	}
	if m, _ := Next(h, want.Add(time.Second)); m.To != provisioner.Failed || m.Exit != Deadline {
		t.Errorf("overdue it moves to %q", m.To)
	}
}

func TestAHostThatItsBMCRefusesToStartFailsAtOnceAndWaitsForAPerson(t *testing.T) {
	h := withBMC(t, provisioner.Discovered)
	h.Facts.Report, h.Facts.Sighting = nil, nil
	network := *errand(&h, provisioner.ErrandNetwork)
	network.Final, network.Problem = true, "the boot order is locked."
	h.Facts.Errands[0] = network
	if m, ok := Next(h, start.Add(time.Minute)); ok {
		t.Fatalf("with another way left it moves to %s", m.To)
	}
	e := errand(&h, provisioner.ErrandMedium)
	e.Final, e.Problem = true, "the licence for virtual media is missing."
	h = settle(t, h, start.Add(time.Minute))
	for _, want := range []string{"the boot order is locked", "the licence for virtual media is missing", "192.0.2.7"} {
		if h.Status.Phase != provisioner.Failed || !strings.Contains(h.Status.Why, want) {
			t.Errorf("%s: %s, want %q in it", h.Status.Phase, h.Status.Why, want)
		}
	}
	h.Intent.Requests.Retry++
	if h = settle(t, h, start.Add(time.Hour)); h.Status.Phase != provisioner.Expected || h.Status.Tries != 0 {
		t.Errorf("a person's retry leaves it %s after %d tries", h.Status.Phase, h.Status.Tries)
	}
}

func TestAFailedHostIsStartedAgainByItsBMCUntilItsBudgetIsSpent(t *testing.T) {
	h, now := withBMC(t, provisioner.Discovered), start
	for try := 1; try <= MaxTries; try++ {
		h.Facts.Report, h.Facts.Sighting = nil, nil
		errand(&h, provisioner.ErrandNetwork).Done = h.Status.Since
		now = now.Add(time.Hour)
		h = settle(t, h, now)
		if try == MaxTries {
			break
		}
		if h.Status.Phase != provisioner.Expected || h.Status.Tries != try {
			t.Fatalf("try %d: %s after %d tries: %s", try, h.Status.Phase, h.Status.Tries, h.Status.Why)
		}
		survey := errand(&h, provisioner.ErrandSurvey)
		survey.Began, survey.Done = now, now.Add(time.Second)
		now = now.Add(time.Minute)
		h = settle(t, h, now)
	}
	if h.Status.Phase != provisioner.Failed || h.Status.Tries != MaxTries {
		t.Errorf("its budget is spent and it is %s after %d tries", h.Status.Phase, h.Status.Tries)
	}
}

func TestARefusedPasswordIsTriedAgainWhenAPersonSaysSo(t *testing.T) {
	h := withBMC(t, provisioner.Expected)
	e := errand(&h, provisioner.ErrandSurvey)
	e.Final, e.Problem = true, "the password is refused."
	if says := Awaiting(h); !strings.Contains(says, "muster host retry h-1") || !strings.Contains(says, "the password is refused") {
		t.Errorf("it awaits: %s", says)
	}
	h.Intent.Requests.Retry++
	h = settle(t, h, start.Add(time.Minute))
	if do, ok := Errand(h, start.Add(time.Minute)); h.Status.Phase != provisioner.Expected || !ok || do != provisioner.ErrandSurvey {
		t.Errorf("asked to try again it is %s and its BMC is to %q", h.Status.Phase, do)
	}
	if m, ok := Next(h, start.Add(time.Hour)); ok {
		t.Errorf("one wish moves it twice: to %s", m.To)
	}
}

func TestAReadyHostWhoseScoutIsGoneIsStartedByItsBMC(t *testing.T) {
	h := withBMC(t, provisioner.Verifying)
	h.Intent.Started = false
	way()[2].on(&h, start.Add(10*time.Second))
	if h = settle(t, h, start.Add(10*time.Second)); h.Status.Phase != provisioner.Ready {
		t.Fatalf("not ready but %s", h.Status.Phase)
	}
	later := start.Add(time.Hour)
	if _, moves := Next(h, later); moves {
		t.Error("before its order is started it moves")
	}
	h.Intent.Started = true
	h = settle(t, h, later)
	if do, ok := Errand(h, later); h.Status.Phase != provisioner.Discovered || !ok || do != provisioner.ErrandNetwork {
		t.Errorf("it is %s, and its BMC is to %q", h.Status.Phase, do)
	}
}

func TestAMediumThatDoesNotReachTheHostIsNotTriedTwice(t *testing.T) {
	offers := []Offer{{Way: provisioner.WayMedia}, {Way: provisioner.WayNetboot}}
	h := withBMC(t, provisioner.Installing)
	h.Facts.Prepared = &provisioner.Prepared{Attempt: h.Status.Attempt.ID, Way: provisioner.WayMedia}
	errand(&h, provisioner.ErrandMedium).Done = start
	if way, why := ChooseWay(h, offers); way != provisioner.WayMedia || why != "" {
		t.Fatalf("at first it goes by %s: %s", way, why)
	}
	h = settle(t, h, h.Status.Deadline.Add(time.Hour))
	if h.Status.Phase != provisioner.Expected || h.Status.Tries != 1 {
		t.Fatalf("%s after %d tries", h.Status.Phase, h.Status.Tries)
	}
	way, why := ChooseWay(h, offers)
	if way != provisioner.WayNetboot || !strings.Contains(why, "not by media: nothing of the image reached the host") {
		t.Errorf("then it goes by %s: %s", way, why)
	}
	h.Intent.Requests.Retry++
	h = settle(t, h, h.Status.Since.Add(time.Hour))
	if way, _ := ChooseWay(h, offers); way != provisioner.WayMedia {
		t.Errorf("when a person has spoken it goes by %s", way)
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

// TestABootThatNobodyCanBringToItsEndHoldsNothingUp: a row may lose its BMC, or
// its password, while the host is being started.
func TestABootThatNobodyCanBringToItsEndHoldsNothingUp(t *testing.T) {
	for _, tt := range []struct {
		name string
		then func(*provisioner.Host)
		says string
	}{
		{"its row names no BMC any more", func(h *provisioner.Host) { h.Intent.BMC = nil }, "Awaited: the scout's report."},
		{"its BMC's password is not known any more", func(h *provisioner.Host) { h.Intent.BMC.Password = nil }, "muster bmc add"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := withBMC(t, provisioner.Discovered)
			h.Facts.Report, h.Facts.Sighting = nil, nil
			errand(&h, provisioner.ErrandNetwork)
			tt.then(&h)
			if _, open := BootOpen(h); open {
				t.Error("its boot is open")
			}
			if due := Due(h); due.IsZero() {
				t.Error("it has no deadline")
			}
			if says := Awaiting(h); !strings.Contains(says, tt.says) {
				t.Errorf("it says %q, want %q in it", says, tt.says)
			}
			h.Facts.Scout = &provisioner.Contact{Last: start.Add(time.Hour)}
			if _, overtaken := Overtaken(h); overtaken {
				t.Error("there is something to overtake")
			}
		})
	}
}

func TestABMCsAnswerIsTheLastEvidenceOfAHostThatNeverCame(t *testing.T) {
	h := withBMC(t, provisioner.Discovered)
	h.Facts.Report, h.Facts.Sighting = nil, nil
	h.Facts.BMC.At = start.Add(time.Minute)
	if says := LastEvidence(h); says != "an answer of its BMC at 09:01:00" {
		t.Errorf("it says %q", says)
	}
	h.Intent.BMC = nil
	if says := LastEvidence(h); says != "none" {
		t.Errorf("without a BMC it says %q", says)
	}
}

func TestAHostWhoseOrderIsStoppedWhileItIsStartedWaitsForAPerson(t *testing.T) {
	h := withBMC(t, provisioner.Discovered)
	h.Facts.Report, h.Facts.Sighting = nil, nil
	errand(&h, provisioner.ErrandNetwork)
	h.Intent.Started = false
	if says := Awaiting(h); !strings.Contains(says, "muster order start "+string(h.Intent.Order)) {
		t.Errorf("it says %q", says)
	}
}
