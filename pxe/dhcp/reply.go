package dhcp

import (
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/muster-boot/muster/pxe"
)

// PXE discovery control (PXE 2.1 §2.2.3, option 43 sub-option 6): bit 3 says
// "load the boot file named here, look for no boot server". Without it EDK2
// takes a PXEClient offer for one of a boot server to be asked on port 4011.
const (
	pxeDiscoveryControl = 6
	pxeBootItem         = 71 // echoed on port 4011: which item was asked for
	useBootFile         = 1 << 3
)

// noProxyDHCP is iPXE's option 175 sub-option 176: this offer is complete, so
// iPXE need not wait the two seconds in which a proxy might speak.
const noProxyDHCP = 176

// bootFileLimit is the room for a name in the packet's own field, with its zero
// byte (RFC 2131 §2); option 67 carries what is longer.
const bootFileLimit = 127

// terms is all that a reply says beyond repeating the request.
type terms struct {
	Kind    dhcpv4.MessageType
	Address netip.Addr    // yiaddr; invalid when the client keeps what it has
	Lease   time.Duration // zero when no lease is given (RFC 2131 §4.3.5)
	Name    string        // host name, option 12
	Boot    boot
	Asked   netip.Addr // our address that the client reached
	Network Network
}

// reply makes the packet that answers req.
func reply(req *dhcpv4.DHCPv4, c pxe.Client, t terms) *dhcpv4.DHCPv4 {
	p := answerTo(req, t.Kind, t.Asked)
	p.ServerIPAddr = net.IP(t.Asked.AsSlice())
	if t.Address.IsValid() {
		p.YourIPAddr = net.IP(t.Address.AsSlice())
	}
	if t.Kind == dhcpv4.MessageTypeAck {
		p.ClientIPAddr = req.ClientIPAddr
	}
	addNetwork(p, t)
	addBoot(p, req, c, t)
	return p
}

// refusal makes the NAK that answers req (RFC 2131 §4.3.2, table 3).
func refusal(req *dhcpv4.DHCPv4, asked netip.Addr, why string) *dhcpv4.DHCPv4 {
	p := answerTo(req, dhcpv4.MessageTypeNak, asked)
	p.UpdateOption(dhcpv4.OptMessage(why))
	if address(req.GatewayIPAddr).IsValid() {
		p.SetBroadcast() // the client has no address that the relay could use
	}
	return p
}

// answerTo makes a reply that repeats what every reply must: the transaction,
// the client, the relay's data (RFC 3046 §2.2), the client identifier (RFC 6842
// §3) and the UUID, without which PXE firmware ignores the reply.
func answerTo(req *dhcpv4.DHCPv4, kind dhcpv4.MessageType, asked netip.Addr) *dhcpv4.DHCPv4 {
	p := &dhcpv4.DHCPv4{
		OpCode:        dhcpv4.OpcodeBootReply,
		HWType:        req.HWType,
		TransactionID: req.TransactionID,
		Flags:         req.Flags,
		ClientIPAddr:  net.IPv4zero,
		YourIPAddr:    net.IPv4zero,
		ServerIPAddr:  net.IPv4zero,
		GatewayIPAddr: req.GatewayIPAddr,
		ClientHWAddr:  req.ClientHWAddr,
		Options:       dhcpv4.Options{},
	}
	p.UpdateOption(dhcpv4.OptMessageType(kind))
	p.UpdateOption(dhcpv4.OptServerIdentifier(net.IP(asked.AsSlice())))
	for _, code := range []dhcpv4.OptionCode{dhcpv4.OptionRelayAgentInformation, dhcpv4.OptionClientIdentifier, optClientUUID} {
		if v := req.GetOneOption(code); v != nil {
			p.UpdateOption(dhcpv4.OptGeneric(code, v))
		}
	}
	return p
}

// addNetwork adds what any client needs of its network.
func addNetwork(p *dhcpv4.DHCPv4, t terms) {
	n := t.Network
	p.UpdateOption(dhcpv4.OptSubnetMask(net.CIDRMask(n.Address.Bits(), 32)))
	if n.Router.IsValid() {
		p.UpdateOption(dhcpv4.OptRouter(net.IP(n.Router.AsSlice())))
	}
	if len(n.DNS) > 0 {
		p.UpdateOption(dhcpv4.OptDNS(ips(n.DNS)...))
	}
	if len(n.NTP) > 0 {
		p.UpdateOption(dhcpv4.OptNTPServers(ips(n.NTP)...))
	}
	if t.Lease > 0 {
		p.UpdateOption(dhcpv4.OptIPAddressLeaseTime(t.Lease))
	}
	if t.Name != "" {
		p.UpdateOption(dhcpv4.OptHostName(t.Name))
	}
}

// addBoot adds what a client that wants to boot needs, and nothing for others.
func addBoot(p, req *dhcpv4.DHCPv4, c pxe.Client, t terms) {
	if t.Boot.File == "" {
		return
	}
	if t.Boot.Class != "" {
		p.UpdateOption(dhcpv4.OptClassIdentifier(t.Boot.Class))
	}
	if t.Boot.Class == classPXE {
		p.UpdateOption(dhcpv4.OptGeneric(dhcpv4.OptionVendorSpecificInformation, pxeVendorOptions(req)))
	}
	if c.Loader == pxe.OurIPXE || c.Loader == pxe.ForeignIPXE {
		p.UpdateOption(dhcpv4.OptGeneric(optEtherboot, []byte{noProxyDHCP, 1, 1}))
	}
	fits := len(t.Boot.File) <= bootFileLimit
	if fits {
		p.BootFileName = t.Boot.File
	}
	if !fits || lists(req, dhcpv4.OptionBootfileName) {
		p.UpdateOption(dhcpv4.OptBootFileName(t.Boot.File))
	}
	if !strings.Contains(t.Boot.File, "://") && lists(req, dhcpv4.OptionTFTPServerName) {
		p.UpdateOption(dhcpv4.OptTFTPServerName(t.Asked.String()))
	}
}

// lists reports whether the client names an option in its list of wanted ones.
// Options 66 and 67 go to no other client: BIOS ROMs that know only the packet's
// own fields may read a string option without its end.
func lists(req *dhcpv4.DHCPv4, code dhcpv4.OptionCode) bool {
	return slices.Contains(req.GetOneOption(dhcpv4.OptionParameterRequestList), code.Code())
}

// pxeVendorOptions is option 43 of a reply to a PXEClient.
func pxeVendorOptions(req *dhcpv4.DHCPv4) []byte {
	out := []byte{pxeDiscoveryControl, 1, useBootFile}
	asked := dhcpv4.Options{}
	if asked.FromBytes(req.GetOneOption(dhcpv4.OptionVendorSpecificInformation)) == nil {
		if item := asked[pxeBootItem]; len(item) == 4 {
			out = append(append(out, pxeBootItem, 4), item...)
		}
	}
	return append(out, byte(dhcpv4.OptionEnd.Code()))
}

func ips(addrs []netip.Addr) []net.IP {
	out := make([]net.IP, len(addrs))
	for i, a := range addrs {
		out[i] = net.IP(a.AsSlice())
	}
	return out
}
