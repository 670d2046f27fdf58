package engine

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/muster-boot/muster/inventory"
	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/handoff/palette"
	"github.com/muster-boot/muster/provisioner/handoff/palette/palettetest"
	"github.com/muster-boot/muster/provisioner/lifecycle"
	"github.com/muster-boot/muster/provisioner/store"
)

// central is an engine with the driver palette and the stand-in that it asks, on
// one clock.
type central struct {
	*site
	up *palettetest.Listening
}

func newCentral(t *testing.T) *central {
	t.Helper()
	c := newClock()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	up, err := palettetest.Serve(palettetest.New(palettetest.Options{Now: c.now}), l)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = up.Close() })
	dir := t.TempDir()
	key, ca := filepath.Join(dir, "key"), filepath.Join(dir, "ca.pem")
	for path, text := range map[string]string{key: "key", ca: string(up.CA)} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d, err := palette.New(palette.Settings{Endpoint: up.Endpoint, KeyFile: key, CAFile: ca, Site: "plant7"},
		palette.Options{Now: c.now, Sleep: func(ctx context.Context, d time.Duration) error { c.advance(d); return ctx.Err() }})
	if err != nil {
		t.Fatal(err)
	}
	s := openWith(t, bolt(t), c, "k", with(d))
	o := provisioner.Order{Name: "o1", Handoff: palette.Name, Started: c.now(), Options: map[string]any{"project": "edge", "token": map[string]any{"valid": "720h"}}}
	if err := s.Store.Commit(t.Context(), store.Change{PutOrders: []provisioner.Order{o}}); err != nil {
		t.Fatal(err)
	}
	return &central{s, up}
}

func (c *central) id(n int) provisioner.HostID { return provisioner.HostID(fmt.Sprintf("h-%d", n)) }

