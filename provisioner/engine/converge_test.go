package engine

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/muster-boot/muster/inventory"
	"github.com/muster-boot/muster/provisioner"
)

// wire delivers messages as a bad network does: some are lost, some come
// twice, some late. Whoever sends is told nothing and sends again, as scouts,
// installers and agents do until they hear an answer.
type wire struct {
	rand    *rand.Rand
	delayed []func() error
}

// send returns whether an answer came back.
func (w *wire) send(message func() error) bool {
	switch w.rand.IntN(5) {
	case 0: // lost on its way
		return false
	case 1: // delivered, but the answer is lost
		_ = message()
		return false
	case 2: // delivered twice
		_ = message()
		return message() == nil
	case 3: // delivered later, behind others
		w.delayed = append(w.delayed, message)
		return false
	}
	return message() == nil
}

// late delivers one of the delayed messages, in any order.
func (w *wire) late() {
	if len(w.delayed) == 0 {
		return
	}
	i := w.rand.IntN(len(w.delayed))
	_ = w.delayed[i]()
	w.delayed = append(w.delayed[:i], w.delayed[i+1:]...)
}

// program is what runs on the host at one time, as far as it got.
type program struct {
	s       *site
	w       *wire
	id      provisioner.HostID
	seen    bool                  // its firmware asked for an address
	attempt provisioner.AttemptID // once told to install
	calls   []func(provisioner.AttemptID) error
}

func newProgram(t *testing.T, s *site, w *wire) *program {
	ctx := t.Context()
	p := &program{s: s, w: w, id: hostID}
	step := func(stage string) func(provisioner.AttemptID) error {
		return func(a provisioner.AttemptID) error { return p.s.Step(ctx, a, stage, "") }
	}
	p.calls = []func(provisioner.AttemptID) error{
		func(a provisioner.AttemptID) error { _, err := p.s.Document(ctx, a, "config"); return err },
		step(provisioner.StageWriting),
		step(provisioner.StageWritten),
		func(a provisioner.AttemptID) error { return p.s.Booted(ctx, a, "192.0.2.50") },
		func(a provisioner.AttemptID) error {
			_, err := p.s.Register(ctx, a, "192.0.2.50", map[string]string{"agent": "agent/1"})
			return err
		},
	}
	return p
}

// turn is one thing that the host does: the scout asks and acts until it is
// told to install, then installer, system and agent make their calls in order.
func (p *program) turn(t *testing.T) (done bool) {
	if p.attempt == "" {
		p.scout(t)
		return false
	}
	call := p.calls[0]
	if p.w.send(func() error { return call(p.attempt) }) {
		p.calls = p.calls[1:]
	}
	return len(p.calls) == 0
}

func (p *program) scout(t *testing.T) {
	var ins inventory.Instruction
	told := p.w.send(func() (err error) {
		ins, err = p.s.Instruction(t.Context(), p.id, "v1", "192.0.2.50")
		return err
	})
	if !told {
		return
	}
	switch ins.Do {
	case inventory.Look, inventory.Verify:
		p.w.send(func() error {
			return p.s.Report(t.Context(), p.id, provisioner.AttemptID(ins.Attempt), report("SN-1", mac1))
		})
	case inventory.Install:
		p.attempt = provisioner.AttemptID(ins.Attempt)
	case inventory.Wait, inventory.Reboot, inventory.PowerOff, inventory.WriteDisk:
	}
}

// history runs a host over a bad network until its agent has its receipt.
func history(t *testing.T, s *site, seed uint64) {
	w := &wire{rand: rand.New(rand.NewPCG(seed, 7))}
	p := newProgram(t, s, w)
	seen := false
	for turns := 0; ; turns++ {
		s.clock.advance(time.Second)
		s.sync(t)
		if !seen {
			seen = w.send(func() error {
				_, err := s.See(t.Context(), Seen{MAC: mac1, Network: "br0", Netboot: true})
				return err
			})
			continue
		}
		if w.rand.IntN(3) == 0 {
			w.late()
		}
		if p.turn(t) {
			return
		}
		if turns > 500 {
			t.Fatalf("seed %d: the host never got its receipt; it is %s", seed, s.host(t, hostID).Status.Phase)
		}
	}
}

func TestHistoriesWithFactsLostDoubledAndReorderedConverge(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			s := open(t, bolt(t), newClock())
			s.list(t, hostID, provisioner.Row{Serial: "SN-1", MACs: []string{mac1}})
			history(t, s, seed)
			h := s.host(t, hostID)
			if h.Status.Phase != provisioner.Registered || h.Status.Tries != 0 {
				t.Errorf("ends %s after %d tries: %s", h.Status.Phase, h.Status.Tries, h.Status.Why)
			}
			moves := map[provisioner.Phase]int{}
			for _, e := range s.checkJournal(t, hostID) {
				if e.Kind == provisioner.EntryMove {
					moves[e.Phase]++
				}
			}
			// A late sighting is a host that boots again, so it may be looked at
			// twice; it is installed once.
			for _, phase := range []provisioner.Phase{provisioner.Installing, provisioner.Installed, provisioner.Registered} {
				if moves[phase] != 1 {
					t.Errorf("moved %d times to %s", moves[phase], phase)
				}
			}
		})
	}
}
