package app

import (
	"net"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/muster-boot/muster/images"
	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/config"
	"github.com/muster-boot/muster/pxe"
)

func TestTheDeciderAnswersWhomItShould(t *testing.T) {
	r := newRig(t)
	byUUID := expected("h-2", secondMAC, images.Image{})
	byUUID.Intent.Row = provisioner.Row{UUID: "00112233-4455-6677-8899-aabbccddeeff", Name: "by-uuid"}
	held := expected("h-3", "52:54:00:00:00:03", images.Image{})
	held.Intent.Hold = "the rack is being moved"
	unknown := expected("h-4", "52:54:00:00:00:04", images.Image{})
	unknown.Intent = provisioner.Intent{}
	unknown.Status.Phase = provisioner.Unknown
	unknown.Facts.Sighting = &provisioner.Sighting{Network: bench, MACs: []string{"52:54:00:00:00:04"}, Discover: true}
	r.list(t, expected("h-1", firstMAC, images.Image{}), byUUID, held, unknown)
	d := &decider{hosts: r.mirror, unknown: map[string]config.Unknown{line: config.UnknownSilent, bench: config.UnknownDiscover}}

	const strange = "52:54:00:00:00:99"
	inOrder := pxe.UUID{0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff}
	swapped := pxe.UUID{0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff}
	ones := pxe.UUID{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	for _, c := range []struct {
		name, mac, network string
		uuid               pxe.UUID
		served             bool
		host               string
	}{
		{"listed by MAC", firstMAC, line, pxe.UUID{}, true, "h-1"},
		{"listed by UUID", strange, line, inOrder, true, "by-uuid"},
		{"listed by UUID in the other byte order", strange, line, swapped, true, "by-uuid"},
		{"held", "52:54:00:00:00:03", line, pxe.UUID{}, true, "h-3"},
		{"unlisted on a silent network", strange, line, pxe.UUID{}, false, ""},
		{"unlisted on a discovering network", strange, bench, pxe.UUID{}, true, ""},
		{"unlisted with a junk UUID on a silent network", strange, line, ones, false, ""},
		{"seen, unlisted, on a discovering network", "52:54:00:00:00:04", bench, pxe.UUID{}, true, ""},
		{"seen there, asks on a silent network", "52:54:00:00:00:04", line, pxe.UUID{}, false, ""},
		{"on a network that is not configured", strange, "elsewhere", pxe.UUID{}, false, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			mac, err := net.ParseMAC(c.mac)
			if err != nil {
				t.Fatal(err)
			}
			want := pxe.Answer{}
			if c.served {
				want = pxe.Answer{Serve: true, Script: scriptPath(mac), Name: c.host}
			}
			got, err := d.Decide(t.Context(), pxe.Client{MAC: mac, UUID: c.uuid, Network: c.network, Transport: pxe.DHCP})
			if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b pxe.Answer) bool { return a == b })); err != nil || diff != "" {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
}

// TestFirmwareIsToldTheHostsOwnISO has a host that boots by the HTTP boot of its
// firmware, before and after its attempt was prepared.
func TestFirmwareIsToldTheHostsOwnISO(t *testing.T) {
	r, h := withMedium(t, provisioner.WayUEFIHTTP)
	d := &decider{hosts: r.mirror, unknown: map[string]config.Unknown{line: config.UnknownSilent}}
	mac, err := net.ParseMAC(firstMAC)
	if err != nil {
		t.Fatal(err)
	}
	got, err := d.Decide(t.Context(), pxe.Client{MAC: mac, Network: line, Transport: pxe.DHCP})
	if err != nil || got.Image != mediumPath(h) || got.Script != scriptPath(mac) {
		t.Errorf("answer %+v, %v", got, err)
	}
	if status, _ := r.ask(t, "HEAD", strangerAddress, got.Image); status != 200 {
		t.Errorf("what it is told answers %d", status)
	}
	status, script := r.ask(t, "GET", firstAddress, scriptOf(t, firstMAC))
	if status != 200 || !strings.Contains(script, "Choose UEFI HTTP boot") || !strings.Contains(script, "exit 1") {
		t.Errorf("by PXE it gets %d:\n%s", status, script)
	}
	h.Facts.Prepared = nil
	if offer := d.offer(h, true, line); offer != provisioner.BootDiscover {
		t.Errorf("unprepared it is offered %s", offer)
	}
}
