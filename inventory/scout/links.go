package scout

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/nclient4"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const (
	// firstAnswer is how long one DHCP packet is waited for before it is sent
	// again; the client doubles it, and the caller's context ends the whole.
	firstAnswer = 1500 * time.Millisecond
	// dhcpSends is more than fit into any deadline that callers give.
	dhcpSends = 4
	// vendorClass tells the server's log that a scout asks, not a firmware.
	vendorClass = "muster-scout"
)

// kernelLinks is the real network, through netlink and DHCP.
type kernelLinks struct{ root fs.FS }

// ports lists what has a device behind it: no loopback, no bridges.
func (k kernelLinks) ports() ([]port, error) {
	all, err := netlink.LinkList()
	if err != nil {
		return nil, fmt.Errorf("list network ports: %w", err)
	}
	var ports []port
	for _, l := range all {
		a := l.Attrs()
		if _, err := fs.Stat(k.root, "sys/class/net/"+a.Name+"/device"); err != nil || len(a.HardwareAddr) != 6 {
			continue
		}
		ports = append(ports, port{name: a.Name, mac: a.HardwareAddr, carrier: a.RawFlags&unix.IFF_LOWER_UP != 0})
	}
	return ports, nil
}

func (k kernelLinks) up(name string) error {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("find port %s: %w", name, err)
	}
	if l.Attrs().RawFlags&unix.IFF_UP != 0 {
		return nil
	}
	return netlink.LinkSetUp(l)
}

// tag makes a VLAN on a port, named as ip(8) names one.
func (k kernelLinks) tag(p port, vlan int) (port, error) {
	parent, err := netlink.LinkByName(p.name)
	if err != nil {
		return port{}, fmt.Errorf("find port %s: %w", p.name, err)
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.ParentIndex = fmt.Sprintf("%s.%d", p.name, vlan), parent.Attrs().Index
	if err := netlink.LinkAdd(&netlink.Vlan{LinkAttrs: attrs, VlanId: vlan}); err != nil && !errors.Is(err, unix.EEXIST) {
		return port{}, fmt.Errorf("make VLAN %d on %s: %w", vlan, p.name, err)
	}
	return port{name: attrs.Name, mac: p.mac, carrier: p.carrier}, k.up(attrs.Name)
}

// request runs one DHCP exchange. The client reads every packet of the wire
// while it is open, so it is closed at once.
func (k kernelLinks) request(ctx context.Context, p port) (lease, error) {
	c, err := nclient4.New(p.name, nclient4.WithTimeout(firstAnswer), nclient4.WithRetry(dhcpSends), nclient4.WithHWAddr(p.mac))
	if err != nil {
		return lease{}, err
	}
	got, err := c.Request(ctx, dhcpv4.WithOption(dhcpv4.OptClassIdentifier(vendorClass)))
	if err := errors.Join(err, c.Close()); err != nil {
		return lease{}, err
	}
	return leaseOf(got.ACK)
}

// leaseOf reads the answer (RFC 2131 §4.3.1, options of RFC 2132).
func leaseOf(ack *dhcpv4.DHCPv4) (lease, error) {
	addr, ok := netip.AddrFromSlice(ack.YourIPAddr.To4())
	if !ok || addr.IsUnspecified() {
		return lease{}, errors.New("the DHCP answer gives no address")
	}
	mask := ack.SubnetMask()
	if mask == nil {
		mask = net.IP(addr.AsSlice()).DefaultMask() // RFC 950: by class where none is given
	}
	bits, _ := mask.Size()
	l := lease{address: netip.PrefixFrom(addr, bits), renew: renewal(ack)}
	if r := ack.Router(); len(r) > 0 {
		l.router, _ = netip.AddrFromSlice(r[0].To4())
	}
	l.server, _ = netip.AddrFromSlice(ack.ServerIdentifier().To4())
	return l, nil
}

// renewal is half of the lease's life, or what the server says (RFC 2131 §4.4.5).
func renewal(ack *dhcpv4.DHCPv4) time.Duration {
	const never = 0xffffffff * time.Second
	life := ack.IPAddressLeaseTime(0)
	if life == 0 || life == never {
		return 0
	}
	return ack.IPAddressRenewalTime(life / 2)
}

func (k kernelLinks) configure(name string, l lease) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("find port %s: %w", name, err)
	}
	if err := netlink.AddrReplace(link, addressOf(l)); err != nil {
		return fmt.Errorf("set address %s on %s: %w", l.address, name, err)
	}
	if !l.router.IsValid() {
		return nil
	}
	route := &netlink.Route{LinkIndex: link.Attrs().Index, Gw: l.router.AsSlice()}
	if err := netlink.RouteReplace(route); err != nil {
		return fmt.Errorf("set route through %s on %s: %w", l.router, name, err)
	}
	return nil
}

// drop takes the address away; routes through it go with it.
func (k kernelLinks) drop(name string, l lease) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("find port %s: %w", name, err)
	}
	if err := netlink.AddrDel(link, addressOf(l)); err != nil {
		return fmt.Errorf("take address %s from %s: %w", l.address, name, err)
	}
	return nil
}

func addressOf(l lease) *netlink.Addr {
	return &netlink.Addr{IPNet: &net.IPNet{
		IP:   l.address.Addr().AsSlice(),
		Mask: net.CIDRMask(l.address.Bits(), l.address.Addr().BitLen()),
	}}
}
