// Package lease keeps which address belongs to which MAC, across restarts: the
// pool of a network, fixed addresses, offers held for a moment, and addresses
// that a client found in use.
//
// It speaks no DHCP and decides about no client; whoever asks has already been
// found worth an address. It never gives one address to two clients while
// either may believe in it, and never promises one that is not yet on disk.
//
// A lease is identified by the MAC alone (chaddr), never by the client
// identifier: on one boot the firmware's PXE, iPXE and the operating system
// send different identifiers or none, and the same host must keep one address
// through all of them, because TFTP and HTTP know a host by its address only.
//
// Start at [Open] and [Book.Offer]; the choice itself is [table.choose].
package lease

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// The answers of a [Book] that are not a broken disk. Use errors.Is.
var (
	ErrFull    = errors.New("no address of the pool is free")
	ErrTaken   = errors.New("the address belongs to another client")
	ErrOutside = errors.New("the address is not one of this network's")
)

// Pool is where a client's address may come from.
type Pool struct {
	From, To netip.Addr   // the first and the last address, both given out
	Fixed    netip.Addr   // this client's reserved address, inside or outside the range; invalid when it has none
	Except   []netip.Addr // given to nobody, such as our own and the router's
}

// Contains reports whether addr lies in the pool's range.
func (p Pool) Contains(addr netip.Addr) bool {
	return addr.IsValid() && p.From.Compare(addr) <= 0 && addr.Compare(p.To) <= 0
}

// gives reports whether this client may have addr at all.
func (p Pool) gives(addr netip.Addr) bool {
	if slices.Contains(p.Except, addr) {
		return false
	}
	return p.Contains(addr) || p.Fixed.IsValid() && addr == p.Fixed
}

// Options sets a book's times. The zero value works.
type Options struct {
	// Duration is how long a bound address is the client's; one hour when zero.
	Duration time.Duration
	// Hold is how long an offered address waits for its request; one minute when zero.
	Hold time.Duration
	// Shun is how long a declined address is given to nobody; one hour when zero.
	Shun time.Duration
	// Reserved reports addresses that are fixed for some host, so that the pool
	// gives them to nobody else; nil when there are none. It is called with the
	// book locked and must not call back.
	Reserved func(netip.Addr) bool
	// Now is the clock; time.Now when nil.
	Now func() time.Time
}

