package lifecycle

import (
	"flag"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/muster-boot/muster/inventory"
	"github.com/muster-boot/muster/inventory/profile"
	"github.com/muster-boot/muster/provisioner"
)

var update = flag.Bool("update", false, "rewrite golden files")

var (
	start     = time.Date(2026, 5, 4, 9, 0, 0, 0, time.UTC)
	deadlines = Deadlines{Discover: 10 * time.Minute, Verify: 10 * time.Minute, Install: 30 * time.Minute, Register: 15 * time.Minute}
)

// rules asks for one disk of at least 100 GB and nothing else.
func rules(t *testing.T) profile.Profile {
	t.Helper()
	p, ok := profile.Builtin("edge-minimum")
	if !ok {
		t.Fatal("there is no built-in profile edge-minimum")
	}
	return p
}

func goodReport() inventory.Report {
	no, yes := false, true
	return inventory.Report{
		Witness: inventory.Scout,
		System:  inventory.System{Serial: "SN-1", UUID: "4c4c4544-0042-3510-8054-b4c04f4d3232"},
		CPUs:    []inventory.CPU{{Slot: "CPU 0", Cores: 2, Threads: 2}},
		DIMMs:   []inventory.DIMM{{Slot: "DIMM 0", Size: 8 << 30}},
		Memory:  7800 << 20,
		Disks: []inventory.Disk{{Name: "nvme0n1", ByID: []string{"nvme-QEMU_1"}, Serial: "D-1", Transport: "nvme",
			Size: 100_000_000_000, Rotational: &no, Signatures: []string{}}},
		NICs: []inventory.NIC{{Name: "eth0", MAC: "52:54:00:00:00:01", Link: &yes, SpeedMbps: 1000}},
	}
}

func listedHost(t *testing.T) provisioner.Host {
	t.Helper()
	return provisioner.Host{
		ID: "h-1",
		Intent: provisioner.Intent{Order: "o1", Row: provisioner.Row{Serial: "SN-1", MACs: []string{"52:54:00:00:00:01"}},
			Rules: rules(t), Image: "sha256:1", Handoff: "callhome", Started: true},
		Status: provisioner.Status{Phase: provisioner.Expected, Since: start, Why: "listed"},
	}
}

// settle applies moves until the host stays.
func settle(t *testing.T, h provisioner.Host, now time.Time) provisioner.Host {
	t.Helper()
	for range 20 {
		m, ok := Next(h, now)
		if !ok {
			return h
		}
		if m.Why == "" {
			t.Fatalf("move %s -> %s says nothing", m.From, m.To)
		}
		n := provisioner.AttemptID("a-" + string(m.To) + "-" + now.Format("150405"))
		h = Apply(h, m, now, deadlines, Mint{Attempt: n, Token: "token-" + provisioner.Secret(n), Key: "key"})
	}
	t.Fatalf("host turns in a circle at %s", h.Status.Phase)
	return h
}

// at is a host brought to a phase by the facts that lead there.
func at(t *testing.T, phase provisioner.Phase) provisioner.Host {
	t.Helper()
	h, now := listedHost(t), start
	for _, fact := range way() {
		if h.Status.Phase == phase {
			return h
		}
		now = now.Add(time.Second)
		fact.on(&h, now)
		h = settle(t, h, now)
	}
	if h.Status.Phase != phase {
		t.Fatalf("the way leads to %s, never to %s", h.Status.Phase, phase)
	}
	return h
}

type fact struct {
	name string
	on   func(h *provisioner.Host, now time.Time)
}

