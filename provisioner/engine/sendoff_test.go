package engine

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/lifecycle"
)

// ships lists host h-1 in an order that ships it.
func (s *site) ships(t *testing.T) {
	t.Helper()
	s.list(t, hostID, provisioner.Row{Serial: "SN-1", MACs: []string{mac1}})
	s.change(t, func(h *provisioner.Host) { h.Intent.Ship = true })
}

func (s *site) change(t *testing.T, edit func(*provisioner.Host)) {
	t.Helper()
	_, err := s.Store.Change(t.Context(), hostID, func(h *provisioner.Host) ([]provisioner.Entry, error) {
		edit(h)
		return nil, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s.sync(t)
}

// after has the time pass and the engine look.
func (s *site) after(t *testing.T, d time.Duration) provisioner.Host {
	t.Helper()
	s.clock.advance(d)
	h, err := s.settle(t.Context(), hostID)
	if err != nil {
		t.Fatal(err)
	}
	s.sync(t)
	return h
}

func (s *site) call(t *testing.T, a provisioner.AttemptID) {
	t.Helper()
	if err := s.Booted(t.Context(), a, "192.0.2.50"); err != nil {
		t.Fatal(err)
	}
	if off, err := s.Dismiss(t.Context(), a, "192.0.2.50"); err != nil || !off {
		t.Fatalf("a host that ships calls home and is told to stay on: %v", err)
	}
	s.sync(t)
}

func TestAHostWithoutABMCIsShippedAfterAMinuteOfSilence(t *testing.T) {
	s := open(t, bolt(t), newClock())
	s.ships(t)
	a := installed(t, s)
	s.call(t, a)
	for _, step := range []struct {
		what string
		do   func()
		wait time.Duration
		want provisioner.Phase
	}{
		{"a minute", func() {}, time.Minute, provisioner.Installed},
		{"it calls again", func() { s.call(t, a) }, 65 * time.Second, provisioner.Installed},
		{"a packet of it", func() {
			if _, err := s.See(t.Context(), Seen{MAC: mac1, Network: "br0"}); err != nil {
				t.Fatal(err)
			}
		}, 65 * time.Second, provisioner.Installed},
		{"silence", func() {}, 10 * time.Second, provisioner.Shipped},
	} {
		step.do()
		if h := s.after(t, step.wait); h.Status.Phase != step.want {
			t.Fatalf("after %s it is %s: %s", step.what, h.Status.Phase, h.Status.Why)
		}
	}
	h := s.host(t, hostID)
	if d := h.Facts.Departure; d.By != provisioner.SignSilence || !strings.Contains(h.Status.Why, "nothing was heard") || h.Status.Key != "" {
		t.Errorf("shipped by %s: %s", d.By, h.Status.Why)
	}
	if off, err := s.Dismiss(t.Context(), a, "192.0.2.50"); off || err != nil {
		t.Errorf("a shipped host that a person switches on again is told to power off: %v", err)
	}
	s.checkJournal(t, hostID)
}

func TestTheAgentOfAHostThatShipsIsToldToPowerItOff(t *testing.T) {
	s := open(t, bolt(t), newClock())
	s.ships(t)
	a := installed(t, s)
	_, err := s.Register(t.Context(), a, "192.0.2.50", map[string]string{"agent": "agent/1"})
	if off, errOff := s.Dismiss(t.Context(), a, "192.0.2.50"); !off || errOff != nil || provisioner.KindOf(err) != provisioner.Conflict {
		t.Fatalf("refused %v, told to power off %t, %v", err, off, errOff)
	}
	if h := s.after(t, 71*time.Second); h.Status.Phase != provisioner.Shipped || h.Facts.Receipt != nil {
		t.Errorf("%s: %s", h.Status.Phase, h.Status.Why)
	}
}

func TestSilenceThatNobodyListenedToIsNoProof(t *testing.T) {
	kv, c := bolt(t), newClock()
	s := open(t, kv, c)
	s.ships(t)
	a := installed(t, s)
	s.call(t, a)
	s.stop()
	c.advance(5 * time.Minute)
	s = open(t, kv, c)
	if h := s.after(t, time.Minute); h.Status.Phase != provisioner.Installed {
		t.Fatalf("%s after a minute of listening: %s", h.Status.Phase, h.Status.Why)
	}
	if h := s.after(t, 11*time.Second); h.Status.Phase != provisioner.Shipped {
		t.Errorf("%s: %s", h.Status.Phase, h.Status.Why)
	}
}

// errand writes down what the BMC was sent to do, as whoever drives it does.
func (s *site) errand(t *testing.T, do provisioner.ErrandKind) {
	t.Helper()
	s.change(t, func(h *provisioner.Host) {
		now := s.clock.now()
		h.Facts.Errands = append(h.Facts.Errands, provisioner.Errand{Attempt: h.Status.Attempt.ID, Do: do, Began: now, Done: now})
	})
}

func TestAHostWithABMCIsShippedWhenItReadsPowerOff(t *testing.T) {
	s := open(t, bolt(t), newClock())
	s.ships(t)
	a := installed(t, s)
	s.change(t, func(h *provisioner.Host) {
		h.Intent.BMC, h.Facts.BMC = &provisioner.Controller{Address: "192.0.2.9", Password: []byte("sealed")}, &provisioner.BMC{}
	})
	s.call(t, a)
	wants := func() provisioner.ErrandKind {
		do, _ := lifecycle.Errand(s.host(t, hostID), s.clock.now())
		return do
	}
	if do := wants(); do != "" {
		t.Errorf("its BMC is sent to %s before the system could power off", do)
	}
	if h := s.after(t, 3*time.Minute); h.Status.Phase != provisioner.Installed || wants() != provisioner.ErrandOff {
		t.Fatalf("silent for minutes it is %s, its BMC is sent to %q", h.Status.Phase, wants())
	}
	s.change(t, func(h *provisioner.Host) { // off, and somebody switched it on again at once
		now := s.clock.now()
		h.Facts.Errands = []provisioner.Errand{{Attempt: a, Do: provisioner.ErrandOff, Began: now, Done: now}}
		h.Facts.Farewell.Last = now.Add(time.Second)
	})
	if h := s.after(t, 2*time.Minute); h.Status.Phase != provisioner.Installed || wants() != provisioner.ErrandOff {
		t.Fatalf("on again it is %s, its BMC is sent to %q", h.Status.Phase, wants())
	}
	s.errand(t, provisioner.ErrandOff)
	h := s.after(t, time.Second)
	if h.Status.Phase != provisioner.Shipped || h.Facts.Departure.By != provisioner.SignBMC || !strings.Contains(h.Status.Why, "192.0.2.9 read power Off") {
		t.Errorf("%s: %s", h.Status.Phase, h.Status.Why)
	}
}

// TestTheBMCOfAHostThatShipsSwitchesItOff has a system that is told to power off
// and does not.
func TestTheBMCOfAHostThatShipsSwitchesItOff(t *testing.T) {
	p := &started{controllers: newControllers()}
	p.bmc(hostID, func(*standIn) {})
	p.s = openBMCs(t, bolt(t), newClock(), p.controllers)
	p.s.installer.set(provisioner.WayMedia, nil)
	p.s.listWith(t, hostID, provisioner.Row{Serial: "SN-1"}, words1)
	p.s.change(t, func(h *provisioner.Host) { h.Intent.Ship = true })
	deadline, beat := time.After(time.Minute), time.NewTicker(time.Millisecond)
	defer beat.Stop()
	for told := false; !told; {
		_, err := p.step(t)
		if told = provisioner.KindOf(err) == provisioner.Conflict; err != nil && !told {
			t.Fatal(err)
		}
		p.s.queue.add(hostID, p.s.clock.now())
		select {
		case <-deadline:
			t.Fatalf("it is never told to power off: %+v", p.s.host(t, hostID).Status)
		case <-beat.C:
		}
	}
	if off, err := p.s.Dismiss(t.Context(), p.attempt, "192.0.2.50"); !off || err != nil {
		t.Fatalf("told to power off %t, %v", off, err)
	}
	p.s.clock.advance(61 * time.Second)
	h := p.s.until(t, hostID, "the end", func(h provisioner.Host) bool { return h.Status.Phase == provisioner.Shipped })
	if h.Facts.Departure.By != provisioner.SignBMC || len(p.s.shelf.records()) != 1 {
		t.Errorf("shipped by %+v with %d records", h.Facts.Departure, len(p.s.shelf.records()))
	}
	p.bmc(hostID, func(b *standIn) {
		if b.on || b.medium != "" || b.override || b.calls[len(b.calls)-1] != provisioner.ErrandOff {
			t.Errorf("the BMC is left with %+v", b)
		}
	})
	p.s.checkJournal(t, hostID)
}

// TestASystemThatHeedsNoAnswerIsNotShippedBySilence has only cloud-init call.
func TestASystemThatHeedsNoAnswerIsNotShippedBySilence(t *testing.T) {
	for _, bmc := range []bool{false, true} {
		s := open(t, bolt(t), newClock())
		s.ships(t)
		a := installed(t, s)
		if bmc {
			s.change(t, func(h *provisioner.Host) {
				h.Intent.BMC, h.Facts.BMC = &provisioner.Controller{Address: "192.0.2.9", Password: []byte("sealed")}, &provisioner.BMC{}
			})
		}
		if err := s.Booted(t.Context(), a, "192.0.2.50"); err != nil {
			t.Fatal(err)
		}
		h := s.after(t, 4*time.Minute)
		if do, _ := lifecycle.Errand(h, s.clock.now()); h.Status.Phase != provisioner.Installed || do != "" {
			t.Fatalf("with a BMC %t: silent it is %s, its BMC is sent to %q", bmc, h.Status.Phase, do)
		}
		h = s.after(t, 2*time.Minute)
		if do, _ := lifecycle.Errand(h, s.clock.now()); h.Status.Phase != provisioner.Installed || (do == provisioner.ErrandOff) != bmc {
			t.Errorf("with a BMC %t: after minutes it is %s, its BMC is sent to %q: %s", bmc, h.Status.Phase, do, lifecycle.Awaiting(h))
		}
	}
}

func TestABMCThatRefusesLeavesSilenceAsTheProof(t *testing.T) {
	s := open(t, bolt(t), newClock())
	s.ships(t)
	a := installed(t, s)
	s.change(t, func(h *provisioner.Host) {
		h.Intent.BMC, h.Facts.BMC = &provisioner.Controller{Address: "192.0.2.9", Password: []byte("sealed")}, &provisioner.BMC{}
	})
	s.call(t, a)
	s.change(t, func(h *provisioner.Host) {
		h.Facts.Errands = []provisioner.Errand{{Attempt: a, Do: provisioner.ErrandOff, Began: s.clock.now(), Problem: "It says no.", Final: true}}
	})
	if said := lifecycle.Awaiting(s.host(t, hostID)); !strings.Contains(said, "It says no.") {
		t.Error(said)
	}
	if h := s.after(t, 71*time.Second); h.Status.Phase != provisioner.Shipped || h.Facts.Departure.By != provisioner.SignSilence {
		t.Errorf("%s: %s", h.Status.Phase, h.Status.Why)
	}
}

func TestARecordThatCannotBeWrittenIsSaidAndTriedAgain(t *testing.T) {
	s := open(t, bolt(t), newClock())
	s.ships(t)
	a := installed(t, s)
	s.call(t, a)
	s.shelf.set(errors.New("no space left on device"))
	s.after(t, 71*time.Second)
	h := s.after(t, time.Hour) // past the deadline: nothing of the host is missing
	if said := lifecycle.Awaiting(s.host(t, hostID)); h.Status.Phase != provisioner.Installed || !strings.Contains(said, "no space left") {
		t.Fatalf("%s: %s", h.Status.Phase, said)
	}
	s.shelf.set(nil)
	if h = s.after(t, recordRetry); h.Status.Phase != provisioner.Shipped {
		t.Errorf("%s: %s", h.Status.Phase, h.Status.Why)
	}
	s.checkJournal(t, hostID)
}

func TestAHostThatDoesNotGoOffFailsAndGoesOnWhenItCalls(t *testing.T) {
	s := open(t, bolt(t), newClock())
	s.ships(t)
	a := installed(t, s)
	s.call(t, a)
	for range 17 {
		s.clock.advance(time.Minute)
		if _, err := s.See(t.Context(), Seen{MAC: mac1, Network: "br0"}); err != nil {
			t.Fatal(err)
		}
	}
	if h := s.after(t, time.Second); h.Status.Phase != provisioner.Failed || !strings.Contains(h.Status.Why, "switch it off") {
		t.Fatalf("%s: %s", h.Status.Phase, h.Status.Why)
	}
	s.clock.advance(time.Minute)
	s.call(t, a)
	if h := s.after(t, 71*time.Second); h.Status.Phase != provisioner.Shipped {
		t.Errorf("%s: %s", h.Status.Phase, h.Status.Why)
	}
}

// TestAHostThatWentOffWhileMusterWasAwayIsShippedAfterAll has the deadline pass
// in the meantime.
func TestAHostThatWentOffWhileMusterWasAwayIsShippedAfterAll(t *testing.T) {
	kv, c := bolt(t), newClock()
	s := open(t, kv, c)
	s.ships(t)
	s.call(t, installed(t, s))
	s.stop()
	c.advance(time.Hour)
	s = open(t, kv, c)
	s.after(t, time.Second)
	if h := s.after(t, 70*time.Second); h.Status.Phase != provisioner.Shipped {
		t.Errorf("%s: %s", h.Status.Phase, h.Status.Why)
	}
}

func TestAShippedHostThatShowsItselfAgainIsOnlySaid(t *testing.T) {
	s := open(t, bolt(t), newClock())
	s.ships(t)
	s.call(t, installed(t, s))
	s.after(t, 71*time.Second)
	for range 3 {
		s.clock.advance(time.Minute)
		s.see(t, mac1)
	}
	h := s.host(t, hostID)
	if h.Status.Phase != provisioner.Shipped || lifecycle.BootFor(h, false) != provisioner.BootLocalDisk || !strings.Contains(lifecycle.Awaiting(h), "is here again") {
		t.Errorf("%s, offered %s: %s", h.Status.Phase, lifecycle.BootFor(h, false), lifecycle.Awaiting(h))
	}
	said := 0
	for _, e := range s.checkJournal(t, hostID) {
		if strings.Contains(e.Text, "after it was shipped") {
			said++
		}
	}
	if said != 1 {
		t.Errorf("the journal says %d times that it is back", said)
	}
}

// TestAServerKilledAtAnyCommitOfASendOffEndsTheSame kills the server at each of
// the last commits of a host that ships, and has the next one go on.
func TestAServerKilledAtAnyCommitOfASendOffEndsTheSame(t *testing.T) {
	const commits = 8 // more than there are
	for n := 1; n <= commits; n++ {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d-durable-%t", n, after), func(t *testing.T) {
				kv, c := bolt(t), newClock()
				s := open(t, kv, c)
				s.ships(t)
				a := installed(t, s)
				s.stop()
				dying := &crashing{Engine: kv, after: after, left: n + 1} // one more: its lease
				s = open(t, dying, c)
				err := sendHome(t, s, a)
				if !dying.dead() && err != nil {
					t.Fatalf("an answer that no crash explains: %v", err)
				}
				if n == commits && dying.dead() {
					t.Errorf("a send-off has %d commits or more: kill it later, too", n)
				}
				s.stop()
				s = open(t, kv, c)
				if err := sendHome(t, s, a); err != nil {
					t.Fatal(err)
				}
				h := s.host(t, hostID)
				if h.Status.Phase != provisioner.Shipped || h.Facts.Record == nil || h.Facts.Departure == nil || h.Status.Tries != 0 {
					t.Errorf("%s: %s", h.Status.Phase, h.Status.Why)
				}
				s.checkJournal(t, hostID)
			})
		}
	}
}

// sendHome is the installed system's call, until it is answered, and silence.
func sendHome(t *testing.T, s *site, a provisioner.AttemptID) error {
	s.sync(t)
	if h := s.host(t, hostID); h.Status.Phase != provisioner.Shipped {
		if err := s.Booted(t.Context(), a, "192.0.2.50"); err != nil {
			return err
		}
		if _, err := s.Dismiss(t.Context(), a, "192.0.2.50"); err != nil {
			return err
		}
	}
	for range 2 {
		s.clock.advance(71 * time.Second)
		if _, err := s.settle(t.Context(), hostID); err != nil {
			return err
		}
	}
	s.sync(t)
	return nil
}
