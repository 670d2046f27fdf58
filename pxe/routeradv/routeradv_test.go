package routeradv

import (
	"bytes"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/mdlayher/ndp"
	"github.com/rs/zerolog"
	"golang.org/x/net/ipv6"

	"github.com/muster-boot/muster/pxe"
	"github.com/muster-boot/muster/pxe/pxetest"
)

var (
	testMAC = net.HardwareAddr{0x52, 0x54, 0, 0, 0, 1}
	host    = netip.MustParseAddr("fe80::5054:ff:fe00:1")
)

func source(mac net.HardwareAddr) []ndp.Option {
	return []ndp.Option{&ndp.LinkLayerAddress{Direction: ndp.Source, Addr: mac}}
}

func TestOnlyALoneHostThatSaysItsMACIsAnswered(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	asks := &ndp.RouterSolicitation{Options: source(testMAC)}
	for _, c := range []struct {
		name  string
		m     ndp.Message
		from  netip.Addr
		heard time.Time
		want  bool
	}{
		{"a solicitation", asks, host, time.Time{}, true},
		{"from a zone", asks, host.WithZone("srv0"), time.Time{}, true},
		{"without a MAC", &ndp.RouterSolicitation{}, host, time.Time{}, false},
		{"with a target's MAC", &ndp.RouterSolicitation{Options: []ndp.Option{&ndp.LinkLayerAddress{Direction: ndp.Target, Addr: testMAC}}}, host, time.Time{}, false},
		{"from nowhere", asks, netip.IPv6Unspecified(), time.Time{}, false},
		{"from a group", asks, netip.MustParseAddr("ff02::1"), time.Time{}, false},
		{"just after another router", asks, host, now, false},
		{"29 minutes after another router", asks, host, now.Add(-29 * time.Minute), false},
		{"30 minutes after another router", asks, host, now.Add(-30 * time.Minute), true},
		{"an advertisement", &ndp.RouterAdvertisement{Options: source(testMAC)}, host, time.Time{}, false},
	} {
		mac, ok := solicitor(c.m, c.from, c.heard, now)
		if ok != c.want || ok && mac.String() != testMAC.String() {
			t.Errorf("%s: %s, %t; want %t", c.name, mac, ok, c.want)
		}
	}
}

func TestAdvertisementGivesNeitherRouteNorAddress(t *testing.T) {
	want := &ndp.RouterAdvertisement{Options: source(testMAC)}
	b, err := ndp.MarshalMessage(advertisement(testMAC))
	if err != nil {
		t.Fatal(err)
	}
	got, err := ndp.ParseMessage(b)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(ndp.Message(want), got); diff != "" {
		t.Errorf("advertisement (-want +got):\n%s", diff)
	}
}

// wire is a running server and the client's side of its link.
type wire struct {
	peer    *ndp.Conn
	decider *pxetest.Decider
}

func onWire(t *testing.T, w *pxetest.Wire, a pxe.Answer) *wire {
	t.Helper()
	if _, err := os.Stat("/proc/sys/net/ipv6"); err != nil {
		t.Skip("SKIPPED: this kernel has no IPv6")
	}
	d := &pxetest.Decider{Answers: map[string]pxe.Answer{testMAC.String(): a}}
	s := New([]string{w.Interface}, d, zerolog.Nop(), Options{})
	pxetest.Serve(t, s.Run, s.Ready())
	c := &wire{decider: d}
	w.AtPeer(t, func() (err error) {
		opened, err := open(t.Context(), w.Peer) // waits for the address
		if err == nil {
			c.peer = opened.ndp
		}
		return err
	})
	t.Cleanup(func() { c.peer.Close() })
	return c
}

// solicit asks for a router and returns the advertisement, nil when none comes
// for as long as wait.
func (w *wire) solicit(t *testing.T, wait time.Duration) *ndp.RouterAdvertisement {
	t.Helper()
	routers := netip.MustParseAddr("ff02::2")
	cm := &ipv6.ControlMessage{HopLimit: ndp.HopLimit}
	if err := w.peer.WriteTo(&ndp.RouterSolicitation{Options: source(testMAC)}, cm, routers); err != nil {
		t.Fatal(err)
	}
	if err := w.peer.SetReadDeadline(time.Now().Add(wait)); err != nil {
		t.Fatal(err)
	}
	for {
		m, _, _, err := w.peer.ReadFrom()
		if err != nil {
			return nil
		}
		if ra, ok := m.(*ndp.RouterAdvertisement); ok {
			return ra
		}
	}
}

func TestServedHostIsAnsweredUntilARouterSpeaks(t *testing.T) {
	on := pxetest.OnWire(t)
	if on == nil {
		return
	}
	w := onWire(t, on, pxe.Answer{Serve: true})
	if ra := w.solicit(t, 10*time.Second); ra == nil || ra.RouterLifetime != 0 {
		t.Fatalf("answer %+v", ra)
	}
	if asked := w.decider.Asked(); asked[0].MAC.String() != testMAC.String() || asked[0].Transport != pxe.RouterDiscovery || !asked[0].Address.IsLinkLocalUnicast() {
		t.Errorf("asked about %+v", asked[0])
	}
	cm := &ipv6.ControlMessage{HopLimit: ndp.HopLimit}
	router := &ndp.RouterAdvertisement{RouterLifetime: time.Hour}
	if err := w.peer.WriteTo(router, cm, netip.MustParseAddr("ff02::1")); err != nil {
		t.Fatal(err)
	}
	if ra := w.solicit(t, 500*time.Millisecond); ra != nil {
		t.Errorf("answered beside another router: %+v", ra)
	}
}

func TestUnservedHostIsNotAnswered(t *testing.T) {
	on := pxetest.OnWire(t)
	if on == nil {
		return
	}
	w := onWire(t, on, pxe.Answer{})
	if ra := w.solicit(t, 500*time.Millisecond); ra != nil {
		t.Errorf("answer %+v", ra)
	}
	if len(w.decider.Asked()) == 0 {
		t.Error("the solicitation never arrived, so this shows nothing")
	}
}

func TestInterfaceWithoutIPv6IsLoggedAndLeft(t *testing.T) {
	var log bytes.Buffer
	s := New([]string{"no-such-link"}, &pxetest.Decider{}, zerolog.New(&log), Options{})
	stop := pxetest.Serve(t, s.Run, s.Ready())
	stop()
	if !strings.Contains(log.String(), "router solicitations stay unanswered here") {
		t.Errorf("logged %q", log.String())
	}
}

func TestTurnedOffIsReadyAndQuiet(t *testing.T) {
	s := New(nil, nil, zerolog.Nop(), Options{})
	pxetest.Serve(t, s.Run, s.Ready())()
}