// way is the healthy history of a host, fact by fact.
func way() []fact {
	report := func(h *provisioner.Host, now time.Time) {
		if p := h.Status.Phase; p == provisioner.Discovered || p == provisioner.Verifying {
			h.Facts.Report = &provisioner.Report{Attempt: h.Status.Attempt.ID, Received: now, Report: goodReport()}
			h.Facts.Scout = &provisioner.Contact{Version: "v1", Last: now}
		}
	}
	step := func(stage string) fact {
		return fact{stage, func(h *provisioner.Host, now time.Time) {
			h.Facts.Steps = append(h.Facts.Steps, provisioner.Step{Attempt: h.Status.Attempt.ID, Stage: stage, At: now})
		}}
	}
	return []fact{
		{"sighting", func(h *provisioner.Host, now time.Time) {
			h.Facts.Sighting = &provisioner.Sighting{First: now, Last: now, Netboot: now, Network: "br0", MACs: []string{"52:54:00:00:00:01"}}
			h.Facts.Scout = &provisioner.Contact{Version: "v1", Last: now}
		}},
		{"look", report},
		{"verify", report},
		{"prepared", func(h *provisioner.Host, now time.Time) {
			if h.Status.Phase == provisioner.Installing {
				h.Facts.Prepared = &provisioner.Prepared{Attempt: h.Status.Attempt.ID, At: now, Way: provisioner.WayNetboot}
			}
		}},
		step(provisioner.StageWriting),
		step(provisioner.StageWritten),
		{"booted", func(h *provisioner.Host, now time.Time) {
			if h.Status.Attempt.Phase == provisioner.Installing {
				h.Facts.Booted = &provisioner.CallHome{Attempt: h.Status.Attempt.ID, At: now}
			}
		}},
		{"receipt", func(h *provisioner.Host, now time.Time) {
			if h.Status.Phase == provisioner.Installed {
				h.Facts.Receipt = &provisioner.Receipt{Attempt: h.Status.Attempt.ID, Driver: "callhome", ID: "h-1", At: now, Proof: "agent called"}
			}
		}},
	}
}

func TestHealthyFactsLeadFromExpectedToRegistered(t *testing.T) {
	h := at(t, provisioner.Registered)
	if h.Status.Attempt.Disk != "/dev/disk/by-id/nvme-QEMU_1" {
		t.Errorf("installed to %q", h.Status.Attempt.Disk)
	}
	if h.Status.Key != "" {
		t.Error("the scout's key outlived the run")
	}
}

func TestEveryWorkingPhaseLeavesBySuccessDeadlineAndOperator(t *testing.T) {
	for _, p := range []provisioner.Phase{provisioner.Discovered, provisioner.Verifying, provisioner.Installing, provisioner.Installed} {
		var exits []Exit
		for _, r := range table {
			if r.from(p) && r.To != p && len(r.From) > 0 {
				exits = append(exits, r.Exit)
			}
		}
		for _, want := range []Exit{Success, Deadline, Operator} {
			if !slices.Contains(exits, want) {
				t.Errorf("%s cannot be left by %s", p, want)
			}
		}
	}
}

func TestEveryPhaseSaysWhatIsAwaited(t *testing.T) {
	for _, p := range provisioner.Phases() {
		h := listedHost(t)
		h.Status.Phase = p
		if s := Awaiting(h); s == "Awaited: nothing." {
			t.Errorf("nobody thought of what %s awaits", p)
		}
	}
}

func TestEachDeadlineFailsWithWhatWasAwaited(t *testing.T) {
	awaited := map[provisioner.Phase]string{
		provisioner.Discovered: "the scout's report",
		provisioner.Verifying:  "second look",
		provisioner.Installing: "installer",
		provisioner.Installed:  "the registration of the agent",
	}
	for phase, want := range awaited {
		h := at(t, phase)
		early := settle(t, h, h.Status.Deadline)
		if early.Status.Phase != phase {
			t.Errorf("%s ended at its deadline, not after it: %s", phase, early.Status.Phase)
		}
		late := settle(t, h, h.Status.Deadline.Add(time.Second))
		if late.Status.Phase != provisioner.Failed || !strings.Contains(late.Status.Why, want) {
			t.Errorf("%s overdue -> %s: %q, want %q in it", phase, late.Status.Phase, late.Status.Why, want)
		}
	}
}

