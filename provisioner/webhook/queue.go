package webhook

import (
	"container/heap"
	"context"
	"sync"
	"time"

	"github.com/muster-boot/muster/provisioner"
)

// queue holds the hosts of which a hook has something to deliver. A host is with
// one lane at a time; what is added meanwhile brings it back. The zero value is
// not ready; use newQueue.
type queue struct {
	now func() time.Time

	mu     sync.Mutex
	hosts  map[provisioner.HostID]*turn
	turns  turns
	order  uint64
	paused time.Time     // before which no host has its turn
	alone  bool          // one at a time: the receiver did not answer well
	busy   int           // hosts that are with a lane
	wake   chan struct{} // holds one token while somebody may have something to do
}

// turn is when a host is next.
type turn struct {
	id    provisioner.HostID
	due   time.Time
	order uint64 // of those due at once, the first that came
	at    int    // in the heap; -1: with a lane
	again bool   // added while it was with a lane
}

func newQueue(now func() time.Time) *queue {
	return &queue{now: now, hosts: map[provisioner.HostID]*turn{}, wake: make(chan struct{}, 1)}
}

func (q *queue) nudge() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// add has a host come up when it is its turn; one that waits keeps its place.
func (q *queue) add(id provisioner.HostID) {
	q.mu.Lock()
	defer q.mu.Unlock()
	t, known := q.hosts[id]
	switch {
	case !known:
		q.push(&turn{id: id, due: q.now()})
	case t.at < 0:
		t.again = true
	}
	q.nudge()
}

func (q *queue) push(t *turn) {
	q.order++
	t.order = q.order
	q.hosts[t.id] = t
	heap.Push(&q.turns, t)
}

// next waits for a host whose turn it is.
func (q *queue) next(ctx context.Context) (provisioner.HostID, error) {
	for {
		id, wait, ok := q.take()
		if ok {
			q.nudge() // there may be more for the others
			return id, nil
		}
		if err := q.await(ctx, wait); err != nil {
			return "", err
		}
	}
}

// await returns when something changed, or after wait where that is not 0.
func (q *queue) await(ctx context.Context, wait time.Duration) error {
	var timer <-chan time.Time
	if wait > 0 {
		t := time.NewTimer(wait)
		defer t.Stop()
		timer = t.C
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-q.wake:
	case <-timer:
	}
	return nil
}

// take returns the host whose turn it is, or how long until there is one; 0: not
// before something changes.
func (q *queue) take() (provisioner.HostID, time.Duration, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.turns) == 0 || q.alone && q.busy > 0 {
		return "", 0, false
	}
	now, due := q.now(), q.turns[0].due
	if q.paused.After(due) {
		due = q.paused
	}
	if due.After(now) {
		return "", due.Sub(now), false
	}
	t := heap.Pop(&q.turns).(*turn)
	t.at, t.again = -1, false
	q.busy++
	return t.id, 0, true
}

// done gives a host back: it is due again at a time, or with the zero time only
// if something was added meanwhile.
func (q *queue) done(id provisioner.HostID, due time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	t := q.hosts[id]
	delete(q.hosts, id)
	q.busy--
	if due.IsZero() && t.again {
		due = q.now()
	}
	if !due.IsZero() {
		q.push(&turn{id: id, due: due})
	}
	q.nudge()
}

// pause gives no host its turn before a time, and then one at a time, until resume.
func (q *queue) pause(until time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.paused, q.alone = until, true
}

func (q *queue) resume() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.alone {
		q.paused, q.alone = time.Time{}, false
		q.nudge()
	}
}

// turns is a heap: the first is next.
type turns []*turn

func (t turns) Len() int { return len(t) }

func (t turns) Less(i, j int) bool {
	if !t[i].due.Equal(t[j].due) {
		return t[i].due.Before(t[j].due)
	}
	return t[i].order < t[j].order
}

func (t turns) Swap(i, j int) {
	t[i], t[j] = t[j], t[i]
	t[i].at, t[j].at = i, j
}

func (t *turns) Push(x any) {
	last := x.(*turn)
	last.at = len(*t)
	*t = append(*t, last)
}

func (t *turns) Pop() any {
	old := *t
	last := old[len(old)-1]
	old[len(old)-1] = nil
	*t = old[:len(old)-1]
	return last
}
