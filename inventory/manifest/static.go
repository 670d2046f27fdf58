package manifest

import (
	"cmp"
	"fmt"
	"math/bits"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/muster-boot/muster/inventory"
)

// Static is the address of a host that no DHCP server gives one: its columns,
// completed with what the order says for all.
type Static struct {
	MAC     string   `json:"mac,omitempty"`     // of the port; empty: the one with a link
	Address string   `json:"address,omitempty"` // with its prefix length; empty: by DHCP
	Gateway string   `json:"gateway,omitempty"`
	DNS     []string `json:"dns,omitempty"`
	VLAN    int      `json:"vlan,omitempty"` // 0: untagged
}

// NetworkDefaults are an order's words for all rows that list an address.
type NetworkDefaults struct {
	Gateway string   `json:"gateway,omitempty" yaml:"gateway"`
	DNS     []string `json:"dns,omitempty" yaml:"dns"`
	VLAN    int      `json:"vlan,omitempty" yaml:"vlan"`
	Prefix  int      `json:"prefix,omitempty" yaml:"prefix"` // length
}

// fault is the first key whose value is wrong, and why.
func (n NetworkDefaults) fault() (key, text string) {
	const longest = 128
	if n.Gateway != "" {
		if _, text := hostAddress(n.Gateway); text != "" {
			return "network.gateway", text
		}
	}
	for _, server := range n.DNS {
		if _, text := hostAddress(server); text != "" {
			return "network.dns", text
		}
	}
	switch {
	case n.VLAN != 0 && !vlanID(n.VLAN):
		return "network.vlan", fmt.Sprintf(noVLAN, strconv.Itoa(n.VLAN))
	case n.Prefix < 0 || n.Prefix > longest:
		return "network.prefix", fmt.Sprintf("%d is no prefix length; write for example 24", n.Prefix)
	}
	return "", ""
}

const noVLAN = "%q is no VLAN; they go from 1 to 4094"

func vlanID(n int) bool { return n >= 1 && n <= 4094 } // IEEE 802.1Q-2018 table 9-2

// network are the cells of a host's own address.
type network struct {
	address netip.Addr
	bits    int // of the address's prefix; 0: not said
	gateway netip.Addr
	dns     []netip.Addr
	vlan    int
	mac     string
}

// take puts one cell into its place.
func (n *network) take(f field, cell string) (wrong string) {
	switch f {
	case address:
		return n.takeAddress(cell)
	case prefix:
		length, ok := prefixLength(cell)
		if !ok {
			return fmt.Sprintf("%q is neither a prefix length nor a netmask; write 24 or 255.255.255.0", cell)
		}
		return n.takeLength(length)
	case gateway:
		n.gateway, wrong = hostAddress(cell)
	case dns:
		for _, word := range strings.FieldsFunc(cell, func(c rune) bool { return strings.ContainsRune(" \t\r\n;,|", c) }) {
			server, text := hostAddress(word)
			if text != "" {
				return text
			}
			n.dns = append(n.dns, server)
		}
	case vlan:
		id, err := strconv.Atoi(cell)
		if n.vlan = id; err != nil || !vlanID(id) {
			return fmt.Sprintf(noVLAN, cell)
		}
	case netMAC:
		ok := true
		if n.mac, ok = inventory.NormalMAC(cell); !ok {
			return fmt.Sprintf("%q is not the MAC address of a network port; write it like 52:54:00:12:34:56", cell)
		}
	}
	return wrong
}

func (n *network) takeAddress(cell string) (wrong string) {
	text, length, long := strings.Cut(cell, "/")
	if n.address, wrong = hostAddress(strings.TrimSpace(text)); wrong != "" || !long {
		return wrong
	}
	number, ok := prefixLength(length)
	if !ok {
		return fmt.Sprintf("%q has no prefix length behind its slash; write it like 192.0.2.10/24", cell)
	}
	return n.takeLength(number)
}

func (n *network) takeLength(length int) (wrong string) {
	if n.bits != 0 && n.bits != length {
		return fmt.Sprintf("the prefix length is %d here and %d in another cell of the row; keep one", length, n.bits)
	}
	n.bits = length
	return ""
}

