package app

import (
	"net"
	"net/netip"
	"testing"

	"github.com/muster-boot/muster/images"
	"github.com/muster-boot/muster/inventory"
	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/pxe/pxetest"
)

func TestAnAddressIsKnownByLeaseByRowAndByScout(t *testing.T) {
	r := newRig(t)
	third := "52:54:00:00:00:03"
	static := discovering("h-1", provisioner.Static{Address: "192.0.2.7/24"})
	called := expected("h-2", secondMAC, images.Image{})
	called.Status.Phase, called.Status.Key = provisioner.Verifying, "keyofh2"
	called.Status.Attempt = provisioner.Attempt{ID: "a-2", Phase: provisioner.Verifying}
	called.Intent.Row.MACs = nil
	called.Facts.Scout = &provisioner.Contact{Address: "192.0.2.8"}
	called.Facts.Report = &provisioner.Report{Report: inventory.Report{NICs: []inventory.NIC{{MAC: secondMAC}}}}
	idle := expected("h-3", third, images.Image{})
	idle.Intent.Row.Static.Address = "192.0.2.9/24"
	r.list(t, static, called, idle)
	leased, _ := net.ParseMAC("52:54:00:00:00:99")
	o := owners{pxetest.Owners{netip.MustParseAddr("192.0.2.100"): leased}, r.mirror}
	for address, want := range map[string]string{
		"192.0.2.100": leased.String(), // our lease
		"192.0.2.7":   firstMAC,        // its row
		"192.0.2.8":   secondMAC,       // its scout
		"192.0.2.9":   "",              // of a host that nothing runs on
		"192.0.2.10":  "",              // nobody's
	} {
		mac, ok := o.MACOf(netip.MustParseAddr(address))
		if ok != (want != "") || ok && mac.String() != want {
			t.Errorf("%s is %s's (%t), want %q", address, mac, ok, want)
		}
	}
}
