package engine

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/lifecycle"
	"github.com/muster-boot/muster/provisioner/store"
)

// sightingEvery bounds how often a host's packets are written down.
const sightingEvery = 10 * time.Second

// Bounds against a flood of made-up addresses: hosts kept that are in no order,
// of which the one seen longest ago then makes room, and addresses of one host.
const (
	maxUnknown = 2000
	maxMACs    = 16
)

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
// by its addresses, lets the host move, and returns it as it then is. A client
// that nobody knows and that does not netboot is none of ours: the host
// returned is the zero value.
func (e *Engine) See(ctx context.Context, s Seen) (provisioner.Host, error) {
	id, err := e.hostSeen(ctx, s)
	if err != nil || id == "" {
		return provisioner.Host{}, err
	}
	h, err := e.observe(ctx, id, "boot plane", func(h *provisioner.Host) (string, error) {
		now := e.at(*h)
		if !worthNoting(*h, s, now) {
			return "", nil
		}
		first := h.Facts.Sighting == nil
		_, again := lifecycle.SeenAgain(*h)
		h.Facts.Sighting = sighting(h.Facts.Sighting, s, now)
		switch _, back := lifecycle.SeenAgain(*h); {
		case first:
			return firstSeen(s), nil
		case back && !again:
			return "Seen on " + s.Network + " after it was shipped; it boots its own disk and nothing is installed.", nil
		}
		return "", nil
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
	if !s.Netboot {
		return "", nil
	}
	e.newHost.Lock()
	defer e.newHost.Unlock()
	if err := e.Mirror.Sync(ctx); err != nil { // it may be behind the host that was made a moment ago
		return "", err
	}
	if h, ok := e.known(s); ok {
		return h.ID, nil
	}
	return e.createUnknown(ctx, s, forgotten(e.Mirror.Hosts()))
}

// forgotten is who makes room for a new unknown host: nobody while there is
// room, else the unknown one that was seen longest ago.
func forgotten(all []provisioner.Host) []provisioner.Host {
	var unknown []provisioner.Host
	for _, h := range all {
		if h.Status.Phase == provisioner.Unknown && h.Intent.Order == "" && h.Facts.Sighting != nil {
			unknown = append(unknown, h)
		}
	}
	if len(unknown) < maxUnknown {
		return nil
	}
	return []provisioner.Host{slices.MinFunc(unknown, func(a, b provisioner.Host) int {
		return a.Facts.Sighting.Last.Compare(b.Facts.Sighting.Last)
	})}
}

func (e *Engine) known(s Seen) (provisioner.Host, bool) {
	if h, ok := e.Mirror.ByMAC(s.MAC); ok {
		return h, true
	}
	if s.UUID == "" {
		return provisioner.Host{}, false
	}
	h, ok := e.Mirror.ByUUID(s.UUID)
	return h, ok && lifecycle.ListsUUID(h, s.UUID)
}

func (e *Engine) createUnknown(ctx context.Context, s Seen, forget []provisioner.Host) (provisioner.HostID, error) {
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
		Delete:  forget,
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
	case was == nil, was.Network != s.Network:
		return true
	case !slices.Contains(was.MACs, s.MAC) && len(was.MACs) < maxMACs:
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
	if !slices.Contains(n.MACs, s.MAC) && len(n.MACs) < maxMACs {
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
