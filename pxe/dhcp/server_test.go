package dhcp

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/rs/zerolog"
	"golang.org/x/net/ipv4"

	"github.com/muster-boot/muster/pxe"
	"github.com/muster-boot/muster/pxe/lease"
	"github.com/muster-boot/muster/pxe/pxetest"
)

// witness is a Watcher that remembers.
type witness struct {
	mu   sync.Mutex
	seen []Sighting
}

func (w *witness) Saw(s Sighting) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen = append(w.seen, s)
}

func (w *witness) last(t *testing.T) Sighting {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.seen) == 0 {
		t.Fatal("nobody was seen")
	}
	return w.seen[len(w.seen)-1]
}

// bench is a server without sockets.
type bench struct {
	*Server
	decider *pxetest.Decider
	witness *witness
	book    *lease.Book
}

func newBench(t testing.TB, a pxe.Answer) *bench {
	t.Helper()
	book, err := lease.Open(filepath.Join(t.TempDir(), "leases"), lease.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { book.Close() })
	b := &bench{decider: &pxetest.Decider{Answers: map[string]pxe.Answer{testMAC.String(): a}}, witness: &witness{}, book: book}
	b.Server = New([]Network{testNet}, b.decider, book, b.witness, zerolog.Nop(), Options{})
	return b
}

// respondTo works a packet as far as the reply, nil for none.
func (b *bench) respondTo(t *testing.T, m message) (*dhcpv4.DHCPv4, error) {
	t.Helper()
	p := &port{network: testNet, own: []netip.Addr{us}}
	q, ok := b.understand(job{port: p, data: m.packet(t).ToBytes(), dst: netip.MustParseAddr("255.255.255.255")})
	if !ok {
		return nil, nil
	}
	a, err := b.decider.Decide(t.Context(), q.client)
	if err != nil || !a.Serve {
		return nil, err
	}
	q.answer = a
	var s Sighting
	return b.respond(q, &s)
}

func TestExchangeEndsWithTheOfferedAddress(t *testing.T) {
	b := newBench(t, pxe.Answer{Serve: true})
	offer, err := b.respondTo(t, message{kind: dhcpv4.MessageTypeDiscover})
	if err != nil || offer == nil || offer.MessageType() != dhcpv4.MessageTypeOffer {
		t.Fatalf("to a DISCOVER: %v, %v", offer, err)
	}
	if _, ok := b.book.MACOf(address(offer.YourIPAddr)); ok {
		t.Error("an offer is a lease already")
	}
	ack, err := b.respondTo(t, message{kind: dhcpv4.MessageTypeRequest, server: "192.0.2.1", want: offer.YourIPAddr.String()})
	if err != nil || ack == nil || ack.MessageType() != dhcpv4.MessageTypeAck {
		t.Fatalf("to a REQUEST: %v, %v", ack, err)
	}
	if who, _ := b.book.MACOf(address(ack.YourIPAddr)); who.String() != testMAC.String() {
		t.Errorf("the lease is %s's", who)
	}
}

func TestReservationIsGiven(t *testing.T) {
	fixed := netip.MustParseAddr("192.0.2.200")
	b := newBench(t, pxe.Answer{Serve: true, Address: fixed})
	offer, err := b.respondTo(t, message{kind: dhcpv4.MessageTypeDiscover})
	if err != nil || address(offer.YourIPAddr) != fixed {
		t.Errorf("got %v, %v; want %s", offer, err, fixed)
	}
	elsewhere := newBench(t, pxe.Answer{Serve: true, Address: netip.MustParseAddr("198.51.100.1")})
	offer, err = elsewhere.respondTo(t, message{kind: dhcpv4.MessageTypeDiscover})
	if err != nil || !testNet.Address.Contains(address(offer.YourIPAddr)) {
		t.Errorf("a fixed address of another network: got %v, %v", offer, err)
	}
}

