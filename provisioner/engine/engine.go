// Package engine works the hosts: it asks lifecycle for the next move of each,
// commits it with its journal entry, and does the duty of the phase.
//
// It decides nothing about phases; lifecycle does. It opens no socket and knows
// no image format; what it needs of other rooms are the small interfaces it
// declares. Events only wake it early: every host is looked at again at its
// deadline anyway, and any duty may run twice. Start at [Engine.Run], then
// settle and step; plane.go has what scouts, installers and agents call.
package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/muster-boot/muster/inventory"
	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/handoff"
	"github.com/muster-boot/muster/provisioner/lifecycle"
	"github.com/muster-boot/muster/provisioner/store"
)

// Installer turns a host's intent into what its installer boots and reads. An
// error is shown to people: it says what to do.
type Installer interface {
	// Render makes all that the present attempt gives h, with what the hand-off
	// adds to its configuration. It is asked until it succeeds and then never
	// again for this attempt. Attempt, Image and Made are filled in by the engine.
	Render(ctx context.Context, h provisioner.Host, carry handoff.Carry) (provisioner.Rendering, error)
	// ScoutMedium is what differs in the discovery ISO that h boots in its present
	// attempt: Image is that ISO's digest, Medium its kernel arguments. It is asked
	// until it succeeds and then never again for this attempt. Attempt, Way and
	// Made are filled in by the engine.
	ScoutMedium(ctx context.Context, h provisioner.Host) (provisioner.Rendering, error)
	// Netboot is the kernel that starts h's installer, with absolute URLs.
	Netboot(ctx context.Context, h provisioner.Host, r provisioner.Rendering) (inventory.Netboot, error)
	// Write is the disk image that the scout puts on h's disk.
	Write(ctx context.Context, h provisioner.Host, r provisioner.Rendering) (inventory.Write, error)
	// Base is the absolute URL below which the routes of h's attempt lie.
	Base(h provisioner.Host) string
	// Image is what a hand-off driver may know of an image; false: there is none.
	Image(digest string) (handoff.Image, bool)
	// ScoutVersion is that of the discovery ramdisk hosts boot now; empty if unknown.
	ScoutVersion() string
}

// Options of an engine; all are required unless said otherwise.
type Options struct {
	Store     *store.Store
	Mirror    *store.Mirror
	Installer Installer
	Box       Box // seals what an attempt gives its host
	Recorder  Recorder
	Drivers   []handoff.Driver
	// Controller may be nil: hosts with a BMC are then worked like those without.
	Controller Controller
	PowerOn    lifecycle.Pace // of starting hosts by their BMCs; the zero one is unbounded
	Deadlines  lifecycle.Deadlines
	Holder     string // who holds the lease: unique to one server and kept over its restarts
	Log        zerolog.Logger
	Now        func() time.Time // nil means time.Now
}

// Sizes of the engine.
const (
	workers   = 32 // most wait for a service or a host that a hand-off's driver asks
	maxSteps  = 16 // moves in one settling; more means that the table turns in a circle
	leaseName = "engine"
	leaseTTL  = 15 * time.Second
	patrol    = time.Minute // every host is looked at this often, whatever events said
)

// Engine is the reconciler. Its methods are safe for concurrent use. Facts are
// taken at any time; hosts move only while Run holds the lease, until then what
// needs a move answers with a Retry fault.
type Engine struct {
	Options
	drivers map[string]handoff.Driver
	queue   *queue
	hosts   locks[provisioner.HostID]
	orders  locks[handoffKey]
	errands *errands
	newHost sync.Mutex // one sighting at a time makes a host

	mu     sync.Mutex
	lease  *store.Lease
	began  time.Time // since when it has the lease
	opened *lru[provisioner.AttemptID, provisioner.Rendering]
	meters *lru[provisioner.AttemptID, *meter]
}

// New returns an engine that has done nothing yet.
func New(o Options) *Engine {
	if o.Now == nil {
		o.Now = time.Now
	}
	e := &Engine{
		Options: o, drivers: map[string]handoff.Driver{}, queue: newQueue(o.Now), errands: newErrands(o.Now),
		opened: newLRU[provisioner.AttemptID, provisioner.Rendering](openedKept),
		meters: newLRU[provisioner.AttemptID, *meter](maxMeters),
	}
	for _, d := range o.Drivers {
		e.drivers[d.Name()] = d
	}
	return e
}

