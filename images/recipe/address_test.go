package recipe

import (
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
