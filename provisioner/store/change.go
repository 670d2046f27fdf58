package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/muster-boot/muster/provisioner"
)

// Change is what one commit does, all of it or nothing.
//
// What is put or deleted must have the Revision it was read with: if somebody
// wrote it since, the commit is a conflict. Put with Revision 0 creates.
type Change struct {
	Put          []provisioner.Host
	Delete       []provisioner.Host
	PutOrders    []provisioner.Order
	DeleteOrders []provisioner.Order

	// PutRenderings keeps what install attempts give their hosts. An attempt
	// that has a rendering already is a conflict: there is never a second one.
	// DropRenderings forgets them; one that is not there is no mistake. A deleted
	// host's rendering is dropped with it, unless a host in Put has its attempt.
	PutRenderings  []Rendering
	DropRenderings []provisioner.AttemptID

	// PutHandoffs keeps hand-offs of orders.
	PutHandoffs []provisioner.Handoff

	// Entries are journal entries of hosts in Put or Delete. Their Seq is given
	// here, and their At where it is zero; the host's Entries is raised.
	Entries []provisioner.Entry

	// Guard is the lease under which the change is made; nil for none.
	Guard *Lease
}

// unit is a part of a change that is written together in any case: one host
// with its journal entries, or one order.
type unit struct {
	conds []Cond
	ops   []Op
	size  int // bytes of keys and values
}

func (u *unit) add(other unit) {
	u.conds = append(u.conds, other.conds...)
	u.ops = append(u.ops, other.ops...)
	u.size += other.size
}

func (u *unit) need(key string, revision uint64) {
	u.conds = append(u.conds, Cond{Key: key, Revision: revision})
	u.size += len(key)
}

func (u *unit) do(op Op) {
	u.ops = append(u.ops, op)
	u.size += len(op.Key) + len(op.Value)
}

// Commit makes c durable in one transaction. The error is ErrConflict where
// something was changed since it was read, ErrDeposed where the guard is no
// longer held, and an Invalid fault where c is larger than one transaction
// takes: about 60 hosts with a journal entry each ([MaxTxn], [MaxTxnBytes]).
func (s *Store) Commit(ctx context.Context, c Change) error {
	units, err := s.plan(c)
	if err != nil {
		return err
	}
	var whole unit
	for _, u := range units {
		whole.add(u)
	}
	return s.write(ctx, whole, c.Guard)
}

// CommitParts makes c durable in as many transactions as its size needs, in
// the order of Put, Delete, PutOrders, DeleteOrders, PutRenderings,
// DropRenderings, PutHandoffs; a host and its entries are never parted. After an error the
// parts before it stay written.
func (s *Store) CommitParts(ctx context.Context, c Change) error {
	units, err := s.plan(c)
	if err != nil {
		return err
	}
	for _, part := range pack(units) {
		if err := s.write(ctx, part, c.Guard); err != nil {
			return err
		}
	}
	return nil
}

// pack joins units, in their order, into parts that fit one transaction each
// and leave room for a guard.
func pack(units []unit) []unit {
	var parts []unit
	for _, u := range units {
		last := len(parts) - 1
		if last < 0 || !fits(parts[last], u) {
			parts = append(parts, unit{})
			last++
		}
		parts[last].add(u)
	}
	return parts
}

func fits(a, b unit) bool {
	return len(a.conds)+len(b.conds) < MaxTxn && len(a.ops)+len(b.ops) <= MaxTxn && a.size+b.size <= MaxTxnBytes-MaxKey
}

func (s *Store) write(ctx context.Context, u unit, guard *Lease) error {
	conds := u.conds
	if guard != nil {
		conds = append(slices.Clone(conds), guard.cond())
	}
	_, err := s.engine.Txn(ctx, conds, u.ops)
	if errors.Is(err, ErrConflict) && guard != nil {
		err = s.blameGuard(ctx, guard, err)
	}
	return fault("commit", err)
}

// plan turns c into units, and touches nothing.
func (s *Store) plan(c Change) ([]unit, error) {
	entries := map[provisioner.HostID][]provisioner.Entry{}
	for _, e := range c.Entries {
		if e.At.IsZero() {
			e.At = s.now()
		}
		entries[e.Host] = append(entries[e.Host], e)
	}
	units := make([]unit, 0, len(c.Put)+len(c.Delete)+len(c.PutOrders)+len(c.DeleteOrders))
	for _, h := range c.Put {
		u, err := putHost(h, entries[h.ID])
		if err != nil {
			return nil, err
		}
		delete(entries, h.ID)
		units = append(units, u)
	}
	for _, h := range c.Delete {
		u, err := deleteHost(h, entries[h.ID], c.Put)
		if err != nil {
			return nil, err
		}
		delete(entries, h.ID)
		units = append(units, u)
	}
	orders, err := s.planOrders(c)
	if err != nil {
		return nil, err
	}
	if len(entries) > 0 {
		return nil, invalid("journal entries of hosts that the change does not write: %v", slices.Sorted(maps.Keys(entries)))
	}
	handoffs, err := planHandoffs(c)
	if err != nil {
		return nil, err
	}
	return slices.Concat(units, orders, planRenderings(c), handoffs), nil
}