func TestWrongNetworkIsRefused(t *testing.T) {
	b := newBench(t, pxe.Answer{Serve: true})
	p, err := b.respondTo(t, message{kind: dhcpv4.MessageTypeRequest, want: "198.51.100.7"})
	if err != nil || p == nil || p.MessageType() != dhcpv4.MessageTypeNak {
		t.Errorf("got %v, %v; want NAK", p, err)
	}
	p, err = b.respondTo(t, message{kind: dhcpv4.MessageTypeRequest, want: "192.0.2.99"})
	if err != nil || p != nil {
		t.Errorf("perhaps another server's: got %v, %v; want silence", p, err)
	}
}

func TestUnservedClientIsSeenAndNotAnswered(t *testing.T) {
	b := newBench(t, pxe.Answer{})
	j := job{port: &port{network: testNet, own: []netip.Addr{us}}, data: captured(t, "ovmf-pxe-discover.bin"), dst: netip.MustParseAddr("255.255.255.255")}
	if err := b.handle(t.Context(), j); err != nil { // sending would panic: the port has no socket
		t.Fatal(err)
	}
	got := b.witness.last(t)
	if got.Served || got.Message != "DISCOVER" || got.Client.MAC.String() != "52:54:00:00:00:02" || got.Address.IsValid() {
		t.Errorf("seen as %+v", got)
	}
	if len(b.book.Leases()) != 0 || b.Counts().Answered != 0 {
		t.Errorf("leases %v, counts %+v", b.book.Leases(), b.Counts())
	}
}

func TestDeciderThatFailsIsSilence(t *testing.T) {
	b := newBench(t, pxe.Answer{Serve: true})
	b.decider.Err = errors.New("store is closed")
	j := job{port: &port{network: testNet, own: []netip.Addr{us}}, data: message{kind: dhcpv4.MessageTypeDiscover}.packet(t).ToBytes()}
	if err := b.handle(t.Context(), j); !errors.Is(err, b.decider.Err) {
		t.Errorf("got %v", err)
	}
}

