package app

import (
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/muster-boot/muster/images"
	"github.com/muster-boot/muster/provisioner"
	v1 "github.com/muster-boot/muster/provisioner/api/v1"
	"github.com/muster-boot/muster/pxe"
	"github.com/muster-boot/muster/pxe/dhcp"
)

const bmcMAC = "52:54:00:00:00:b1"

func withBMC(t *testing.T, r *rig) {
	t.Helper()
	h := expected("h-1", firstMAC, images.Image{})
	h.Intent.BMC = &provisioner.Controller{MAC: bmcMAC}
	r.list(t, h)
}

func hardware(t *testing.T, mac string) net.HardwareAddr {
	t.Helper()
	a, err := net.ParseMAC(mac)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestAListedBMCIsGivenAnAddressAndNothingToBoot(t *testing.T) {
	r := newRig(t)
	withBMC(t, r)
	d := &decider{hosts: r.mirror}
	for transport, served := range map[pxe.Transport]bool{pxe.DHCP: true, pxe.TFTP: false, pxe.HTTP: false} {
		for _, loader := range []pxe.Loader{pxe.System, pxe.Firmware} {
			got, err := d.Decide(t.Context(), pxe.Client{MAC: hardware(t, bmcMAC), Network: line, Transport: transport, Loader: loader})
			if want := (pxe.Answer{Serve: served}); err != nil || got != want {
				t.Errorf("%s by %s is answered %+v, %v", loader, transport, got, err)
			}
		}
	}
}

func TestWhatDHCPSawOfABMCIsAFactOfItsHost(t *testing.T) {
	r := newRig(t)
	withBMC(t, r)
	s := newSightings(planeParts{engine: r.engine, mirror: r.mirror, strangers: newStrangers(), log: zerolog.Nop()}, nil)
	offered := dhcp.Sighting{Client: pxe.Client{MAC: hardware(t, bmcMAC), Network: line, Vendor: "iDRAC", Loader: pxe.System}, Address: netip.MustParseAddr("192.0.2.9")}
	taken := offered
	taken.Bound = true
	for _, c := range []struct {
		name string
		saw  dhcp.Sighting
		want string
	}{{"offered", offered, ""}, {"taken", taken, "192.0.2.9"}} {
		if err := s.note(t.Context(), c.saw, s.seen(c.saw)); err != nil {
			t.Fatal(err)
		}
		h, err := r.store.Host(t.Context(), "h-1")
		if err != nil || h.BMCAddress() != c.want || h.Facts.Sighting != nil {
			t.Errorf("%s: the BMC is at %q, the host was seen: %v; %v", c.name, h.BMCAddress(), h.Facts.Sighting, err)
		}
	}
	if strange := s.strangers.list(); len(strange) != 0 {
		t.Errorf("listed, and a stranger: %+v", strange)
	}
}

func TestBMCsThatNobodyListsAreRemembered(t *testing.T) {
	s, at := newStrangers(), time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	saw := func(n int, class, address string) {
		at = at.Add(time.Second)
		mac := net.HardwareAddr{2, 0, 0, 0, byte(n >> 8), byte(n)}
		d := dhcp.Sighting{Client: pxe.Client{MAC: mac, Vendor: class, Network: line}, At: at}
		if address != "" {
			d.Address = netip.MustParseAddr(address)
		}
		s.saw(d, mac.String())
	}
	saw(1, "CPQRIB3 (HP ProLiant)", "192.0.2.9")
	first := at.Add(time.Second)
	saw(1, "CPQRIB3 (HP ProLiant)", "")
	saw(2, "PXEClient:Arch:00007", "")
	want := []v1.FoundBMC{{
		Source: "dhcp", MAC: "02:00:00:00:00:01", Class: "CPQRIB3 (HP ProLiant)", Vendor: "HPE", Kind: "iLO", Network: line, Address: "192.0.2.9", Seen: &first,
	}}
	if diff := cmp.Diff(want, s.list()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for n := range maxStrangers {
		saw(1000+n, "iDRAC", "")
	}
	list := s.list()
	if len(list) != maxStrangers || list[0].MAC == "02:00:00:00:00:01" {
		t.Errorf("%d are remembered, first %s", len(list), fmt.Sprint(list[0].MAC))
	}
}
