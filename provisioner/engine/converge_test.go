package engine

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
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
	read    []string // the configurations that it was given
}

func newProgram(t *testing.T, s *site, w *wire) *program {
	ctx := t.Context()
	p := &program{s: s, w: w, id: hostID}
	step := func(stage string) func(provisioner.AttemptID) error {
		return func(a provisioner.AttemptID) error { return p.s.Step(ctx, a, stage, "") }
	}
	p.calls = []func(provisioner.AttemptID) error{
		p.config,
		step(provisioner.StageWriting),
		step(provisioner.StageWritten),
		p.config,
		func(a provisioner.AttemptID) error { return p.s.Booted(ctx, a, "192.0.2.50") },
		func(a provisioner.AttemptID) error {
			_, err := p.s.Register(ctx, a, "192.0.2.50", map[string]string{"agent": "agent/1"})
			return err
		},
	}
	if s.installer.way == provisioner.WayWrite {
		p.calls = slices.Replace(p.calls, 1, 3, p.writes(ctx)...)
	}
	return p
}

func (p *program) config(a provisioner.AttemptID) error {
	d, err := p.s.Document(context.Background(), a, "config")
	if err == nil {
		p.read = append(p.read, string(d.Content))
	}
	return err
}

// writes is what a scout tells that writes the disk.
func (p *program) writes(ctx context.Context) []func(provisioner.AttemptID) error {
	const size = 1000
	var calls []func(provisioner.AttemptID) error
	for _, s := range []inventory.Step{
		{Stage: provisioner.StageWriting},
		{Stage: provisioner.StageWrite, Total: size}, {Stage: provisioner.StageWrite, Bytes: 700, Total: size},
		{Stage: provisioner.StageWrite, Bytes: size, Total: size}, {Stage: provisioner.StageVerify, Bytes: size, Total: size},
		{Stage: provisioner.StageWritten},
	} {
		calls = append(calls, func(a provisioner.AttemptID) error {
			s.Attempt = string(a)
			return p.s.Progress(ctx, p.id, s)
		})
	}
	return calls
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
	case inventory.Install, inventory.WriteDisk:
		p.attempt = provisioner.AttemptID(ins.Attempt)
	case inventory.Wait, inventory.Reboot, inventory.PowerOff:
	}
}

// history runs a host over a bad network until its agent has its receipt.
func history(t *testing.T, s *site, seed uint64) *program {
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
			return p
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
			if seed%3 == 0 {
				s.installer.set(provisioner.WayWrite, nil)
			}
			s.list(t, hostID, provisioner.Row{Serial: "SN-1", MACs: []string{mac1}})
			p := history(t, s, seed)
			checkArrived(t, s, p)
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

// checkArrived holds that a host is registered at the first try, that all it
// was given was of one rendering, and that its counts never went back.
func checkArrived(t *testing.T, s *site, p *program) {
	t.Helper()
	h := s.host(t, hostID)
	if h.Status.Phase != provisioner.Registered || h.Status.Tries != 0 {
		t.Errorf("ends %s after %d tries: %s", h.Status.Phase, h.Status.Tries, h.Status.Why)
	}
	if len(p.read) < 2 || len(slices.Compact(slices.Clone(p.read))) != 1 {
		t.Errorf("one attempt was given different configurations: %q", p.read)
	}
	if _, err := s.Store.Rendering(t.Context(), h.Status.Attempt.ID); err != nil {
		t.Error(err)
	}
	for _, c := range h.Facts.Progress {
		if c.Bytes != c.Total {
			t.Errorf("counted %d of %d bytes of stage %s", c.Bytes, c.Total, c.Stage)
		}
	}
}
