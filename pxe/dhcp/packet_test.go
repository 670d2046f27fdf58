package dhcp

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"

	"github.com/muster-boot/muster/pxe"
)

// captured reads a UDP payload from testdata/captures.
func captured(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "captures", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestRealClientsAreKnown(t *testing.T) {
	uuid := func(last byte) pxe.UUID {
		u := pxe.UUID{0x11, 0x11, 0x11, 0x11, 0x22, 0x22, 0x33, 0x33, 0x44, 0x44}
		copy(u[10:], bytes.Repeat([]byte{last}, 6))
		return u
	}
	for _, c := range []struct {
		file   string
		kind   ask
		loader pxe.Loader
		arch   pxe.Arch
		uuid   pxe.UUID
	}{
		{"seabios-ipxe-discover.bin", discover, pxe.ForeignIPXE, pxe.ArchBIOS, uuid(0x55)},
		{"seabios-ipxe-request.bin", selecting, pxe.ForeignIPXE, pxe.ArchBIOS, uuid(0x55)},
		{"undionly-discover.bin", discover, pxe.OurIPXE, pxe.ArchBIOS, uuid(0x55)},
		{"ovmf-pxe-discover.bin", discover, pxe.Firmware, pxe.ArchUEFIx64, uuid(0x66)},
		{"ovmf-pxe-request.bin", selecting, pxe.Firmware, pxe.ArchUEFIx64, uuid(0x66)},
		{"ovmf-http-discover.bin", discover, pxe.Firmware, pxe.ArchHTTPx64, uuid(0x66)},
		{"ipxe-efi-discover.bin", discover, pxe.OurIPXE, pxe.ArchUEFIx64, uuid(0x66)},
		{"ipxe-efi-request.bin", selecting, pxe.OurIPXE, pxe.ArchUEFIx64, uuid(0x66)},
		{"udhcpc-discover.bin", discover, pxe.System, pxe.ArchUnknown, pxe.UUID{}},
	} {
		p, err := dhcpv4.FromBytes(captured(t, c.file))
		if err != nil {
			t.Fatalf("%s: %v", c.file, err)
		}
		if !understood(p) {
			t.Errorf("%s is not understood", c.file)
		}
		got := classify(p, "srv0")
		if got.Loader != c.loader || got.Arch != c.arch || got.UUID != c.uuid {
			t.Errorf("%s: %s arch %d uuid %x; want %s arch %d uuid %x", c.file, got.Loader, got.Arch, got.UUID, c.loader, c.arch, c.uuid)
		}
		if k := kind(p, netip.MustParseAddr("255.255.255.255"), []netip.Addr{us}, false); k != c.kind {
			t.Errorf("%s: %q, want %q", c.file, k, c.kind)
		}
	}
}

func TestArchIsNeverGuessed(t *testing.T) {
	for _, c := range []struct {
		name   string
		listed []iana.Arch
		vendor string
		want   pxe.Arch
	}{
		{"option 93", []iana.Arch{7}, "PXEClient:Arch:00000:UNDI:002001", pxe.ArchUEFIx64},
		{"option 93, the one we know", []iana.Arch{27, 7}, "", pxe.ArchUEFIx64},
		{"option 93, none we know", []iana.Arch{27, 28}, "", 27},
		{"option 60 only", nil, "PXEClient:Arch:00011:UNDI:003000", pxe.ArchUEFIARM64},
		{"option 60 without one", nil, "PXEClient", pxe.ArchUnknown},
		{"option 60 with junk", nil, "PXEClient:Arch:99999999:UNDI", pxe.ArchUnknown},
		{"nothing", nil, "", pxe.ArchUnknown},
	} {
		if got := arch(c.listed, c.vendor); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

func TestJunkUUIDIsNone(t *testing.T) {
	real := append([]byte{0}, bytes.Repeat([]byte{7}, 16)...)
	for _, c := range []struct {
		name string
		opt  []byte
		want bool
	}{
		{"real", real, true},
		{"absent", nil, false},
		{"short", real[:16], false},
		{"another type", append([]byte{1}, real[1:]...), false},
		{"all zeroes", make([]byte, 17), false},
		{"all ones", append([]byte{0}, bytes.Repeat([]byte{0xff}, 16)...), false},
	} {
		if got := !uuid(c.opt).IsZero(); got != c.want {
			t.Errorf("%s: counts %t, want %t", c.name, got, c.want)
		}
	}
}

func TestNobodysMACIsNotUnderstood(t *testing.T) {
	for _, c := range []struct {
		name string
		mac  net.HardwareAddr
		want bool
	}{
		{"unicast", testMAC, true},
		{"zero", make(net.HardwareAddr, 6), false},
		{"broadcast", bytes.Repeat([]byte{0xff}, 6), false},
		{"eight bytes", bytes.Repeat([]byte{2}, 8), false},
		{"none", nil, false},
	} {
		p := message{kind: dhcpv4.MessageTypeDiscover}.packet(t)
		p.ClientHWAddr = c.mac
		if got := understood(p); got != c.want {
			t.Errorf("%s: %t, want %t", c.name, got, c.want)
		}
	}
}

// TestOfferHasWhatFirmwareNeeds answers OVMF's own DISCOVER and reads the reply
// as bytes, the way the client will.
func TestOfferHasWhatFirmwareNeeds(t *testing.T) {
	req, err := dhcpv4.FromBytes(captured(t, "ovmf-pxe-discover.bin"))
	if err != nil {
		t.Fatal(err)
	}
	relay := dhcpv4.OptRelayAgentInfo(dhcpv4.OptGeneric(dhcpv4.GenericOptionCode(1), []byte("port 7")))
	req.UpdateOption(relay)
	req.UpdateOption(dhcpv4.OptClientIdentifier([]byte{1, 2, 3}))
	c := classify(req, "srv0")
	out := reply(req, c, terms{
		Kind: dhcpv4.MessageTypeOffer, Address: netip.MustParseAddr("192.0.2.50"), Lease: time.Hour, Name: "edge-1",
		Boot: bootFor(c, pxe.Answer{Serve: true, Script: "/s"}, testNet, us), Asked: us, Network: testNet,
	})
	p, err := dhcpv4.FromBytes(out.ToBytes())
	if err != nil {
		t.Fatal(err)
	}
	type view struct {
		Kind, Your, Server, ID, File, File67, TFTP, Class, Name, Router, DNS, NTP, Mask string
		Lease                                                                           time.Duration
		Same                                                                            bool
	}
	got := view{
		p.MessageType().String(), p.YourIPAddr.String(), p.ServerIPAddr.String(), p.ServerIdentifier().String(),
		p.BootFileName, p.BootFileNameOption(), p.TFTPServerName(), p.ClassIdentifier(), p.HostName(),
		p.Router()[0].String(), p.DNS()[0].String(), p.NTPServers()[0].String(), p.SubnetMask().String(),
		p.IPAddressLeaseTime(0), p.TransactionID == req.TransactionID && p.IsBroadcast() == req.IsBroadcast(),
	}
	want := view{
		"OFFER", "192.0.2.50", "192.0.2.1", "192.0.2.1", "ipxe.efi", "ipxe.efi", "192.0.2.1", "PXEClient", "edge-1",
		"192.0.2.254", "192.0.2.253", "192.0.2.1", "ffffff00", time.Hour, true,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("offer (-want +got):\n%s", diff)
	}
	for _, code := range []dhcpv4.OptionCode{dhcpv4.OptionRelayAgentInformation, dhcpv4.OptionClientIdentifier, optClientUUID} {
		if !bytes.Equal(p.GetOneOption(code), req.GetOneOption(code)) {
			t.Errorf("option %d is not repeated", code.Code())
		}
	}
	if got := p.GetOneOption(dhcpv4.OptionVendorSpecificInformation); !bytes.Equal(got, []byte{6, 1, 8, 255}) {
		t.Errorf("PXE discovery control: % x", got)
	}
}

func TestIPXEIsToldNotToWaitForAProxy(t *testing.T) {
	req, err := dhcpv4.FromBytes(captured(t, "ipxe-efi-discover.bin"))
	if err != nil {
		t.Fatal(err)
	}
	c := classify(req, "srv0")
	p := reply(req, c, terms{Kind: dhcpv4.MessageTypeOffer, Boot: bootFor(c, pxe.Answer{Script: "/s"}, testNet, us), Asked: us, Network: testNet})
	if got := p.GetOneOption(optEtherboot); !bytes.Equal(got, []byte{176, 1, 1}) {
		t.Errorf("option 175: % x", got)
	}
	if p.TFTPServerName() != "" {
		t.Errorf("a URL came with the TFTP server %s", p.TFTPServerName())
	}
}

func TestClientThatWantsNoBootOptionsGetsTheFieldOnly(t *testing.T) {
	req := message{kind: dhcpv4.MessageTypeDiscover}.packet(t)
	p := reply(req, pxe.Client{}, terms{Kind: dhcpv4.MessageTypeOffer, Boot: boot{File: "undionly.kpxe"}, Asked: us, Network: testNet})
	if p.BootFileName != "undionly.kpxe" || p.BootFileNameOption() != "" || p.TFTPServerName() != "" {
		t.Errorf("field %q, options %q and %q", p.BootFileName, p.BootFileNameOption(), p.TFTPServerName())
	}
}

func TestLongBootFileGoesToTheOptionOnly(t *testing.T) {
	req := message{kind: dhcpv4.MessageTypeDiscover}.packet(t)
	file := "http://192.0.2.1:8067/" + string(bytes.Repeat([]byte{'x'}, 200))
	p := reply(req, pxe.Client{}, terms{Kind: dhcpv4.MessageTypeOffer, Boot: boot{File: file}, Asked: us, Network: testNet})
	if p.BootFileName != "" || p.BootFileNameOption() != file {
		t.Errorf("field %q, option %q", p.BootFileName, p.BootFileNameOption())
	}
}

func TestInformGetsNoLease(t *testing.T) {
	req := message{kind: dhcpv4.MessageTypeInform, have: "192.0.2.7"}.packet(t)
	p := reply(req, classify(req, "srv0"), terms{Kind: dhcpv4.MessageTypeAck, Asked: us, Network: testNet})
	if !p.YourIPAddr.IsUnspecified() || p.Options.Has(dhcpv4.OptionIPAddressLeaseTime) || p.ClientIPAddr.String() != "192.0.2.7" {
		t.Errorf("got %s", p.Summary())
	}
}

func TestRefusalByRelayIsBroadcastThere(t *testing.T) {
	req := message{kind: dhcpv4.MessageTypeRequest, relay: "192.0.2.9"}.packet(t)
	p := refusal(req, us, "no")
	if !p.IsBroadcast() || p.MessageType() != dhcpv4.MessageTypeNak || p.Message() != "no" || !p.YourIPAddr.IsUnspecified() {
		t.Errorf("got %s", p.Summary())
	}
}

// TestFrameSumsAreRight checks the property that a receiver checks: all words
// of a header and its pseudo header, sum included, add up to nothing.
func TestFrameSumsAreRight(t *testing.T) {
	from, to := netip.MustParseAddrPort("192.0.2.1:67"), netip.MustParseAddrPort("192.0.2.50:68")
	for n := range 9 {
		payload := bytes.Repeat([]byte{0xfe}, n)
		b := frame(testMAC, testMAC, from, to, payload)
		ip := b[ethernetLen:]
		if got := checksum(0, ip[:ipv4Len]); got != 0 {
			t.Errorf("%d bytes: IP sum is off by %#x", n, got)
		}
		udp := ip[ipv4Len:]
		if got := checksum(sum(protocolUDP+uint32(len(udp)), ip[12:20]), udp); got != 0 {
			t.Errorf("%d bytes: UDP sum is off by %#x", n, got)
		}
		if int(binary.BigEndian.Uint16(ip[2:])) != len(ip) || !bytes.Equal(udp[udpLen:], payload) {
			t.Errorf("%d bytes: wrong length or payload", n)
		}
	}
}

func TestSightingIsToldOnceUntilItChanges(t *testing.T) {
	s := newSightings()
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	see := func(after time.Duration, served bool) bool {
		return s.news(Sighting{Client: pxe.Client{MAC: testMAC}, Served: served, At: at.Add(after)})
	}
	for _, c := range []struct {
		after  time.Duration
		served bool
		want   bool
	}{
		{0, false, true}, {time.Second, false, false}, {9 * time.Second, false, false},
		{10 * time.Second, false, true}, {11 * time.Second, true, true}, {12 * time.Second, true, false},
	} {
		if got := see(c.after, c.served); got != c.want {
			t.Errorf("after %s, served %t: told %t, want %t", c.after, c.served, got, c.want)
		}
	}
	ack := Sighting{Client: pxe.Client{MAC: testMAC}, Served: true, Bound: true, At: at.Add(13 * time.Second)}
	if !s.news(ack) || s.news(ack) {
		t.Error("that an offered address was taken is not told, or told twice")
	}
	for n := range 3 * rememberMACs {
		mac := net.HardwareAddr{2, 0, 0, 0, byte(n >> 8), byte(n)}
		s.news(Sighting{Client: pxe.Client{MAC: mac}, At: at})
	}
	if len(s.last) > rememberMACs {
		t.Errorf("%d MACs remembered, at most %d", len(s.last), rememberMACs)
	}
}
