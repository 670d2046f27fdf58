package recipe

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTheScoutsMediumHasItsArgumentsAndTheHostsAddress(t *testing.T) {
	urls := BootURLs{Server: "http://192.0.2.1:8067", Token: "abc", Host: "h-1"}
	const ours = "muster.server=http://192.0.2.1:8067 muster.token=abc muster.host=h-1 muster.medium console=tty0 console=ttyS0,115200"
	for name, c := range map[string]struct {
		network Network
		want    string
		says    string
	}{
		"DHCP":         {Network{}, ours, ""},
		"DHCP, VLAN":   {Network{VLAN: 7, MAC: "52:54:00:AB:00:01"}, ours + " muster.vlan=7 muster.mac=52:54:00:ab:00:01", ""},
		"an address":   {Network{Address: "192.0.2.7", Prefix: 24}, ours + " muster.address=192.0.2.7/24", ""},
		"IPv6":         {Network{Address: "2001:db8::7", Prefix: 64, Gateway: "fe80::1"}, ours + " muster.address=2001:db8::7/64 muster.gateway=fe80::1", ""},
		"name servers": {Network{Address: "192.0.2.7", Prefix: 24, DNS: []string{"192.0.2.3", "192.0.2.4"}}, ours + " muster.address=192.0.2.7/24 muster.dns=192.0.2.3,192.0.2.4", ""},
		"two words":    {Network{Address: "192.0.2.7 quiet", Prefix: 24}, "", "is no IP address"},
		"no MAC":       {Network{MAC: "eth0"}, "", "is no MAC address"},
		"no prefix":    {Network{Address: "192.0.2.7"}, "", "is no prefix length"},
		"a wide VLAN":  {Network{VLAN: 4095}, "", "is no VLAN"},
	} {
		t.Run(name, func(t *testing.T) {
			args, err := named(t, "scout-iso").Medium(urls, c.network)
			if c.says != "" {
				if err == nil || !strings.Contains(err.Error(), c.says) {
					t.Errorf("%v, want %q", err, c.says)
				}
				return
			}
			if diff := cmp.Diff(c.want, strings.Join(args, " ")); err != nil || diff != "" {
				t.Errorf("%v; (-want +got):\n%s", err, diff)
			}
		})
	}
	if _, err := named(t, "scout").Medium(urls, Network{}); err == nil || !strings.Contains(err.Error(), "is no ISO") {
		t.Errorf("two files as a medium: %v", err)
	}
}

