package scout

import (
	"net"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestParams(t *testing.T) {
	const words = "muster.server=http://10.0.0.1:8067 muster.token=tok muster.host=h-1"
	full := Params{Server: "http://10.0.0.1:8067", Token: "tok", Host: "h-1"}
	booted := full
	booted.Boot = net.HardwareAddr{0x52, 0x54, 0, 0xaa, 0xbb, 0xcc}
	tests := []struct {
		name, line string
		want       Params
	}{
		{"without a booting port", "console=tty0 " + words + "\n", full},
		{"with BOOTIF", words + " BOOTIF=01-52-54-00-aa-bb-cc quiet", booted},
		{"with BOOTIF in upper case", words + " BOOTIF=01-52-54-00-AA-BB-CC", booted},
		{"with BOOTIF with colons", words + " BOOTIF=52:54:00:aa:bb:cc", booted},
		{"with an unreadable BOOTIF", words + " BOOTIF=eth0", full},
	}
	for _, test := range tests {
		got, err := ParseParams(test.line)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		if diff := cmp.Diff(test.want, got, cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})); diff != "" {
			t.Errorf("%s: differs (-want +got):\n%s", test.name, diff)
		}
	}
	if got := full.Base(); got != "http://10.0.0.1:8067/scout/h-1" {
		t.Errorf("base is %s", got)
	}
}

func TestParamsWithoutAServerAreRefused(t *testing.T) {
	for _, line := range []string{
		"", "quiet", "muster.server=http://10.0.0.1 muster.host=h", "muster.token=x muster.host=h",
		"muster.server=http://10.0.0.1 muster.token=x",
		"muster.server=10.0.0.1:8067 muster.token=x muster.host=h", "muster.server=tftp://10.0.0.1 muster.token=x muster.host=h",
	} {
		if p, err := ParseParams(line); err == nil {
			t.Errorf("%q was taken as %+v", line, p)
		}
	}
}

func TestBootifGoesRound(t *testing.T) {
	mac := net.HardwareAddr{0x52, 0x54, 0, 0xaa, 0xbb, 0xcc}
	if got := bootif(mac); got != "BOOTIF=01-52-54-00-aa-bb-cc" {
		t.Errorf("word is %s", got)
	}
	if got := cmdline("root=live", bootif(mac)); got != "root=live BOOTIF=01-52-54-00-aa-bb-cc" {
		t.Errorf("command line is %q", got)
	}
}