// Run takes the lease, then works hosts until ctx ends or the lease is lost.
// It closes ready once commits are possible.
func (e *Engine) Run(ctx context.Context, ready chan<- struct{}) error {
	lease, err := e.Store.Acquire(ctx, leaseName, e.Holder, leaseTTL)
	if err != nil {
		return fmt.Errorf("take the engine's lease: %w", err)
	}
	e.setLease(lease)
	close(ready)
	defer e.release(lease)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return e.keepLease(ctx, lease) })
	g.Go(func() error { return e.watch(ctx) })
	g.Go(func() error { return e.closeOrders(ctx) })
	for range workers {
		g.Go(func() error { return e.work(ctx) })
	}
	if e.Controller != nil {
		e.errands.recall(e.PowerOn, e.Mirror.Hosts())
		for range errandsAtOnce {
			g.Go(func() error { return e.sendBMCs(ctx) })
		}
	}
	if err := g.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

func (e *Engine) setLease(l *store.Lease) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.lease, e.began = l, e.Now()
}

// listening is since when muster hears what hosts say; now, while it does not.
func (e *Engine) listening() time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.lease == nil {
		return e.Now()
	}
	return e.began
}

func (e *Engine) guard() (*store.Lease, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.lease == nil {
		return nil, &provisioner.Fault{Kind: provisioner.Retry, Err: errors.New("muster is starting; ask again in a few seconds")}
	}
	return e.lease, nil
}

// release gives the lease back with a context of its own: the engine's has ended.
func (e *Engine) release(l *store.Lease) {
	e.setLease(nil)
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := e.Store.Release(ctx, l); err != nil {
		e.Log.Warn().Err(err).Msg("the engine's lease was not given back; it lapses by itself")
	}
}

// keepLease renews the lease and ends when another server has it. Any other
// failure, such as a full disk, is said and tried again: commits are fenced, so
// going on can do no harm, and stopping would take the boot plane down.
func (e *Engine) keepLease(ctx context.Context, l *store.Lease) error {
	t := time.NewTicker(leaseTTL / 3)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
			err := e.Store.Renew(ctx, l)
			if errors.Is(err, store.ErrDeposed) {
				return fmt.Errorf("keep the engine's lease: %w", err)
			}
			if err != nil && ctx.Err() == nil {
				e.Log.Error().Err(err).Msg("the engine's lease is not renewed; trying again")
			}
		}
	}
}

// watch puts changed hosts on the queue, and all of them now and then.
func (e *Engine) watch(ctx context.Context) error {
	changed, stop := e.Mirror.Subscribe()
	defer stop()
	t := time.NewTicker(patrol)
	defer t.Stop()
	seen := uint64(0)
	for {
		hosts, upTo := e.Mirror.HostsSince(seen)
		seen = upTo
		e.wake(hosts)
		e.wake(inConflict(e.Mirror.Hosts())) // what is gone may have been the other one
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		case <-t.C:
			seen = 0
		}
	}
}

func inConflict(all []provisioner.Host) []provisioner.Host {
	var hosts []provisioner.Host
	for _, h := range all {
		if h.Facts.Conflict != "" {
			hosts = append(hosts, h)
		}
	}
	return hosts
}

func (e *Engine) wake(hosts []provisioner.Host) {
	for _, h := range hosts {
		e.queue.add(h.ID, e.Now())
	}
}

func (e *Engine) work(ctx context.Context) error {
	for {
		id, err := e.queue.next(ctx)
		if err != nil {
			return err
		}
		if _, err := e.settle(ctx, id); err != nil && ctx.Err() == nil && provisioner.KindOf(err) != provisioner.NotFound {
			e.Log.Error().Err(err).Str("host", string(id)).Msg("host not worked; trying again")
			e.queue.add(id, e.Now().Add(5*time.Second))
		}
	}
}

// settle moves a host until it stays where it is, and returns it there. A host
// that was joined with another meanwhile is followed to that one.
func (e *Engine) settle(ctx context.Context, id provisioner.HostID) (provisioner.Host, error) {
	h, err := e.settleOne(ctx, id)
	if provisioner.KindOf(err) != provisioner.NotFound {
		return h, err
	}
	if err := e.Mirror.Sync(ctx); err != nil {
		return h, err
	}
	if joined, ok := e.Mirror.Host(id); ok && joined.ID != id {
		return e.settleOne(ctx, joined.ID)
	}
	return h, err
}

