package engine

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/store"
)

// sightingEvery bounds how often a host's packets are written down.
const sightingEvery = 10 * time.Second

// maxUnknown bounds the hosts kept that are in no order, so that a flood of
// made-up addresses fills neither memory nor disk.
const maxUnknown = 2000

// Seen is what the boot plane saw of one client.
type Seen struct {
	MAC      string // lower case, colons
	UUID     string // as Linux would print it; empty when absent or junk
	Network  string
	Boot     provisioner.BootKind // empty when the packet does not tell
	Address  string
	Netboot  bool // from firmware or a boot loader, not from a running system
	Discover bool // the network gives the scout to unlisted hosts
}

// See notes that a client showed itself, makes a host of it if none is known
// by its addresses, lets the host move, and returns it as it then is.
func (e *Engine) See(ctx context.Context, s Seen) (provisioner.Host, error) {
	id, err := e.hostSeen(ctx, s)
	if err != nil {
		return provisioner.Host{}, err
	}
	now := e.Now()
	h, err := e.observe(ctx, id, "boot plane", func(h *provisioner.Host) (string, error) {
		if !worthNoting(*h, s, now) {
			return "", nil
		}
		first := h.Facts.Sighting == nil
		h.Facts.Sighting = sighting(h.Facts.Sighting, s, now)
		if !first {
			return "", nil
		}
		return firstSeen(s), nil
	})
	if err != nil {
		return h, err
	}
	return e.settle(ctx, id)
}

// hostSeen returns the host that has this address, or a new, unknown one.
func (e *Engine) hostSeen(ctx context.Context, s Seen) (provisioner.HostID, error) {
	if h, ok := e.known(s); ok {
		return h.ID, nil
	}
	e.newHost.Lock()
	defer e.newHost.Unlock()
	if err := e.Mirror.Sync(ctx); err != nil { // it may be behind the host that was made a moment ago
		return "", err
	}
	if h, ok := e.known(s); ok {
		return h.ID, nil
	}
	unknown := 0
	for _, h := range e.Mirror.Hosts() {
		if h.Intent.Order == "" {
			unknown++
		}
	}
	if unknown >= maxUnknown {
		return "", &provisioner.Fault{Kind: provisioner.Operator, Err: fmt.Errorf(
			"%d hosts are in no order; %s is not noted (remove some with: muster host rm)", unknown, s.MAC)}
	}
	return e.createUnknown(ctx, s)
}

func (e *Engine) known(s Seen) (provisioner.Host, bool) {
	if h, ok := e.Mirror.ByMAC(s.MAC); ok {
		return h, true
	}
	if s.UUID == "" {
		return provisioner.Host{}, false
	}
	return e.Mirror.ByUUID(s.UUID)
}

func (e *Engine) createUnknown(ctx context.Context, s Seen) (provisioner.HostID, error) {
	guard, err := e.guard()
	if err != nil {
		return "", err
	}
	now := e.Now()
	h := provisioner.Host{
		ID:      provisioner.MintHost(),
		Created: now,
		Status:  provisioner.Status{Phase: provisioner.Unknown, Since: now, Why: "Seen on " + s.Network + "; it is in no manifest."},
	}
	h.Facts.Sighting = sighting(nil, s, now)
	return h.ID, e.Store.Commit(ctx, store.Change{
		Put:     []provisioner.Host{h},
		Entries: []provisioner.Entry{e.entry(h, provisioner.EntryFact, "boot plane", firstSeen(s))},
		Guard:   guard,
	})
}

func firstSeen(s Seen) string {
	return fmt.Sprintf("Seen for the first time, on %s with MAC %s.", s.Network, s.MAC)
}

// worthNoting keeps the boot plane from writing at every packet. What changes
// the picture is always written.
func worthNoting(h provisioner.Host, s Seen, now time.Time) bool {
	was := h.Facts.Sighting
	switch {
	case was == nil, !slices.Contains(was.MACs, s.MAC), was.Network != s.Network:
		return true
	case s.Address != "" && s.Address != was.Address, s.Boot != "" && s.Boot != was.Boot:
		return true
	case s.Discover != was.Discover:
		return true
	case s.Netboot && was.Netboot.Before(h.Status.Since):
		return true
	}
	return now.Sub(was.Last) >= sightingEvery
}

// sighting returns was, brought up to date by s; was is not changed.
func sighting(was *provisioner.Sighting, s Seen, now time.Time) *provisioner.Sighting {
	n := provisioner.Sighting{First: now}
	if was != nil {
		n = *was
		n.MACs = slices.Clone(was.MACs)
	}
	n.Last, n.Network, n.Discover = now, s.Network, s.Discover
	if !slices.Contains(n.MACs, s.MAC) {
		n.MACs = append(n.MACs, s.MAC)
	}
	if s.Netboot {
		n.Netboot = now
	}
	if s.UUID != "" {
		n.UUID = s.UUID
	}
	if s.Boot != "" {
		n.Boot = s.Boot
	}
	if s.Address != "" {
		n.Address = s.Address
	}
	return &n
}
