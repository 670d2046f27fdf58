package fetch

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"syscall"
)

// Guard says which addresses may be fetched from. It is asked at the moment of
// dialling, when a name has become an address, and for every redirect: a name
// that was checked earlier may mean another address now.
//
// This host, its links and cloud metadata are refused always: what answers
// there trusts whoever can reach it. Private networks are where a site keeps
// its mirror, so they are fetched from when a person names them; they are
// refused once a fetch has been at a public address, which has no business in
// sending us inside. The zero value is this policy.
type Guard struct {
	Own   func() ([]netip.Addr, error) // this host's addresses; nil means those of its interfaces
	Allow []netip.Prefix               // exempt, for a mirror on this very host
}

// Refused says that an address is none to fetch from.
type Refused struct {
	Addr netip.Addr
	Why  string
}

func (r *Refused) Error() string {
	return fmt.Sprintf("%s is %s; muster does not fetch from there; fetch the file yourself, then add that", r.Addr, r.Why)
}

// Addresses of instance metadata services. The first is link-local as well.
var (
	metadata4 = netip.AddrFrom4([4]byte{169, 254, 169, 254})
	metadata6 = netip.AddrFrom16([16]byte{0: 0xfd, 2: 0x0e, 3: 0xc2, 14: 0x02, 15: 0x54}) // fd00:ec2::254
)

// Networks that carry another address inside, at the bits that follow.
var (
	nat64   = netip.PrefixFrom(netip.AddrFrom16([16]byte{1: 0x64, 2: 0xff, 3: 0x9b}), 96) // RFC 6052 §2.1
	sixTo4  = netip.PrefixFrom(netip.AddrFrom16([16]byte{0: 0x20, 1: 0x02}), 16)          // RFC 3056 §2
	thisNet = netip.PrefixFrom(netip.AddrFrom4([4]byte{}), 8)                             // RFC 1122 §3.2.1.3
	shared  = netip.PrefixFrom(netip.AddrFrom4([4]byte{100, 64}), 10)                     // RFC 6598 §7
	class4E = netip.PrefixFrom(netip.AddrFrom4([4]byte{240}), 4)                          // RFC 1112 §4, with broadcast
)

// judge decides on one address. public tells whether it is reachable from
// anywhere; wasPublic, whether the fetch has been at such a one before.
func (g Guard) judge(a netip.Addr, own []netip.Addr, wasPublic bool) (public bool, err error) {
	a = bare(a)
	if slices.ContainsFunc(g.Allow, func(p netip.Prefix) bool { return p.Contains(a) }) {
		return false, nil
	}
	if why := forbidden(a, own); why != "" {
		return false, &Refused{a, why}
	}
	if !a.IsPrivate() && !shared.Contains(a) {
		return true, nil
	}
	if wasPublic {
		return false, &Refused{a, "a private address that a public one sent us to"}
	}
	return false, nil
}

// forbidden says what is wrong with an address for everybody, or nothing.
func forbidden(a netip.Addr, own []netip.Addr) string {
	switch {
	case !a.IsValid() || a.IsUnspecified() || thisNet.Contains(a) || class4E.Contains(a):
		return "no address of a host"
	case a == metadata4 || a == metadata6:
		return "a cloud's metadata service"
	case a.IsLoopback():
		return "a loopback address"
	case a.IsLinkLocalUnicast():
		return "a link-local address"
	case a.IsMulticast():
		return "a multicast address"
	case slices.Contains(own, a):
		return "an address of this host"
	}
	return ""
}

// bare is the address that is meant in the end: without zone, and taken out of
// the IPv6 forms that lead to an IPv4 address.
func bare(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if !a.Is6() {
		return a
	}
	b := a.As16()
	switch {
	case nat64.Contains(a):
		return netip.AddrFrom4([4]byte(b[12:16]))
	case sixTo4.Contains(a):
		return netip.AddrFrom4([4]byte(b[2:6]))
	}
	return a
}

// trail is where one fetch has been, over all its redirects and tries.
type trail struct{ public atomic.Bool }

type trailKey struct{}

// admit implements [net.Dialer.ControlContext]: it is called with the address
// that the socket is about to be connected to.
func (g Guard) admit(ctx context.Context, _, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("read the address %s: %w", address, err)
	}
	own := g.Own
	if own == nil {
		own = interfaceAddrs
	}
	ours, err := own()
	if err != nil {
		return fmt.Errorf("list this host's addresses: %w", err)
	}
	for i := range ours {
		ours[i] = bare(ours[i])
	}
	been := ctx.Value(trailKey{}).(*trail)
	public, err := g.judge(to.Addr(), ours, been.public.Load())
	if public {
		been.public.Store(true)
	}
	return err
}

func interfaceAddrs() ([]netip.Addr, error) {
	list, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	var addrs []netip.Addr
	for _, a := range list {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			addrs = append(addrs, p.Addr())
		}
	}
	return addrs, nil
}
