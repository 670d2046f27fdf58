package main

import (
	"cmp"
	"io"
	"net/netip"
	"os"

	v1 "github.com/muster-boot/muster/provisioner/api/v1"
	"github.com/muster-boot/muster/redfish/discover"
)

// hints are what this machine can say of a BMC that does not say who it is.
type hints struct {
	makers     discover.Makers
	neighbours map[netip.Addr]string // MACs of BMCs on a network of this machine
}

// readHints reads what there is: the list of makers is in a package that need not
// be installed, and other systems list their neighbours otherwise.
func readHints() hints {
	var h hints
	for _, list := range []string{"/usr/share/ieee-data/oui.txt", "/var/lib/ieee-data/oui.txt", "/usr/share/hwdata/oui.txt"} { // of Debian's ieee-data and hwdata
		if h.makers == nil {
			h.makers = fromFile(list, discover.ReadMakers)
		}
	}
	h.neighbours = fromFile("/proc/net/arp", discover.ReadNeighbours)
	return h
}

// fromFile parses a file; the zero value where it is not there or not readable.
func fromFile[T any](name string, parse func(io.Reader) (T, error)) T {
	var none T
	f, err := os.Open(name)
	if err != nil {
		return none
	}
	defer f.Close()
	v, err := parse(f)
	if err != nil {
		return none
	}
	return v
}

// mac is that of the port at an address.
func (h hints) mac(address string) string {
	a, err := netip.ParseAddr(hostOf(address))
	if err != nil {
		return ""
	}
	return h.neighbours[a]
}

// vendor is who a BMC may be of that does not say so, by what it called itself in
// DHCP, else by its MAC.
func (h hints) vendor(mac string, k v1.FoundBMC) string {
	said, _ := discover.ByVendorClass(k.Class)
	return cmp.Or(k.Vendor, said.Vendor, h.makers.Of(mac))
}
