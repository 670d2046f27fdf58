package engine

import (
	"context"
	"sync"
	"time"

	"github.com/muster-boot/muster/provisioner"
)

// queue holds each host at most once, with the time it is due. A host added
// again keeps the earlier time. The zero value is not ready; use newQueue.
type queue struct {
	now  func() time.Time
	mu   sync.Mutex
	due  map[provisioner.HostID]time.Time
	wake chan struct{} // holds one token while somebody may have something to do
}

func newQueue(now func() time.Time) *queue {
	return &queue{now: now, due: map[provisioner.HostID]time.Time{}, wake: make(chan struct{}, 1)}
}

func (q *queue) add(id provisioner.HostID, at time.Time) {
	q.mu.Lock()
	if t, ok := q.due[id]; !ok || at.Before(t) {
		q.due[id] = at
	}
	q.mu.Unlock()
	q.nudge()
}

func (q *queue) nudge() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// next waits for a host that is due, takes it off the queue and returns it.
func (q *queue) next(ctx context.Context) (provisioner.HostID, error) {
	for {
		id, wait, ok := q.take(q.now())
		if ok {
			q.nudge() // there may be more for the others
			return id, nil
		}
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			t.Stop()
			return "", ctx.Err()
		case <-q.wake:
			t.Stop()
		case <-t.C:
		}
	}
}

// take returns the host that is due longest, or how long until the first one is.
func (q *queue) take(now time.Time) (provisioner.HostID, time.Duration, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	wait, first := patrol, provisioner.HostID("")
	for id, at := range q.due {
		if wait = min(wait, at.Sub(now)); !at.After(now) && (first == "" || at.Before(q.due[first])) {
			first = id
		}
	}
	delete(q.due, first)
	return first, wait, first != ""
}

// locks is one mutex for each thing that is being worked.
type locks[K comparable] struct {
	mu   sync.Mutex
	held map[K]*oneLock
}

type oneLock struct {
	sync.Mutex
	users int
}

// lock waits for the thing and returns what unlocks it.
func (l *locks[K]) lock(id K) (unlock func()) {
	l.mu.Lock()
	if l.held == nil {
		l.held = map[K]*oneLock{}
	}
	h := l.held[id]
	if h == nil {
		h = &oneLock{}
		l.held[id] = h
	}
	h.users++
	l.mu.Unlock()
	h.Lock()
	return func() {
		h.Unlock()
		l.mu.Lock()
		defer l.mu.Unlock()
		if h.users--; h.users == 0 {
			delete(l.held, id)
		}
	}
}