func TestBytesThatFlowPutTheInstallDeadlineOff(t *testing.T) {
	h := at(t, provisioner.Installing)
	deadline := h.Status.Deadline
	count := func(attempt provisioner.AttemptID, at time.Time) provisioner.Host {
		counted := h
		counted.Facts.Progress = []provisioner.Progress{{Attempt: attempt, Stage: provisioner.StageMedium, Bytes: 1, At: at}}
		return counted
	}
	day := deadline.Add(24 * time.Hour)
	for name, c := range map[string]struct {
		host provisioner.Host
		due  time.Time
	}{
		"nothing counted":      {h, deadline},
		"long ago":             {count(h.Status.Attempt.ID, deadline.Add(-time.Hour)), deadline},
		"just before":          {count(h.Status.Attempt.ID, deadline.Add(-time.Minute)), deadline.Add(time.Minute)},
		"after it":             {count(h.Status.Attempt.ID, deadline.Add(time.Minute)), deadline.Add(3 * time.Minute)},
		"of an attempt before": {count("a-before", deadline.Add(time.Minute)), deadline},
		"for ever and a day":   {count(h.Status.Attempt.ID, day), h.Status.Since.Add(maxStretch * deadlines.Install)},
	} {
		if due := Due(c.host); !due.Equal(c.due) {
			t.Errorf("%s: due at %s, want %s", name, due, c.due)
		}
		if m, moves := Next(c.host, c.due); moves {
			t.Errorf("%s: it moves to %s when it is due and not after", name, m.To)
		}
		if m, _ := Next(c.host, c.due.Add(time.Second)); m.Exit != Deadline || m.To != provisioner.Failed {
			t.Errorf("%s: overdue it moves to %q", name, m.To)
		}
	}
}

func TestABlockingFindingQuarantinesAndSaysItInWords(t *testing.T) {
	h := at(t, provisioner.Verifying)
	r := goodReport()
	r.DIMMs[0].Size = 4 << 30
	h.Facts.Report = &provisioner.Report{Attempt: h.Status.Attempt.ID, Report: r}
	h = settle(t, h, start.Add(time.Minute))
	if h.Status.Phase != provisioner.Quarantined || !strings.Contains(h.Status.Why, "4 GiB") {
		t.Fatalf("%s: %s", h.Status.Phase, h.Status.Why)
	}
	if len(h.Status.Findings) != 1 {
		t.Errorf("findings kept: %v", h.Status.Findings)
	}
}