func TestEachInstallersWordsForAFixedAddress(t *testing.T) {
	plain := Network{Address: "10.1.4.12", Prefix: 22, Gateway: "10.1.4.1", DNS: []string{"10.1.0.2", "10.1.0.3", "10.1.0.4"}}
	bare := Network{Address: "10.1.4.12", Prefix: 24}
	tagged := Network{Address: "10.1.4.12", Prefix: 24, VLAN: 70}
	six := Network{Address: "2001:db8::c", Prefix: 64, Gateway: "2001:db8::1", DNS: []string{"2001:db8::53"}, VLAN: 70}
	type words func(Values) ([]string, error)
	klibc := func(v Values) ([]string, error) { return v.klibc(), nil }
	for _, c := range []struct {
		name    string
		words   words
		network Network
		mac     string
		want    string
	}{
		{"dracut", Values.dracut, plain, "52:54:00:AB:00:01",
			"ifname=bootnet:52:54:00:ab:00:01 ip=10.1.4.12::10.1.4.1:255.255.252.0:h:bootnet:none nameserver=10.1.0.2 nameserver=10.1.0.3 nameserver=10.1.0.4"},
		{"dracut, alone", Values.dracut, bare, "", "ip=10.1.4.12:::255.255.255.0:h::none"},
		{"dracut, on a VLAN", Values.dracut, tagged, "52:54:00:00:00:01", "ifname=bootnet:52:54:00:00:00:01 vlan=bootnet.70:bootnet ip=10.1.4.12:::255.255.255.0:h:bootnet.70:none"},
		{"dracut, IPv6 on a VLAN", Values.dracut, six, "52:54:00:00:00:01",
			"ifname=bootnet:52:54:00:00:00:01 vlan=bootnet.70:bootnet ip=[2001:db8::c]::[2001:db8::1]:64:h:bootnet.70:none nameserver=[2001:db8::53]"},
		{"klibc", klibc, plain, "52:54:00:00:00:01", "ip=10.1.4.12::10.1.4.1:255.255.252.0:h::off:10.1.0.2:10.1.0.3"},
		{"klibc, alone", klibc, bare, "", "ip=10.1.4.12:::255.255.255.0:h::off"},
		{"klibc, on a VLAN", klibc, tagged, "", ""},
		{"klibc, IPv6", klibc, six, "", ""},
		{"talos", Values.talosAddress, plain, "52:54:00:ab:00:01", "ip=10.1.4.12::10.1.4.1:255.255.252.0:h:enx525400ab0001:off:10.1.0.2:10.1.0.3"},
		{"talos, alone", Values.talosAddress, bare, "", "ip=10.1.4.12:::255.255.255.0:h::off"},
		{"talos, on a VLAN", Values.talosAddress, tagged, "52:54:00:00:00:01", "vlan=enx525400000001.70:enx525400000001 ip=10.1.4.12:::255.255.255.0:h:enx525400000001.70:off"},
	} {
		c.network.MAC = c.mac
		got, err := c.words(Values{Host: Identity{Name: "h"}, Network: c.network})
		if diff := cmp.Diff(c.want, strings.Join(got, " ")); err != nil || diff != "" {
			t.Errorf("%s: %v; (-want +got):\n%s", c.name, err, diff)
		}
	}
	for name, words := range map[string]words{"dracut": Values.dracut, "talos": Values.talosAddress} {
		if _, err := words(Values{Network: tagged}); err == nil || !strings.Contains(err.Error(), "a VLAN needs the MAC") {
			t.Errorf("%s, a VLAN on nobody knows which port: %v", name, err)
		}
	}
}

func TestTheInstalledSystemsFilesForAFixedAddress(t *testing.T) {
	v := Values{Network: Network{MAC: "52:54:00:AB:00:01", Address: "10.1.4.12", Prefix: 24, Gateway: "10.1.4.1", DNS: []string{"10.1.0.2", "10.1.0.3"}, VLAN: 70}}
	var got strings.Builder
	for _, f := range append(v.networkd(), v.keyfile()) {
		fmt.Fprintf(&got, "== %s %o\n%s", f.path, f.mode, f.content)
	}
	v.Network.VLAN, v.Network.MAC = 0, ""
	for _, f := range append(v.networkd(), v.keyfile()) {
		fmt.Fprintf(&got, "== %s %o\n%s", f.path, f.mode, f.content)
	}
	golden(t, "address-files.txt", []byte(got.String()))
}

func TestAFixedAddressTakesThePlaceOfDHCP(t *testing.T) {
	v := values()
	v.Network = Network{Address: "10.1.4.12", Prefix: 24}
	for _, family := range []string{"kairos", "anaconda", "coreos", "ubuntu"} {
		r := named(t, family)
		out, err := r.Render(v, orders[r.Config.Format])
		if err != nil {
			t.Fatal(err)
		}
		const base = "http://10.1.0.5:8067/x"
		boot, err := r.Netboot(BootURLs{Files: base, ISO: base + "/i.iso", Config: base + "/config", Seed: base + "/seed", Server: base, Host: "h", Disk: "d"}, out.Args)
		if err != nil || strings.Contains(boot.Cmdline, "ip=dhcp") || strings.Count(boot.Cmdline, " ip=10.1.4.12:") != 1 {
			t.Errorf("%s: %v, %s", family, err, boot.Cmdline)
		}
		if change := out.Medium[len(out.Medium)-1]; !slices.Contains(change.Drop, "ip") || !slices.ContainsFunc(change.Args, func(a string) bool { return strings.HasPrefix(a, "ip=10.1.4.12:") }) {
			t.Errorf("%s: its menu gets %+v", family, change)
		}
	}
	v.Network = Network{VLAN: 70}
	if _, err := named(t, "kairos").Render(v, Source{}); err == nil || !strings.Contains(err.Error(), "give its row an address") {
		t.Errorf("DHCP on a VLAN: %v", err)
	}
}
