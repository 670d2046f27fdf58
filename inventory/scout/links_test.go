package scout

import (
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"testing"
	"testing/fstest"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/server4"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// wired gives this test a network of its own with one cable in it: "host0" at
// one end, "server0" with the address 10.9.0.1 at the other.
func wired(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("a network namespace needs root")
	}
	// The thread has left the machine's network and is not given back: a
	// goroutine that ends while locked takes its thread with it.
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	cable := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "host0"}, PeerName: "server0"}
	if err := netlink.LinkAdd(cable); err != nil {
		t.Fatal(err)
	}
	server, err := netlink.LinkByName("server0")
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkSetUp(server); err != nil {
		t.Fatal(err)
	}
	addr, err := netlink.ParseAddr("10.9.0.1/24")
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.AddrAdd(server, addr); err != nil {
		t.Fatal(err)
	}
}

// serveDHCP answers everybody on server0 with 10.9.0.77.
func serveDHCP(t *testing.T) {
	t.Helper()
	grant := func(conn net.PacketConn, peer net.Addr, m *dhcpv4.DHCPv4) {
		kind := dhcpv4.MessageTypeOffer
		if m.MessageType() == dhcpv4.MessageTypeRequest {
			kind = dhcpv4.MessageTypeAck
		}
		reply, err := dhcpv4.NewReplyFromRequest(m, dhcpv4.WithMessageType(kind), dhcpv4.WithYourIP(net.IPv4(10, 9, 0, 77)),
			dhcpv4.WithNetmask(net.CIDRMask(24, 32)), dhcpv4.WithRouter(net.IPv4(10, 9, 0, 1)), dhcpv4.WithLeaseTime(120),
			dhcpv4.WithServerIP(net.IPv4(10, 9, 0, 1)), dhcpv4.WithOption(dhcpv4.OptServerIdentifier(net.IPv4(10, 9, 0, 1))))
		if err == nil {
			_, err = conn.WriteTo(reply.ToBytes(), &net.UDPAddr{IP: net.IPv4bcast, Port: dhcpv4.ClientPort})
		}
		if err != nil {
			t.Errorf("answer %s: %v", peer, err)
		}
	}
	s, err := server4.NewServer("server0", &net.UDPAddr{Port: dhcpv4.ServerPort}, grant)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve() // ends with the error of a closed socket
	}()
	t.Cleanup(func() {
		_ = s.Close()
		<-done
	})
}

func TestAnAddressIsAskedForSetAndGivenBack(t *testing.T) {
	wired(t)
	serveDHCP(t)
	links := kernelLinks{root: fstest.MapFS{"sys/class/net/host0/device/vendor": {}}}
	if err := links.up("host0"); err != nil {
		t.Fatal(err)
	}
	ports, err := links.ports()
	if err != nil || len(ports) != 1 || ports[0].name != "host0" || !ports[0].carrier {
		t.Fatalf("ports are %+v, %v", ports, err)
	}
	got, err := links.request(t.Context(), ports[0])
	want := lease{
		address: netip.MustParsePrefix("10.9.0.77/24"), router: netip.MustParseAddr("10.9.0.1"),
		server: netip.MustParseAddr("10.9.0.1"), renew: time.Minute,
	}
	if err != nil || got != want {
		t.Fatalf("lease is %+v, %v, want %+v", got, err, want)
	}
	for range 2 { // setting it again, as a renewal does, is no error
		if err := links.configure("host0", got); err != nil {
			t.Fatal(err)
		}
	}
	if addrs := addresses(t, "host0"); !slices.Contains(addrs, "10.9.0.77/24") {
		t.Errorf("host0 has %q", addrs)
	}
	if err := links.drop("host0", got); err != nil {
		t.Fatal(err)
	}
	if addrs := addresses(t, "host0"); len(addrs) != 0 {
		t.Errorf("host0 still has %q", addrs)
	}
}

func addresses(t *testing.T, name string) []string {
	t.Helper()
	link, err := netlink.LinkByName(name)
	if err != nil {
		t.Fatal(err)
	}
	list, err := netlink.AddrList(link, netlink.FAMILY_V4)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, a := range list {
		all = append(all, a.IPNet.String())
	}
	return all
}
