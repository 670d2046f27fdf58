package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/muster-boot/muster/inventory"
	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/store"
)

// controllers are the BMCs of a site, which stay what they are over restarts of
// the server. They do what they are sent to, fail when told to, and hold the
// engine to writing down what it begins.
type controllers struct {
	mu    sync.Mutex
	of    map[provisioner.HostID]*standIn
	hosts func(context.Context, provisioner.HostID) (provisioner.Host, error) // of the server that is up
	broke []string
	most  int // calls at once
	now   int
}

// standIn is one BMC with its host.
type standIn struct {
	on       bool
	booted   string // what the host was last started from: network, disk, scout, or the attempt of an installer's medium
	medium   string // attempt and arguments of the medium that is in
	override bool
	calls    []provisioner.ErrandKind
	fails    []error       // of the next calls
	hold     chan struct{} // calls wait until it is closed, or their context ends
	stubborn bool          // they wait for it alone
	writing  bool          // its host is being written to: nobody may start it anew
	media    map[provisioner.AttemptID]string
	can      provisioner.Abilities
	report   *inventory.Report // of the survey
}

func newControllers() *controllers {
	return &controllers{of: map[provisioner.HostID]*standIn{}}
}

// bmc is that of a host; do changes or reads it under the lock.
func (c *controllers) bmc(id provisioner.HostID, do func(*standIn)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of[id] == nil {
		c.of[id] = &standIn{media: map[provisioner.AttemptID]string{}, can: provisioner.Abilities{Media: true, Network: true}}
	}
	do(c.of[id])
}

// pause keeps the BMC of a host from doing anything until it may: a scout asks no
// more once its host was restarted.
func (c *controllers) pause(id provisioner.HostID) (goOn func()) {
	hold := make(chan struct{})
	c.bmc(id, func(b *standIn) { b.hold = hold })
	return func() { close(hold) }
}

func (c *controllers) Survey(ctx context.Context, h provisioner.Host) (provisioner.BMC, *inventory.Report, error) {
	seen, err := c.call(ctx, h, provisioner.ErrandSurvey, func(*standIn) {})
	var report *inventory.Report
	c.bmc(h.ID, func(b *standIn) { report = b.report })
	return seen, report, err
}

func (c *controllers) Do(ctx context.Context, h provisioner.Host, do provisioner.ErrandKind, r provisioner.Rendering, doing func(string)) (provisioner.BMC, error) {
	doing("the BMC is at it")
	return c.call(ctx, h, do, func(b *standIn) {
		if b.writing && (do == provisioner.ErrandNetwork || do == provisioner.ErrandMedium) {
			c.broke = append(c.broke, fmt.Sprintf("%s was started anew while it was written to", h.ID))
		}
		switch do {
		case provisioner.ErrandNetwork:
			b.on, b.override, b.booted = true, true, "network"
		case provisioner.ErrandMedium:
			b.medium = fmt.Sprint(r.Attempt, r.Image, r.Medium, r.Made.UnixNano())
			if was, again := b.media[r.Attempt]; again && was != b.medium {
				c.broke = append(c.broke, fmt.Sprintf("attempt %s gave two media: %s and %s", r.Attempt, was, b.medium))
			}
			b.media[r.Attempt] = b.medium
			b.on, b.override, b.booted = true, true, string(r.Attempt)
			if r.Image == scoutImage {
				b.booted = "scout"
			}
		case provisioner.ErrandDisk:
			b.on, b.override, b.medium, b.booted = true, false, "", "disk"
		case provisioner.ErrandClear:
			b.override, b.medium = false, ""
		case provisioner.ErrandOff:
			b.on, b.override, b.medium, b.booted = false, false, "", ""
		case provisioner.ErrandSurvey:
		}
	})
}

