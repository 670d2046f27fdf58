package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/muster-boot/muster/provisioner"
)

// Mirror is a copy of all hosts and orders in memory, kept by [Mirror.Run], so
// that a boot client is answered without asking the disk or another server. It
// lags behind the store by moments; [Mirror.Sync] waits them out.
//
// All methods may be called concurrently. What they return is shared: nobody
// may change what its pointers, slices and maps lead to.
type Mirror struct {
	store *Store
	ready chan struct{} // closed when the first copy is whole

	mu       sync.RWMutex
	hosts    map[provisioner.HostID]provisioner.Host
	orders   map[provisioner.OrderName]provisioner.Order
	index    index
	sorted   []provisioner.Host // all hosts by id; nil: to be made again
	revision uint64
	advanced chan struct{} // closed and replaced when revision rises
	readers  map[chan struct{}]bool
}

// NewMirror returns an empty mirror of s.
func NewMirror(s *Store) *Mirror {
	m := &Mirror{store: s, ready: make(chan struct{}), advanced: make(chan struct{}), readers: map[chan struct{}]bool{}}
	m.replace(nil, nil, 0)
	return m
}

// Run keeps the mirror until ctx ends, and then returns nil. Call it once.
func (m *Mirror) Run(ctx context.Context) error {
	for {
		err := m.follow(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case !errors.Is(err, ErrCompacted):
			return fmt.Errorf("mirror the store: %w", err)
		}
	}
}

// Ready is closed when the mirror holds all that the store held when Run began.
func (m *Mirror) Ready() <-chan struct{} { return m.ready }

// follow copies the store and then takes up every change. It watches without a
// prefix, so that the mirror passes every revision that anybody may wait for.
func (m *Mirror) follow(ctx context.Context) error {
	items, revision, err := m.store.engine.List(ctx, Query{Prefix: statePrefix})
	if err != nil {
		return err
	}
	var hosts []provisioner.Host
	var orders []provisioner.Order
	for _, item := range items {
		if err := m.store.decodeState(item, &hosts, &orders); err != nil {
			return err
		}
	}
	m.replace(hosts, orders, revision)
	select {
	case <-m.ready:
	default:
		close(m.ready)
	}
	return m.store.engine.Watch(ctx, "", revision, m.apply)
}

func (s *Store) decodeState(item Item, hosts *[]provisioner.Host, orders *[]provisioner.Order) error {
	switch {
	case strings.HasPrefix(item.Key, hostPrefix):
		h, err := decodeHost(item)
		*hosts = append(*hosts, h)
		return err
	case strings.HasPrefix(item.Key, orderPrefix):
		o, err := s.decodeOrder(item)
		*orders = append(*orders, o)
		return err
	}
	return nil
}

func (m *Mirror) replace(hosts []provisioner.Host, orders []provisioner.Order, revision uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.hosts = make(map[provisioner.HostID]provisioner.Host, len(hosts))
	m.orders = make(map[provisioner.OrderName]provisioner.Order, len(orders))
	m.index = index{}
	for _, h := range hosts {
		m.putHost(h)
	}
	for _, o := range orders {
		m.orders[o.Name] = o
	}
	m.sorted = nil
	m.advance(revision, true)
}

// apply takes up one commit, whole.
func (m *Mirror) apply(b Batch) error {
	var hosts []provisioner.Host
	var orders []provisioner.Order
	for _, ev := range b.Events {
		if ev.Deleted {
			continue
		}
		if err := m.store.decodeState(Item{Key: ev.Key, Value: ev.Value, Revision: b.Revision}, &hosts, &orders); err != nil {
			return err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	changed := m.drop(b.Events)
	for _, h := range hosts {
		m.putHost(h)
	}
	for _, o := range orders {
		m.orders[o.Name] = o
	}
	m.advance(b.Revision, changed || len(hosts)+len(orders) > 0)
	return nil
}

// drop removes what was deleted and says whether that was anything of ours.
func (m *Mirror) drop(events []Event) (changed bool) {
	for _, ev := range events {
		if !ev.Deleted {
			continue
		}
		if id, ok := unescape(ev.Key, hostPrefix); ok {
			m.index.remove(m.hosts[provisioner.HostID(id)])
			delete(m.hosts, provisioner.HostID(id))
			m.sorted, changed = nil, true
		}
		if name, ok := unescape(ev.Key, orderPrefix); ok {
			delete(m.orders, provisioner.OrderName(name))
			changed = true
		}
	}
	return changed
}

func (m *Mirror) putHost(h provisioner.Host) {
	if was, ok := m.hosts[h.ID]; ok {
		m.index.remove(was)
	}
	m.hosts[h.ID] = h
	m.index.add(h)
	m.sorted = nil
}

// advance says that the mirror is at revision, and wakes the readers if
// changed. A reader that has not yet come for its last waking needs no other.
func (m *Mirror) advance(revision uint64, changed bool) {
	m.revision = revision
	close(m.advanced)
	m.advanced = make(chan struct{})
	if !changed {
		return
	}
	for reader := range m.readers {
		select {
		case reader <- struct{}{}:
		default:
		}
	}
}

// Subscribe returns a channel that gets a token when hosts or orders have
// changed since its last token was taken, and what ends the subscription.
// [Mirror.HostsSince] says what changed.
func (m *Mirror) Subscribe() (changed <-chan struct{}, stop func()) {
	reader := make(chan struct{}, 1)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.readers[reader] = true
	return reader, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.readers, reader)
	}
}

// WaitFor waits until the mirror holds all that was committed up to revision.
func (m *Mirror) WaitFor(ctx context.Context, revision uint64) error {
	for {
		m.mu.RLock()
		at, advanced := m.revision, m.advanced
		m.mu.RUnlock()
		if at >= revision {
			return nil
		}
		select {
		case <-ctx.Done():
			return fault(fmt.Sprintf("wait for revision %d", revision), ctx.Err())
		case <-advanced:
		}
	}
}

// Sync waits until the mirror holds all that was committed before the call.
func (m *Mirror) Sync(ctx context.Context) error {
	revision, err := m.store.Revision(ctx)
	if err != nil {
		return err
	}
	return m.WaitFor(ctx, revision)
}

// Hosts returns all hosts in the order of their ids.
func (m *Mirror) Hosts() []provisioner.Host {
	m.mu.RLock()
	sorted := m.sorted
	m.mu.RUnlock()
	if sorted != nil {
		return sorted
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.sorted == nil {
		m.sorted = slices.SortedFunc(maps.Values(m.hosts), func(a, b provisioner.Host) int { return cmp.Compare(a.ID, b.ID) })
	}
	return m.sorted
}

// HostsSince returns the hosts written after a revision, longest ago first,
// and the revision up to which it looked. Hosts deleted since are not told.
func (m *Mirror) HostsSince(revision uint64) ([]provisioner.Host, uint64) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	var hosts []provisioner.Host
	for _, h := range m.hosts {
		if h.Revision > revision {
			hosts = append(hosts, h)
		}
	}
	slices.SortFunc(hosts, func(a, b provisioner.Host) int {
		return cmp.Or(cmp.Compare(a.Revision, b.Revision), cmp.Compare(a.ID, b.ID))
	})
	return hosts, m.revision
}

// Orders returns all orders by name.
func (m *Mirror) Orders() []provisioner.Order {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return slices.SortedFunc(maps.Values(m.orders), func(a, b provisioner.Order) int { return cmp.Compare(a.Name, b.Name) })
}

// Order returns the order of a name.
func (m *Mirror) Order(name provisioner.OrderName) (provisioner.Order, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	o, ok := m.orders[name]
	return o, ok
}
