package webhook

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/store"
)

// Sizes of a hook.
const (
	lanes = 4  // events under way at once, each of another host
	batch = 64 // entries of one host that have their turn together
)

// hook delivers to one receiver.
type hook struct {
	Hook
	client *http.Client
	outbox *Outbox
	queue  *queue

	mu      sync.Mutex
	began   uint64
	passed  map[provisioner.HostID]uint64 // delivered, or not wanted
	heads   map[provisioner.HostID]uint64 // last entries that are known and not passed
	refused map[provisioner.HostID]int    // refusals in a row
	away    int                           // failures of the receiver in a row
	trouble problem                       // of the receiver
	refusal problem                       // of the event that was refused last
	state   State
}

// problem is what keeps a hook from delivering; the zero value: nothing does.
type problem struct {
	say   string
	since time.Time
	next  time.Time // when it is tried again; zero: never
}

// is p with what is said of it now.
func (p problem) is(say string, now, next time.Time) problem {
	if p.say == say {
		now = p.since
	}
	return problem{say: say, since: now, next: next}
}

// State is how a hook does, for people.
type State struct {
	Name      string
	Place     string // its URL without what may be secret
	Events    []string
	Queued    uint64    // entries of the journal that it has not looked through yet
	Delivered uint64    // since muster started
	LastID    string    // of the event that was delivered last, since muster started
	Last      time.Time // when that was
	Problem   string    // a sentence; empty: none
	Since     time.Time // of the problem
	Next      time.Time // when it is tried again; zero: at once, or never
	Stopped   bool      // its receiver wants nothing any more
}

func newHook(h Hook, client *http.Client, o *Outbox) *hook {
	return &hook{
		Hook: h, client: client, outbox: o, queue: newQueue(o.Now),
		passed: map[provisioner.HostID]uint64{}, heads: map[provisioner.HostID]uint64{}, refused: map[provisioner.HostID]int{},
		state: State{Name: h.Name, Place: place(h.URL), Events: slices.Clone(h.Events)},
	}
}

// place is a URL without a login and without its query.
func place(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return ""
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

// States are how the hooks do, in the order of the configuration.
func (o *Outbox) States() []State {
	o.mu.Lock()
	trouble := o.trouble
	o.mu.Unlock()
	states := make([]State, 0, len(o.hooks))
	for _, h := range o.hooks {
		states = append(states, h.snapshot(trouble))
	}
	return states
}

// snapshot is how h does; whole is the trouble of all hooks.
func (h *hook) snapshot(whole problem) State {
	h.mu.Lock()
	defer h.mu.Unlock()
	s, p := h.state, h.trouble
	if p.say == "" {
		p = h.refusal
	}
	if p.say == "" {
		p = whole
	}
	s.Problem, s.Since, s.Next = p.say, p.since, p.next
	for id, head := range h.heads {
		s.Queued += head - min(head, h.passed[id])
	}
	return s
}

// begin takes up what was delivered before.
func (h *hook) begin(d store.Deliveries) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.began = d.Began
	for id, seq := range d.Delivered {
		h.passed[id] = max(h.passed[id], seq)
	}
}

// add says that a host's journal goes up to this entry.
func (h *hook) add(id provisioner.HostID, seq uint64) {
	h.mu.Lock()
	h.heads[id] = max(h.heads[id], seq)
	h.mu.Unlock()
	h.queue.add(id)
}

// run is one lane: it works one host after the other until ctx ends.
func (h *hook) run(ctx context.Context) error {
	for {
		id, err := h.queue.next(ctx)
		if err != nil {
			return err
		}
		again, err := h.work(ctx, id)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			h.outbox.Log.Error().Err(err).Str("webhook", h.Name).Str("host", string(id)).Msg("events not delivered; trying again")
			again = h.outbox.Now().Add(longPause)
		}
		h.queue.done(id, again)
	}
}

// work delivers some entries of a host, in their order, and says when it has its
// turn again; zero: when there is more.
func (h *hook) work(ctx context.Context, id provisioner.HostID) (again time.Time, err error) {
	h.mu.Lock()
	after, began, head := h.passed[id], h.began, h.heads[id]
	h.mu.Unlock()
	entries, err := h.outbox.Store.Outgoing(ctx, id, after, began, batch)
	if err != nil {
		return time.Time{}, err
	}
	for _, e := range entries {
		if !h.wants(e) {
			h.pass(id, e.Seq)
			continue
		}
		v, err := h.deliver(ctx, e)
		if err != nil {
			return time.Time{}, err
		}
		if v.outcome != delivered {
			return h.failed(id, v), nil
		}
	}
	if len(entries) < batch {
		h.pass(id, head) // what is left of it is older than the hook
		return time.Time{}, nil
	}
	return h.outbox.Now(), nil
}

// deliver tells one entry, and where the receiver took it writes that down: a
// server that dies between tells it again, under the same id.
func (h *hook) deliver(ctx context.Context, e provisioner.Entry) (verdict, error) {
	data, err := h.outbox.Data(ctx, e)
	if err != nil {
		return verdict{}, err
	}
	m, err := newMessage(h.outbox.Source, e, data)
	if err != nil {
		return verdict{}, err
	}
	v := h.send(ctx, m)
	if v.outcome != delivered || ctx.Err() != nil {
		return v, ctx.Err()
	}
	if err := h.outbox.Store.Deliver(ctx, h.Name, e.Host, e.Seq); err != nil {
		return v, err
	}
	h.delivered(e, m.ID)
	return v, nil
}

func (h *hook) delivered(e provisioner.Entry, id string) {
	h.pass(e.Host, e.Seq)
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.refused, e.Host)
	if len(h.refused) == 0 {
		h.refusal = problem{}
	}
	h.answered()
	h.state.Delivered++
	h.state.LastID, h.state.Last = id, h.outbox.Now()
}

// answered says that the receiver takes events; the lock is held. One that said
// it wants no more may still have answered others.
func (h *hook) answered() {
	if h.state.Stopped {
		return
	}
	h.away, h.trouble = 0, problem{}
	h.queue.resume()
}

// pass says that nothing up to this entry is left to be told.
func (h *hook) pass(id provisioner.HostID, seq uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.passed[id] = max(h.passed[id], seq)
	if h.passed[id] >= h.heads[id] {
		delete(h.heads, id)
	}
}

// failed notes why a try failed and says when the host has its turn again.
func (h *hook) failed(id provisioner.HostID, v verdict) time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.outbox.Now()
	if v.say != h.trouble.say && v.say != h.refusal.say {
		h.outbox.Log.Warn().Str("webhook", h.Name).Msg(v.say)
	}
	switch {
	case h.state.Stopped:
		return now
	case v.outcome == refused:
		h.answered()
		h.refused[id]++
		again := now.Add(max(v.after, pauseAfter(h.refused[id], longRefusal)))
		h.refusal = h.refusal.is(v.say, now, again)
		return again
	case v.outcome == gone:
		h.state.Stopped = true
		h.trouble = h.trouble.is(v.say, now, time.Time{})
		h.queue.pause(now.Add(never))
		return now
	case h.trouble.next.After(now) && v.after == 0:
		return now // another lane has seen it, too
	}
	h.away++
	h.trouble = h.trouble.is(v.say, now, now.Add(max(v.after, pauseAfter(h.away, longPause))))
	h.queue.pause(h.trouble.next)
	return now
}

// never is longer than any server runs.
const never = 10 * 365 * 24 * time.Hour
