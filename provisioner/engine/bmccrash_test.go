package engine

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/muster-boot/muster/inventory"
	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/lifecycle"
)

// started is a host that only its BMC starts: what runs on it follows from what
// it was last started from. It goes on over the deaths of servers.
type started struct {
	*controllers
	s       *site
	dying   *crashing
	attempt provisioner.AttemptID // whose installer runs, or ran
	calls   []string              // which that has still to make
}

// step makes one call of what runs on the host; done when its agent has its
// receipt.
func (p *started) step(t *testing.T) (done bool, err error) {
	var booted string
	p.bmc(hostID, func(b *standIn) { booted = b.booted })
	p.s.sync(t)
	switch {
	case booted == "":
		return false, nil
	case booted == "disk":
		return p.system(t)
	case booted == "network", booted == "scout":
		return false, p.scout(t)
	}
	return false, p.installer(t, provisioner.AttemptID(booted))
}

func (p *started) scout(t *testing.T) error {
	ins, err := p.s.Instruction(t.Context(), hostID, "v1", "192.0.2.50")
	if err != nil || ins.Do != inventory.Look && ins.Do != inventory.Verify {
		return err
	}
	return p.s.Report(t.Context(), hostID, provisioner.AttemptID(ins.Attempt), report("SN-1", mac1))
}

func (p *started) installer(t *testing.T, attempt provisioner.AttemptID) error {
	if p.attempt != attempt {
		p.attempt, p.calls = attempt, []string{provisioner.StageWriting, provisioner.StageWritten}
	}
	if len(p.calls) == 0 { // it is off
		return nil
	}
	err := p.s.Step(t.Context(), attempt, p.calls[0], "")
	if provisioner.KindOf(err) == provisioner.Retry && !errors.Is(err, errCrashed) {
		return nil // it asks again
	}
	if err != nil {
		return err
	}
	p.bmc(hostID, func(b *standIn) { b.writing = p.calls[0] == provisioner.StageWriting })
	p.calls = p.calls[1:]
	return nil
}

func (p *started) system(t *testing.T) (done bool, err error) {
	if err := p.s.Booted(t.Context(), p.attempt, "192.0.2.50"); err != nil {
		return false, err
	}
	_, err = p.s.Register(t.Context(), p.attempt, "192.0.2.50", map[string]string{"agent": "agent/1"})
	return err == nil, err
}

// ended tells whether the host is where it should be, and its BMC has nothing
// left to do.
func (p *started) ended(t *testing.T) bool {
	h := p.s.host(t, hostID)
	_, left := lifecycle.Errand(h, p.s.clock.now())
	running := p.s.errands.stop(hostID, func(*errand) bool { return true })
	return h.Status.Phase == provisioner.Registered && !left && !running
}

// bmcLife runs such a host to its end against a server that dies at its n-th
// commit, be it one that no call of the host's waits for, and then against the
// next one.
func bmcLife(t *testing.T, n int, after bool, prepare func(*standIn)) *started {
	kv, c := bolt(t), newClock()
	first := open(t, kv, c)
	first.listWith(t, hostID, provisioner.Row{Serial: "SN-1"}, words1)
	first.stop()
	p := &started{controllers: newControllers(), dying: &crashing{Engine: kv, after: after, left: n + 1}}
	p.bmc(hostID, prepare)
	p.s = openBMCs(t, p.dying, c, p.controllers, by(provisioner.WayMedia))
	deadline, beat := time.After(2*time.Minute), time.NewTicker(time.Millisecond)
	defer beat.Stop()
	for told := false; ; {
		if !told {
			done, err := p.step(t)
			if err != nil && !p.dying.dead() {
				t.Fatalf("an answer that no crash explains: %v", err)
			}
			told = done
		}
		if p.dying.dead() && p.s.kv == p.dying {
			p.s.stop()
			p.s = openBMCs(t, kv, c, p.controllers, by(provisioner.WayMedia))
		}
		if told && p.ended(t) {
			return p
		}
		p.s.queue.add(hostID, c.now())
		p.s.errands.queue.nudge()
		select {
		case <-deadline:
			h := p.s.host(t, hostID)
			t.Fatalf("the host does not arrive: it is %s (%s), errands %+v", h.Status.Phase, h.Status.Why, h.Facts.Errands)
		case <-beat.C:
		}
	}
}

func TestAServerKilledAtAnyCommitOfAHostWithABMCEndsTheSame(t *testing.T) {
	for name, c := range map[string]struct {
		prepare func(*standIn)
		after   []bool
	}{
		"scout-by-network": {func(*standIn) {}, []bool{true}}, // its end is the same
		"scout-by-medium":  {func(b *standIn) { b.can.Network = false }, []bool{false, true}},
	} {
		for n, hurt := 1, true; hurt; n++ {
			for _, after := range c.after {
				hurt = false // where a filter leaves it out, nothing is to follow
				passed := t.Run(fmt.Sprintf("%s-%d-durable-%t", name, n, after), func(t *testing.T) {
					p := bmcLife(t, n, after, c.prepare)
					hurt = p.dying.dead()
					h := p.s.host(t, hostID)
					if h.Status.Tries != 0 || slices.ContainsFunc(h.Facts.Errands, func(e provisioner.Errand) bool { return e.Problem != "" }) {
						t.Errorf("ends after %d tries: %+v", h.Status.Tries, h.Facts.Errands)
					}
					p.bmc(hostID, func(b *standIn) {
						if b.medium != "" || b.override || b.booted != "disk" {
							t.Errorf("the BMC is left with %+v", b)
						}
					})
					p.s.checkJournal(t, hostID)
				})
				if !passed {
					return
				}
			}
		}
	}
}
