package dhcp

import (
	"errors"
	"net"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/muster-boot/muster/pxe"
	"github.com/muster-boot/muster/pxe/lease"
)

var (
	us      = netip.MustParseAddr("192.0.2.1")
	testNet = Network{
		Interface: "srv0", Address: netip.MustParsePrefix("192.0.2.1/24"),
		From: netip.MustParseAddr("192.0.2.50"), To: netip.MustParseAddr("192.0.2.60"),
		Router: netip.MustParseAddr("192.0.2.254"), DNS: []netip.Addr{netip.MustParseAddr("192.0.2.253")},
		NTP: []netip.Addr{us}, BootPort: 8067,
	}
	testMAC = net.HardwareAddr{0x52, 0x54, 0, 0, 0, 1}
)

// message makes a request with the fields that tests vary.
type message struct {
	kind               dhcpv4.MessageType
	server, want, have string
	relay              string
	broadcast          bool
}

func (m message) packet(t testing.TB) *dhcpv4.DHCPv4 {
	t.Helper()
	p := &dhcpv4.DHCPv4{OpCode: dhcpv4.OpcodeBootRequest, HWType: 1, ClientHWAddr: testMAC, Options: dhcpv4.Options{}}
	p.UpdateOption(dhcpv4.OptMessageType(m.kind))
	if m.server != "" {
		p.UpdateOption(dhcpv4.OptServerIdentifier(net.ParseIP(m.server)))
	}
	if m.want != "" {
		p.UpdateOption(dhcpv4.OptRequestedIPAddress(net.ParseIP(m.want)))
	}
	p.ClientIPAddr, p.GatewayIPAddr = net.ParseIP(m.have), net.ParseIP(m.relay)
	if m.broadcast {
		p.SetBroadcast()
	}
	read, err := dhcpv4.FromBytes(p.ToBytes())
	if err != nil {
		t.Fatal(err)
	}
	return read
}

