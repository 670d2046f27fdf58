package app

import (
	"net"
	"net/netip"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/bmc"
	"github.com/muster-boot/muster/provisioner/config"
)

// handover tells BMCs where their hosts' ISOs are.
type handover struct{ networks []network }

var _ bmc.Media = handover{}

// URLs implements [bmc.Media]: http first, as it costs both sides less. There
// are none where the attempt is not the host's present one or has no ISO, and
// where no network of ours leads to the BMC.
func (v handover) URLs(h provisioner.Host, r provisioner.Rendering) []string {
	if r.Attempt == "" || r.Attempt != h.Status.Attempt.ID || !ofMedium(r.Way) {
		return nil
	}
	n, ok := v.network(h)
	if !ok {
		return nil
	}
	return []string{n.base + mediumPath(h), n.secure + mediumPath(h)}
}

// Netboots implements [bmc.Media]. Where nobody knows, it may be tried.
func (v handover) Netboots(h provisioner.Host) bool {
	n, ok := v.network(h)
	return !ok || n.DHCP == config.DHCPFull
}

// network is the one that leads to h's BMC.
func (v handover) network(h provisioner.Host) (network, bool) {
	to := bmcRoute{seen: seenOn(h)}
	if h.Intent.BMC != nil {
		to.local, to.remote = routeTo(h.BMCAddress())
	}
	return to.by(v.networks)
}

// seenOn is the network that a host booted on; empty for a host that never did.
func seenOn(h provisioner.Host) string {
	if h.Facts.Sighting == nil {
		return ""
	}
	return h.Facts.Sighting.Network
}

// Ours implements [bmc.Media]: one of our addresses and ports, and a path like
// those of hosts' ISOs, of whatever attempt. BMCs show it with letters in another
// case, and without a port that is the usual one.
func (v handover) Ours(image string) bool {
	u, err := url.Parse(strings.ToLower(strings.TrimSpace(image)))
	if err != nil {
		return false
	}
	name := path.Clean("/" + u.Path)
	if _, _, ok := mediumKey(name); !ok || !strings.HasPrefix(name, mediumPrefix) {
		return false
	}
	for _, n := range v.networks {
		if root := rootOf(u); root == n.base || root == n.secure {
			return true
		}
	}
	return false
}

// rootOf is a URL's scheme, address and port, as a [network] has them.
func rootOf(u *url.URL) string {
	port := u.Port()
	switch {
	case port == "" && u.Scheme == "http":
		port = "80"
	case port == "" && u.Scheme == "https":
		port = "443"
	}
	return u.Scheme + "://" + net.JoinHostPort(u.Hostname(), port)
}

// bmcRoute is what is known of the way between a BMC and us. Its fields may be
// absent: the BMC's address while a name does not resolve, the network of the
// host until it boots by one.
type bmcRoute struct {
	remote netip.Addr // the BMC's
	local  netip.Addr // from which the system speaks to it
	seen   string     // the network that the host booted on
}

// by chooses the network whose address the BMC is given: the one whose prefix
// has the BMC in it, the longest first; else the one from whose address the
// system speaks to the BMC, since the answers find their way back to it; else
// the one that the host booted on; else the only one there is.
func (b bmcRoute) by(nets []network) (network, bool) {
	if n, ok := within(nets, b.remote); ok {
		return n, true
	}
	for _, is := range []func(network) bool{
		func(n network) bool { return b.local.IsValid() && n.address.Addr() == b.local },
		func(n network) bool { return n.Interface == b.seen },
		func(network) bool { return len(nets) == 1 },
	} {
		for _, n := range nets {
			if is(n) {
				return n, true
			}
		}
	}
	return network{}, false
}

// within is the network that an address is of, the smallest of several.
func within(nets []network, a netip.Addr) (network, bool) {
	var best network
	for _, n := range nets {
		if n.address.Contains(a) && (!best.address.IsValid() || n.address.Bits() > best.address.Bits()) {
			best = n
		}
	}
	return best, best.address.IsValid()
}

// resolveTime bounds the resolving of a BMC's name.
const resolveTime = 5 * time.Second

// routeTo asks the system how it speaks to a BMC. Nothing is sent: a UDP socket
// learns both its ends when it is connected. Both are absent where there is no
// way or no address, and where there is only IPv6, which the boot plane does not
// serve.
func routeTo(address string) (local, remote netip.Addr) {
	if address == "" {
		return local, remote // the system would take it for this machine
	}
	conn, err := (&net.Dialer{Timeout: resolveTime}).Dial("udp4", net.JoinHostPort(bmc.HostOf(address), "9"))
	if err != nil {
		return local, remote
	}
	defer conn.Close()
	return conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap(), conn.RemoteAddr().(*net.UDPAddr).AddrPort().Addr().Unmap()
}
