package app

import (
	"net"
	"net/netip"
	"slices"

	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/store"
	"github.com/muster-boot/muster/pxe/httpboot"
)

// owners tells whose address a request comes from: by our leases, and where
// others or nobody give addresses, by the rows of listed hosts and by where a
// scout called from under its host's key.
type owners struct {
	leases httpboot.Owners
	hosts  *store.Mirror
}

// MACOf implements [httpboot.Owners].
func (o owners) MACOf(a netip.Addr) (net.HardwareAddr, bool) {
	if mac, ok := o.leases.MACOf(a); ok {
		return mac, true
	}
	for _, h := range o.hosts.Hosts() {
		if !isAt(h, a) {
			continue
		}
		for _, text := range portsOf(h) {
			mac, err := net.ParseMAC(text)
			if known, ok := o.hosts.ByMAC(text); err == nil && ok && known.ID == h.ID {
				return mac, true
			}
		}
	}
	return nil, false
}

// isAt tells whether an address is h's, as far as h has a run in which it needs
// anything.
func isAt(h provisioner.Host, a netip.Addr) bool {
	if h.Intent.Order == "" || h.Status.Key == "" {
		return false
	}
	return addressOf(h.Intent.Row.Static.Address) == a || h.Facts.Scout != nil && addressOf(h.Facts.Scout.Address) == a
}

// portsOf are the MACs by which h may be known.
func portsOf(h provisioner.Host) []string {
	macs := append([]string{h.Intent.Row.Static.MAC}, h.Intent.Row.MACs...)
	if h.Facts.Report != nil {
		for _, n := range h.Facts.Report.Report.NICs {
			macs = append(macs, n.MAC)
		}
	}
	return slices.DeleteFunc(macs, func(mac string) bool { return mac == "" })
}
