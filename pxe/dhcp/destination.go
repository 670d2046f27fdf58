package dhcp

import (
	"net"
	"net/netip"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// destination is where a reply goes. Link is set when the client cannot be
// reached by its IP address yet, because it would not answer ARP for it; the
// reply is then put on the wire to that MAC.
type destination struct {
	To   netip.AddrPort
	Link net.HardwareAddr
}

// destinationOf is the matrix of RFC 2131 §4.1, with the reply p to req. from is
// who sent the request; it counts on port 4011 only, where clients have an
// address and may use any port.
func destinationOf(p, req *dhcpv4.DHCPv4, a ask, from netip.AddrPort) destination {
	relay, has := address(req.GatewayIPAddr), address(req.ClientIPAddr)
	everybody := destination{To: netip.AddrPortFrom(netip.AddrFrom4([4]byte{255, 255, 255, 255}), clientPort)}
	switch {
	case a == bootServer && from.Addr().IsValid() && !from.Addr().IsUnspecified():
		return destination{To: from}
	case relay.IsValid():
		return destination{To: netip.AddrPortFrom(relay, serverPort)}
	case p.MessageType() == dhcpv4.MessageTypeNak:
		return everybody
	case has.IsValid():
		return destination{To: netip.AddrPortFrom(has, clientPort)}
	case req.IsBroadcast():
		return everybody
	}
	yours := address(p.YourIPAddr)
	if !yours.IsValid() {
		return everybody
	}
	return destination{To: netip.AddrPortFrom(yours, clientPort), Link: req.ClientHWAddr}
}
