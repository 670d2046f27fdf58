package discover

import (
	"net/netip"
	"strings"
	"testing"
)

// registry is in the form of the IEEE's oui.txt, two entries of it.
const registry = "OUI/MA-L                                                    Organization                                 \r\n" +
	"company_id                                                  Organization                                 \r\n" +
	"\r\n" +
	"00-22-72   (hex)\t\tAmerican Micro-Fuel Device Corp.\r\n" +
	"002272     (base 16)\t\tAmerican Micro-Fuel Device Corp.\r\n" +
	"\t\t\t\t2181 Buchanan Loop\r\n" +
	"\r\n" +
	"D0-94-66   (hex)\t\tDell Inc.\r\n"

func TestAMACNamesTheMakerOfItsPort(t *testing.T) {
	m, err := ReadMakers(strings.NewReader(registry))
	if err != nil {
		t.Fatal(err)
	}
	for mac, want := range map[string]string{
		"d0:94:66:12:34:56": "Dell Inc.", "D0-94-66-12-34-56": "Dell Inc.", "00:22:72:00:00:01": "American Micro-Fuel Device Corp.",
		"3c:ec:ef:00:00:01": "Super Micro Computer, Inc.", "d2:94:66:12:34:56": "", "52:54:00:12:34:56": "", "": "", "d0:94:66": "", "00:00:5e:00:00:01": "",
	} {
		if got := m.Of(mac); got != want {
			t.Errorf("%q is of %q, want %q", mac, got, want)
		}
	}
	if got := Makers(nil).Of("ac:1f:6b:00:00:01"); got != "Super Micro Computer, Inc." {
		t.Errorf("without a list it is of %q", got)
	}
}

func TestNeighboursThatDidNotAnswerAreLeftOut(t *testing.T) {
	const arp = "IP address       HW type     Flags       HW address            Mask     Device\n" +
		"192.0.2.1        0x1         0x2         d0:94:66:12:34:56     *        eth0\n" +
		"192.0.2.50       0x1         0x0         00:00:00:00:00:00     *        eth0\n" +
		"rubbish\n"
	list, err := ReadNeighbours(strings.NewReader(arp))
	if err != nil || len(list) != 1 || list[netip.MustParseAddr("192.0.2.1")] != "d0:94:66:12:34:56" {
		t.Errorf("%v, %v", list, err)
	}
}
