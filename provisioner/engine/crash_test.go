package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/muster-boot/muster/inventory"
	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/store"
)

var errCrashed = errors.New("the server was killed")

// crashing is a store that dies at its n-th transaction, before or after it
// became durable, and answers nothing from then on.
type crashing struct {
	store.Engine
	after bool // the transaction is durable, but nobody is told

	mu   sync.Mutex
	left int
}

func (c *crashing) Txn(ctx context.Context, conds []store.Cond, ops []store.Op) (uint64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.left--
	switch {
	case c.left > 0:
		return c.Engine.Txn(ctx, conds, ops)
	case c.left == 0 && c.after:
		_, _ = c.Engine.Txn(ctx, conds, ops)
	}
	return 0, errCrashed
}

func (c *crashing) dead() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.left <= 0
}

// life runs a host's programs against whichever server is up; when one dies,
// the next is started over what it left.
func life(t *testing.T, kv store.Engine, way provisioner.Way, crashAt int, after bool) *program {
	c := newClock()
	first := open(t, kv, c)
	first.list(t, hostID, provisioner.Row{Serial: "SN-1", MACs: []string{mac1}})
	first.stop()
	dying := &crashing{Engine: kv, after: after, left: crashAt + 1} // one more: its lease
	s := openWith(t, dying, c, "k", by(way))
	p := newProgram(t, s, nil)
	for !drive(t, p) {
		if !dying.dead() {
			t.Fatal("the host does not arrive, and nobody was killed")
		}
		p.s.stop()
		p.s = openWith(t, kv, c, "k", by(way))
	}
	return p
}

// drive has the host go on from where it was, each call until it is answered,
// and returns false when the server is gone.
func drive(t *testing.T, p *program) bool {
	err := scoutUntilInstall(t, p)
	for err == nil && len(p.calls) > 0 {
		p.s.sync(t)
		if err = p.calls[0](p.attempt); err == nil {
			p.calls = p.calls[1:]
		}
	}
	if err != nil && !errors.Is(err, errCrashed) {
		t.Fatalf("an answer that no crash explains: %v", err)
	}
	return err == nil
}

func scoutUntilInstall(t *testing.T, p *program) error {
	for p.attempt == "" {
		if !p.seen {
			if _, err := p.s.See(t.Context(), Seen{MAC: mac1, Network: "br0", Netboot: true}); err != nil {
				return err
			}
			p.seen = true
		}
		p.s.sync(t)
		ins, err := p.s.Instruction(t.Context(), hostID, "v1", "192.0.2.50")
		if err != nil {
			return err
		}
		switch ins.Do {
		case inventory.Look, inventory.Verify:
			err = p.s.Report(t.Context(), hostID, provisioner.AttemptID(ins.Attempt), report("SN-1", mac1))
		case inventory.Install, inventory.WriteDisk:
			p.attempt = provisioner.AttemptID(ins.Attempt)
		case inventory.Wait, inventory.Reboot, inventory.PowerOff:
			t.Fatalf("told %s: %s", ins.Do, ins.Say)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func TestAServerKilledAtAnyCommitEndsTheSame(t *testing.T) {
	for way, span := range map[provisioner.Way][2]int{ // to more than a healthy history has
		provisioner.WayNetboot: {1, 18},
		provisioner.WayWrite:   {9, 24}, // its beginning is the same
	} {
		first, commits := span[0], span[1]
		for n := first; n <= commits; n++ {
			for _, after := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s-%d-durable-%t", way, n, after), func(t *testing.T) {
					p := life(t, bolt(t), way, n, after)
					checkArrived(t, p.s, p)
					if _, unhurt := p.s.kv.(*crashing); n == commits && !unhurt {
						t.Errorf("a healthy history has %d commits or more: kill it later, too", n)
					}
					p.s.checkJournal(t, hostID)
				})
			}
		}
	}
}
