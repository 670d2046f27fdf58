package lease

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// clock is a time that tests move by hand.
type clock struct{ at time.Time }

func newClock() *clock { return &clock{time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time       { return c.at }
func (c *clock) pass(d time.Duration) { c.at = c.at.Add(d) }
func (c *clock) options() Options     { return Options{Now: c.now} }
func addr(s string) netip.Addr        { return netip.MustParseAddr(s) }
func small() Pool                     { return Pool{From: addr("192.0.2.10"), To: addr("192.0.2.12")} }
func mac(n byte) net.HardwareAddr     { return net.HardwareAddr{0x52, 0x54, 0, 0, 0, n} }
func path(t *testing.T) string        { return filepath.Join(t.TempDir(), "leases") }
func open(t *testing.T, p string, o Options) *Book {
	t.Helper()
	b, err := Open(p, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// take does the whole exchange of one client.
func take(t *testing.T, b *Book, m net.HardwareAddr, p Pool) netip.Addr {
	t.Helper()
	a, err := b.Offer(m, p, netip.Addr{})
	if err != nil {
		t.Fatalf("offer to %s: %v", m, err)
	}
	if err := b.Bind(m, p, a); err != nil {
		t.Fatalf("bind %s to %s: %v", a, m, err)
	}
	return a
}

func TestClientKeepsItsAddressThroughEveryStage(t *testing.T) {
	b := open(t, path(t), newClock().options())
	first := take(t, b, mac(1), small())
	take(t, b, mac(2), small())
	for range 3 {
		if again := take(t, b, mac(1), small()); again != first {
			t.Fatalf("got %s, then %s", first, again)
		}
	}
	who, ok := b.MACOf(first)
	if !ok || who.String() != mac(1).String() {
		t.Errorf("MACOf(%s) = %s, %t", first, who, ok)
	}
	if got, ok := b.AddressOf(mac(1)); !ok || got != first {
		t.Errorf("AddressOf = %s, %t; want %s", got, ok, first)
	}
}

func TestLeasesSurviveRestart(t *testing.T) {
	c, p := newClock(), path(t)
	b := open(t, p, c.options())
	first := take(t, b, mac(1), small())
	second := take(t, b, mac(2), small())
	if err := b.Release(mac(2), second); err != nil {
		t.Fatal(err)
	}
	want := b.Leases()
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}

	b = open(t, p, c.options())
	if diff := cmp.Diff(want, b.Leases(), cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("leases after restart (-want +got):\n%s", diff)
	}
	if got, _ := b.AddressOf(mac(1)); got != first {
		t.Errorf("after restart %s, before %s", got, first)
	}
	if got := take(t, b, mac(2), small()); got != second {
		t.Errorf("a released client came back to %s, had %s", got, second)
	}
}

func TestFullPoolSaysSoUntilALeaseEnds(t *testing.T) {
	c := newClock()
	b := open(t, path(t), c.options())
	var first netip.Addr
	for n := range byte(3) {
		a := take(t, b, mac(n+1), small())
		if n == 0 {
			first = a
		}
		c.pass(time.Minute)
	}
	if _, err := b.Offer(mac(9), small(), netip.Addr{}); !errors.Is(err, ErrFull) {
		t.Fatalf("offer from a full pool: %v, want ErrFull", err)
	}
	c.pass(time.Hour - 2*time.Minute) // only the first lease has ended
	if got := take(t, b, mac(9), small()); got != first {
		t.Errorf("got %s, want the address whose lease ended first, %s", got, first)
	}
}

func TestOfferIsHeldBriefly(t *testing.T) {
	c := newClock()
	one := Pool{From: addr("192.0.2.10"), To: addr("192.0.2.10")}
	b := open(t, path(t), c.options())
	if _, err := b.Offer(mac(1), one, netip.Addr{}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Offer(mac(2), one, netip.Addr{}); !errors.Is(err, ErrFull) {
		t.Errorf("an offered address was offered again: %v", err)
	}
	if _, ok := b.MACOf(one.From); ok {
		t.Error("an offer alone names a client")
	}
	c.pass(time.Minute)
	if _, err := b.Offer(mac(2), one, netip.Addr{}); err != nil {
		t.Errorf("a forgotten offer still blocks: %v", err)
	}
}

func TestDeclinedAddressIsShunned(t *testing.T) {
	c := newClock()
	b := open(t, path(t), c.options())
	bad := take(t, b, mac(1), small())
	if err := b.Decline(mac(2), bad); err != nil {
		t.Fatal(err)
	}
	if _, ok := b.MACOf(bad); !ok {
		t.Fatal("a client declined an address of another")
	}
	if err := b.Decline(mac(1), bad); err != nil {
		t.Fatal(err)
	}
	if got := take(t, b, mac(1), small()); got == bad {
		t.Errorf("the declined %s was given again", bad)
	}
	c.pass(time.Hour)
	if err := b.Bind(mac(3), small(), bad); err != nil {
		t.Errorf("the declined address never came back: %v", err)
	}
}

func TestBindRefusesWhatIsNotTheClients(t *testing.T) {
	reserved := addr("192.0.2.12")
	c := newClock()
	o := c.options()
	o.Reserved = func(a netip.Addr) bool { return a == reserved }
	b := open(t, path(t), o)
	if err := b.Bind(mac(1), small(), addr("192.0.2.10")); err != nil {
		t.Fatal(err)
	}
	fixed := small()
	fixed.Fixed = reserved
	for _, c := range []struct {
		name string
		mac  net.HardwareAddr
		pool Pool
		addr string
		want error
	}{
		{"another client's", mac(2), small(), "192.0.2.10", ErrTaken},
		{"below the range", mac(2), small(), "192.0.2.9", ErrOutside},
		{"above the range", mac(2), small(), "192.0.2.13", ErrOutside},
		{"reserved for another host", mac(2), small(), "192.0.2.12", ErrTaken},
		{"its own reservation", mac(3), fixed, "192.0.2.12", nil},
		{"free, never offered", mac(2), small(), "192.0.2.11", nil},
		{"its own again", mac(1), small(), "192.0.2.10", nil},
	} {
		if err := b.Bind(c.mac, c.pool, addr(c.addr)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

func TestExceptedAddressIsNobodys(t *testing.T) {
	b := open(t, path(t), newClock().options())
	p := small()
	p.Except = []netip.Addr{addr("192.0.2.10"), addr("192.0.2.12")}
	if got := take(t, b, mac(1), p); got != addr("192.0.2.11") {
		t.Errorf("got %s", got)
	}
	p.Fixed = addr("192.0.2.10")
	if _, err := b.Offer(mac(2), p, netip.Addr{}); !errors.Is(err, ErrOutside) {
		t.Errorf("fixed and excepted: %v", err)
	}
}

func TestFixedAddressInUseIsSaid(t *testing.T) {
	b := open(t, path(t), newClock().options())
	a := take(t, b, mac(1), small())
	p := small()
	p.Fixed = a
	if _, err := b.Offer(mac(2), p, netip.Addr{}); !errors.Is(err, ErrTaken) {
		t.Errorf("offer of another client's address: %v, want ErrTaken", err)
	}
}

func TestTornLastLineIsDropped(t *testing.T) {
	c, p := newClock(), path(t)
	b := open(t, p, c.options())
	kept := take(t, b, mac(1), small())
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(p)
	if err != nil {
		t.Fatal(err)
	}
	torn := formatLine(entry{Addr: addr("192.0.2.11"), MAC: key(mac(2)), State: bound, Until: c.now().Add(time.Hour)})
	for cut := range len(torn) {
		if err := os.WriteFile(p, append(whole[:len(whole):len(whole)], torn[:cut]...), 0o600); err != nil {
			t.Fatal(err)
		}
		b, err := Open(p, c.options())
		if err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		if got := b.Leases(); len(got) != 1 || got[0].Address != kept {
			t.Errorf("cut at %d: %v", cut, got)
		}
		b.Close()
	}
}

func TestDamageInTheMiddleIsNamed(t *testing.T) {
	p := path(t)
	b := open(t, p, newClock().options())
	take(t, b, mac(1), small())
	take(t, b, mac(2), small())
	b.Close()
	data, err := os.ReadFile(p)
	if err != nil {
		t.Fatal(err)
	}
	data[len(header)+3] ^= 1
	if err := os.WriteFile(p, data, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = Open(p, newClock().options())
	want := fmt.Sprintf("open leases %s: line 2: the sum does not match; move the file away to start with an empty one", p)
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestOpenForgetsWhatIsLongPast(t *testing.T) {
	c, p := newClock(), path(t)
	b := open(t, p, c.options())
	for range 50 {
		take(t, b, mac(1), small())
	}
	take(t, b, mac(2), small())
	b.Close()
	c.pass(6 * 24 * time.Hour)
	b = open(t, p, c.options())
	take(t, b, mac(1), small())
	b.Close()
	c.pass(3 * 24 * time.Hour)
	open(t, p, c.options()).Close()
	data, err := os.ReadFile(p)
	if err != nil {
		t.Fatal(err)
	}
	got := newTable()
	if err := replay(data, &got); err != nil {
		t.Fatal(err)
	}
	if len(got.byAddr) != 1 || len(got.byMAC[key(mac(1))]) != 1 {
		t.Errorf("kept:\n%s", data)
	}
}

func TestSecondOpenIsRefused(t *testing.T) {
	p := path(t)
	open(t, p, newClock().options())
	if _, err := Open(p, newClock().options()); err == nil {
		t.Fatal("two books on one file")
	}
}

func TestUnwrittenLeaseIsNotPromised(t *testing.T) {
	b := open(t, path(t), newClock().options())
	a, err := b.Offer(mac(1), small(), netip.Addr{})
	if err != nil {
		t.Fatal(err)
	}
	b.Close() // every later write fails, as on a full disk
	if err := b.Bind(mac(1), small(), a); err == nil {
		t.Fatal("bound without a file")
	}
	if _, ok := b.MACOf(a); ok {
		t.Error("a lease that was never written is in force")
	}
}

func TestManyClientsAtOnceGetDifferentAddresses(t *testing.T) {
	p := path(t)
	pool := Pool{From: addr("192.0.2.1"), To: addr("192.0.2.200")}
	b := open(t, p, newClock().options())
	var wg sync.WaitGroup
	for n := range byte(200) {
		wg.Go(func() { take(t, b, mac(n), pool) })
	}
	wg.Wait()
	want := b.Leases()
	if len(want) != 200 {
		t.Fatalf("%d leases for 200 clients", len(want))
	}
	b.Close()
	if got := open(t, p, newClock().options()).Leases(); len(got) != 200 {
		t.Errorf("%d of 200 leases on disk", len(got))
	}
}

func FuzzReplay(f *testing.F) {
	e := entry{Addr: addr("192.0.2.11"), MAC: key(mac(2)), State: bound, Until: newClock().now()}
	f.Add([]byte(header + formatLine(e)))
	f.Add([]byte(header + formatLine(entry{Addr: e.Addr, State: declined, Until: e.Until})))
	f.Add([]byte(header[:5]))
	f.Fuzz(func(t *testing.T, data []byte) {
		tab := newTable()
		if replay(data, &tab) != nil {
			return
		}
		again := newTable()
		text := header
		for _, e := range tab.sorted() {
			text += formatLine(e)
		}
		if err := replay([]byte(text), &again); err != nil || len(again.byAddr) != len(tab.byAddr) {
			t.Errorf("rewritten file is not the same book: %v", err)
		}
	})
}
