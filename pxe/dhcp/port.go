package dhcp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"

	"github.com/mdlayher/packet"
	"golang.org/x/net/bpf"
	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"

	"github.com/muster-boot/muster/pxe/holder"
)

// readBuffer is what the kernel may hold while the reader is busy; it gives less
// where net.core.rmem_max is lower.
const readBuffer = 4 << 20

// port is one bound UDP port of one interface.
type port struct {
	network Network
	boot    bool         // 4011, not 67
	own     []netip.Addr // the interface's IPv4 addresses
	link    *net.Interface
	conn    *ipv4.PacketConn
	raw     *packet.Conn // frames to clients without ARP; nil where the link has no MAC
}

// bind opens 67 and 4011 on every network, or nothing.
func (s *Server) bind(ctx context.Context) ([]*port, error) {
	var ports []*port
	for _, n := range s.networks {
		for _, number := range []uint16{serverPort, bootPort} {
			p, err := s.bindOne(ctx, n, number)
			if err != nil {
				return nil, errors.Join(err, closeAll(ports))
			}
			ports = append(ports, p)
		}
	}
	return ports, nil
}

func (s *Server) bindOne(ctx context.Context, n Network, number uint16) (*port, error) {
	link, own, err := addressed(n)
	if err != nil {
		return nil, err
	}
	conn, err := listen(ctx, n.Interface, number)
	if err != nil {
		err = holder.Explain(s.opts.Proc, holder.UDP, number, err)
		return nil, fmt.Errorf("serve DHCP on %s: %w", n.Interface, err)
	}
	p := &port{network: n, boot: number == bootPort, own: own, link: link, conn: conn}
	if len(link.HardwareAddr) == 6 && !p.boot {
		if p.raw, err = openRaw(link); err != nil {
			return nil, errors.Join(fmt.Errorf("open a packet socket on %s: %w", n.Interface, err), conn.Close())
		}
	}
	return p, nil
}

// addressed finds the interface and its addresses, and refuses one that is not
// set up as the configuration says: muster never sets an address itself.
func addressed(n Network) (*net.Interface, []netip.Addr, error) {
	link, err := net.InterfaceByName(n.Interface)
	if err != nil {
		return nil, nil, fmt.Errorf("there is no interface %s: see `ip link` for the names: %w", n.Interface, err)
	}
	addrs, err := link.Addrs()
	if err != nil {
		return nil, nil, fmt.Errorf("read the addresses of %s: %w", n.Interface, err)
	}
	var own []netip.Addr
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() {
			own = append(own, p.Addr())
		}
	}
	if !slices.Contains(own, n.Address.Addr()) {
		return nil, nil, fmt.Errorf("%s does not have the address %s; set it with `ip address add %s dev %s`",
			n.Interface, n.Address.Addr(), n.Address, n.Interface)
	}
	return link, own, nil
}

// listen binds a UDP port to one interface, so that a DHCP server on another
// one does not matter. It sets neither SO_REUSEADDR nor SO_REUSEPORT: two
// servers on one interface must be an error, not a theft of packets.
func listen(ctx context.Context, link string, number uint16) (*ipv4.PacketConn, error) {
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var set error
		err := c.Control(func(fd uintptr) { set = unix.BindToDevice(int(fd), link) })
		return errors.Join(err, set)
	}}
	udp, err := config.ListenPacket(ctx, "udp4", fmt.Sprintf(":%d", number))
	if err != nil {
		return nil, err
	}
	conn := ipv4.NewPacketConn(udp)
	err = errors.Join(
		conn.SetControlMessage(ipv4.FlagInterface|ipv4.FlagDst, true),
		udp.(*net.UDPConn).SetReadBuffer(readBuffer),
	)
	if err != nil {
		return nil, errors.Join(err, udp.Close())
	}
	return conn, nil
}

// openRaw opens a socket that only sends: its filter lets no frame in.
func openRaw(link *net.Interface) (*packet.Conn, error) {
	filter, err := bpf.Assemble([]bpf.Instruction{bpf.RetConstant{Val: 0}})
	if err != nil {
		return nil, err
	}
	return packet.Listen(link, packet.Raw, unix.ETH_P_IP, &packet.Config{Filter: filter})
}

// receive reads the next packet into buf and returns it as a job with bytes of
// its own. The error wraps net.ErrClosed once the port is closed.
func (p *port) receive(buf []byte) (job, error) {
	n, cm, from, err := p.conn.ReadFrom(buf)
	if err != nil {
		return job{}, err
	}
	j := job{port: p, data: slices.Clone(buf[:n])}
	if cm != nil {
		j.dst = address(cm.Dst)
	}
	if udp, ok := from.(*net.UDPAddr); ok {
		a := udp.AddrPort()
		j.from = netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
	}
	return j, nil
}

// send puts a reply on the wire, from the address the client asked on. Where a
// frame to the client's MAC cannot be sent it is broadcast, which every client
// must accept.
func (p *port) send(d destination, from netip.Addr, payload []byte) error {
	if d.Link != nil && p.raw != nil {
		b := frame(p.link.HardwareAddr, d.Link, netip.AddrPortFrom(from, serverPort), d.To, payload)
		if _, err := p.raw.WriteTo(b, &packet.Addr{HardwareAddr: d.Link}); err == nil {
			return nil
		}
	}
	if d.Link != nil {
		d.To = netip.AddrPortFrom(netip.AddrFrom4([4]byte{255, 255, 255, 255}), d.To.Port())
	}
	cm := &ipv4.ControlMessage{Src: net.IP(from.AsSlice())}
	if d.To.Addr() == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
		cm.IfIndex = p.link.Index
	}
	_, err := p.conn.WriteTo(payload, cm, net.UDPAddrFromAddrPort(d.To))
	return err
}

// closeAll closes every socket; readers then end.
func closeAll(ports []*port) error {
	var errs []error
	for _, p := range ports {
		errs = append(errs, p.conn.Close())
		if p.raw != nil {
			errs = append(errs, p.raw.Close())
		}
	}
	return errors.Join(errs...)
}
