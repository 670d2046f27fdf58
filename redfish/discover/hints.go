package discover

import (
	"bufio"
	"io"
	"net"
	"net/netip"
	"strings"
)

// Makers are the names of who was assigned the first three bytes of a MAC. The
// zero value knows those of one maker whose boards say little else.
type Makers map[string]string // by six capital hexadecimal digits

// ReadMakers reads the list of the IEEE's registry as Debian's packages ieee-data
// and hwdata have it: oui.txt.
func ReadMakers(r io.Reader) (Makers, error) {
	m := Makers{}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		prefix, maker, ok := strings.Cut(lines.Text(), "(hex)")
		if ok {
			m[strings.ReplaceAll(strings.TrimSpace(prefix), "-", "")] = strings.TrimSpace(maker)
		}
	}
	return m, lines.Err()
}

// Of is the maker of the port with that MAC, "" where it is not known or the MAC
// was made up. A port's maker need not be that of the board.
func (m Makers) Of(mac string) string {
	const local = 2 // bit of the first byte: IEEE 802-2014 §8.2
	hw, err := net.ParseMAC(mac)
	if err != nil || len(hw) != 6 || hw[0]&local != 0 {
		return ""
	}
	prefix := strings.ToUpper(strings.ReplaceAll(hw[:3].String(), ":", ""))
	if maker := m[prefix]; maker != "" {
		return maker
	}
	switch prefix {
	case "0CC47A", "AC1F6B", "3CECEF", "7CC255":
		return "Super Micro Computer, Inc."
	}
	return ""
}

// ReadNeighbours reads the MACs of IPv4 neighbours that were spoken to just now,
// as Linux lists them in /proc/net/arp.
func ReadNeighbours(r io.Reader) (map[netip.Addr]string, error) {
	const columns, flags, hardware, incomplete = 6, 2, 3, "0x0"
	list := map[netip.Addr]string{}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) != columns || f[flags] == incomplete {
			continue
		}
		a, bad := netip.ParseAddr(f[0])
		hw, worse := net.ParseMAC(f[hardware])
		if bad == nil && worse == nil {
			list[a] = hw.String()
		}
	}
	return list, lines.Err()
}