func TestKindFollowsTheClientsState(t *testing.T) {
	const all = "255.255.255.255"
	request := dhcpv4.MessageTypeRequest
	for _, c := range []struct {
		name string
		m    message
		dst  string
		boot bool
		want ask
	}{
		{"discover", message{kind: dhcpv4.MessageTypeDiscover}, all, false, discover},
		{"takes our offer", message{kind: request, server: "192.0.2.1", want: "192.0.2.50"}, all, false, selecting},
		{"takes another server's offer", message{kind: request, server: "192.0.2.9", want: "192.0.2.50"}, all, false, nothing},
		{"came back from a reboot", message{kind: request, want: "192.0.2.50"}, all, false, rebooting},
		{"renews", message{kind: request, have: "192.0.2.50"}, "192.0.2.1", false, renewing},
		{"rebinds", message{kind: request, have: "192.0.2.50"}, all, false, rebinding},
		{"requests nothing", message{kind: request}, all, false, nothing},
		{"informs", message{kind: dhcpv4.MessageTypeInform, have: "192.0.2.7"}, all, false, inform},
		{"releases", message{kind: dhcpv4.MessageTypeRelease, server: "192.0.2.1", have: "192.0.2.50"}, "192.0.2.1", false, release},
		{"releases at another server", message{kind: dhcpv4.MessageTypeRelease, server: "192.0.2.9", have: "192.0.2.50"}, all, false, nothing},
		{"declines", message{kind: dhcpv4.MessageTypeDecline, server: "192.0.2.1", want: "192.0.2.50"}, all, false, decline},
		{"asks the boot server", message{kind: request, have: "192.0.2.50"}, "192.0.2.1", true, bootServer},
		{"an offer is no request", message{kind: dhcpv4.MessageTypeOffer}, all, false, nothing},
		{"a packet without a type", message{}, all, false, nothing},
	} {
		got := kind(c.m.packet(t), netip.MustParseAddr(c.dst), []netip.Addr{us}, c.boot)
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestJudgeRefusesOnlyWhatIsSurelyWrong(t *testing.T) {
	full := errors.New("disk full")
	for _, c := range []struct {
		name   string
		ask    ask
		addr   string
		booked error
		want   verdict
	}{
		{"booked", selecting, "192.0.2.50", nil, grant},
		{"another client's", rebooting, "192.0.2.50", lease.ErrTaken, refuse},
		{"of another network", rebooting, "198.51.100.7", lease.ErrOutside, refuse},
		{"of another network, renewed at anybody", rebinding, "198.51.100.7", lease.ErrOutside, refuse},
		{"perhaps another server's", rebooting, "192.0.2.99", lease.ErrOutside, ignore},
		{"perhaps another server's, renewed at anybody", rebinding, "192.0.2.99", lease.ErrOutside, ignore},
		{"outside the pool, asked of us", selecting, "192.0.2.99", lease.ErrOutside, refuse},
		{"outside the pool, renewed at us", renewing, "192.0.2.99", lease.ErrOutside, refuse},
	} {
		got, err := judge(c.ask, netip.MustParseAddr(c.addr), testNet, c.booked)
		if got != c.want || err != nil {
			t.Errorf("%s: %s, %v; want %s", c.name, got, err, c.want)
		}
	}
	if got, err := judge(selecting, us, testNet, full); got != ignore || !errors.Is(err, full) {
		t.Errorf("unwritten lease: %s, %v; want silence and the error", got, err)
	}
}

func TestRelayPicksTheNetwork(t *testing.T) {
	far := Network{Interface: "srv1", Address: netip.MustParsePrefix("198.51.100.1/24")}
	all := []Network{testNet, far}
	for _, c := range []struct{ name, relay, want string }{
		{"no relay", "", "srv0"},
		{"a relay of the same network", "192.0.2.200", "srv0"},
		{"a relay of another of ours", "198.51.100.9", "srv1"},
		{"a relay of nobody's", "203.0.113.1", ""},
	} {
		got, ok := networkOf(message{kind: dhcpv4.MessageTypeDiscover, relay: c.relay}.packet(t), testNet, all)
		if got.Interface != c.want || ok != (c.want != "") {
			t.Errorf("%s: %q, %t; want %q", c.name, got.Interface, ok, c.want)
		}
	}
}

// TestDestinationMatrix is RFC 2131 §4.1, row by row.
func TestDestinationMatrix(t *testing.T) {
	const offer, ack, nak = dhcpv4.MessageTypeOffer, dhcpv4.MessageTypeAck, dhcpv4.MessageTypeNak
	from := netip.MustParseAddrPort("192.0.2.50:1068")
	for _, c := range []struct {
		name  string
		req   message
		ask   ask
		reply dhcpv4.MessageType
		want  string
		link  bool
	}{
		{"offer, no address yet: to its MAC", message{}, discover, offer, "192.0.2.50:68", true},
		{"offer, broadcast flag", message{broadcast: true}, discover, offer, "255.255.255.255:68", false},
		{"offer by relay", message{relay: "198.51.100.9"}, discover, offer, "198.51.100.9:67", false},
		{"offer by relay, broadcast flag", message{relay: "198.51.100.9", broadcast: true}, discover, offer, "198.51.100.9:67", false},
		{"ack, no address yet: to its MAC", message{}, selecting, ack, "192.0.2.50:68", true},
		{"ack, broadcast flag", message{broadcast: true}, selecting, ack, "255.255.255.255:68", false},
		{"ack of a renewal", message{have: "192.0.2.50"}, renewing, ack, "192.0.2.50:68", false},
		{"ack of a renewal, broadcast flag", message{have: "192.0.2.50", broadcast: true}, renewing, ack, "192.0.2.50:68", false},
		{"ack by relay", message{relay: "198.51.100.9", have: "198.51.100.20"}, renewing, ack, "198.51.100.9:67", false},
		{"ack of an inform", message{have: "192.0.2.7"}, inform, ack, "192.0.2.7:68", false},
		{"nak", message{}, selecting, nak, "255.255.255.255:68", false},
		{"nak of a renewal", message{have: "192.0.2.50"}, renewing, nak, "255.255.255.255:68", false},
		{"nak by relay", message{relay: "198.51.100.9"}, rebooting, nak, "198.51.100.9:67", false},
		{"boot server: back to its port", message{have: "192.0.2.50"}, bootServer, ack, "192.0.2.50:1068", false},
	} {
		p := &dhcpv4.DHCPv4{YourIPAddr: net.IPv4(192, 0, 2, 50).To4(), Options: dhcpv4.Options{}}
		p.UpdateOption(dhcpv4.OptMessageType(c.reply))
		got := destinationOf(p, c.req.packet(t), c.ask, from)
		if got.To.String() != c.want || (got.Link != nil) != c.link {
			t.Errorf("%s: %s by MAC %t, want %s by MAC %t", c.name, got.To, got.Link != nil, c.want, c.link)
		}
	}
}

func TestBootFileFitsWhoAsks(t *testing.T) {
	always := testNet
	always.LoaderAlways = true
	const script = "http://192.0.2.1:8067/boot/a/script.ipxe"
	for _, c := range []struct {
		name    string
		loader  pxe.Loader
		arch    pxe.Arch
		vendor  string
		network Network
		want    boot
	}{
		{"BIOS firmware", pxe.Firmware, pxe.ArchBIOS, "PXEClient:Arch:00000:UNDI:002001", testNet, boot{"undionly.kpxe", "PXEClient", ""}},
		{"UEFI", pxe.Firmware, pxe.ArchUEFIx64, "PXEClient:Arch:00007:UNDI:003000", testNet, boot{"ipxe.efi", "PXEClient", ""}},
		{"UEFI that says 9", pxe.Firmware, pxe.ArchUEFIBC, "PXEClient", testNet, boot{"ipxe.efi", "PXEClient", ""}},
		{"UEFI HTTP", pxe.Firmware, pxe.ArchHTTPx64, "HTTPClient:Arch:00016:UNDI:003000", testNet, boot{"http://192.0.2.1:8067/loader/ipxe.efi", "HTTPClient", ""}},
		{"arm64", pxe.Firmware, pxe.ArchUEFIARM64, "PXEClient", testNet, boot{"snp.efi", "PXEClient", ""}},
		{"arm64 HTTP", pxe.Firmware, pxe.ArchHTTPARM64, "HTTPClient", testNet, boot{"http://192.0.2.1:8067/loader/snp.efi", "HTTPClient", ""}},
		{"32-bit UEFI", pxe.Firmware, pxe.ArchUEFI32, "PXEClient", testNet, boot{"", "PXEClient", noLoader(pxe.ArchUEFI32)}},
		{"no architecture", pxe.Firmware, pxe.ArchUnknown, "PXEClient", testNet, boot{"", "PXEClient", noLoader(pxe.ArchUnknown)}},
		{"RISC-V", pxe.Firmware, 27, "PXEClient", testNet, boot{"", "PXEClient", noLoader(27)}},
		{"our iPXE", pxe.OurIPXE, pxe.ArchUEFIx64, "PXEClient", always, boot{script, "PXEClient", ""}},
		{"a NIC's iPXE", pxe.ForeignIPXE, pxe.ArchBIOS, "PXEClient", testNet, boot{script, "PXEClient", ""}},
		{"a NIC's iPXE, loader always", pxe.ForeignIPXE, pxe.ArchBIOS, "PXEClient", always, boot{"undionly.kpxe", "PXEClient", ""}},
		{"a NIC's iPXE we have no loader for", pxe.ForeignIPXE, pxe.ArchUEFI32, "PXEClient", always, boot{script, "PXEClient", ""}},
		{"an operating system", pxe.System, pxe.ArchUnknown, "dhcpcd", testNet, boot{}},
	} {
		client := pxe.Client{Loader: c.loader, Arch: c.arch, Vendor: c.vendor}
		got := bootFor(client, pxe.Answer{Serve: true, Script: "/boot/a/script.ipxe"}, c.network, us)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
	if got := bootFor(pxe.Client{Loader: pxe.Firmware}, pxe.Answer{Serve: true}, testNet, us); got.File != "" || got.Note != noScript {
		t.Errorf("without a script: %+v", got)
	}
}

// TestOnlyFirmwareThatSpeaksHTTPGetsTheImage has a host that is to boot an ISO
// by itself: all that cannot goes on with what tells it so.
func TestOnlyFirmwareThatSpeaksHTTPGetsTheImage(t *testing.T) {
	always := testNet
	always.LoaderAlways = true
	const iso, script = "http://192.0.2.1:8067/m/a.iso", "http://192.0.2.1:8067/s"
	for _, c := range []struct {
		name    string
		loader  pxe.Loader
		arch    pxe.Arch
		vendor  string
		network Network
		want    boot
	}{
		{"HTTP boot", pxe.Firmware, pxe.ArchHTTPx64, "HTTPClient:Arch:00016:UNDI:003000", testNet, boot{iso, "HTTPClient", ""}},
		{"HTTP boot, loader always", pxe.Firmware, pxe.ArchHTTPx64, "HTTPClient", always, boot{iso, "HTTPClient", ""}},
		{"HTTP boot of arm64", pxe.Firmware, pxe.ArchHTTPARM64, "HTTPClient", testNet, boot{iso, "HTTPClient", ""}},
		{"PXE of UEFI", pxe.Firmware, pxe.ArchUEFIx64, "PXEClient", testNet, boot{"ipxe.efi", "PXEClient", ""}},
		{"PXE of BIOS", pxe.Firmware, pxe.ArchBIOS, "PXEClient", testNet, boot{"undionly.kpxe", "PXEClient", ""}},
		{"our iPXE that came by HTTP", pxe.OurIPXE, pxe.ArchHTTPx64, "HTTPClient", testNet, boot{script, "HTTPClient", ""}},
		{"an operating system", pxe.System, pxe.ArchUnknown, "dhcpcd", testNet, boot{}},
	} {
		client := pxe.Client{Loader: c.loader, Arch: c.arch, Vendor: c.vendor}
		got := bootFor(client, pxe.Answer{Serve: true, Script: "/s", Image: "/m/a.iso"}, c.network, us)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestTheImageIsNamedWhereFirmwareLooks(t *testing.T) {
	req, err := dhcpv4.FromBytes(captured(t, "ovmf-http-discover.bin"))
	if err != nil {
		t.Fatal(err)
	}
	c := classify(req, "srv0")
	p := reply(req, c, terms{Kind: dhcpv4.MessageTypeOffer, Boot: bootFor(c, pxe.Answer{Serve: true, Script: "/s", Image: "/m/a.iso"}, testNet, us), Asked: us, Network: testNet})
	if p.BootFileNameOption() != "http://192.0.2.1:8067/m/a.iso" || p.ClassIdentifier() != "HTTPClient" {
		t.Errorf("option 67 %q, option 60 %q", p.BootFileNameOption(), p.ClassIdentifier())
	}
}
