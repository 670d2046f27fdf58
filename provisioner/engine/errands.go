package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/muster-boot/muster/inventory"
	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/lifecycle"
	"github.com/muster-boot/muster/provisioner/store"
)

// Bounds of errands.
const (
	errandsAtOnce = 64               // they mostly wait for their BMCs
	errandTime    = 40 * time.Minute // of one try: a slow BMC, and not one that never ends
	doingEvery    = 5 * time.Second  // between two notes of what an errand waits for
)

// errands are what BMCs are sent to do: a queue of hosts whose BMC has something
// to do, and what is under way. The settling of hosts puts in and stops, workers
// of their own take out: one that waits for its BMC holds nobody up.
type errands struct {
	queue *queue

	mu      sync.Mutex
	running map[provisioner.HostID]*errand
	started []time.Time // when hosts were last started by their BMCs, the earliest first
}

// errand is one try that is under way.
type errand struct {
	provisioner.Errand
	host  provisioner.Host // as it was when it was begun
	gives provisioner.Rendering
	last  string // the problem of the try before
	stop  context.CancelFunc
	// missing is why there is nothing that the attempt gives it.
	missing error
	over    bool // the BMC is asked no more

	said  string // what it waits for
	wrote time.Time
}

func newErrands(now func() time.Time) *errands {
	return &errands{queue: newQueue(now), running: map[provisioner.HostID]*errand{}}
}

// take makes e the host's errand under way; false where there is one already.
func (s *errands) take(id provisioner.HostID, e *errand) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running[id] != nil {
		return false
	}
	s.running[id] = e
	return true
}

func (s *errands) leave(id provisioner.HostID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.running, id)
}

// stop ends the host's errand under way where it may not go on, and tells
// whether there is one. What is begun is set before it can be seen here.
func (s *errands) stop(id provisioner.HostID, goesOn func(e *errand) bool) (running bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.running[id]
	if e == nil {
		return false
	}
	if e.Do != "" && !goesOn(e) {
		e.stop()
	}
	return true
}

// starts tells whether a BMC is being sent to start the host, also where the
// errand was stopped and has not ended.
func (s *errands) starts(id provisioner.HostID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.running[id]
	return e != nil && lifecycle.Boots(e.Do) && !e.over
}

// end says that the call to the BMC is over: its outcome is still to be noted.
func (s *errands) end(e *errand) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e.over = true
}

// turn says when there is a place among the hosts that are started; where that
// is now, it is taken.
func (s *errands) turn(p lifecycle.Pace, now time.Time) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := p.Turn(s.started, now)
	if !at.After(now) {
		s.start(p, now)
	}
	return at
}

// start notes that a host was started; the lock is held.
func (s *errands) start(p lifecycle.Pace, at time.Time) {
	s.started = append(s.started, at)
	if extra := len(s.started) - max(p.Hosts, 1); extra > 0 {
		s.started = s.started[extra:]
	}
}

// recall takes from the facts when hosts were started before the server was.
func (s *errands) recall(p lifecycle.Pace, hosts []provisioner.Host) {
	var times []time.Time
	for _, h := range hosts {
		for _, o := range h.Facts.Errands {
			if lifecycle.Boots(o.Do) {
				times = append(times, o.Began)
			}
		}
	}
	slices.SortFunc(times, time.Time.Compare)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, at := range times {
		s.start(p, at)
	}
}

