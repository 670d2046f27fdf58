// Package discover finds BMCs: by what they call themselves in DHCP, and by
// asking the addresses that a person named.
//
// It asks for the service root, which needs no login, and for nothing else: it
// knows no password, tries none and changes nothing. It asks no address that
// nobody named. Start at [Scan]; [ByVendorClass] reads DHCP's option 60, and
// [Makers] a MAC, of who does not say who it is.
package discover

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/muster-boot/muster/redfish"
)

// Found is a BMC at an address.
type Found struct {
	Address string // as it can be given to redfish.Target
	About   redfish.About
	Problem string // why it is a BMC and says no more; "" if it said all
}

// Options of a scan. The zero value works.
type Options struct {
	Port    int           // 443 if 0
	Timeout time.Duration // for one address; 5 s if 0
	AtOnce  int           // addresses asked at the same time; 32 if 0
	// Asked is told how many addresses have been asked, one call at a time; may
	// be nil.
	Asked func(done int)
}

// maxAddresses bounds a scan: a /20.
const maxAddresses = 4096

// Addresses reads what a person named: addresses, "192.0.2.10-192.0.2.40", and
// "192.0.2.0/24" without its network and broadcast addresses.
func Addresses(names ...string) ([]netip.Addr, error) {
	var list []netip.Addr
	for _, name := range names {
		from, to, err := bounds(strings.TrimSpace(name))
		if err != nil {
			return nil, err
		}
		for a := from; a.IsValid() && a.Compare(to) <= 0; a = a.Next() {
			if list = append(list, a); len(list) > maxAddresses {
				return nil, fmt.Errorf("%s: these are more than %d addresses; name a smaller range", name, maxAddresses)
			}
		}
	}
	slices.SortFunc(list, netip.Addr.Compare)
	return slices.Compact(list), nil
}

// bounds are the first and the last address of what was named.
func bounds(name string) (from, to netip.Addr, err error) {
	if p, err := netip.ParsePrefix(name); err == nil {
		from, to = ends(p)
		return from, to, nil
	}
	first, last, isRange := strings.Cut(name, "-")
	if !isRange {
		last = first
	}
	from, errFrom := netip.ParseAddr(strings.TrimSpace(first))
	to, errTo := netip.ParseAddr(strings.TrimSpace(last))
	if errFrom != nil || errTo != nil || from.Is4() != to.Is4() || from.Compare(to) > 0 {
		return from, to, fmt.Errorf("%q is no address, no range like 192.0.2.10-192.0.2.40 and no network like 192.0.2.0/24", name)
	}
	return from, to, nil
}

// ends are the addresses of a network that hosts may have.
func ends(p netip.Prefix) (from, to netip.Addr) {
	p = p.Masked()
	bytes := p.Addr().AsSlice()
	for bit := p.Bits(); bit < len(bytes)*8; bit++ {
		bytes[bit/8] |= 1 << (7 - bit%8)
	}
	from = p.Addr()
	to, _ = netip.AddrFromSlice(bytes)
	if p.Addr().Is4() && p.Bits() < 31 { // RFC 3021: a /31 has neither
		return from.Next(), to.Prev()
	}
	return from, to
}

// Scan asks each address once and returns those where a BMC is, in order. An
// address that is silent, or where something else answers, is left out. The
// error is the end of ctx; what was found until then is returned with it.
func Scan(ctx context.Context, addresses []netip.Addr, o Options) ([]Found, error) {
	const usual, usualTimeout = 32, 5 * time.Second
	if o.AtOnce <= 0 {
		o.AtOnce = usual
	}
	if o.Timeout <= 0 {
		o.Timeout = usualTimeout
	}
	results := make([]*Found, len(addresses))
	work := make(chan int)
	var workers sync.WaitGroup
	var mu sync.Mutex
	done := 0
	for range min(o.AtOnce, len(addresses)) {
		workers.Go(func() {
			for i := range work {
				results[i] = ask(ctx, addresses[i], o)
				mu.Lock()
				if done++; o.Asked != nil {
					o.Asked(done)
				}
				mu.Unlock()
			}
		})
	}
	for i := range addresses {
		if ctx.Err() != nil {
			break
		}
		work <- i
	}
	close(work)
	workers.Wait()
	var found []Found
	for _, f := range results {
		if f != nil {
			found = append(found, *f)
		}
	}
	return found, ctx.Err()
}

// ask reads one service root. A BMC that is busy is found all the same.
func ask(ctx context.Context, a netip.Addr, o Options) *Found {
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	f := Found{Address: a.String()}
	if o.Port != 0 {
		f.Address = netip.AddrPortFrom(a, uint16(o.Port)).String()
	}
	about, err := redfish.Hello(ctx, redfish.Target{Address: f.Address}, redfish.Options{
		Pace: redfish.Pace{Request: o.Timeout, Busy: o.Timeout / 10, Patience: o.Timeout / 10}, // a scan does not wait for who is busy
	})
	if cause := redfish.CauseOf(err); cause == redfish.Busy {
		f.Problem = err.Error()
		return &f
	}
	if err != nil {
		return nil
	}
	f.About = about
	return &f
}

// String is a line for a person.
func (f Found) String() string {
	if f.Problem != "" {
		return f.Address + ": " + f.Problem
	}
	p := f.About.Product
	return fmt.Sprintf("%s: %s, Redfish %s", f.Address, strings.TrimSpace(strconv.Quote(p.Vendor)+" "+strconv.Quote(p.Name)), p.Redfish)
}