// call is one errand: it must have been written down, and be the only one of its
// host.
func (c *controllers) call(ctx context.Context, h provisioner.Host, do provisioner.ErrandKind, act func(*standIn)) (provisioner.BMC, error) {
	c.check(ctx, h, do)
	var hold chan struct{}
	var fails error
	var stubborn bool
	c.bmc(h.ID, func(b *standIn) {
		b.calls, hold, stubborn = append(b.calls, do), b.hold, b.stubborn
		if len(b.fails) > 0 {
			fails, b.fails = b.fails[0], b.fails[1:]
		}
		c.now++
		c.most = max(c.most, c.now)
	})
	defer c.bmc(h.ID, func(*standIn) { c.now-- })
	if hold != nil {
		done := ctx.Done()
		if stubborn {
			done = nil
		}
		select {
		case <-hold:
		case <-done:
			return provisioner.BMC{}, ctx.Err()
		}
	}
	seen := provisioner.BMC{At: time.Unix(1, 0), Driver: "stand-in"}
	c.bmc(h.ID, func(b *standIn) {
		seen.Abilities = b.can
		if fails == nil {
			act(b)
		}
	})
	return seen, fails
}

func (c *controllers) check(ctx context.Context, h provisioner.Host, do provisioner.ErrandKind) {
	c.mu.Lock()
	hosts := c.hosts
	c.mu.Unlock()
	stored, err := hosts(context.WithoutCancel(ctx), h.ID)
	if errors.Is(err, errCrashed) {
		return
	}
	begun := slices.ContainsFunc(stored.Facts.Errands, func(e provisioner.Errand) bool {
		return e.Do == do && e.Attempt == h.Status.Attempt.ID && e.Done.IsZero() && e.Tries > 0
	})
	if err != nil || !begun {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.broke = append(c.broke, fmt.Sprintf("%s was sent to %s before that was written down: %+v, %v", h.ID, do, stored.Facts.Errands, err))
	}
}

// sent are the errands that the BMC of a host was sent on.
func (c *controllers) sent(id provisioner.HostID) (calls []provisioner.ErrandKind) {
	c.bmc(id, func(b *standIn) { calls = slices.Clone(b.calls) })
	return calls
}

// openBMCs opens a site with these BMCs.
func openBMCs(t *testing.T, kv store.Engine, c *clock, bmcs *controllers, change ...func(*Options)) *site {
	t.Helper()
	s := openWith(t, kv, c, "k", append([]func(*Options){func(o *Options) {
		o.Controller = bmcs
		bmcs.mu.Lock()
		defer bmcs.mu.Unlock()
		bmcs.hosts = o.Store.Host
	}}, change...)...)
	t.Cleanup(func() {
		bmcs.mu.Lock()
		defer bmcs.mu.Unlock()
		for _, b := range bmcs.broke {
			t.Error(b)
		}
	})
	return s
}

// until waits for a host to become as is wants; what waits for a time is looked
// at with the clock as it stands.
func (s *site) until(t *testing.T, id provisioner.HostID, what string, is func(provisioner.Host) bool) provisioner.Host {
	t.Helper()
	deadline, beat := time.After(2*time.Minute), time.NewTicker(2*time.Millisecond)
	defer beat.Stop()
	for {
		h := s.host(t, id)
		if is(h) {
			return h
		}
		s.queue.add(id, s.clock.now())
		s.errands.queue.nudge()
		select {
		case <-deadline:
			t.Fatalf("%s never came: %s is %s (%s); errands %+v", what, id, h.Status.Phase, h.Status.Why, h.Facts.Errands)
		case <-beat.C:
		}
	}
}

// untilDone waits until an errand of the host is done in its present attempt.
func (s *site) untilDone(t *testing.T, id provisioner.HostID, do provisioner.ErrandKind) provisioner.Host {
	t.Helper()
	return s.until(t, id, string(do), func(h provisioner.Host) bool {
		return slices.ContainsFunc(h.Facts.Errands, func(e provisioner.Errand) bool {
			return e.Do == do && e.Attempt == h.Status.Attempt.ID && !e.Done.IsZero()
		})
	})
}