func TestForeignDataBlocksUnlessErasingIsAllowedOrItIsOurs(t *testing.T) {
	withData := func(h provisioner.Host) provisioner.Host {
		r := goodReport()
		r.Disks[0].Signatures = []string{"gpt"}
		h.Facts.Report = &provisioner.Report{Attempt: h.Status.Attempt.ID, Report: r}
		return settle(t, h, start.Add(time.Second*10))
	}
	cases := []struct {
		name string
		prep func(*provisioner.Host)
		want provisioner.Phase
	}{
		{"foreign", func(*provisioner.Host) {}, provisioner.Quarantined},
		{"order allows", func(h *provisioner.Host) { h.Intent.Erase = true }, provisioner.Installing},
		{"reinstall granted", func(h *provisioner.Host) { h.Status.Erase = true }, provisioner.Installing},
		{"ours", func(h *provisioner.Host) {
			h.Facts.Writes = []provisioner.Write{{Attempt: "a-old", Serial: "D-1"}}
		}, provisioner.Installing},
		{"ours, but in use since", func(h *provisioner.Host) {
			h.Facts.Writes = []provisioner.Write{{Attempt: "a-old", Serial: "D-1", InUse: true}}
		}, provisioner.Quarantined},
		{"ours, but another disk", func(h *provisioner.Host) {
			h.Facts.Writes = []provisioner.Write{{Attempt: "a-old", Serial: "D-2"}}
		}, provisioner.Quarantined},
	}
	for _, c := range cases {
		h := at(t, provisioner.Verifying)
		c.prep(&h)
		if got := withData(h).Status.Phase; got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestReinstallGrantsErasingToOneAttemptOnly(t *testing.T) {
	h := at(t, provisioner.Registered)
	h.Intent.Requests.Reinstall++
	now := start.Add(time.Hour)
	h = settle(t, h, now)
	if h.Status.Phase != provisioner.Expected || !h.Status.Erase {
		t.Fatalf("reinstall: %s, erase %t", h.Status.Phase, h.Status.Erase)
	}
	for _, f := range way()[:3] {
		now = now.Add(time.Second)
		f.on(&h, now)
		h = settle(t, h, now)
	}
	if h.Status.Phase != provisioner.Installing || !h.Status.Attempt.Erase || h.Status.Erase {
		t.Errorf("%s: attempt may erase %t, still granted %t", h.Status.Phase, h.Status.Attempt.Erase, h.Status.Erase)
	}
}

func TestAnotherMachineInARowsPlaceIsQuarantined(t *testing.T) {
	h := at(t, provisioner.Verifying)
	r := goodReport()
	r.System.Serial = "SN-2"
	h.Facts.Report = &provisioner.Report{Attempt: h.Status.Attempt.ID, Report: r}
	h = settle(t, h, start.Add(time.Minute))
	if h.Status.Phase != provisioner.Quarantined || !strings.Contains(h.Status.Why, "SN-2") {
		t.Errorf("%s: %s", h.Status.Phase, h.Status.Why)
	}
}

func TestAFailedHostThatShowsItselfIsTriedUntilItsBudgetIsSpent(t *testing.T) {
	h := at(t, provisioner.Installing)
	for try := 1; ; try++ {
		now := h.Status.Deadline.Add(time.Second)
		if h = settle(t, h, now); h.Status.Phase != provisioner.Failed || h.Status.Tries != try {
			t.Fatalf("try %d: %s after %d tries", try, h.Status.Phase, h.Status.Tries)
		}
		now = now.Add(time.Minute)
		way()[0].on(&h, now)
		h = settle(t, h, now)
		if try == MaxTries {
			break
		}
		if h.Status.Phase != provisioner.Discovered {
			t.Fatalf("try %d: switched on again it is %s", try, h.Status.Phase)
		}
	}
	if h.Status.Phase != provisioner.Failed {
		t.Errorf("its budget is spent and it is %s", h.Status.Phase)
	}
	h.Intent.Requests.Retry++
	if h = settle(t, h, h.Status.Since.Add(time.Hour)); h.Status.Phase != provisioner.Expected || h.Status.Tries != 0 {
		t.Errorf("a person's retry leaves it %s after %d tries", h.Status.Phase, h.Status.Tries)
	}
}

func TestHoldAndReleaseOfAStandingSystemInstallsNothing(t *testing.T) {
	for _, phase := range []provisioner.Phase{provisioner.Installed, provisioner.Registered, provisioner.Shipped} {
		h := standing(t, phase)
		now := start.Add(5 * time.Minute)
		h.Intent.Hold = "recall"
		if h = settle(t, h, now); h.Status.Phase != provisioner.Quarantined {
			t.Fatalf("held: %s", h.Status.Phase)
		}
		h.Intent.Hold = ""
		h.Intent.Requests.Release++
		h = settle(t, h, now)
		way()[0].on(&h, now.Add(time.Second))
		if h = settle(t, h, now.Add(time.Second)); h.Status.Phase != phase {
			t.Errorf("released from %s: %s", phase, h.Status.Phase)
		}
	}
}

func TestAConflictDoesNotMoveAStandingSystem(t *testing.T) {
	h := at(t, provisioner.Registered)
	h.Facts.Conflict = "a stranger says it is this host"
	if h = settle(t, h, start.Add(time.Hour)); h.Status.Phase != provisioner.Registered {
		t.Errorf("a stranger moved it to %s", h.Status.Phase)
	}
}

func TestAReadyHostInstallsOnlyWhatWasCheckedAndIsStillThere(t *testing.T) {
	ready := func() provisioner.Host {
		h := at(t, provisioner.Verifying)
		h.Intent.Started = false
		way()[2].on(&h, start.Add(10*time.Second))
		if h = settle(t, h, start.Add(10*time.Second)); h.Status.Phase != provisioner.Ready {
			t.Fatalf("not ready but %s", h.Status.Phase)
		}
		h.Intent.Started = true
		return h
	}
	soon := start.Add(20 * time.Second)
	if h := settle(t, ready(), soon); h.Status.Phase != provisioner.Installing {
		t.Errorf("started while its scout waits: %s", h.Status.Phase)
	}
	if h := settle(t, ready(), start.Add(time.Hour)); h.Status.Phase != provisioner.Ready || !strings.Contains(Awaiting(h), "Power the host on") {
		t.Errorf("started when it was switched off: %s: %s", h.Status.Phase, Awaiting(h))
	}
	again := ready()
	again.Facts.Sighting.Netboot = soon
	if h := settle(t, again, soon); h.Status.Phase != provisioner.Discovered {
		t.Errorf("booted again it is %s on an old report", h.Status.Phase)
	}
	moved := ready()
	moved.Intent.Row.Serial = "SN-7"
	if h := settle(t, moved, soon); h.Status.Phase != provisioner.Quarantined {
		t.Errorf("its row changed under it and it is %s", h.Status.Phase)
	}
}

func TestTheGrantToEraseEndsWithItsRun(t *testing.T) {
	h := at(t, provisioner.Registered)
	h.Intent.Requests.Reinstall++
	h = settle(t, h, start.Add(time.Minute))
	h.Intent.Hold = "wrong rack"
	h = settle(t, h, start.Add(2*time.Minute))
	h.Intent.Hold = ""
	h.Intent.Requests.Release++
	if h = settle(t, h, start.Add(3*time.Minute)); h.Status.Erase {
		t.Error("held and released, it may still erase")
	}
}

func TestARunningScoutKeepsItsKeyOverARetry(t *testing.T) {
	h := at(t, provisioner.Verifying)
	key := h.Status.Key
	h.Intent.Requests.Retry++
	h = settle(t, h, start.Add(time.Minute))
	h.Facts.Scout = &provisioner.Contact{Last: start.Add(2 * time.Minute)}
	m, ok := Next(h, start.Add(2*time.Minute))
	if !ok {
		t.Fatal("a scout that asks does not bring the host back")
	}
	h = Apply(h, m, start.Add(2*time.Minute), deadlines, Mint{Attempt: "a-new", Key: "another"})
	if h.Status.Phase != provisioner.Discovered || h.Status.Key != key {
		t.Errorf("%s with a new key: its scout is locked out", h.Status.Phase)
	}
}

func TestAHostThatWaitsForApprovalIsNotDue(t *testing.T) {
	h := at(t, provisioner.Discovered)
	h.Intent.Order = ""
	way()[1].on(&h, start.Add(time.Minute))
	if due := Due(h); !due.IsZero() {
		t.Errorf("due at %s though a person is awaited", due)
	}
}

func TestDrawingInTheDocsIsTheTable(t *testing.T) {
	const path, marker = "../../docs/lifecycle.md", "<!-- drawn from the table -->\n"
	doc, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, after, ok := strings.Cut(string(doc), marker)
	if !ok {
		t.Fatalf("%s has no line %q", path, marker)
	}
	if *update {
		if err := os.WriteFile(path, []byte(before+marker+Drawing()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if after != Drawing() {
		t.Errorf("%s is not the table's drawing; run: go test ./provisioner/lifecycle -update", path)
	}
}
