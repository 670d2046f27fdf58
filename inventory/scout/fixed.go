package scout

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// Fixed is what the kernel's command line says of the host's address. Without
// an address the port asks DHCP.
type Fixed struct {
	Address netip.Prefix     // muster.address=10.0.0.5/24
	Gateway netip.Addr       // muster.gateway
	DNS     []netip.Addr     // muster.dns, separated by commas
	VLAN    int              // muster.vlan; 0: untagged
	MAC     net.HardwareAddr // muster.mac: of the one port to use; nil: any with link
}

// lastVLAN is the highest number of one (IEEE 802.1Q-2018 §9.6).
const lastVLAN = 4094

// take reads one word of the command line. One that is none of these is no
// matter; one that cannot be read is an error, since a host at a wrong address
// harms others.
func (f *Fixed) take(key, value string) (err error) {
	switch key {
	case "muster.address":
		f.Address, err = netip.ParsePrefix(value)
	case "muster.gateway":
		f.Gateway, err = netip.ParseAddr(value)
	case "muster.dns":
		f.DNS, err = parseAddresses(value)
	case "muster.vlan":
		f.VLAN, err = strconv.Atoi(value)
		if err == nil && (f.VLAN < 1 || f.VLAN > lastVLAN) {
			err = fmt.Errorf("VLANs are 1 to %d", lastVLAN)
		}
	case "muster.mac":
		f.MAC, err = net.ParseMAC(value)
		if err == nil && len(f.MAC) != 6 {
			err = errors.New("it is not that of an Ethernet port")
		}
	}
	if err != nil {
		return fmt.Errorf("the kernel command line has %s=%s, which cannot be used: %w", key, value, err)
	}
	return nil
}

func parseAddresses(list string) ([]netip.Addr, error) {
	var out []netip.Addr
	for text := range strings.SplitSeq(list, ",") {
		a, err := netip.ParseAddr(text)
		if err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, nil
}

// check refuses a way out that the address cannot use.
func (f Fixed) check() error {
	if f.Gateway.IsValid() && f.Address.IsValid() && f.Gateway.Is4() != f.Address.Addr().Is4() {
		return fmt.Errorf("the kernel command line has muster.gateway=%s for muster.address=%s; they are of two kinds", f.Gateway, f.Address)
	}
	return nil
}

// lease is the address as DHCP would have given it: one that does not end.
func (f Fixed) lease() lease { return lease{address: f.Address, router: f.Gateway} }

// resolver is the file in which programs look for name servers.
func (f Fixed) resolver() string {
	var b strings.Builder
	for _, a := range f.DNS {
		fmt.Fprintf(&b, "nameserver %s\n", a)
	}
	return b.String()
}
