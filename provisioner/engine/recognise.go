package engine

import (
	"context"
	"fmt"
	"strings"

	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/lifecycle"
	"github.com/muster-boot/muster/provisioner/store"
)

// recognise keeps up the two facts that come from comparing hosts: that a seen
// host is a listed one, and that two cannot be told apart.
func (e *Engine) recognise(ctx context.Context, h provisioner.Host) (moved bool, err error) {
	if h.Facts.Sighting == nil && h.Facts.Report == nil && h.Facts.Conflict == "" {
		return false, nil
	}
	// The mirror may be moments old: whatever changes later wakes the hosts again.
	r := lifecycle.Recognise(h, e.Mirror.Alike(h))
	switch {
	case r.Conflict != h.Facts.Conflict:
		return true, e.noteConflict(ctx, h.ID, r)
	case r.Row != "":
		return true, e.join(ctx, h, r)
	case r.Port != "":
		return true, e.absorb(ctx, h, r.Port)
	}
	return false, nil
}

// absorb removes the record of a host's other network port.
func (e *Engine) absorb(ctx context.Context, port provisioner.Host, whole provisioner.HostID) error {
	guard, err := e.guard()
	if err != nil {
		return err
	}
	h, err := e.Store.Host(ctx, whole)
	if err != nil {
		return err
	}
	h.Aliases = append(h.Aliases, port.ID)
	text := fmt.Sprintf("%s, seen on %s as %s, is another network port of this host.",
		strings.Join(port.Facts.Sighting.MACs, ", "), port.Facts.Sighting.Network, port.ID)
	return e.Store.Commit(ctx, store.Change{
		Put: []provisioner.Host{h}, Delete: []provisioner.Host{port}, Guard: guard,
		Entries: []provisioner.Entry{e.entry(h, provisioner.EntryFact, "identification", text)},
	})
}

// noteConflict writes the conflict of one host and wakes the others, who see
// the same conflict from their side.
func (e *Engine) noteConflict(ctx context.Context, id provisioner.HostID, r lifecycle.Recognition) error {
	_, err := e.observe(ctx, id, "identification", func(h *provisioner.Host) (string, error) {
		h.Facts.Conflict = r.Conflict
		if r.Conflict == "" {
			return "It can be told from every other host again.", nil
		}
		return r.Conflict, nil
	})
	for _, other := range r.With {
		e.queue.add(other, e.Now())
	}
	return err
}

// join makes one host of a listed, never seen one and a seen, unlisted one. The
// listed host keeps its id and intent and takes over what was seen and where
// the other was on its way; the other's id stays as an alias, because a scout
// may be running with it.
func (e *Engine) join(ctx context.Context, seen provisioner.Host, r lifecycle.Recognition) error {
	guard, err := e.guard()
	if err != nil {
		return err
	}
	row, err := e.Store.Host(ctx, r.Row)
	if err != nil {
		return err
	}
	if row.Facts.Sighting != nil || row.Facts.Report != nil || row.Intent.Order == "" {
		return store.ErrConflict // another machine was faster; look again
	}
	known := row.Facts
	row.Facts = seen.Facts
	row.Facts.BMC, row.Facts.BMCLease, row.Facts.BMCRefusal = known.BMC, known.BMCLease, known.BMCRefusal // only a row has a BMC
	row.Facts.Survey, row.Facts.Errands = known.Survey, known.Errands
	row.Status = seen.Status
	row.Status.Handled = row.Intent.Requests // the wishes were for either record, and are answered by this
	if row.Intent.Hold == "" {
		row.Intent.Hold = seen.Intent.Hold
	}
	row.Aliases = append(append(row.Aliases, seen.ID), seen.Aliases...)
	return e.Store.Commit(ctx, store.Change{
		Put:    []provisioner.Host{row},
		Delete: []provisioner.Host{seen},
		Entries: []provisioner.Entry{
			e.entry(row, provisioner.EntryFact, "identification", r.Sentence+" It was seen as "+string(seen.ID)+"."),
		},
		Guard: guard,
	})
}
