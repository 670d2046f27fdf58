package lease

import (
	"cmp"
	"encoding/binary"
	"hash/fnv"
	"net"
	"net/netip"
	"slices"
	"time"
)

// macKey is a MAC as a map key: its raw bytes. Empty in a declined entry, which
// is nobody's.
type macKey string

func key(mac net.HardwareAddr) macKey { return macKey(mac) }

// state is what an entry says of its address.
type state string

const (
	offered  state = "offered"  // waits for the request; in memory only
	bound    state = "bound"    // the client's until Until; afterwards its likely next one
	declined state = "declined" // somebody unknown uses it; nobody's until Until
)

// entry is what is known of one address.
type entry struct {
	Addr  netip.Addr
	MAC   macKey
	State state
	Until time.Time
}

// live reports whether the entry still keeps others from the address.
func (e entry) live(now time.Time) bool { return now.Before(e.Until) }

// bound reports whether the address is a client's by a lease that runs.
func (e entry) bound(now time.Time) bool { return e.State == bound && e.live(now) }

// table is every known address. It has no clock, lock or file; [Book] has.
type table struct {
	byAddr map[netip.Addr]entry
	byMAC  map[macKey][]netip.Addr // the addresses whose entry names the MAC, oldest first
}

func newTable() table {
	return table{byAddr: map[netip.Addr]entry{}, byMAC: map[macKey][]netip.Addr{}}
}

// put stores e in place of whatever was known of its address.
func (t *table) put(e entry) {
	t.remove(e.Addr)
	t.byAddr[e.Addr] = e
	if e.MAC != "" {
		t.byMAC[e.MAC] = append(t.byMAC[e.MAC], e.Addr)
	}
}

// remove forgets an address.
func (t *table) remove(addr netip.Addr) {
	e, ok := t.byAddr[addr]
	if !ok {
		return
	}
	delete(t.byAddr, addr)
	rest := slices.DeleteFunc(t.byMAC[e.MAC], func(a netip.Addr) bool { return a == addr })
	if len(rest) == 0 {
		delete(t.byMAC, e.MAC)
		return
	}
	t.byMAC[e.MAC] = rest
}

// allowed says whether mac may be bound to addr now.
func (t *table) allowed(mac macKey, pool Pool, addr netip.Addr, reserved func(netip.Addr) bool, now time.Time) error {
	if !pool.gives(addr) {
		return ErrOutside
	}
	if e, ok := t.byAddr[addr]; ok && e.live(now) && e.MAC != mac {
		return ErrTaken
	}
	if addr != pool.Fixed && reserved(addr) {
		return ErrTaken
	}
	return nil
}

// choose picks the address for mac: the fixed one; else the one it has or last
// had; else the wanted one; else one nobody ever had; else the one whose lease
// ended longest ago.
func (t *table) choose(mac macKey, pool Pool, want netip.Addr, reserved func(netip.Addr) bool, now time.Time) (netip.Addr, error) {
	if pool.Fixed.IsValid() {
		return pool.Fixed, t.allowed(mac, pool, pool.Fixed, reserved, now)
	}
	own := t.byMAC[mac]
	for _, addr := range slices.Backward(own) {
		if t.allowed(mac, pool, addr, reserved, now) == nil {
			return addr, nil
		}
	}
	if t.allowed(mac, pool, want, reserved, now) == nil {
		return want, nil
	}
	return t.free(mac, pool, reserved, now)
}

// free walks the pool once, from a place that depends on the MAC, so that a
// client mostly gets the same address even from an empty book.
func (t *table) free(mac macKey, pool Pool, reserved func(netip.Addr) bool, now time.Time) (netip.Addr, error) {
	var oldest entry
	size := pool.size()
	start := spread(mac)
	for i := range size {
		addr := pool.at((start + i) % size)
		if t.allowed(mac, pool, addr, reserved, now) != nil {
			continue
		}
		e, known := t.byAddr[addr]
		if !known {
			return addr, nil
		}
		if !oldest.Addr.IsValid() || e.Until.Before(oldest.Until) {
			oldest = e
		}
	}
	if !oldest.Addr.IsValid() {
		return netip.Addr{}, ErrFull
	}
	return oldest.Addr, nil
}

// size is how many addresses the range has; none when it is not a range of IPv4.
func (p Pool) size() uint64 {
	if !p.From.Is4() || !p.To.Is4() || p.To.Less(p.From) {
		return 0
	}
	return uint64(number(p.To)-number(p.From)) + 1
}

// at is the range's i-th address.
func (p Pool) at(i uint64) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], number(p.From)+uint32(i))
	return netip.AddrFrom4(b)
}

func number(a netip.Addr) uint32 {
	b := a.As4()
	return binary.BigEndian.Uint32(b[:])
}

// spread turns a MAC into a number that differs widely between neighbours.
func spread(mac macKey) uint64 {
	h := fnv.New32a()
	h.Write([]byte(mac))
	return uint64(h.Sum32())
}

// sorted returns the entries by address.
func (t *table) sorted() []entry {
	out := make([]entry, 0, len(t.byAddr))
	for _, e := range t.byAddr {
		out = append(out, e)
	}
	slices.SortFunc(out, func(a, b entry) int { return cmp.Or(a.Addr.Compare(b.Addr), cmp.Compare(a.MAC, b.MAC)) })
	return out
}
