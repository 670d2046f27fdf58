package lease

import (
	"maps"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// model is what the clients believe: who was told that it has which address,
// until when. It is all that the promise of this package is about.
type model struct {
	t     *rapid.T
	clock *clock
	path  string
	book  *Book
	told  map[netip.Addr]promise
	shun  map[netip.Addr]time.Time
}

type promise struct {
	mac   macKey
	until time.Time
}

// TestNoAddressIsPromisedTwice drives a book through any history of offers,
// requests, releases, declines, restarts and time, and checks after each step
// that no client was told of an address that another still believes in.
func TestNoAddressIsPromisedTwice(t *testing.T) {
	dir := t.TempDir()
	var run int
	rapid.Check(t, func(r *rapid.T) {
		run++
		m := &model{t: r, clock: newClock(), path: filepath.Join(dir, time.Duration(run).String())}
		m.told, m.shun = map[netip.Addr]promise{}, map[netip.Addr]time.Time{}
		m.reopen()
		defer func() { m.book.Close() }()
		r.Repeat(map[string]func(*rapid.T){
			"exchange": m.exchange,
			"claim":    m.claim,
			"release":  m.release,
			"decline":  m.decline,
			"wait":     m.wait,
			"restart":  func(*rapid.T) { m.book.Close(); m.reopen() },
			"":         m.check,
		})
	})
}

func (m *model) reopen() {
	b, err := Open(m.path, m.clock.options())
	if err != nil {
		m.t.Fatal(err)
	}
	m.book = b
}

func (m *model) client(r *rapid.T) macKey { return key(mac(rapid.Byte().Draw(r, "mac") % 5)) }
func (m *model) anAddress(r *rapid.T) netip.Addr {
	return small().at(uint64(rapid.IntRange(0, 2).Draw(r, "addr")))
}

// exchange is DISCOVER and REQUEST of one client.
func (m *model) exchange(r *rapid.T) {
	c := m.client(r)
	a, err := m.book.Offer([]byte(c), small(), netip.Addr{})
	if err != nil {
		return
	}
	if rapid.Bool().Draw(r, "requests") {
		m.bind(c, a)
	}
}

// claim is a client that insists on an address, as after a reboot.
func (m *model) claim(r *rapid.T) { m.bind(m.client(r), m.anAddress(r)) }

func (m *model) bind(c macKey, a netip.Addr) {
	if m.book.Bind([]byte(c), small(), a) != nil {
		return
	}
	now := m.clock.now()
	if p := m.told[a]; p.mac != c && now.Before(p.until) {
		m.t.Fatalf("%s was promised to two clients", a)
	}
	if now.Before(m.shun[a]) {
		m.t.Fatalf("%s was promised although somebody unknown uses it", a)
	}
	m.told[a] = promise{c, now.Add(m.book.Duration())}
}

func (m *model) release(r *rapid.T) {
	a := m.anAddress(r)
	p := m.told[a]
	if err := m.book.Release([]byte(p.mac), a); err != nil {
		m.t.Fatal(err)
	}
	delete(m.told, a)
}

func (m *model) decline(r *rapid.T) {
	a := m.anAddress(r)
	p := m.told[a]
	if !m.clock.now().Before(p.until) {
		return
	}
	if err := m.book.Decline([]byte(p.mac), a); err != nil {
		m.t.Fatal(err)
	}
	delete(m.told, a)
	m.shun[a] = m.clock.now().Add(time.Hour)
}

func (m *model) wait(r *rapid.T) {
	m.clock.pass(time.Duration(rapid.IntRange(1, 90).Draw(r, "minutes")) * time.Minute)
}

// check compares the book's view with the clients'.
func (m *model) check(*rapid.T) {
	got := map[netip.Addr]macKey{}
	for _, s := range m.book.Leases() {
		got[s.Address] = key(s.MAC)
	}
	want := map[netip.Addr]macKey{}
	for a, p := range m.told {
		if m.clock.now().Before(p.until) {
			want[a] = p.mac
		}
	}
	if !maps.Equal(want, got) {
		m.t.Fatalf("clients believe %v, the book says %v", want, got)
	}
}
