package lab

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
)

// Seat is an address of its own on one of the lab's networks, for what runs in
// the lab's process and not in a namespace's: a BMC, or a host of paper. It may
// be used concurrently.
type Seat struct {
	wires   *Namespace
	network string
	address netip.Prefix
}

// Seat takes an address of a network; an empty name means the lab's first.
func (l *Lab) Seat(ctx context.Context, network string, address netip.Addr) (*Seat, error) {
	if network == "" && len(l.networks) > 0 {
		network = l.networks[0].Name
	}
	i := slices.IndexFunc(l.networks, func(n Network) bool { return n.Name == network })
	if i < 0 {
		return nil, fmt.Errorf("the lab has no network %q", network)
	}
	if of := l.networks[i].Address; !of.Contains(address) || of.Addr() == address {
		return nil, fmt.Errorf("network %s: %s is not another address in %s", network, address, of.Masked())
	}
	s := &Seat{wires: l.wires(), network: network, address: netip.PrefixFrom(address, l.networks[i].Address.Bits())}
	if err := ipBatch(ctx, s.wires.name, []string{fmt.Sprintf("addr add %s dev %s", s.address, network)}); err != nil {
		return nil, fmt.Errorf("take address %s on network %s: %w", address, network, err)
	}
	return s, nil
}

// Address is the seat's own.
func (s *Seat) Address() netip.Addr { return s.address.Addr() }

// Listen is net.Listen on the seat's network; who wants the seat's address says
// so in address.
func (s *Seat) Listen(network, address string) (l net.Listener, err error) {
	err = s.wires.Do(func() error {
		l, err = net.Listen(network, address)
		return err
	})
	return l, err
}

// Dial connects to an IP literal, from the seat's address.
func (s *Seat) Dial(ctx context.Context, network, address string) (c net.Conn, err error) {
	if _, err := netip.ParseAddrPort(address); err != nil {
		return nil, fmt.Errorf("dial %s: a lab has no name service: %w", address, err)
	}
	from := net.Dialer{LocalAddr: &net.TCPAddr{IP: s.Address().AsSlice()}}
	err = s.wires.Do(func() error {
		c, err = from.DialContext(ctx, network, address)
		return err
	})
	return c, err
}

// leave gives the address back.
func (s *Seat) leave(ctx context.Context) error {
	return ipBatch(ctx, s.wires.name, []string{fmt.Sprintf("addr del %s dev %s", s.address, s.network)})
}