func TestFullQueueDropsAndCounts(t *testing.T) {
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := newBench(t, pxe.Answer{})
	p := &port{network: testNet, conn: ipv4.NewPacketConn(conn)}
	jobs := make(chan job, 1) // nobody works
	done := make(chan struct{})
	go func() { b.read(t.Context(), p, jobs); close(done) }()
	client, err := net.Dial("udp4", conn.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for b.Counts().Received < 5 {
		if _, err := client.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	p.conn.Close()
	<-done
	if c := b.Counts(); c.Dropped != c.Received-1 {
		t.Errorf("counts %+v: one fits, the rest is dropped", c)
	}
}

// generous is a Leases that gives every client what it wants, without a disk.
type generous struct{}

func (generous) Offer(_ net.HardwareAddr, p lease.Pool, _ netip.Addr) (netip.Addr, error) {
	return p.From, nil
}
func (generous) Bind(net.HardwareAddr, lease.Pool, netip.Addr) error { return nil }
func (generous) Release(net.HardwareAddr, netip.Addr) error          { return nil }
func (generous) Decline(net.HardwareAddr, netip.Addr) error          { return nil }
func (generous) Duration() time.Duration                             { return time.Hour }

func FuzzPacket(f *testing.F) {
	seeds, err := filepath.Glob("testdata/captures/*.bin")
	if err != nil || len(seeds) == 0 {
		f.Fatalf("no captures: %v", err)
	}
	for _, s := range seeds {
		f.Add(captured(f, filepath.Base(s)), false)
		f.Add(captured(f, filepath.Base(s)), true)
	}
	f.Fuzz(func(t *testing.T, data []byte, boot bool) {
		b := New([]Network{testNet}, &pxetest.Decider{}, generous{}, &witness{}, zerolog.Nop(), Options{})
		p := &port{network: testNet, own: []netip.Addr{us}, boot: boot}
		q, ok := b.understand(job{port: p, data: data, dst: us, from: netip.AddrPortFrom(us, 68)})
		if !ok {
			return
		}
		q.answer = pxe.Answer{Serve: true, Script: "/s", Name: "h"}
		var s Sighting
		out, err := b.respond(q, &s)
		if err != nil || out == nil {
			return
		}
		if _, err := dhcpv4.FromBytes(out.ToBytes()); err != nil {
			t.Errorf("our reply cannot be read: %v", err)
		}
		if d := destinationOf(out, q.packet, q.kind, netip.AddrPortFrom(us, 68)); !d.To.IsValid() {
			t.Errorf("the reply has no destination")
		}
	})
}

// onWire runs a whole server, serving the wire's client as a says.
func onWire(t *testing.T, w *pxetest.Wire, a pxe.Answer) (*lease.Book, *witness) {
	t.Helper()
	book, err := lease.Open(filepath.Join(t.TempDir(), "leases"), lease.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { book.Close() })
	n := testNet
	n.Interface, n.Address = w.Interface, w.Address
	d := &pxetest.Decider{Answers: map[string]pxe.Answer{w.PeerMAC.String(): a}}
	see := &witness{}
	s := New([]Network{n}, d, book, see, zerolog.Nop(), Options{})
	pxetest.Serve(t, s.Run, s.Ready())
	return book, see
}

func TestUdhcpcGetsAnAddress(t *testing.T) {
	w := pxetest.OnWire(t)
	if w == nil {
		return
	}
	book, _ := onWire(t, w, pxe.Answer{Serve: true, Name: "edge-1"})
	out := w.Run(t, "busybox", "udhcpc", "-i", w.Peer, "-f", "-q", "-n", "-t", "5", "-T", "1", "-s", "/bin/true")
	addr, ok := book.AddressOf(w.PeerMAC)
	if !ok {
		t.Fatalf("no lease; udhcpc said:\n%s", out)
	}
	if !testNet.Address.Contains(addr) || addr.Less(testNet.From) || testNet.To.Less(addr) {
		t.Errorf("leased %s", addr)
	}
}

func TestDhclientLeasesAndReleases(t *testing.T) {
	w := pxetest.OnWire(t)
	if w == nil {
		return
	}
	book, _ := onWire(t, w, pxe.Answer{Serve: true})
	dir := t.TempDir()
	args := []string{"-4", "-v", "-1", "-sf", "/bin/true", "-lf", filepath.Join(dir, "l"), "-pf", filepath.Join(dir, "p"), "-cf", "/dev/null"}
	out := w.Run(t, "dhclient", append(args, w.Peer)...)
	addr, ok := book.AddressOf(w.PeerMAC)
	if !ok {
		t.Fatalf("no lease; dhclient said:\n%s", out)
	}
	w.SetPeer(t, addr.String()+"/24")
	w.Run(t, "dhclient", append(args, "-r", w.Peer)...)
	waitFor(t, func() bool { _, ok := book.AddressOf(w.PeerMAC); return !ok })
}

func TestUnservedClientHearsNothing(t *testing.T) {
	w := pxetest.OnWire(t)
	if w == nil {
		return
	}
	book, see := onWire(t, w, pxe.Answer{})
	cmd := w.Client(t.Context(), "busybox", "udhcpc", "-i", w.Peer, "-f", "-q", "-n", "-t", "2", "-T", "1", "-s", "/bin/true")
	if out, err := cmd.CombinedOutput(); err == nil {
		t.Errorf("got a lease:\n%s", out)
	}
	if got := see.last(t); got.Served || got.Client.MAC.String() != w.PeerMAC.String() {
		t.Errorf("seen as %+v", got)
	}
	if len(book.Leases()) != 0 {
		t.Errorf("leases: %v", book.Leases())
	}
}

func TestTakenPortNamesTheProcess(t *testing.T) {
	w := pxetest.OnWire(t)
	if w == nil {
		return
	}
	taken, err := net.ListenPacket("udp4", ":67")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	n := testNet
	n.Interface = w.Interface
	err = New([]Network{n}, &pxetest.Decider{}, nil, nil, zerolog.Nop(), Options{}).Run(t.Context())
	if err == nil {
		t.Fatal("bound a port that is taken")
	}
	want := `serve DHCP on srv0: udp port 67 is taken by dhcp.test (pid `
	if got := err.Error(); len(got) < len(want) || got[:len(want)] != want {
		t.Errorf("got %q, want %q...", got, want)
	}
}

func TestInterfaceWithoutOurAddressIsRefusedWithTheCommand(t *testing.T) {
	n := testNet
	n.Interface = "lo"
	err := New([]Network{n}, &pxetest.Decider{}, nil, nil, zerolog.Nop(), Options{}).Run(t.Context())
	want := "lo does not have the address 192.0.2.1; set it with `ip address add 192.0.2.1/24 dev lo`"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// TestBootServerAnswersItsPort asks port 4011 as EDK2 does when it takes us for
// a boot server: a REQUEST from an address, with the answer to the same port.
func TestBootServerAnswersItsPort(t *testing.T) {
	w := pxetest.OnWire(t)
	if w == nil {
		return
	}
	onWire(t, w, pxe.Answer{Serve: true, Script: "/s"})
	req := message{kind: dhcpv4.MessageTypeRequest, have: "192.0.2.50"}.packet(t)
	req.UpdateOption(dhcpv4.OptClassIdentifier("PXEClient:Arch:00007:UNDI:003000"))
	req.UpdateOption(dhcpv4.OptClientArch(7))
	w.SetPeer(t, "192.0.2.50/24")
	var conn net.Conn
	w.AtPeer(t, func() (err error) {
		conn, err = net.Dial("udp4", "192.0.2.1:4011")
		return err
	})
	defer conn.Close()
	if _, err := conn.Write(req.ToBytes()); err != nil {
		t.Fatal(err)
	}
	p := readReply(t, conn)
	if diff := cmp.Diff([]string{"ACK", "ipxe.efi", "PXEClient"}, []string{p.MessageType().String(), p.BootFileName, p.ClassIdentifier()}); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
}

// TestRelayGetsTheAnswer plays a relay: the request comes from its address, and
// the answer must go there, port 67, although the client asked for a broadcast.
func TestRelayGetsTheAnswer(t *testing.T) {
	w := pxetest.OnWire(t)
	if w == nil {
		return
	}
	onWire(t, w, pxe.Answer{Serve: true})
	w.SetPeer(t, "192.0.2.9/24")
	var conn *net.UDPConn
	w.AtPeer(t, func() (err error) {
		conn, err = net.DialUDP("udp4", &net.UDPAddr{IP: net.IPv4(192, 0, 2, 9), Port: 67}, &net.UDPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 67})
		return err
	})
	defer conn.Close()
	req := message{kind: dhcpv4.MessageTypeDiscover, relay: "192.0.2.9", broadcast: true}.packet(t)
	if _, err := conn.Write(req.ToBytes()); err != nil {
		t.Fatal(err)
	}
	p := readReply(t, conn)
	if p.MessageType() != dhcpv4.MessageTypeOffer || p.GatewayIPAddr.String() != "192.0.2.9" || p.ServerIdentifier().String() != "192.0.2.1" {
		t.Errorf("got %s", p.Summary())
	}
}

// readReply reads one packet from a socket on the client's side.
func readReply(t *testing.T, conn net.Conn) *dhcpv4.DHCPv4 {
	t.Helper()
	buf := make([]byte, 1500)
	if err := conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	n, err := conn.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	p, err := dhcpv4.FromBytes(buf[:n])
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// waitFor polls until ok, for as long as the test may run.
func waitFor(t *testing.T, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-ctx.Done():
			t.Fatal("it never came true")
		case <-tick.C:
		}
	}
}
