package engine

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/muster-boot/muster/inventory"
	"github.com/muster-boot/muster/inventory/profile"
	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/handoff"
	"github.com/muster-boot/muster/provisioner/handoff/callhome"
	"github.com/muster-boot/muster/provisioner/lifecycle"
	"github.com/muster-boot/muster/provisioner/seal"
	"github.com/muster-boot/muster/provisioner/store"
	"github.com/muster-boot/muster/provisioner/store/boltstore"
)

const (
	mac1   = "52:54:00:00:00:01"
	hostID = provisioner.HostID("h-1")
)

// clock is a time that only a test moves.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// installer is the least that an engine can install with. What it renders is
// never twice the same.
type installer struct {
	scout string

	mu    sync.Mutex
	way   provisioner.Way // empty: netboot
	fails error           // of Render
	bulk  []byte          // beside the configuration
	calls int             // of Render

	media   int   // calls of ScoutMedium
	noScout error // of ScoutMedium
}

func (i *installer) Render(_ context.Context, h provisioner.Host, carry handoff.Carry) (provisioner.Rendering, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.calls++
	config := fmt.Sprintf("#cloud-config\ndevice: %s\nimage: %s\nrendered: %d times\nfor: %v\n", h.Status.Attempt.Disk, h.Intent.Image, i.calls, carry.Values)
	return provisioner.Rendering{Way: cmp.Or(i.way, provisioner.WayNetboot), Documents: []provisioner.Document{
		{Name: "config", Type: "text/cloud-config", Content: []byte(config)}, {Name: "bulk", Content: i.bulk},
	}}, i.fails
}

const scoutImage = "sha256:scout"

func (i *installer) ScoutMedium(_ context.Context, h provisioner.Host) (provisioner.Rendering, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.media++
	args := []string{"muster.token=" + h.Status.Key.Reveal(), fmt.Sprintf("made=%d", i.media)}
	return provisioner.Rendering{Image: scoutImage, Medium: []provisioner.Change{{Args: args}}}, i.noScout
}

func (i *installer) rendered() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.calls
}

func (i *installer) set(way provisioner.Way, fails error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.way, i.fails = way, fails
}

func (i *installer) fill(bulk []byte) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.bulk = bulk
}

func (*installer) Image(digest string) (handoff.Image, bool) {
	return handoff.Image{Name: "image", Family: "kairos"}, digest != ""
}

func (*installer) Netboot(_ context.Context, h provisioner.Host, r provisioner.Rendering) (inventory.Netboot, error) {
	return inventory.Netboot{Kernel: "http://192.0.2.1/kernel", Cmdline: "attempt=" + string(r.Attempt)}, nil
}

func (*installer) Write(_ context.Context, h provisioner.Host, r provisioner.Rendering) (inventory.Write, error) {
	return inventory.Write{URL: "http://192.0.2.1/disk", Digest: r.Image, Disk: h.Status.Attempt.Disk}, nil
}

func (*installer) Base(h provisioner.Host) string {
	return "http://192.0.2.1/a/" + string(h.Status.Attempt.ID)
}
func (i *installer) ScoutVersion() string { return i.scout }

// shelf counts the records that it is asked for, and can be told to fail.
type shelf struct {
	mu      sync.Mutex
	fails   error
	written []provisioner.Host
}

func (s *shelf) Record(_ context.Context, h provisioner.Host) (provisioner.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fails != nil {
		return provisioner.Record{}, s.fails
	}
	s.written = append(s.written, h)
	return provisioner.Record{Attempt: h.Status.Attempt.ID, At: h.Status.Since, File: "records/" + string(h.ID) + "." + string(h.Status.Attempt.ID) + ".json", Digest: "sha256:1"}, nil
}

func (s *shelf) set(fails error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fails = fails
}

func (s *shelf) records() []provisioner.Host {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.written
}

// site is a store with an engine at work in it.
type site struct {
	*Engine
	kv        store.Engine
	clock     *clock
	installer *installer
	shelf     *shelf
	stop      func()
}

// open starts an engine over kv and waits until it answers. It is stopped with
// the test, or by stop.
func open(t *testing.T, kv store.Engine, c *clock) *site {
	t.Helper()
	return openWith(t, kv, c, "k")
}

// openWith has a key of its own, and options that the test changes.
func openWith(t *testing.T, kv store.Engine, c *clock, key string, change ...func(*Options)) *site {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s := store.New(kv, c.now)
	m := store.NewMirror(s)
	i, records := &installer{scout: "v1"}, &shelf{}
	o := Options{
		Store: s, Mirror: m, Installer: i, Box: box(t, key), Recorder: records, Drivers: []handoff.Driver{callhome.Driver{}},
		Deadlines: lifecycle.Deadlines{Discover: 10 * time.Minute, Verify: 10 * time.Minute, Install: 30 * time.Minute, Register: 15 * time.Minute},
		Holder:    "test", Log: zerolog.Nop(), Now: c.now,
	}
	for _, f := range change {
		f(&o)
	}
	e := New(o)
	var running sync.WaitGroup
	ready := make(chan struct{})
	running.Go(func() { _ = m.Run(ctx) })
	running.Go(func() {
		select {
		case <-m.Ready():
			_ = e.Run(ctx, ready)
		case <-ctx.Done():
		}
	})
	st := &site{Engine: e, kv: kv, clock: c, installer: i, shelf: records, stop: sync.OnceFunc(func() { cancel(); running.Wait() })}
	t.Cleanup(st.stop)
	select {
	case <-ready:
	case <-time.After(time.Minute):
		t.Fatal("the engine never took its lease")
	}
	return st
}

