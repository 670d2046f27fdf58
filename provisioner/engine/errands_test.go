package engine

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/muster-boot/muster/inventory"
	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/lifecycle"
)

var words1 = &provisioner.Controller{Address: "192.0.2.7", User: "admin", Password: []byte("sealed")}

// bmcSite has one listed host with a BMC, of a started order.
func bmcSite(t *testing.T, prepare func(*standIn), change ...func(*Options)) (*site, *controllers) {
	t.Helper()
	bmcs := newControllers()
	bmcs.bmc(hostID, func(b *standIn) {
		if prepare != nil {
			prepare(b)
		}
	})
	s := openBMCs(t, bolt(t), newClock(), bmcs, change...)
	s.listWith(t, hostID, provisioner.Row{Serial: "SN-1", MACs: []string{mac1}}, words1)
	return s, bmcs
}

func TestAHostWithABMCIsStartedInstalledAndClearedByIt(t *testing.T) {
	s, bmcs := bmcSite(t, nil)
	s.installer.set(provisioner.WayMedia, nil)
	h := s.untilDone(t, hostID, provisioner.ErrandNetwork)
	if h.Status.Phase != provisioner.Discovered || h.Facts.BMC == nil || h.Facts.BMC.Of != words1.Place() {
		t.Fatalf("%s, its BMC seen as %+v", h.Status.Phase, h.Facts.BMC)
	}
	s.see(t, mac1)
	restart := bmcs.pause(hostID)
	if ins := s.ask(t, hostID, report("SN-1", mac1)); ins.Do != inventory.Wait {
		t.Fatalf("its scout is told %+v", ins)
	}
	restart()
	h = s.untilDone(t, hostID, provisioner.ErrandMedium)
	a := h.Status.Attempt.ID
	for _, stage := range []string{provisioner.StageWriting, provisioner.StageWritten} {
		if err := s.Step(t.Context(), a, stage, ""); err != nil {
			t.Fatal(err)
		}
	}
	s.untilDone(t, hostID, provisioner.ErrandDisk)
	if err := s.Booted(t.Context(), a, "192.0.2.50"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Register(t.Context(), a, "192.0.2.50", map[string]string{"agent": "agent/1"}); err != nil {
		t.Fatal(err)
	}
	want := []provisioner.ErrandKind{provisioner.ErrandSurvey, provisioner.ErrandNetwork, provisioner.ErrandMedium, provisioner.ErrandDisk}
	if diff := cmp.Diff(want, bmcs.sent(hostID)); diff != "" || s.host(t, hostID).Status.Phase != provisioner.Registered {
		t.Errorf("errands -want +sent:\n%s", diff)
	}
	bmcs.bmc(hostID, func(b *standIn) {
		if b.medium != "" || b.override || b.booted != "disk" {
			t.Errorf("the BMC is left with %+v", b)
		}
	})
	s.checkJournal(t, hostID)
}

func TestWhatTheInstallerLeavesInIsTakenOutWhenTheSystemHasCalled(t *testing.T) {
	s, bmcs := bmcSite(t, nil)
	s.installer.set(provisioner.WayMedia, nil)
	s.change(t, func(h *provisioner.Host) { h.Intent.After = provisioner.AfterReboot })
	s.untilDone(t, hostID, provisioner.ErrandNetwork)
	s.see(t, mac1)
	restart := bmcs.pause(hostID)
	s.ask(t, hostID, report("SN-1", mac1))
	restart()
	a := s.untilDone(t, hostID, provisioner.ErrandMedium).Status.Attempt.ID
	for _, stage := range []string{provisioner.StageWriting, provisioner.StageWritten} {
		if err := s.Step(t.Context(), a, stage, ""); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Booted(t.Context(), a, "192.0.2.50"); err != nil {
		t.Fatal(err)
	}
	s.untilDone(t, hostID, provisioner.ErrandClear)
	if calls := bmcs.sent(hostID); slices.Contains(calls, provisioner.ErrandDisk) {
		t.Errorf("a host that reboots by itself was started: %v", calls)
	}
	bmcs.bmc(hostID, func(b *standIn) {
		if b.medium != "" || b.override {
			t.Errorf("the BMC is left with %+v", b)
		}
	})
}

func TestNothingIsAskedOfABMCBeforeItsOrderIsStarted(t *testing.T) {
	s, bmcs := bmcSite(t, nil)
	h := s.host(t, hostID)
	h.ID, h.Revision, h.Entries, h.Facts, h.Status.Phase = "h-2", 0, 0, provisioner.Facts{}, provisioner.Expected
	h.Intent.Row, h.Intent.Started = provisioner.Row{Serial: "SN-2"}, false
	if err := s.Store.Commit(t.Context(), change(h)); err != nil {
		t.Fatal(err)
	}
	s.sync(t)
	for range 3 {
		s.clock.advance(time.Minute)
		if _, err := s.settle(t.Context(), "h-2"); err != nil {
			t.Fatal(err)
		}
	}
	if calls := bmcs.sent("h-2"); len(calls) > 0 {
		t.Errorf("its BMC was sent on %v", calls)
	}
	if says := lifecycle.Awaiting(s.host(t, "h-2")); !strings.Contains(says, "muster order start o1") {
		t.Errorf("it awaits: %s", says)
	}
}

func TestAFailedErrandIsTriedAgainLaterAndToldOnce(t *testing.T) {
	busy := errors.New("the BMC is busy")
	s, bmcs := bmcSite(t, func(b *standIn) { b.fails = []error{busy, busy, busy} })
	s.until(t, hostID, "the first failure", func(h provisioner.Host) bool { return len(h.Facts.Errands) > 0 && h.Facts.Errands[0].Problem != "" })
	if says := lifecycle.Awaiting(s.host(t, hostID)); !strings.Contains(says, "tried again soon") || !strings.Contains(says, "the BMC is busy.") {
		t.Errorf("it awaits: %s", says)
	}
	if n := len(bmcs.sent(hostID)); n != 1 {
		t.Errorf("without a pause it was tried %d times", n)
	}
	for s.host(t, hostID).Status.Phase == provisioner.Expected {
		s.clock.advance(time.Second)
		s.queue.add(hostID, s.clock.now())
		s.errands.queue.nudge()
	}
	s.untilDone(t, hostID, provisioner.ErrandNetwork)
	told := 0
	for _, e := range s.checkJournal(t, hostID) {
		if strings.Contains(e.Text, "the BMC is busy") {
			told++
		}
	}
	if told != 1 {
		t.Errorf("the journal is told %d times", told)
	}
}

func TestWhatAPersonMustMendIsNotTriedAgainUntilOneSays(t *testing.T) {
	refused := &provisioner.Fault{Kind: provisioner.Operator, Err: errors.New("the password is refused")}
	s, bmcs := bmcSite(t, func(b *standIn) { b.fails = []error{refused} })
	s.until(t, hostID, "the refusal", func(h provisioner.Host) bool { return len(h.Facts.Errands) > 0 && h.Facts.Errands[0].Final })
	for range 20 {
		s.clock.advance(time.Minute)
		if _, err := s.settle(t.Context(), hostID); err != nil {
			t.Fatal(err)
		}
	}
	if calls := bmcs.sent(hostID); len(calls) != 1 {
		t.Errorf("it was asked %v", calls)
	}
	s.change(t, func(h *provisioner.Host) { h.Intent.Requests.Retry++ })
	s.until(t, hostID, "a new try", func(h provisioner.Host) bool { return h.Status.Phase == provisioner.Discovered })
}

func TestARefusedAccountIsKeptThoughItsErrandWasStoppedUntilItIsLetIn(t *testing.T) {
	hold := make(chan struct{})
	refused := &provisioner.Fault{Kind: provisioner.Operator, Err: fmt.Errorf("log in: %w", provisioner.ErrRefused)}
	s, bmcs := bmcSite(t, func(b *standIn) { b.hold, b.stubborn, b.fails = hold, true, []error{refused} })
	s.until(t, hostID, "the errand", func(provisioner.Host) bool { return len(bmcs.sent(hostID)) == 1 })
	s.change(t, func(h *provisioner.Host) { h.Intent.Hold = "recall" })
	s.until(t, hostID, "quarantine", func(h provisioner.Host) bool { return h.Status.Phase == provisioner.Quarantined })
	close(hold)
	h := s.until(t, hostID, "the refusal", func(h provisioner.Host) bool { return h.Facts.BMCRefusal != nil })
	if says := h.BMCRefused(); !strings.Contains(says, "muster bmc add "+string(hostID)) {
		t.Errorf("of the account that was refused is said %q", says)
	}
	other := h
	other.Intent.BMC = new(*h.Intent.BMC)
	other.Intent.BMC.Password = []byte("sealed otherwise")
	if says := other.BMCRefused(); says != "" {
		t.Errorf("of another password is said %q", says)
	}
	s.change(t, func(h *provisioner.Host) { h.Intent.Hold = ""; h.Intent.Requests.Release++ })
	h = s.until(t, hostID, "the release", func(h provisioner.Host) bool { return h.Status.Phase == provisioner.Expected })
	if says := h.BMCRefused(); says != "" {
		t.Errorf("after a person asked is said %q", says)
	}
	s.until(t, hostID, "its survey", func(h provisioner.Host) bool {
		return h.Status.Phase == provisioner.Discovered && h.Facts.BMCRefusal == nil
	})
}

func TestAPersonsHoldEndsAnErrandWhoseOutcomeThenCountsForNothing(t *testing.T) {
	for _, stubborn := range []bool{false, true} {
		t.Run(fmt.Sprintf("stubborn-%t", stubborn), func(t *testing.T) {
			hold := make(chan struct{})
			s, bmcs := bmcSite(t, func(b *standIn) { b.hold, b.stubborn = hold, stubborn })
			s.until(t, hostID, "the errand", func(provisioner.Host) bool { return len(bmcs.sent(hostID)) == 1 })
			s.change(t, func(h *provisioner.Host) { h.Intent.Hold = "recall" })
			s.until(t, hostID, "quarantine", func(h provisioner.Host) bool { return h.Status.Phase == provisioner.Quarantined })
			if stubborn {
				close(hold)
			}
			s.until(t, hostID, "the end of the errand", func(provisioner.Host) bool { return !s.errands.stop(hostID, func(*errand) bool { return true }) })
			h := s.host(t, hostID)
			if e := h.Facts.Errands[0]; e.Problem != "" || stubborn == e.Done.IsZero() {
				t.Errorf("booked: %+v", e)
			}
			if calls := bmcs.sent(hostID); len(calls) != 1 || h.Status.Phase != provisioner.Quarantined {
				t.Errorf("held, it is %s and its BMC was sent on %v", h.Status.Phase, calls)
			}
		})
	}
}

func TestTheOutcomeOfAnOldAttemptIsNotBookedToANewOne(t *testing.T) {
	hold := make(chan struct{})
	s, bmcs := bmcSite(t, nil)
	bmcs.bmc(hostID, func(b *standIn) { b.hold, b.stubborn = hold, true })
	s.until(t, hostID, "its survey", func(provisioner.Host) bool { return len(bmcs.sent(hostID)) == 1 })
	hold <- struct{}{}
	s.until(t, hostID, "its boot", func(provisioner.Host) bool { return len(bmcs.sent(hostID)) == 2 })
	old := s.host(t, hostID).Status.Attempt.ID
	s.change(t, func(h *provisioner.Host) { h.Intent.Requests.Retry++ })
	s.until(t, hostID, "the retry", func(h provisioner.Host) bool { return h.Status.Phase == provisioner.Expected })
	if calls := bmcs.sent(hostID); len(calls) != 2 {
		t.Errorf("while one errand is under way another was begun: %v", calls)
	}
	close(hold)
	s.until(t, hostID, "a new attempt", func(h provisioner.Host) bool { return h.Status.Attempt.ID != old })
	s.untilDone(t, hostID, provisioner.ErrandNetwork)
	want := []provisioner.ErrandKind{provisioner.ErrandSurvey, provisioner.ErrandNetwork, provisioner.ErrandSurvey, provisioner.ErrandNetwork}
	if diff := cmp.Diff(want, bmcs.sent(hostID)); diff != "" {
		t.Errorf("-want +sent:\n%s", diff)
	}
}

func TestWhatAnotherBMCSaidIsNotBooked(t *testing.T) {
	hold := make(chan struct{})
	s, bmcs := bmcSite(t, func(b *standIn) { b.hold, b.stubborn = hold, true })
	s.until(t, hostID, "its survey", func(provisioner.Host) bool { return len(bmcs.sent(hostID)) == 1 })
	s.change(t, func(h *provisioner.Host) {
		h.Intent.BMC = &provisioner.Controller{Address: "192.0.2.99", Password: []byte("sealed")}
	})
	hold <- struct{}{}
	s.until(t, hostID, "the new BMC's survey", func(provisioner.Host) bool { return len(bmcs.sent(hostID)) == 2 })
	if h := s.host(t, hostID); h.Facts.BMC != nil || h.Status.Phase != provisioner.Expected {
		t.Errorf("the old BMC's answer makes it %s: %+v", h.Status.Phase, h.Facts.BMC)
	}
	close(hold)
	s.until(t, hostID, "its answer", func(h provisioner.Host) bool { return h.Facts.BMC != nil && h.Facts.BMC.Of == "192.0.2.99" })
}

func TestAnErrandThatTheServerLeftIsDoneAgain(t *testing.T) {
	kv, c, bmcs := bolt(t), newClock(), newControllers()
	hold := make(chan struct{})
	bmcs.bmc(hostID, func(b *standIn) { b.hold = hold })
	s := openBMCs(t, kv, c, bmcs)
	s.listWith(t, hostID, provisioner.Row{Serial: "SN-1", MACs: []string{mac1}}, words1)
	s.until(t, hostID, "the errand", func(provisioner.Host) bool { return len(bmcs.sent(hostID)) == 1 })
	s.stop()
	close(hold)
	s = openBMCs(t, kv, c, bmcs)
	h := s.until(t, hostID, "its end", func(h provisioner.Host) bool { return h.Status.Phase == provisioner.Discovered })
	if e := h.Facts.Errands[0]; e.Do != provisioner.ErrandSurvey || e.Tries != 1 || e.Problem != "" {
		t.Errorf("booked: %+v", e)
	}
}

func TestHostsAreStartedAFewAtATime(t *testing.T) {
	bmcs := newControllers()
	s := openBMCs(t, bolt(t), newClock(), bmcs, func(o *Options) { o.PowerOn = lifecycle.Pace{Hosts: 3, Every: 10 * time.Second} })
	ids := listMany(t, s, 10)
	for _, id := range ids {
		s.until(t, id, "discovery", func(h provisioner.Host) bool { return h.Status.Phase == provisioner.Discovered })
	}
	started := func() (n int) {
		for _, id := range ids {
			if slices.Contains(bmcs.sent(id), provisioner.ErrandNetwork) {
				n++
			}
		}
		return n
	}
	for want := 3; want <= 12; want += 3 {
		s.until(t, ids[0], "their start", func(provisioner.Host) bool { return started() >= min(want, len(ids)) })
		for _, id := range ids {
			if _, err := s.settle(t.Context(), id); err != nil {
				t.Fatal(err)
			}
			if h := s.host(t, id); !slices.Contains(bmcs.sent(id), provisioner.ErrandNetwork) && !strings.Contains(lifecycle.Awaiting(h), "its turn") {
				t.Errorf("%s awaits: %s", id, lifecycle.Awaiting(h))
			}
		}
		if n := started(); n > want {
			t.Fatalf("%d hosts are started where %d may be", n, want)
		}
		s.clock.advance(10 * time.Second)
	}
}

// listMany lists hosts with a BMC each.
func listMany(t *testing.T, s *site, n int) (ids []provisioner.HostID) {
	t.Helper()
	for i := range n {
		id := provisioner.HostID(fmt.Sprintf("h-m%d", i))
		s.listWith(t, id, provisioner.Row{Serial: fmt.Sprintf("SN-m%d", i)}, &provisioner.Controller{Address: fmt.Sprintf("192.0.2.%d", 100+i), Password: []byte("sealed")})
		ids = append(ids, id)
	}
	return ids
}

func TestSlowBMCsHoldNobodyUp(t *testing.T) {
	bmcs := newControllers()
	hold := make(chan struct{})
	defer close(hold)
	s := openBMCs(t, bolt(t), newClock(), bmcs)
	for i := range errandsAtOnce + 10 {
		bmcs.bmc(provisioner.HostID(fmt.Sprintf("h-m%d", i)), func(b *standIn) { b.hold = hold })
	}
	ids := listMany(t, s, errandsAtOnce+10)
	s.until(t, ids[0], "all workers at work", func(provisioner.Host) bool {
		bmcs.mu.Lock()
		defer bmcs.mu.Unlock()
		return bmcs.now == errandsAtOnce
	})
	s.list(t, hostID, provisioner.Row{Serial: "SN-1", MACs: []string{mac1}})
	s.see(t, mac1)
	if ins := s.ask(t, hostID, report("SN-1", mac1)); ins.Do != inventory.Install {
		t.Errorf("a host without a BMC is told %s: %s", ins.Do, ins.Say)
	}
	bmcs.mu.Lock()
	defer bmcs.mu.Unlock()
	if bmcs.most != errandsAtOnce {
		t.Errorf("%d errands at once", bmcs.most)
	}
}

func TestAScoutsMediumIsMadeOnceAndReadWhileTheScoutIsAwaited(t *testing.T) {
	lost := errors.New("the answer is lost")
	s, bmcs := bmcSite(t, func(b *standIn) { b.can.Network, b.fails = false, []error{nil, lost} })
	s.until(t, hostID, "the first failure", func(h provisioner.Host) bool { return h.Facts.Prepared != nil && h.Facts.Errands[1].Problem != "" })
	a := s.host(t, hostID).Status.Attempt.ID
	first := s.rendering(t, a)
	if first.Way != provisioner.WayMedia || first.Attempt != a || first.Image != "sha256:scout" {
		t.Fatalf("made: %+v", first)
	}
	s.clock.advance(time.Minute)
	s.untilDone(t, hostID, provisioner.ErrandMedium)
	s.installer.mu.Lock()
	made := s.installer.media
	s.installer.mu.Unlock()
	if diff := cmp.Diff(first, s.rendering(t, a)); diff != "" || made != 1 {
		t.Errorf("made %d times, -before +after:\n%s", made, diff)
	}
	if _, err := s.Document(t.Context(), a, "config"); provisioner.KindOf(err) != provisioner.NotFound {
		t.Errorf("it has a configuration: %v", err)
	}
	s.ask(t, hostID, report("SN-1", mac1))
	if _, _, err := s.Rendering(t.Context(), a); provisioner.KindOf(err) != provisioner.Gone {
		t.Errorf("when the scout has reported it is still given: %v", err)
	}
	if s.host(t, hostID).Status.Phase != provisioner.Installing {
		t.Errorf("the host is %s; its BMC was sent on %v", s.host(t, hostID).Status.Phase, bmcs.sent(hostID))
	}
}

func TestWithoutADiscoveryISOItIsSaidHowToMakeOne(t *testing.T) {
	s, _ := bmcSite(t, func(b *standIn) { b.can.Network = false })
	s.installer.mu.Lock()
	s.installer.noScout = &provisioner.Fault{Kind: provisioner.Operator, Err: errors.New("there is no discovery ISO; make one")}
	s.installer.mu.Unlock()
	h := s.until(t, hostID, "the failure", func(h provisioner.Host) bool { return h.Status.Phase == provisioner.Failed })
	if !strings.Contains(h.Status.Why, "there is no discovery ISO; make one") {
		t.Errorf("it failed: %s", h.Status.Why)
	}
}

func TestNothingIsWrittenWhileTheBMCMayTakeThePowerAway(t *testing.T) {
	hold := make(chan struct{})
	defer close(hold)
	s, bmcs := bmcSite(t, nil)
	s.installer.set(provisioner.WayMedia, nil)
	s.untilDone(t, hostID, provisioner.ErrandNetwork)
	s.see(t, mac1)
	bmcs.bmc(hostID, func(b *standIn) { b.hold = hold })
	s.ask(t, hostID, report("SN-1", mac1))
	h := s.until(t, hostID, "the boot", func(h provisioner.Host) bool { _, open := lifecycle.BootOpen(h); return open })
	a := h.Status.Attempt.ID
	if err := s.Step(t.Context(), a, provisioner.StageWriting, ""); provisioner.KindOf(err) != provisioner.Retry || !strings.Contains(err.Error(), "ask again") {
		t.Fatalf("asked while its BMC is at it: %v", err)
	}
	if h := s.host(t, hostID); len(h.Facts.Writes) > 0 || lifecycle.Reached(h, provisioner.StageWriting) {
		t.Error("what was refused is written down as begun")
	}
	s.until(t, hostID, "leave to write", func(provisioner.Host) bool { // it asks again, as it was told, while the errand ends
		err := s.Step(t.Context(), a, provisioner.StageWriting, "")
		if err != nil && provisioner.KindOf(err) != provisioner.Retry {
			t.Fatalf("asked again: %v", err)
		}
		return err == nil
	})
	if h := s.host(t, hostID); len(h.Facts.Writes) != 1 {
		t.Errorf("of what it was let do is written down %+v", h.Facts.Writes)
	}
}

// TestNothingIsWrittenWhileACallToABMCEndsThatNobodyMayEnterAnyMore: what was
// stopped may have been sent.
func TestNothingIsWrittenWhileACallToABMCEndsThatNobodyMayEnterAnyMore(t *testing.T) {
	hold := make(chan struct{})
	s, bmcs := bmcSite(t, nil)
	s.installer.set(provisioner.WayMedia, nil)
	s.untilDone(t, hostID, provisioner.ErrandNetwork)
	s.see(t, mac1)
	bmcs.bmc(hostID, func(b *standIn) { b.hold, b.stubborn = hold, true })
	s.ask(t, hostID, report("SN-1", mac1))
	s.until(t, hostID, "the boot", func(provisioner.Host) bool {
		return slices.Contains(bmcs.sent(hostID), provisioner.ErrandMedium)
	})
	s.change(t, func(h *provisioner.Host) { h.Intent.BMC.Password = nil })
	a := s.host(t, hostID).Status.Attempt.ID
	if err := s.Step(t.Context(), a, provisioner.StageWriting, ""); provisioner.KindOf(err) != provisioner.Retry {
		t.Errorf("asked while a call is under way: %v", err)
	}
	close(hold)
	s.until(t, hostID, "the end of the errand", func(provisioner.Host) bool { return !s.errands.stop(hostID, func(*errand) bool { return true }) })
	if err := s.Step(t.Context(), a, provisioner.StageWriting, ""); err != nil {
		t.Errorf("asked again: %v", err)
	}
}

func TestWhatAnErrandWaitsForIsSaidNowAndThen(t *testing.T) {
	s, _ := bmcSite(t, nil)
	h := s.untilDone(t, hostID, provisioner.ErrandNetwork)
	job := &errand{Errand: h.Facts.Errands[len(h.Facts.Errands)-1], host: h}
	before := h.Revision
	for n := range 50 { // tenths of a second
		s.doing(t.Context(), job, fmt.Sprintf("step %d", n))
		s.clock.advance(100 * time.Millisecond)
	}
	h = s.host(t, hostID)
	if e := h.Facts.Errands[len(h.Facts.Errands)-1]; e.Doing != "step 0" || h.Revision == before {
		t.Errorf("in five seconds it came to say %q", e.Doing)
	}
	s.doing(t.Context(), job, "step 50")
	if e := s.host(t, hostID).Facts.Errands; e[len(e)-1].Doing != "step 50" {
		t.Errorf("then it says %q", e[len(e)-1].Doing)
	}
}

func TestAHostWhoseRowLosesItsBMCWhileItIsStartedIsServedLikeAnyOther(t *testing.T) {
	hold := make(chan struct{})
	defer close(hold)
	s, bmcs := bmcSite(t, func(b *standIn) { b.hold = hold })
	s.until(t, hostID, "its survey", func(provisioner.Host) bool { return len(bmcs.sent(hostID)) == 1 })
	hold <- struct{}{}
	s.until(t, hostID, "its boot", func(provisioner.Host) bool { return len(bmcs.sent(hostID)) == 2 })
	s.change(t, func(h *provisioner.Host) { h.Intent.BMC = nil })
	s.until(t, hostID, "the end of the errand", func(provisioner.Host) bool { return !s.errands.stop(hostID, func(*errand) bool { return true }) })
	s.see(t, mac1)
	if ins := s.ask(t, hostID, report("SN-1", mac1)); ins.Do != inventory.Install {
		t.Errorf("its scout is told %+v", ins)
	}
}