// installs takes the n-th host to where its installed system called home.
func (c *central) installs(t *testing.T, n int) {
	t.Helper()
	mac, serial := fmt.Sprintf("52:54:00:00:00:%02x", n), fmt.Sprintf("SN-%d", n)
	c.list(t, c.id(n), provisioner.Row{Serial: serial, MACs: []string{mac}})
	_, err := c.Store.Change(t.Context(), c.id(n), func(h *provisioner.Host) ([]provisioner.Entry, error) {
		h.Intent.Handoff = palette.Name
		return nil, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	c.see(t, mac)
	ins := c.ask(t, c.id(n), report(serial, mac))
	if ins.Do != inventory.Install {
		t.Fatalf("told %s: %s", ins.Do, ins.Say)
	}
	c.clock.advance(time.Minute)
	if err := c.Booted(t.Context(), provisioner.AttemptID(ins.Attempt), "192.0.2.50"); err != nil {
		t.Fatal(err)
	}
}

// agent registers the n-th host.
func (c *central) agent(n int) {
	uid := fmt.Sprintf("plant7-sn-%d", n)
	c.up.Put(palettetest.Host{UID: uid, Name: uid, Project: "p-edge", Agent: "4.9.7",
		Address: map[string]any{"macAddress": fmt.Sprintf("52:54:00:00:00:%02x", n)}})
}

func (c *central) look(t *testing.T, n int) provisioner.Host {
	t.Helper()
	if _, err := c.settle(t.Context(), c.id(n)); err != nil {
		t.Fatal(err)
	}
	return c.host(t, c.id(n))
}

// arrives looks until the n-th host is registered: the engine's own workers may
// be the ones that ask Palette just now.
func (c *central) arrives(t *testing.T, n int) {
	t.Helper()
	for range 100 {
		h := c.look(t, n)
		if h.Status.Phase == provisioner.Registered {
			return
		}
		c.clock.advance(5 * time.Second)
	}
	h := c.host(t, c.id(n))
	t.Fatalf("host %d is %s: %s", n, h.Status.Phase, lifecycle.Awaiting(h))
}

// notices looks until the n-th host says that Palette is away, which takes half a
// minute and at most a few.
func (c *central) notices(t *testing.T, n int) {
	t.Helper()
	for range 60 {
		if h := c.look(t, n); strings.Contains(lifecycle.Awaiting(h), "does not answer") {
			return
		}
		c.clock.advance(5 * time.Second)
	}
	t.Fatalf("host %d: %s", n, lifecycle.Awaiting(c.host(t, c.id(n))))
}

// TestTwoDaysWithoutWANLoseNothingAndDoNothingTwice: of three hosts one was
// registered before the WAN went, one registers while muster cannot see it, and
// one when the WAN is back.
func TestTwoDaysWithoutWANLoseNothingAndDoNothingTwice(t *testing.T) {
	c := newCentral(t)
	for n := 1; n <= 3; n++ {
		c.installs(t, n)
	}
	c.agent(1)
	c.arrives(t, 1)
	c.up.Fail(palettetest.Faults{Away: true})
	c.notices(t, 2)
	c.notices(t, 3)
	for hour := range 48 {
		c.clock.advance(time.Hour)
		if hour == 20 {
			c.agent(2)
		}
		for n := 2; n <= 3; n++ {
			h := c.look(t, n)
			if h.Status.Phase != provisioner.Installed || !strings.Contains(lifecycle.Awaiting(h), "does not answer") {
				t.Fatalf("hour %d: host %d is %s: %s", hour, n, h.Status.Phase, lifecycle.Awaiting(h))
			}
		}
	}
	c.up.Fail(palettetest.Faults{})
	c.arrives(t, 2)
	if h := c.look(t, 3); h.Status.Phase != provisioner.Installed || !lifecycle.Due(h).After(c.clock.now()) {
		t.Errorf("its time to come begins again: %s, due %s", h.Status.Phase, lifecycle.Due(h))
	}
	c.agent(3)
	c.arrives(t, 3)
	c.closesOnce(t)
	for n := 1; n <= 3; n++ {
		c.onceInOrder(t, n)
	}
}

// closesOnce has the order end while the WAN is away for two more days.
func (c *central) closesOnce(t *testing.T) {
	t.Helper()
	c.up.Fail(palettetest.Faults{Away: true})
	for range 48 {
		if err := c.closeDue(t.Context(), map[handoffKey]time.Time{}); err != nil {
			t.Fatal(err)
		}
		c.clock.advance(time.Hour)
	}
	if n := len(c.up.Tokens()); n != 1 {
		t.Fatalf("%d tokens while Palette is away", n)
	}
	c.up.Fail(palettetest.Faults{})
	for range 3 {
		if err := c.closeDue(t.Context(), map[handoffKey]time.Time{}); err != nil {
			t.Fatal(err)
		}
	}
	calls := c.up.Counts().Calls
	if made, revoked := calls["POST /v1/edgehosts/tokens"], calls["DELETE /v1/edgehosts/tokens/{uid}"]; made != 1 || revoked != 1 || len(c.up.Tokens()) != 0 {
		t.Errorf("tokens made %d, revoked %d, left %d", made, revoked, len(c.up.Tokens()))
	}
}

// onceInOrder holds that the journal of a host tells each thing once, and in the
// order in which it happened: prepared, waited at most, receipt, registered.
func (c *central) onceInOrder(t *testing.T, n int) {
	t.Helper()
	next := 0
	wanted := []string{"has registration token t-0001", "-> installed", "Receipt: Palette at", "-> registered"}
	for _, e := range c.checkJournal(t, c.id(n)) {
		for i, text := range wanted {
			if !strings.Contains(e.Text, text) {
				continue
			}
			if i != next {
				t.Errorf("host %d: %q came when %q was due", n, e.Text, wanted[min(next, len(wanted)-1)])
			}
			next = i + 1
		}
	}
	if next != len(wanted) {
		t.Errorf("host %d: the journal ends before %q", n, wanted[next])
	}
}
