package dhcp

import (
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"

	"github.com/muster-boot/muster/pxe"
)

// Vendor classes (option 60) of clients that want to boot: PXE 2.1 §2.2.3 and
// UEFI 2.10 §24.7.3.2. Firmware appends ":Arch:xxxxx:UNDI:yyyzzz".
const (
	classPXE  = "PXEClient"
	classHTTP = "HTTPClient"
)

// User classes (option 77) that tell an iPXE. Ours is the name that the
// embedded loader's own script sets, so another site's build of the same
// project counts as ours; it runs the same scripts.
const (
	userIPXE = "iPXE"
	userOurs = "Tinkerbell"
)

// Options that the packet library has no constructor for.
const (
	optEtherboot  = dhcpv4.GenericOptionCode(175) // iPXE's own encapsulated options
	optClientUUID = dhcpv4.OptionClientMachineIdentifier
)

// understood reports whether the packet is a request of an Ethernet host. A
// group address or all zeroes is nobody's MAC.
func understood(p *dhcpv4.DHCPv4) bool {
	mac := p.ClientHWAddr
	return p.OpCode == dhcpv4.OpcodeBootRequest && p.HWType == iana.HWTypeEthernet && len(mac) == 6 &&
		mac[0]&1 == 0 && slices.ContainsFunc(mac, func(b byte) bool { return b != 0 })
}

// classify reads who is asking from one packet.
func classify(p *dhcpv4.DHCPv4, network string) pxe.Client {
	c := pxe.Client{
		MAC:       net.HardwareAddr(slices.Clone(p.ClientHWAddr)),
		UUID:      uuid(p.GetOneOption(optClientUUID)),
		Vendor:    p.ClassIdentifier(),
		UserClass: strings.Join(p.UserClass(), ","),
		Network:   network,
		Transport: pxe.DHCP,
	}
	c.Arch = arch(p.ClientArch(), c.Vendor)
	c.Loader = loader(p, c.Vendor)
	if a := address(p.ClientIPAddr); a.IsValid() {
		c.Address = a
	}
	return c
}

// uuid reads option 97: a type of zero, then sixteen bytes (RFC 4578 §2.3).
// Boards that were never programmed send all zeroes or all ones.
func uuid(opt []byte) pxe.UUID {
	if len(opt) != 17 || opt[0] != 0 {
		return pxe.UUID{}
	}
	u := pxe.UUID(opt[1:])
	if !slices.ContainsFunc(u[:], func(b byte) bool { return b != 0xff }) {
		return pxe.UUID{}
	}
	return u
}

// arch takes the client's architecture from option 93, else from option 60. A
// client that says neither is unknown, never BIOS: an ARM host that was given a
// BIOS loader would only hang.
func arch(listed []iana.Arch, vendor string) pxe.Arch {
	for _, a := range listed {
		if known(pxe.Arch(a)) {
			return pxe.Arch(a)
		}
	}
	if len(listed) > 0 {
		return pxe.Arch(listed[0])
	}
	_, rest, ok := strings.Cut(vendor, ":Arch:")
	digits, _, _ := strings.Cut(rest, ":")
	n, err := strconv.ParseUint(digits, 10, 16)
	if !ok || err != nil {
		return pxe.ArchUnknown
	}
	return pxe.Arch(n)
}

func known(a pxe.Arch) bool {
	switch a {
	case pxe.ArchBIOS, pxe.ArchUEFIx64, pxe.ArchUEFIBC, pxe.ArchUEFIARM64, pxe.ArchHTTPx64, pxe.ArchHTTPARM64:
		return true
	case pxe.ArchUEFI32, pxe.ArchUnknown:
		return false
	}
	return false
}

// loader tells which program wrote the packet.
func loader(p *dhcpv4.DHCPv4, vendor string) pxe.Loader {
	classes := p.UserClass()
	switch {
	case slices.Contains(classes, userOurs):
		return pxe.OurIPXE
	case slices.Contains(classes, userIPXE), p.Options.Has(optEtherboot):
		return pxe.ForeignIPXE
	case strings.HasPrefix(vendor, classPXE), strings.HasPrefix(vendor, classHTTP):
		return pxe.Firmware
	}
	return pxe.System
}

// address turns a field of a packet into an address; the zero address, which
// stands for "none" everywhere in DHCP, and anything not IPv4 are invalid.
func address(ip net.IP) netip.Addr {
	a, ok := netip.AddrFromSlice(ip.To4())
	if !ok || a.IsUnspecified() {
		return netip.Addr{}
	}
	return a
}
