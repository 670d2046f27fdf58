package scout

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// words open muster; what follows them is about the address.
const words = "muster.server=http://10.0.0.1:8067 muster.token=tok muster.host=h-1 "

func TestTheAddressOnTheCommandLine(t *testing.T) {
	address := netip.MustParsePrefix("10.0.0.5/24")
	for _, c := range []struct {
		name, line string
		want       Fixed
		medium     bool
	}{
		{"none", "quiet", Fixed{}, false},
		{"an address", "muster.address=10.0.0.5/24 muster.medium", Fixed{Address: address}, true},
		{"everything", "muster.address=10.0.0.5/24 muster.gateway=10.0.0.1 muster.dns=10.0.0.2,10.0.0.3 muster.vlan=70 muster.mac=52:54:00:00:00:02",
			Fixed{Address: address, Gateway: netip.MustParseAddr("10.0.0.1"), DNS: []netip.Addr{netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("10.0.0.3")}, VLAN: 70, MAC: mac(2)}, false},
		{"DHCP on a VLAN", "muster.vlan=4094", Fixed{VLAN: 4094}, false},
		{"IPv6", "muster.address=2001:db8::5/64 muster.gateway=fe80::1", Fixed{Address: netip.MustParsePrefix("2001:db8::5/64"), Gateway: netip.MustParseAddr("fe80::1")}, false},
		{"the last of two", "muster.vlan=1 muster.vlan=2", Fixed{VLAN: 2}, false},
	} {
		p, err := ParseParams(words + c.line)
		if err != nil || p.Medium != c.medium {
			t.Errorf("%s: medium %t, %v", c.name, p.Medium, err)
		}
		if diff := cmp.Diff(c.want, p.Fixed, cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})); diff != "" {
			t.Errorf("%s differs (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestAnAddressThatCannotBeUsedIsRefused(t *testing.T) {
	for _, line := range []string{
		"muster.address=10.0.0.5", "muster.address=10.0.0.5/33", "muster.address=", "muster.gateway=gw", "muster.dns=10.0.0.1,", "muster.vlan=0",
		"muster.vlan=4095", "muster.vlan=x", "muster.mac=eth0", "muster.mac=00:00:00:00:00:00:00:00", "muster.address=10.0.0.5/24 muster.gateway=fe80::1",
	} {
		if p, err := ParseParams(words + line); err == nil || !strings.Contains(err.Error(), strings.SplitN(line, "=", 2)[0]) {
			t.Errorf("%q was taken as %+v, %v", line, p.Fixed, err)
		}
	}
}

func TestTheNameServersAreNamed(t *testing.T) {
	f := Fixed{DNS: []netip.Addr{netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("2001:db8::53")}}
	if got := f.resolver(); got != "nameserver 10.0.0.2\nnameserver 2001:db8::53\n" {
		t.Errorf("the file is %q", got)
	}
	if got := (Fixed{}).resolver(); got != "" {
		t.Errorf("without any it is %q", got)
	}
}

func TestAPortThatIsNotThereIsNamed(t *testing.T) {
	n := &network{fixed: Fixed{MAC: mac(9)}}
	if got := n.lament([]port{{name: "eth0", mac: mac(0), carrier: true}}, nil); !strings.Contains(got, "the port 52:54:00:00:00:09, which is not there") {
		t.Errorf("it says %q", got)
	}
}

// FuzzParams holds that whatever a boot loader passes on, an address that is
// taken can be set.
func FuzzParams(f *testing.F) {
	f.Add(words + "muster.address=10.0.0.5/24 muster.gateway=10.0.0.1 muster.dns=10.0.0.2 muster.vlan=70 muster.mac=52:54:00:00:00:02")
	f.Add(words + "muster.address=::/0 BOOTIF=01-52-54-00-00-00-01")
	f.Fuzz(func(t *testing.T, line string) {
		p, err := ParseParams(line)
		if err != nil {
			return
		}
		if p.Fixed.VLAN < 0 || p.Fixed.VLAN > lastVLAN || p.Fixed.MAC != nil && len(p.Fixed.MAC) != 6 || p.Server == "" {
			t.Errorf("%q was taken as %+v", line, p)
		}
		if a := p.Fixed.Address; a.IsValid() {
			ones, bits := addressOf(p.Fixed.lease()).Mask.Size()
			if ones != a.Bits() || bits != a.Addr().BitLen() {
				t.Errorf("%q: the mask of %s has %d of %d bits", line, a, ones, bits)
			}
		}
	})
}