// withDefaults returns o with every zero field replaced.
func (o Options) withDefaults() Options {
	if o.Duration == 0 {
		o.Duration = time.Hour
	}
	if o.Hold == 0 {
		o.Hold = time.Minute
	}
	if o.Shun == 0 {
		o.Shun = time.Hour
	}
	if o.Reserved == nil {
		o.Reserved = func(netip.Addr) bool { return false }
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// Book is the leases of all networks. All its methods may be called at once.
type Book struct {
	opts    Options
	journal *journal

	mu    sync.Mutex
	table table
}

// Open reads the leases kept at path, drops what is long past, and returns the
// book that goes on writing there; a missing file is an empty book. Only one
// process may have a book open.
func Open(path string, opts Options) (*Book, error) {
	opts = opts.withDefaults()
	t := newTable()
	j, err := openJournal(path, &t, opts.Now())
	if err != nil {
		return nil, fmt.Errorf("open leases %s: %w", path, err)
	}
	return &Book{opts: opts, journal: j, table: t}, nil
}

// Close releases the file. Calls after it return an error.
func (b *Book) Close() error {
	return b.journal.close()
}

// Duration is how long a bound address is the client's.
func (b *Book) Duration() time.Duration { return b.opts.Duration }

// Offer picks the address that mac would get and holds it for a moment. A
// client that has an address keeps it; else want is respected where it is free.
// Offers are not written down: a restart between offer and request costs the
// client one retry at most. It returns ErrFull when nothing is free, and
// ErrTaken when the client's fixed address is still another client's.
func (b *Book) Offer(mac net.HardwareAddr, pool Pool, want netip.Addr) (netip.Addr, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.opts.Now()
	addr, err := b.table.choose(key(mac), pool, want, b.opts.Reserved, now)
	if err != nil {
		return netip.Addr{}, err
	}
	if e := b.table.byAddr[addr]; e.bound(now) {
		return addr, nil // the lease itself outlives the hold
	}
	b.table.put(entry{Addr: addr, MAC: key(mac), State: offered, Until: now.Add(b.opts.Hold)})
	return addr, nil
}

// Bind makes addr the client's for the lease duration and returns once that is
// on disk. An address that is free is bound without an offer, so that a client
// survives our losing the book. It returns ErrOutside or ErrTaken when the
// client may not have addr; any other error means that it could not be written,
// and then the client must not be told that it has it.
func (b *Book) Bind(mac net.HardwareAddr, pool Pool, addr netip.Addr) error {
	b.mu.Lock()
	now := b.opts.Now()
	if err := b.table.allowed(key(mac), pool, addr, b.opts.Reserved, now); err != nil {
		b.mu.Unlock()
		return err
	}
	e := entry{Addr: addr, MAC: key(mac), State: bound, Until: now.Add(b.opts.Duration)}
	before, had := b.table.byAddr[addr]
	b.table.put(e)
	written := b.journal.append(e)
	b.mu.Unlock()

	if err := written.wait(); err != nil {
		b.undo(e, before, had)
		return fmt.Errorf("write lease of %s for %s: %w", addr, mac, err)
	}
	return nil
}

// undo takes back a promise that never reached the disk, unless somebody has
// changed the entry since.
func (b *Book) undo(e, before entry, had bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.table.byAddr[e.Addr] != e {
		return
	}
	b.table.remove(e.Addr)
	if had {
		b.table.put(before)
	}
}

// Release frees addr if it is mac's. The address stays its likely next one.
func (b *Book) Release(mac net.HardwareAddr, addr netip.Addr) error {
	return b.end(mac, addr, func(e entry, now time.Time) entry {
		e.State, e.Until = bound, now
		return e
	})
}

// Decline notes that mac found addr in use by somebody else (RFC 2131 §4.3.3):
// nobody is given it for a while. A client can only decline what it was given.
func (b *Book) Decline(mac net.HardwareAddr, addr netip.Addr) error {
	return b.end(mac, addr, func(e entry, now time.Time) entry {
		e.State, e.MAC, e.Until = declined, "", now.Add(b.opts.Shun)
		return e
	})
}

// end replaces mac's entry for addr and writes it down; an entry of another
// client is left alone.
func (b *Book) end(mac net.HardwareAddr, addr netip.Addr, change func(entry, time.Time) entry) error {
	b.mu.Lock()
	now := b.opts.Now()
	e, ok := b.table.byAddr[addr]
	if !ok || e.State == declined || e.MAC != key(mac) || !e.live(now) {
		b.mu.Unlock()
		return nil
	}
	e = change(e, now)
	b.table.put(e)
	written := b.journal.append(e)
	b.mu.Unlock()
	if err := written.wait(); err != nil {
		return fmt.Errorf("write end of lease of %s for %s: %w", addr, mac, err)
	}
	return nil
}

// MACOf returns whose bound address addr is, for protocols that carry no MAC.
func (b *Book) MACOf(addr netip.Addr) (net.HardwareAddr, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e, ok := b.table.byAddr[addr.Unmap()]
	if !ok || !e.bound(b.opts.Now()) {
		return nil, false
	}
	return net.HardwareAddr(e.MAC), true
}

// AddressOf returns the bound address of mac whose lease ends last.
func (b *Book) AddressOf(mac net.HardwareAddr) (netip.Addr, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.opts.Now()
	var best entry
	for _, addr := range b.table.byMAC[key(mac)] {
		if e := b.table.byAddr[addr]; e.bound(now) && e.Until.After(best.Until) {
			best = e
		}
	}
	return best.Addr, best.Addr.IsValid()
}

// Shown is one lease as people may see it.
type Shown struct {
	Address netip.Addr
	MAC     net.HardwareAddr
	Until   time.Time
}

// Leases returns the addresses that are bound now, ordered by address. The
// caller owns the slice.
func (b *Book) Leases() []Shown {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.opts.Now()
	var out []Shown
	for _, e := range b.table.sorted() {
		if e.bound(now) {
			out = append(out, Shown{e.Addr, net.HardwareAddr(e.MAC), e.Until})
		}
	}
	return out
}