// settleOne works one host; one goroutine at a time does.
func (e *Engine) settleOne(ctx context.Context, id provisioner.HostID) (provisioner.Host, error) {
	unlock := e.hosts.lock(id)
	defer unlock()
	for range maxSteps {
		h, err := e.Store.Host(ctx, id)
		if err != nil {
			e.errands.stop(id, func(*errand) bool { return provisioner.KindOf(err) != provisioner.NotFound })
			return h, err
		}
		moved, again, err := e.step(ctx, h)
		switch {
		case errors.Is(err, store.ErrConflict):
			continue
		case err != nil:
			return h, err
		case !moved:
			if again.After(e.Now()) {
				e.queue.add(id, again)
			}
			return h, nil
		}
	}
	return provisioner.Host{}, &provisioner.Fault{Kind: provisioner.Retry,
		Err: fmt.Errorf("host %s still moves, or is changed by others, after %d steps", id, maxSteps)}
}

// step makes one move, or else does the phase's duty and says when to look again.
func (e *Engine) step(ctx context.Context, h provisioner.Host) (moved bool, again time.Time, err error) {
	if moved, err := e.recognise(ctx, h); moved || err != nil {
		return moved, time.Time{}, err
	}
	now := e.at(h)
	if m, ok := lifecycle.Next(h, now); ok {
		return true, time.Time{}, e.commitMove(ctx, h, m, now)
	}
	moved, again, err = e.duty(ctx, h)
	if moved || err != nil {
		return moved, again, err
	}
	if moved, err := e.mind(ctx, h); moved || err != nil {
		return moved, time.Time{}, err
	}
	due, err := e.saveCounts(ctx, h)
	return false, soonest(again, due), err
}

// duty is what the phase of h asks of the engine itself.
func (e *Engine) duty(ctx context.Context, h provisioner.Host) (moved bool, again time.Time, err error) {
	if lifecycle.Parts(h) {
		return e.sendOff(ctx, h)
	}
	if lifecycle.Confirms(h) {
		return e.confirm(ctx, h)
	}
	if _, prepared := lifecycle.Way(h); h.Status.Phase == provisioner.Installing && !prepared {
		return e.prepare(ctx, h)
	}
	return false, lifecycle.Due(h), nil
}

// at is the time of what happens to h now: by the clock, but never before h
// came where it is. A clock that is set back must not make new evidence look
// old.
func (e *Engine) at(h provisioner.Host) time.Time {
	if now := e.Now(); now.After(h.Status.Since) {
		return now
	}
	return h.Status.Since
}

func (e *Engine) commitMove(ctx context.Context, h provisioner.Host, m lifecycle.Move, now time.Time) error {
	guard, err := e.guard()
	if err != nil {
		return err
	}
	mint := lifecycle.Mint{
		Attempt: provisioner.MintAttempt(),
		Token:   provisioner.MintSecret(),
		Key:     provisioner.MintSecret(),
	}
	h = lifecycle.Apply(h, m, now, e.Deadlines, mint)
	err = e.Store.Commit(ctx, store.Change{
		Put:     []provisioner.Host{h},
		Entries: []provisioner.Entry{e.entry(h, provisioner.EntryMove, "engine", string(m.From)+" -> "+string(m.To)+": "+m.Why)},
		Guard:   guard,
	})
	if err == nil {
		e.Log.Info().Str("host", string(h.ID)).Str("phase", string(m.To)).Str("attempt", string(h.Status.Attempt.ID)).
			Str("why", m.Why).Msg("host moved")
	}
	return err
}

// soonest returns the earlier of two times of which zero is never.
func soonest(a, b time.Time) time.Time {
	if b.IsZero() || !a.IsZero() && a.Before(b) {
		return a
	}
	return b
}

// observe writes facts of one host. note returns the journal's sentence; an
// empty one means that the fact is not worth a line, an error that nothing is
// written.
func (e *Engine) observe(ctx context.Context, id provisioner.HostID, by string, note func(*provisioner.Host) (string, error)) (provisioner.Host, error) {
	return e.Store.Change(ctx, id, func(h *provisioner.Host) ([]provisioner.Entry, error) {
		text, err := note(h)
		if err != nil || text == "" {
			return nil, err
		}
		return []provisioner.Entry{e.entry(*h, provisioner.EntryFact, by, text)}, nil
	})
}

func (e *Engine) entry(h provisioner.Host, kind provisioner.EntryKind, by, text string) provisioner.Entry {
	return provisioner.Entry{Host: h.ID, At: e.Now(), Kind: kind, Phase: h.Status.Phase, Attempt: h.Status.Attempt.ID, Text: text, By: by}
}
