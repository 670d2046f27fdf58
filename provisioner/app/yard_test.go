package app

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/muster-boot/muster/images"
	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/bmc"
	"github.com/muster-boot/muster/provisioner/config"
	"github.com/muster-boot/muster/provisioner/engine"
	"github.com/muster-boot/muster/provisioner/handoff"
	"github.com/muster-boot/muster/provisioner/handoff/callhome"
	"github.com/muster-boot/muster/provisioner/lifecycle"
	"github.com/muster-boot/muster/provisioner/store"
	"github.com/muster-boot/muster/pxe/httpboot"
	"github.com/muster-boot/muster/pxe/ipxe"
	"github.com/muster-boot/muster/pxe/pxetest"
	"github.com/muster-boot/muster/redfish"
	"github.com/muster-boot/muster/redfish/bmctest"
)

// tick is a BMC's second here, and how the controller is paced.
const tick = 15 * time.Millisecond

var yardPace = redfish.Pace{
	Request: 20 * time.Second, Poll: tick, Busy: 2 * tick, Patience: 480 * tick, Settle: 120 * tick, Task: 300 * tick,
}

// yard is a server's engine, controller and boot plane over real sockets of
// 127.0.0.1, with emulated BMCs in front of paper hosts. Nothing in it stands in
// for a part of muster but the leases, which say whose an address is.
type yard struct {
	*rig
	cfg    config.Config
	nets   []network
	stored *stock
	image  images.Image
	owners pxetest.Owners
	ahead  atomic.Int64 // how far its clock is ahead of the world's
	stop   func() error // the server, and nothing of the yard
	// sees is the engine of the server that runs, for packets that come whenever.
	sees atomic.Pointer[engine.Engine]
}

// place is one BMC with its host.
type place struct {
	*bmctest.Emulator
	host *bmctest.Paper
	id   provisioner.HostID
}

func newYard(t *testing.T) *yard {
	t.Helper()
	cfg := loopback(t, freePort(t))
	cfg.BootTLS.Port = freePort(t)
	nets, err := findNetworks(cfg)
	if err != nil {
		t.Fatal(err)
	}
	stored, err := open(t.Context(), cfg, nets)
	if err != nil {
		t.Fatal(err)
	}
	y := &yard{cfg: cfg, nets: nets, stored: stored, owners: pxetest.Owners{}}
	y.start(t)
	t.Cleanup(func() {
		if err := errors.Join(y.stop(), stored.close()); err != nil {
			t.Error(err)
		}
	})
	y.order(t, provisioner.Order{Name: "o1"})
	y.image = y.kairos(t)
	y.scoutISO(t, "paper")
	return y
}

// now is a clock that a test can set ahead.
func (y *yard) now() time.Time { return time.Now().Add(time.Duration(y.ahead.Load())) }

// start starts a server over what lies on disk.
func (y *yard) start(t *testing.T) {
	t.Helper()
	y.rig = &rig{store: store.New(y.stored.kv, y.now), catalog: y.stored.catalog, box: y.stored.box, reads: newReads()}
	y.mirror = store.NewMirror(y.store)
	y.boots = &boots{catalog: y.catalog, orders: naming{y.store, y.catalog}, networks: byInterface(y.nets)}
	y.engine = engine.New(engine.Options{
		Store: y.store, Mirror: y.mirror, Installer: y.boots, Box: y.box, Drivers: []handoff.Driver{callhome.Driver{}}, Holder: "test", Log: zerolog.Nop(), Now: y.now,
		Controller: bmc.New(bmc.Options{Secrets: y.box, Media: handover{y.nets}, Pace: yardPace, Log: zerolog.Nop(), IPMIPort: "1"}),
		Deadlines:  lifecycle.Deadlines{Discover: 10 * time.Minute, Verify: 10 * time.Minute, Install: 30 * time.Minute, Register: 15 * time.Minute},
	})
	y.sees.Store(y.engine)
	y.counts = newCounts(y.engine, zerolog.Nop())
	d := &decider{hosts: y.mirror, unknown: map[string]config.Unknown{y.nets[0].Interface: config.UnknownSilent}}
	parts := planeParts{engine: y.engine, store: y.store, mirror: y.mirror, boots: y.boots, reads: y.reads, counts: y.counts, log: zerolog.Nop()}
	server := httpboot.New(httpEndpoints(y.nets, y.cfg, bootTLS(y.stored.https)), ipxe.NewLoaders(), ipxe.Autoexec, parts.mounts(d, y.nets), y.owners, d, zerolog.Nop(), httpboot.Options{})
	ctx, cancel := context.WithCancel(context.Background())
	g, ctx := errgroup.WithContext(ctx)
	y.stop = sync.OnceValue(func() error { cancel(); return g.Wait() })
	ready := make(chan struct{})
	g.Go(func() error { return y.mirror.Run(ctx) })
	await(t, ctx, y.mirror.Ready())
	g.Go(func() error { return y.engine.Run(ctx, ready) })
	await(t, ctx, ready)
	g.Go(func() error { return y.counts.Run(ctx) })
	g.Go(func() error { return server.Run(ctx) })
	await(t, ctx, server.Ready())
}