// by has the installer go this way from the engine's first step: one that goes on
// with a host prepares it at once.
func by(way provisioner.Way) func(*Options) {
	return func(o *Options) { o.Installer.(*installer).set(way, nil) }
}

// with adds a hand-off.
func with(d handoff.Driver) func(*Options) {
	return func(o *Options) { o.Drivers = append(o.Drivers, d) }
}

func box(t *testing.T, key string) *seal.Box {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, bytes.Repeat([]byte(key), 32), 0o600); err != nil {
		t.Fatal(err)
	}
	b, err := seal.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func bolt(t *testing.T) store.Engine {
	t.Helper()
	kv, err := boltstore.Open(t.Context(), t.TempDir(), boltstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = kv.Close() })
	return kv
}

func newClock() *clock { return &clock{at: time.Date(2026, 5, 4, 9, 0, 0, 0, time.UTC)} }

// list puts a host of a started order into the store.
func (s *site) list(t *testing.T, id provisioner.HostID, row provisioner.Row) {
	t.Helper()
	s.listWith(t, id, row, nil)
}

func (s *site) listWith(t *testing.T, id provisioner.HostID, row provisioner.Row, bmc *provisioner.Controller) {
	t.Helper()
	rules, ok := profile.Builtin("edge-minimum")
	if !ok {
		t.Fatal("no profile edge-minimum")
	}
	h := provisioner.Host{
		ID: id, Created: s.clock.now(),
		Intent: provisioner.Intent{Order: "o1", Row: row, Rules: rules, Image: "sha256:1", Handoff: "callhome", Started: true, BMC: bmc},
		Status: provisioner.Status{Phase: provisioner.Expected, Since: s.clock.now(), Why: "Listed in order o1, not seen yet."},
	}
	c := store.Change{Put: []provisioner.Host{h}}
	if _, err := s.Store.Order(t.Context(), "o1"); provisioner.KindOf(err) == provisioner.NotFound {
		c.PutOrders = []provisioner.Order{{Name: "o1", Handoff: "callhome", Started: s.clock.now()}}
	}
	if err := s.Store.Commit(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	s.sync(t)
}

func (s *site) sync(t *testing.T) {
	t.Helper()
	if err := s.Mirror.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func (s *site) host(t *testing.T, id provisioner.HostID) provisioner.Host {
	t.Helper()
	s.sync(t)
	h, ok := s.Mirror.Host(id)
	if !ok {
		t.Fatalf("there is no host %s", id)
	}
	return h
}

func (s *site) see(t *testing.T, mac string) provisioner.Host {
	t.Helper()
	s.clock.advance(time.Second)
	h, err := s.See(t.Context(), Seen{MAC: mac, Network: "br0", Boot: provisioner.BootBIOS, Netboot: true})
	if err != nil {
		t.Fatal(err)
	}
	s.sync(t)
	return h
}

// ask is the scout's question; it acts on look and verify as a scout does.
func (s *site) ask(t *testing.T, id provisioner.HostID, r inventory.Report) inventory.Instruction {
	t.Helper()
	for range 4 {
		s.clock.advance(time.Second)
		id = s.host(t, id).ID // as the API finds it by the id in the scout's URL
		ins, err := s.Instruction(t.Context(), id, "v1", "192.0.2.50")
		if err != nil {
			t.Fatal(err)
		}
		if ins.Do != inventory.Look && ins.Do != inventory.Verify {
			return ins
		}
		if err := s.Report(t.Context(), id, provisioner.AttemptID(ins.Attempt), r); err != nil {
			t.Fatal(err)
		}
		s.sync(t)
	}
	t.Fatal("the scout is asked for reports for ever")
	return inventory.Instruction{}
}

func report(serial, mac string) inventory.Report {
	no, yes := false, true
	return inventory.Report{
		Witness: inventory.Scout, Version: "v1",
		System: inventory.System{Serial: serial},
		CPUs:   []inventory.CPU{{Slot: "CPU 0", Cores: 2, Threads: 2}},
		DIMMs:  []inventory.DIMM{{Slot: "DIMM 0", Size: 8 << 30}},
		Memory: 7800 << 20,
		Disks: []inventory.Disk{{Name: "nvme0n1", ByID: []string{"nvme-QEMU_" + serial}, Serial: "D-" + serial, Transport: "nvme",
			Size: 100_000_000_000, Rotational: &no, Signatures: []string{}}},
		NICs: []inventory.NIC{{Name: "eth0", MAC: mac, Link: &yes, SpeedMbps: 1000}},
	}
}

// checkJournal holds that the journal is numbered from 1 without gap or double.
func (s *site) checkJournal(t *testing.T, id provisioner.HostID) []provisioner.Entry {
	t.Helper()
	entries, err := s.Store.Journal(t.Context(), id, 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range entries {
		if e.Seq != uint64(i)+1 {
			t.Errorf("journal entry %d has number %d", i+1, e.Seq)
		}
	}
	if n := s.host(t, id).Entries; n != uint64(len(entries)) {
		t.Errorf("the host counts %d entries, the journal has %d", n, len(entries))
	}
	return entries
}

func change(h provisioner.Host) store.Change { return store.Change{Put: []provisioner.Host{h}} }
