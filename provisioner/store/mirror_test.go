package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/muster-boot/muster/inventory"
	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/store"
)

// runMirror runs a mirror until the test ends.
func runMirror(t testing.TB, s *store.Store) *store.Mirror {
	t.Helper()
	m := store.NewMirror(s)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	<-m.Ready()
	return m
}

func synced(t testing.TB, m *store.Mirror) {
	t.Helper()
	if err := m.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func ids(hosts []provisioner.Host) string {
	var ids []string
	for _, h := range hosts {
		ids = append(ids, string(h.ID))
	}
	return strings.Join(ids, " ")
}

func TestTheMirrorFollowsTheStore(t *testing.T) {
	s := openStore(t)
	commit(t, s, store.Change{Put: []provisioner.Host{host("h-2"), host("h-1")}, PutOrders: []provisioner.Order{{Name: "b"}}})
	m := runMirror(t, s)
	diff(t, "h-1 h-2", ids(m.Hosts()))

	gone := read(t, s, "h-2")
	held := read(t, s, "h-1")
	held.Intent.Hold = "waits"
	order, _ := m.Order("b")
	commit(t, s, store.Change{
		Put: []provisioner.Host{held, host("h-3")}, Delete: []provisioner.Host{gone},
		PutOrders: []provisioner.Order{{Name: "a b"}}, DeleteOrders: []provisioner.Order{order},
	})
	synced(t, m)
	hosts, err := s.Hosts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	diff(t, hosts, m.Hosts())
	orders, err := s.Orders(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	diff(t, orders, m.Orders())
	if _, ok := m.Host("h-2"); ok {
		t.Error("a deleted host is still found")
	}
}

const (
	asLinux = "4c4c4544-0035-3210-804d-b7c04f4e3233"
	asBMC   = "44454C4C-3500-1032-804D-B7C04F4E3233" // the first three fields in the other byte order
)

// fullHost has a value of its own in every place where a host is found by.
func fullHost() provisioner.Host {
	h := host("h-1")
	h.Aliases = []provisioner.HostID{"h-old"}
	h.Intent.Row = provisioner.Row{Serial: "CZ3ABC", UUID: asLinux, MACs: []string{"52:54:00:00:00:01"}, Name: "Edge-1"}
	h.Facts.Sighting = &provisioner.Sighting{MACs: []string{"52:54:00:00:00:02"}}
	h.Facts.Report = &provisioner.Report{Report: inventory.Report{
		System: inventory.System{Serial: "REPORTED7"},
		NICs:   []inventory.NIC{{MAC: "52:54:00:00:00:03"}, {MAC: ""}},
	}}
	h.Intent.BMC = &provisioner.Controller{MAC: "52:54:00:00:00:04"}
	h.Status.Attempt.ID = "a-1"
	h.Status.Key = "scout-key"
	return h
}

func TestAHostIsFoundByAllThatItIsKnownBy(t *testing.T) {
	s := openStore(t)
	m := runMirror(t, s)
	commit(t, s, store.Change{Put: []provisioner.Host{fullHost(), host("h-2")}})
	synced(t, m)
	finds := map[string]func() (provisioner.Host, bool){
		"id":                   func() (provisioner.Host, bool) { return m.Host("h-1") },
		"former id":            func() (provisioner.Host, bool) { return m.Host("h-old") },
		"MAC in the manifest":  func() (provisioner.Host, bool) { return m.ByMAC("52:54:00:00:00:01") },
		"MAC seen":             func() (provisioner.Host, bool) { return m.ByMAC("52-54-00-00-00-02") },
		"MAC reported":         func() (provisioner.Host, bool) { return m.ByMAC("5254.0000.0003") },
		"MAC of its BMC":       func() (provisioner.Host, bool) { return m.ByBMC("52:54:00:00:00:04") },
		"UUID":                 func() (provisioner.Host, bool) { return m.ByUUID(asLinux) },
		"UUID turned round":    func() (provisioner.Host, bool) { return m.ByUUID(asBMC) },
		"serial":               func() (provisioner.Host, bool) { return m.BySerial(" cz3abc ") },
		"reported serial":      func() (provisioner.Host, bool) { return m.BySerial("REPORTED7") },
		"attempt":              func() (provisioner.Host, bool) { return m.ByAttempt("a-1") },
		"the scout's token":    func() (provisioner.Host, bool) { return m.ByKey("scout-key") },
		"a person's name":      func() (provisioner.Host, bool) { h, err := m.Resolve("edge-1"); return h, err == nil },
		"a person's serial":    func() (provisioner.Host, bool) { h, err := m.Resolve("CZ3ABC"); return h, err == nil },
		"a person's MAC":       func() (provisioner.Host, bool) { h, err := m.Resolve("525400000001"); return h, err == nil },
		"a person's former id": func() (provisioner.Host, bool) { h, err := m.Resolve("h-old"); return h, err == nil },
	}
	for name, find := range finds {
		if h, ok := find(); !ok || h.ID != "h-1" {
			t.Errorf("by %s: found %q, %v, want h-1", name, h.ID, ok)
		}
	}
	told := host("h-3")
	told.Intent.BMC = &provisioner.Controller{Address: "192.0.2.3"}
	told.Facts.Survey = &provisioner.Report{Report: inventory.Report{
		System: inventory.System{Serial: "TOLD8"}, NICs: []inventory.NIC{{MAC: "52:54:00:00:00:05"}},
	}}
	commit(t, s, store.Change{Put: []provisioner.Host{told}})
	synced(t, m)
	byMAC, okMAC := m.ByMAC("52:54:00:00:00:05")
	bySerial, okSerial := m.BySerial("TOLD8")
	if !okMAC || !okSerial || byMAC.ID != "h-3" || bySerial.ID != "h-3" {
		t.Errorf("a host of which the row names the BMC alone: by MAC %q, by serial %q", byMAC.ID, bySerial.ID)
	}
	if h, ok := m.ByMAC("52:54:00:00:00:04"); ok {
		t.Errorf("the MAC of its BMC is one of %s's own", h.ID)
	}
	bare := host("h-1")
	bare.Revision = read(t, s, "h-1").Revision
	commit(t, s, store.Change{Put: []provisioner.Host{bare}})
	synced(t, m)
	delete(finds, "id")
	for name, find := range finds {
		if h, ok := find(); ok {
			t.Errorf("by %s: still found %q by what it no longer has", name, h.ID)
		}
	}
}

func TestJunkFindsNobody(t *testing.T) {
	s := openStore(t)
	junk := host("h-1")
	junk.Intent.Row = provisioner.Row{Serial: "To be filled by O.E.M.", UUID: "03000200-0400-0500-0006-000700080009", MACs: []string{"00:00:00:00:00:00", "what"}}
	commit(t, s, store.Change{Put: []provisioner.Host{junk}})
	m := runMirror(t, s)
	for name, find := range map[string]func() (provisioner.Host, bool){
		"serial":        func() (provisioner.Host, bool) { return m.BySerial(junk.Intent.Row.Serial) },
		"UUID":          func() (provisioner.Host, bool) { return m.ByUUID(junk.Intent.Row.UUID) },
		"zero MAC":      func() (provisioner.Host, bool) { return m.ByMAC(junk.Intent.Row.MACs[0]) },
		"bad MAC":       func() (provisioner.Host, bool) { return m.ByMAC(junk.Intent.Row.MACs[1]) },
		"empty token":   func() (provisioner.Host, bool) { return m.ByKey("") },
		"empty attempt": func() (provisioner.Host, bool) { return m.ByAttempt("") },
		"empty id":      func() (provisioner.Host, bool) { return m.Host("") },
	} {
		if h, ok := find(); ok {
			t.Errorf("by %s: found %q, want nobody", name, h.ID)
		}
	}
	if alike := m.Alike(junk); len(alike) != 0 {
		t.Errorf("alike: %v, want nobody", ids(alike))
	}
	_, err := m.Resolve("")
	wantKind(t, err, provisioner.NotFound)
}

func TestHostsThatShareAnIdentityAreAlike(t *testing.T) {
	s := openStore(t)
	byMAC, byUUID, bySerial := host("h-2"), host("h-3"), host("h-4")
	byMAC.Facts.Sighting = &provisioner.Sighting{MACs: []string{"52:54:00:00:00:03"}}
	byUUID.Intent.Row.UUID = asBMC
	bySerial.Intent.Row.Serial = "reported7"
	commit(t, s, store.Change{Put: []provisioner.Host{fullHost(), byMAC, byUUID, bySerial, host("h-5")}})
	m := runMirror(t, s)
	diff(t, "h-2 h-3 h-4", ids(m.Alike(fullHost())))
	diff(t, "h-1", ids(m.Alike(byMAC)))
	if h, ok := m.ByMAC("52:54:00:00:00:03"); !ok || h.ID != "h-1" {
		t.Errorf("by a shared MAC: found %q, want the lowest id", h.ID)
	}
}

func TestAReferenceToSeveralHostsListsThem(t *testing.T) {
	s := openStore(t)
	hosts := manyHosts(12)
	for i := range hosts {
		hosts[i].Intent.Row = provisioner.Row{Name: "twin", Serial: fmt.Sprintf("SER%02d", i)}
	}
	hosts[0].Intent.Row.Serial = "twin"
	commit(t, s, store.Change{Put: hosts[:2]})
	m := runMirror(t, s)
	_, err := m.Resolve("TWIN")
	wantKind(t, err, provisioner.Conflict)
	want := `"TWIN" means 2 hosts; name one by its id: h-0000 (twin, twin), h-0001 (twin, SER01)`
	if err.Error() != want {
		t.Errorf("error %q, want %q", err, want)
	}
	commit(t, s, store.Change{Put: hosts[2:]})
	synced(t, m)
	if _, err = m.Resolve("twin"); !strings.HasSuffix(err.Error(), "h-0007 (twin, SER07), ...") {
		t.Errorf("error %q, want it to stop after eight hosts", err)
	}
}

func TestReadersAreWokenOnceAndSeeWhatChanged(t *testing.T) {
	s := openStore(t)
	m := runMirror(t, s)
	changed, stop := m.Subscribe()
	_, seen := m.HostsSince(0)
	commit(t, s, store.Change{Put: []provisioner.Host{host("h-2")}})
	commit(t, s, store.Change{Put: []provisioner.Host{host("h-1")}})
	synced(t, m)
	<-changed
	hosts, seen := m.HostsSince(seen)
	diff(t, "h-2 h-1", ids(hosts))
	if len(changed) != 0 {
		t.Error("a second token waits for one that was not taken")
	}
	acquire(t, s, "a") // concerns no host
	synced(t, m)
	if len(changed) != 0 {
		t.Error("woken where no host or order changed")
	}
	stop()
	commit(t, s, store.Change{Put: []provisioner.Host{host("h-3")}})
	synced(t, m)
	if len(changed) != 0 {
		t.Error("woken after the subscription ended")
	}
	hosts, _ = m.HostsSince(seen)
	diff(t, "h-3", ids(hosts))
}

func TestWaitingForARevisionCanBeCancelled(t *testing.T) {
	m := runMirror(t, openStore(t))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := m.WaitFor(ctx, 1<<60); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want that of the context", err)
	}
}

// forgetful has lost its history as often as lost says.
type forgetful struct {
	store.Engine
	lost int
}

func (f *forgetful) Watch(ctx context.Context, prefix string, after uint64, each func(store.Batch) error) error {
	if f.lost > 0 {
		f.lost--
		if _, err := f.Txn(ctx, nil, []store.Op{store.Put("state/host/late", []byte(`{"id":"late"}`))}); err != nil {
			return err
		}
		return store.ErrCompacted
	}
	return f.Engine.Watch(ctx, prefix, after, each)
}

func TestAMirrorThatWasOvertakenCopiesAgain(t *testing.T) {
	s := store.New(&forgetful{Engine: openEngine(t), lost: 2}, nil)
	m := runMirror(t, s)
	if err := m.WaitFor(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	diff(t, "late", ids(m.Hosts()))
}

func TestARecordThatDoesNotReadStopsTheMirror(t *testing.T) {
	e := openEngine(t)
	if _, err := e.Txn(t.Context(), nil, []store.Op{store.Put("state/host/h-1", []byte("{"))}); err != nil {
		t.Fatal(err)
	}
	err := store.NewMirror(store.New(e, nil)).Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "state/host/h-1 does not read as a host") {
		t.Errorf("error %v, want one that names the record", err)
	}
}

// TestTheMirrorIsTheStore makes random changes and compares: the hosts, and
// what each is found by with a mirror that was made anew.
func TestTheMirrorIsTheStore(t *testing.T) {
	s := openStore(t)
	m := runMirror(t, s)
	macs := []string{"52:54:00:00:00:01", "52:54:00:00:00:02", "52:54:00:00:00:03", "00:00:00:00:00:00"}
	rapid.Check(t, func(rt *rapid.T) {
		for range rapid.IntRange(1, 8).Draw(rt, "changes") {
			id := rapid.SampledFrom([]string{"h-1", "h-2", "h-3"}).Draw(rt, "id")
			h, err := s.Host(t.Context(), provisioner.HostID(id))
			if err != nil {
				h = host(id)
			}
			h.Intent.Row.MACs = rapid.SliceOfN(rapid.SampledFrom(macs), 0, 3).Draw(rt, "macs")
			h.Status.Attempt.ID = provisioner.AttemptID(rapid.SampledFrom([]string{"", "a-1", "a-2"}).Draw(rt, "attempt"))
			c := store.Change{Put: []provisioner.Host{h}}
			if h.Revision > 0 && rapid.Bool().Draw(rt, "delete") {
				c = store.Change{Delete: []provisioner.Host{h}}
			}
			commit(t, s, c)
		}
		synced(t, m)
		hosts, err := s.Hosts(t.Context())
		if err != nil {
			rt.Fatal(err)
		}
		if d := cmp.Diff(hosts, m.Hosts(), cmpopts.EquateEmpty()); d != "" {
			rt.Fatalf("(-store +mirror)\n%s", d)
		}
		for _, mac := range macs[:3] {
			want := slices.DeleteFunc(slices.Clone(hosts), func(h provisioner.Host) bool { return !slices.Contains(h.Intent.Row.MACs, mac) })
			probe := provisioner.Host{Intent: provisioner.Intent{Row: provisioner.Row{MACs: []string{mac}}}}
			if got := ids(m.Alike(probe)); got != ids(want) {
				rt.Fatalf("%s: found %q, want %q", mac, got, ids(want))
			}
		}
	})
}