// mind looks after the BMC of a host that stays where it is: it stops what may
// not go on, notes what the host itself has shown, and queues what is to be done.
func (e *Engine) mind(ctx context.Context, h provisioner.Host) (moved bool, err error) {
	if e.Controller == nil {
		return false, nil
	}
	shown, overtaken := lifecycle.Overtaken(h)
	running := e.errands.stop(h.ID, func(r *errand) bool {
		return sameBMC(r.host, h) && lifecycle.GoesOn(h, r.Errand) && !(overtaken && lifecycle.Same(r.Errand, shown))
	})
	if running {
		return false, nil // it looks again when it has ended
	}
	if overtaken {
		return true, e.book(ctx, &errand{Errand: shown, host: h}, provisioner.BMC{}, nil, errStopped)
	}
	if do, ok := lifecycle.Errand(h, e.at(h)); ok {
		e.errands.queue.add(h.ID, latest(lifecycle.ErrandDue(h, do), e.Now()))
	}
	return false, nil
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// sameBMC tells whether two views of a host name one BMC and one account.
func sameBMC(a, b provisioner.Host) bool {
	return a.Intent.BMC != nil && b.Intent.BMC != nil && a.Intent.BMC.Context() == b.Intent.BMC.Context()
}

// sendBMCs does the errands of the queue, one after the other.
func (e *Engine) sendBMCs(ctx context.Context) error {
	for {
		id, err := e.errands.queue.next(ctx)
		if err != nil {
			return err
		}
		err = e.sendBMC(ctx, id)
		switch {
		case err == nil, ctx.Err() != nil, provisioner.KindOf(err) == provisioner.NotFound:
		case errors.Is(err, store.ErrConflict):
			e.errands.queue.add(id, e.Now())
		default:
			e.Log.Error().Err(err).Str("host", string(id)).Msg("errand not begun or not noted; trying again")
			e.queue.add(id, e.Now().Add(firstRetry))
		}
	}
}

// sendBMC does what the BMC of one host has to do, if it is time.
func (e *Engine) sendBMC(ctx context.Context, id provisioner.HostID) error {
	during, stop := context.WithTimeout(ctx, errandTime)
	defer stop()
	job := &errand{stop: stop}
	if !e.errands.take(id, job) {
		return nil // when that one has ended it is looked again
	}
	err := e.begin(ctx, id, job)
	begun := err == nil && job.Do != ""
	if begun {
		err = e.perform(ctx, during, job)
	}
	e.errands.leave(id) // not before its end is noted: nobody may begin it again
	if begun {
		e.queue.add(id, e.Now()) // not before it is left: who looks while it runs leaves it at that
	}
	return err
}

// begin writes down what is begun, before anything is done, and fills job in; it
// leaves job as it is where there is nothing to do yet.
func (e *Engine) begin(ctx context.Context, id provisioner.HostID, job *errand) error {
	unlock := e.hosts.lock(id)
	defer unlock()
	h, err := e.Store.Host(ctx, id)
	if err != nil {
		return err
	}
	do, ok := lifecycle.Errand(h, e.at(h))
	if !ok {
		return nil
	}
	at := lifecycle.ErrandDue(h, do)
	if now := e.Now(); !at.After(now) && lifecycle.Boots(do) {
		at = e.errands.turn(e.PowerOn, now)
	}
	if at.After(e.Now()) {
		e.errands.queue.add(id, at)
		return nil
	}
	return e.commitBegun(ctx, h, do, job)
}

// commitBegun makes the errand durable, with what it needs, and then known as
// under way.
func (e *Engine) commitBegun(ctx context.Context, h provisioner.Host, do provisioner.ErrandKind, job *errand) error {
	guard, err := e.guard()
	if err != nil {
		return err
	}
	last := lastProblem(h, do)
	begun, list := lifecycle.Begin(h, do, e.at(h))
	h.Facts.Errands = list
	change := store.Change{Guard: guard}
	gives, missing := e.gives(ctx, &h, do, &change)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	change.Put = []provisioner.Host{h}
	if last == "" { // a further try is told when it ends otherwise
		change.Entries = []provisioner.Entry{e.entry(h, provisioner.EntryFact, "engine", "Its BMC is to "+lifecycle.ErrandWords(do)+".")}
	}
	if err := e.Store.Commit(ctx, change); err != nil {
		return err
	}
	e.errands.mu.Lock()
	defer e.errands.mu.Unlock()
	job.Errand, job.host, job.gives, job.missing, job.last = begun, h, gives, missing, last
	return nil
}

// lastProblem is why the present attempt's last try of an errand failed.
func lastProblem(h provisioner.Host, do provisioner.ErrandKind) string {
	for _, o := range h.Facts.Errands {
		if o.Do == do && o.Attempt == h.Status.Attempt.ID && o.Problem != "" {
			return o.Problem
		}
	}
	return ""
}

// gives is what the present attempt gives h on an errand. A scout's medium is
// made here, once, and kept with the change that begins the errand. That there
// is none is why the errand fails, and nobody else's matter.
func (e *Engine) gives(ctx context.Context, h *provisioner.Host, do provisioner.ErrandKind, c *store.Change) (provisioner.Rendering, error) {
	way, prepared := lifecycle.Way(*h)
	installing := h.Status.Phase == provisioner.Installing
	switch {
	case do == provisioner.ErrandMedium && !prepared && !installing:
		return e.scoutMedium(ctx, h, c)
	case do == provisioner.ErrandMedium, do == provisioner.ErrandNetwork && installing && prepared:
		return e.open(ctx, *h)
	}
	return provisioner.Rendering{Attempt: h.Status.Attempt.ID, Way: way}, nil
}

func (e *Engine) scoutMedium(ctx context.Context, h *provisioner.Host, c *store.Change) (provisioner.Rendering, error) {
	ctx, cancel := context.WithTimeout(ctx, renderTime)
	defer cancel()
	r, err := e.Installer.ScoutMedium(ctx, *h)
	if err != nil {
		return r, late(err)
	}
	r.Attempt, r.Way, r.Made = h.Status.Attempt.ID, provisioner.WayMedia, e.at(*h).UTC()
	sealed, err := e.seal(r)
	if err != nil {
		return r, err
	}
	c.PutRenderings = []store.Rendering{{Attempt: r.Attempt, Sealed: sealed}}
	c.DropRenderings = renderedBefore(*h)
	h.Facts.Prepared = &provisioner.Prepared{Attempt: r.Attempt, At: r.Made, Way: r.Way, Image: r.Image}
	return r, nil
}

// perform has the BMC do it, and notes what became of it. What ends with the
// server is not noted: it stays begun.
func (e *Engine) perform(ctx, during context.Context, job *errand) error {
	var seen provisioner.BMC
	var survey *inventory.Report
	failed := job.missing
	switch {
	case failed != nil:
	case job.Do == provisioner.ErrandSurvey:
		seen, survey, failed = e.Controller.Survey(during, job.host)
	default:
		seen, failed = e.Controller.Do(during, job.host, job.Do, job.gives, func(say string) { e.doing(during, job, say) })
	}
	e.errands.end(job)
	if err := e.NoteBMC(ctx, job.host, failed); err != nil {
		return err
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case failed != nil && errors.Is(during.Err(), context.DeadlineExceeded):
		failed = fmt.Errorf("it took longer than %s", errandTime)
	case failed != nil && during.Err() != nil:
		failed = errStopped
	}
	return e.book(ctx, job, seen, survey, failed)
}

// doing notes what an errand waits for, now and then; a failure costs the
// sentence only.
func (e *Engine) doing(ctx context.Context, job *errand, say string) {
	now := e.Now()
	if say == job.said || !now.Before(job.wrote) && now.Sub(job.wrote) < doingEvery {
		return
	}
	job.said, job.wrote = say, now
	_, err := e.observe(ctx, job.host.ID, "engine", func(h *provisioner.Host) (string, error) {
		noted := job.Errand
		noted.Doing = words(say)
		h.Facts.Errands, _ = lifecycle.Booked(h.Facts.Errands, noted)
		return "", nil
	})
	if err != nil && ctx.Err() == nil {
		e.Log.Warn().Err(err).Str("host", string(job.host.ID)).Msg("what an errand waits for is not noted")
	}
}
