package app

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/config"
)

func networkOf(name, prefix string) network {
	p := netip.MustParsePrefix(prefix)
	return network{Network: config.Network{Interface: name}, address: p,
		base: "http://" + p.Addr().String() + ":8067", secure: "https://" + p.Addr().String() + ":8068"}
}

func TestABMCIsGivenTheAddressThatItReaches(t *testing.T) {
	wide, lan, out := networkOf("wide", "10.0.0.1/8"), networkOf("lan", "10.1.0.1/16"), networkOf("out", "192.0.2.1/24")
	all := []network{wide, lan, out}
	for _, c := range []struct {
		name                string
		nets                []network
		remote, local, seen string
		want                string
	}{
		{"the BMC is on a network", all, "192.0.2.9", "", "lan", "out"},
		{"on two, one within the other", all, "10.1.2.3", "10.0.0.1", "", "lan"},
		{"on the wider one only", all, "10.2.0.1", "", "", "wide"},
		{"behind a router", all, "203.0.113.9", "192.0.2.1", "lan", "out"},
		{"behind a router on an interface that is not served", all, "203.0.113.9", "172.16.0.1", "lan", "lan"},
		{"not found", all, "", "", "lan", "lan"},
		{"not found, of a host on an interface that is gone", all, "", "", "gone", ""},
		{"not found, of a host that never booted", all, "", "", "", ""},
		{"not found, with one network", all[1:2], "", "", "", "lan"},
		{"without a network", nil, "10.1.2.3", "10.1.0.1", "lan", ""},
	} {
		parse := func(s string) netip.Addr { a, _ := netip.ParseAddr(s); return a }
		got, ok := bmcRoute{remote: parse(c.remote), local: parse(c.local), seen: c.seen}.by(c.nets)
		if got.Interface != c.want || ok != (c.want != "") {
			t.Errorf("%s: by %q, %t, want %q", c.name, got.Interface, ok, c.want)
		}
	}
}

func TestAHostIsTakenToNetbootWhereMusterAnswersDHCP(t *testing.T) {
	served, off := networkOf("served", "10.0.0.1/24"), networkOf("off", "10.0.1.1/24")
	served.DHCP, off.DHCP = config.DHCPFull, config.DHCPOff
	for address, want := range map[string]bool{"10.0.0.9": true, "10.0.1.9": false} {
		h := provisioner.Host{Intent: provisioner.Intent{BMC: &provisioner.Controller{Address: address}}}
		if got := (handover{[]network{served, off}}).Netboots(h); got != want {
			t.Errorf("beside a BMC at %s: %t", address, got)
		}
	}
	if !(handover{}).Netboots(provisioner.Host{}) {
		t.Error("where nobody knows it is not even tried")
	}
}

func TestTheSystemTellsTheWayToABMC(t *testing.T) {
	local, remote := routeTo("https://127.0.0.9:8443")
	if local != netip.MustParseAddr("127.0.0.1") || remote != netip.MustParseAddr("127.0.0.9") {
		t.Errorf("to loopback: from %s to %s", local, remote)
	}
	if local, remote := routeTo(""); local.IsValid() || remote.IsValid() {
		t.Errorf("to a BMC whose address is not known: from %s to %s", local, remote)
	}
	if local, remote := routeTo("[::1]:443"); local.IsValid() || remote.IsValid() {
		t.Errorf("by IPv6, which is not served: from %s to %s", local, remote)
	}
	if local, remote := routeTo("nobody.invalid"); local.IsValid() || remote.IsValid() { // RFC 6761, 6.4
		t.Errorf("to a name that is nobody's: from %s to %s", local, remote)
	}
}

func TestAnAttemptsISOIsOfferedByHTTPAndHTTPS(t *testing.T) {
	v := handover{[]network{networkOf("lo", "127.0.0.1/8"), networkOf("out", "192.0.2.1/24")}}
	h := provisioner.Host{Intent: provisioner.Intent{BMC: &provisioner.Controller{Address: "127.0.0.5:8443"}}}
	h.Status.Attempt = provisioner.Attempt{ID: "a-1", Token: "token"}
	want := []string{"http://127.0.0.1:8067/m/a-1-token.iso", "https://127.0.0.1:8068/m/a-1-token.iso"}
	for _, way := range []provisioner.Way{provisioner.WayMedia, provisioner.WayUEFIHTTP} {
		got := v.URLs(h, provisioner.Rendering{Attempt: "a-1", Way: way})
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("by %s (-want +got):\n%s", way, diff)
		}
	}
	for name, r := range map[string]provisioner.Rendering{
		"another attempt": {Attempt: "a-2", Way: provisioner.WayMedia},
		"a netboot":       {Attempt: "a-1", Way: provisioner.WayNetboot},
		"nothing":         {},
	} {
		if got := v.URLs(h, r); len(got) > 0 {
			t.Errorf("of %s: %q", name, got)
		}
	}
	h.Intent.BMC, h.Facts.Sighting = nil, &provisioner.Sighting{Network: "out"}
	if got := v.URLs(h, provisioner.Rendering{Attempt: "a-1", Way: provisioner.WayMedia}); len(got) != 2 || !strings.Contains(got[0], "//192.0.2.1:") {
		t.Errorf("of a host that booted there: %q", got)
	}
	for _, url := range want {
		if !v.Ours(url) {
			t.Errorf("%s is not known again", url)
		}
	}
}

func TestMediaOfOursAreKnownByTheirForm(t *testing.T) {
	usual := network{base: "http://192.0.2.1:80", secure: "https://192.0.2.1:443"}
	v := handover{[]network{networkOf("lan", "10.1.0.1/16"), usual}}
	for image, want := range map[string]bool{
		"http://10.1.0.1:8067/m/a-1-token.iso":        true,
		"https://10.1.0.1:8068/m/a-7-other.iso":       true,
		"HTTP://10.1.0.1:8067/M/A-1-TOKEN.ISO":        true,
		" http://10.1.0.1:8067//m/a-1-token.iso":      true,
		"http://192.0.2.1/m/a-1-token.iso":            true,
		"https://192.0.2.1/m/a-1-token.iso":           true,
		"http://192.0.2.1:8067/m/a-1-token.iso":       false,
		"http://10.1.0.1:8068/m/a-1-token.iso":        false,
		"https://10.1.0.1:8067/m/a-1-token.iso":       false,
		"http://10.1.0.2:8067/m/a-1-token.iso":        false,
		"http://10.1.0.1:8067/image/a-1-token.iso":    false,
		"http://10.1.0.1:8067/m/a-1-token.img":        false,
		"http://10.1.0.1:8067/m/x/a-1-token.iso":      false,
		"http://10.1.0.1:8067/m/../x/a-1-token.iso":   false,
		"nfs://10.1.0.1:8067/m/a-1-token.iso":         false,
		"http://u@10.9.9.9/10.1.0.1:8067/m/a-1-t.iso": false,
		"":       false,
		"%zz":    false,
		"/m/a-1": false,
	} {
		if got := v.Ours(image); got != want {
			t.Errorf("%q is ours: %t, want %t", image, got, want)
		}
	}
}