// build puts the n-th host and its BMC into the yard, with what is said of its
// hardware. Nothing is listed yet.
func (y *yard) build(t *testing.T, personality string, n int, hardware ...func(*bmctest.Identity)) *place {
	t.Helper()
	p, err := bmctest.Named(personality)
	if err != nil {
		t.Fatal(err)
	}
	p.Session.Timeout *= 20 // the BMC's seconds are short, and this machine may be busy for several
	id := p.Identity(n)
	for _, edit := range hardware {
		edit(&id)
	}
	address := fmt.Sprintf("127.0.1.%d", n)
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
	host := bmctest.NewPaper(bmctest.PaperOptions{
		Identity: id, Second: tick, Script: y.dhcp(t, id.NICs[0].MAC, address),
		Client: &http.Client{Transport: &http.Transport{DialContext: dialer.DialContext}},
	})
	roots := x509.NewCertPool()
	roots.AddCert(y.stored.https.Leaf)
	e, err := bmctest.Start(bmctest.Options{Personality: p, Second: tick, Machine: host, Roots: roots})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(e.Close(), host.PowerOff(context.Background())); err != nil {
			t.Error(err)
		}
	})
	return &place{Emulator: e, host: host, id: provisioner.HostID(fmt.Sprintf("h-%d", n))}
}

// dhcp is the packet that a DHCP server would have seen before the host asks for
// its script.
func (y *yard) dhcp(t *testing.T, mac, address string) string {
	owner, err := net.ParseMAC(mac)
	if err != nil {
		t.Fatal(err)
	}
	y.owners[netip.MustParseAddr(address)] = owner
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := y.sees.Load().See(r.Context(), engine.Seen{MAC: mac, Network: y.nets[0].Interface, Boot: provisioner.BootUEFI, Address: address, Netboot: true})
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		http.Redirect(w, r, y.nets[0].base+scriptOf(t, mac), http.StatusFound)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// list lists the host in a started order. With an address of its own it is
// started from media where its BMC can.
func (y *yard) listPlace(t *testing.T, p *place, edit func(*provisioner.Host)) {
	t.Helper()
	id := p.host.Identity()
	words := provisioner.Controller{Address: p.HTTPS(), User: p.User()}
	words.Password = y.box.Seal([]byte(p.Password()), words.Context())
	if must, _ := bmctest.Named(p.State().Personality); must.Account.Change {
		words.NewPassword = y.box.Seal([]byte("changed-secret-16"), words.NewContext())
	}
	h := expected(p.id, id.NICs[0].MAC, y.image)
	h.Status.Since = y.now()
	h.Intent.Row.Serial, h.Intent.BMC = id.Serial, &words
	h.Intent.Row.Static.Address = "127.0.0.77/8"
	if edit != nil {
		edit(&h)
	}
	y.rig.list(t, h)
}

// comes waits until the host is as it should be, and says where it stands if
// that takes too long: more than three tries, each with all that a BMC is given
// time for, on a busy machine.
func (y *yard) comes(t *testing.T, p *place, what string, is func(provisioner.Host) bool) provisioner.Host {
	t.Helper()
	deadline, beat := time.After(6*time.Minute), time.NewTicker(20*time.Millisecond)
	defer beat.Stop()
	for {
		h := y.rig.host(t, p.id)
		if is(h) {
			return h
		}
		select {
		case <-deadline:
			var did []string
			for _, e := range h.Facts.Errands {
				did = append(did, fmt.Sprintf("%s of %s, done %t: %s", e.Do, e.Attempt, !e.Done.IsZero(), e.Problem))
			}
			t.Fatalf("%s never came: %s is %s: %s %s\nerrands:\n%s\nhost:\n%s", what, p.id, h.Status.Phase, h.Status.Why, lifecycle.Awaiting(h),
				strings.Join(did, "\n"), strings.Join(p.host.History(), "\n"))
		case <-beat.C:
		}
	}
}

func (y *yard) arrives(t *testing.T, p *place) provisioner.Host {
	t.Helper()
	return y.comes(t, p, "registered", func(h provisioner.Host) bool { return h.Status.Phase == provisioner.Registered })
}

// skip sets the clock ahead and wakes the host, as its next minute would.
func (y *yard) skip(t *testing.T, p *place, d time.Duration) {
	t.Helper()
	y.ahead.Add(int64(d))
	_, err := y.store.Change(t.Context(), p.id, func(h *provisioner.Host) ([]provisioner.Entry, error) {
		return []provisioner.Entry{{Host: h.ID, Kind: provisioner.EntryFact, Phase: h.Status.Phase, Text: "Time passes.", By: "test"}}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// idle waits until the BMC's last errand is over, and holds that nothing is left
// in it: no session, no medium, no override, and never two media or requests at
// once.
func (y *yard) idle(t *testing.T, p *place) {
	t.Helper()
	y.comes(t, p, "the end of its errands", func(h provisioner.Host) bool {
		_, due := lifecycle.Errand(h, y.now())
		open, _, _ := p.Sessions()
		return !due && open == 0
	})
	_, _, leaked := p.Sessions()
	if requests, media := p.Peak(); requests > 1 || media > 1 || leaked > 0 || p.Locked() {
		t.Errorf("%d requests and %d media at once, %d sessions leaked, locked %t", requests, media, leaked, p.Locked())
	}
	state := p.State()
	if len(state.Inserted) > 0 || state.Enabled == "Once" || state.Enabled == "Continuous" {
		t.Errorf("%q is left in, override %s %s", state.Inserted, state.Enabled, state.Target)
	}
}
