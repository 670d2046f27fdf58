package app

import (
	"slices"
	"strings"
	"sync"

	v1 "github.com/muster-boot/muster/provisioner/api/v1"
	"github.com/muster-boot/muster/pxe/dhcp"
	"github.com/muster-boot/muster/redfish/discover"
)

// maxStrangers bounds what is remembered against a flood of made-up addresses.
const maxStrangers = 512

// strangers are BMCs that asked for an address and that no host lists. They are
// for people, not for decisions, and kept in memory only: a BMC asks again.
type strangers struct {
	mu    sync.Mutex
	byMAC map[string]v1.FoundBMC
}

func newStrangers() *strangers { return &strangers{byMAC: map[string]v1.FoundBMC{}} }

// saw remembers a client that calls itself a BMC.
func (s *strangers) saw(d dhcp.Sighting, mac string) {
	hint, ok := discover.ByVendorClass(d.Client.Vendor)
	if !ok {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.byMAC[mac]
	b.Source, b.MAC, b.Class, b.Vendor, b.Kind, b.Network, b.Seen = v1.FoundByDHCP, mac, d.Client.Vendor, hint.Vendor, hint.Kind, d.Client.Network, &d.At
	for _, address := range []string{text(d.Client.Address), text(d.Address)} {
		if address != "" {
			b.Address = address
		}
	}
	if _, known := s.byMAC[mac]; !known && len(s.byMAC) >= maxStrangers {
		delete(s.byMAC, s.oldest())
	}
	s.byMAC[mac] = b
}

func (s *strangers) oldest() string {
	oldest := ""
	for mac, b := range s.byMAC {
		if oldest == "" || b.Seen.Before(*s.byMAC[oldest].Seen) {
			oldest = mac
		}
	}
	return oldest
}

// list are all of them, by MAC. The caller owns the slice.
func (s *strangers) list() []v1.FoundBMC {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []v1.FoundBMC{}
	for _, b := range s.byMAC {
		list = append(list, b)
	}
	slices.SortFunc(list, func(a, b v1.FoundBMC) int { return strings.Compare(a.MAC, b.MAC) })
	return list
}