// completeStatic adds what the order says for all hosts with an address.
func (d *draft) completeStatic(order Defaults) []fault {
	n := d.net
	if !n.address.IsValid() {
		d.Static = Static{MAC: n.mac, VLAN: n.vlan}
		if n.bits != 0 || n.gateway.IsValid() || len(n.dns) > 0 {
			return []fault{{address, "the row has a prefix, gateway or name server and no address; give the address too, or leave them out"}}
		}
		return nil
	}
	n.inherit(order.Network)
	if n.bits == 0 && order.Unread {
		return nil
	}
	faults := n.faults()
	if len(faults) == 0 {
		d.Static = n.static()
	}
	return faults
}

// inherit takes from the order what the row does not say.
func (n *network) inherit(all NetworkDefaults) {
	n.bits = cmp.Or(n.bits, all.Prefix)
	n.vlan = cmp.Or(n.vlan, all.VLAN)
	if !n.gateway.IsValid() {
		n.gateway, _ = netip.ParseAddr(all.Gateway)
	}
	if len(n.dns) == 0 {
		for _, server := range all.DNS {
			if a, err := netip.ParseAddr(server); err == nil {
				n.dns = append(n.dns, a)
			}
		}
	}
}

func (n network) faults() []fault {
	if n.bits == 0 {
		return []fault{{address, fmt.Sprintf("%s has no prefix length; write it like %[1]s/24, give a column prefix or netmask, or network: {prefix: 24} in the order", n.address)}}
	}
	p := netip.PrefixFrom(n.address, n.bits)
	if !p.IsValid() {
		return []fault{{prefix, fmt.Sprintf("%d bits are too many for the prefix of %s", n.bits, n.address)}}
	}
	var list []fault
	if reserved(p) {
		list = append(list, fault{address, fmt.Sprintf("%s is the network or broadcast address of %s; no host can have it", n.address, p.Masked())})
	}
	switch {
	case !n.gateway.IsValid():
	case n.gateway == n.address:
		list = append(list, fault{gateway, fmt.Sprintf("%s is the host's own address", n.gateway)})
	case !p.Contains(n.gateway):
		list = append(list, fault{gateway, fmt.Sprintf("gateway %s is not in %s, the network of %s", n.gateway, p.Masked(), n.address)})
	}
	return list
}

func (n network) static() Static {
	s := Static{MAC: n.mac, Address: netip.PrefixFrom(n.address, n.bits).String(), VLAN: n.vlan}
	if n.gateway.IsValid() {
		s.Gateway = n.gateway.String()
	}
	for _, server := range n.dns {
		if text := server.String(); !slices.Contains(s.DNS, text) {
			s.DNS = append(s.DNS, text)
		}
	}
	return s
}

// host is the address without its prefix length; empty: by DHCP.
func (s Static) host() string {
	text, _, _ := strings.Cut(s.Address, "/")
	return text
}

// hostAddress reads an address that a host or a gateway may have.
func hostAddress(text string) (a netip.Addr, wrong string) {
	a, err := netip.ParseAddr(text)
	a = a.Unmap()
	switch {
	case err != nil || a.Zone() != "":
		return a, fmt.Sprintf("%q is not an IP address; write it like 192.0.2.10", text)
	case a.IsUnspecified() || a.IsMulticast() || a.IsLoopback() || a == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return a, fmt.Sprintf("%q is an address that no host can have", text)
	}
	return a, ""
}

// reserved tells whether an IPv4 address is the first or the last of its
// network, which hosts do not have (RFC 1122 §3.2.1.3; not in a /31, RFC 3021).
func reserved(p netip.Prefix) bool {
	const pointToPoint = 31
	if !p.Addr().Is4() || p.Bits() >= pointToPoint {
		return false
	}
	after := p.Addr().Next()
	return p.Addr() == p.Masked().Addr() || !after.IsValid() || !p.Contains(after)
}

// prefixLength reads "24", "/24" and "255.255.255.0".
func prefixLength(text string) (int, bool) {
	const longest = 128
	text = strings.TrimPrefix(strings.TrimSpace(text), "/")
	if mask, err := netip.ParseAddr(text); err == nil && mask.Is4() {
		four := mask.As4()
		word := uint32(four[0])<<24 | uint32(four[1])<<16 | uint32(four[2])<<8 | uint32(four[3])
		length := bits.LeadingZeros32(^word)
		return length, length > 0 && word<<length == 0
	}
	length, err := strconv.Atoi(text)
	return length, err == nil && length > 0 && length <= longest
}