func putHost(h provisioner.Host, entries []provisioner.Entry) (unit, error) {
	u := unit{}
	u.need(hostKey(h.ID), h.Revision)
	first := h.Entries + 1
	h.Entries += uint64(len(entries))
	value, err := json.Marshal(h)
	if err != nil {
		return u, invalid("encode host %s: %w", h.ID, err)
	}
	u.do(Put(hostKey(h.ID), value))
	return u, u.journal(entries, first)
}

func deleteHost(h provisioner.Host, entries []provisioner.Entry, kept []provisioner.Host) (unit, error) {
	u := unit{}
	if h.Revision == 0 {
		return u, invalid("delete host %s: it was not read from the store", h.ID)
	}
	u.need(hostKey(h.ID), h.Revision)
	u.do(Delete(hostKey(h.ID)))
	if a, ok := rendered(h); ok && !slices.ContainsFunc(kept, func(k provisioner.Host) bool {
		of, ok := rendered(k)
		return ok && of == a
	}) {
		u.do(Delete(renderingKey(a)))
	}
	return u, u.journal(entries, h.Entries+1)
}

// journal adds entries numbered from first. That no entry has its number yet
// is a condition: the journal is never overwritten.
func (u *unit) journal(entries []provisioner.Entry, first uint64) error {
	for i, e := range entries {
		e.Seq = first + uint64(i)
		value, err := json.Marshal(e)
		if err != nil {
			return invalid("encode a journal entry of host %s: %w", e.Host, err)
		}
		u.need(entryKey(e.Host, e.Seq), 0)
		u.do(Put(entryKey(e.Host, e.Seq), value))
	}
	return nil
}

func (s *Store) planOrders(c Change) ([]unit, error) {
	var units []unit
	for _, o := range c.PutOrders {
		value, err := s.encodeOrder(o)
		if err != nil {
			return nil, invalid("encode order %s: %w", o.Name, err)
		}
		u := unit{}
		u.need(orderKey(o.Name), o.Revision)
		u.do(Put(orderKey(o.Name), value))
		units = append(units, u)
	}
	for _, o := range c.DeleteOrders {
		if o.Revision == 0 {
			return nil, invalid("delete order %s: it was not read from the store", o.Name)
		}
		u := unit{}
		u.need(orderKey(o.Name), o.Revision)
		u.do(Delete(orderKey(o.Name)))
		units = append(units, u)
	}
	return units, nil
}

// maxTries bounds how often Change takes up a host that others keep changing.
const maxTries = 32

// Change loads a host, lets edit change it, and commits it with the journal
// entries that edit returns; if somebody else was first it does so again, so
// edit may run several times. Where edit changes nothing and returns no
// entries, nothing is written. It returns the host as it now is, or the error
// of edit as it came.
func (s *Store) Change(
	ctx context.Context, id provisioner.HostID, edit func(*provisioner.Host) ([]provisioner.Entry, error),
) (provisioner.Host, error) {
	for tries := 1; ; tries++ {
		h, err := s.tryChange(ctx, id, edit)
		if !errors.Is(err, ErrConflict) || tries == maxTries {
			return h, err
		}
	}
}

func (s *Store) tryChange(
	ctx context.Context, id provisioner.HostID, edit func(*provisioner.Host) ([]provisioner.Entry, error),
) (provisioner.Host, error) {
	h, err := s.Host(ctx, id)
	if err != nil {
		return provisioner.Host{}, err
	}
	before, err := json.Marshal(h)
	if err != nil {
		return provisioner.Host{}, fmt.Errorf("encode host %s: %w", id, err)
	}
	revision, count := h.Revision, h.Entries
	entries, err := edit(&h)
	if err != nil {
		return provisioner.Host{}, err
	}
	h.ID, h.Revision, h.Entries = id, revision, count // the store's own, whatever edit did
	after, err := json.Marshal(h)
	if err != nil {
		return provisioner.Host{}, invalid("encode host %s: %w", id, err)
	}
	if len(entries) == 0 && bytes.Equal(before, after) {
		return h, nil
	}
	units, err := s.plan(Change{Put: []provisioner.Host{h}, Entries: entries})
	if err != nil {
		return provisioner.Host{}, err
	}
	h.Revision, err = s.engine.Txn(ctx, units[0].conds, units[0].ops)
	if err != nil {
		return provisioner.Host{}, fault("change host "+string(id), err)
	}
	h.Entries += uint64(len(entries))
	return h, nil
}
