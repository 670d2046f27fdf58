package store_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/muster-boot/muster/inventory"
	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/store"
	"github.com/muster-boot/muster/provisioner/store/boltstore"
)

var day = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func openEngine(t testing.TB) store.Engine {
	t.Helper()
	e, err := boltstore.Open(t.Context(), t.TempDir(), boltstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

func openStore(t testing.TB) *store.Store {
	t.Helper()
	return store.New(openEngine(t), func() time.Time { return day })
}

func host(id string) provisioner.Host {
	return provisioner.Host{
		ID: provisioner.HostID(id), Created: day,
		Status: provisioner.Status{Phase: provisioner.Expected, Since: day, Why: "listed in order o, not seen yet"},
	}
}

func entry(id, text string) provisioner.Entry {
	return provisioner.Entry{
		Host: provisioner.HostID(id), Kind: provisioner.EntryFact, Phase: provisioner.Expected, Text: text, By: "scout",
	}
}

func commit(t testing.TB, s *store.Store, c store.Change) {
	t.Helper()
	if err := s.Commit(t.Context(), c); err != nil {
		t.Fatal(err)
	}
}

func read(t testing.TB, s *store.Store, id provisioner.HostID) provisioner.Host {
	t.Helper()
	h, err := s.Host(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func texts(t *testing.T, s *store.Store, id provisioner.HostID, after uint64, limit int) []string {
	t.Helper()
	entries, err := s.Journal(t.Context(), id, after, limit)
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, e := range entries {
		texts = append(texts, fmt.Sprintf("%d %s", e.Seq, e.Text))
	}
	return texts
}

func diff(t *testing.T, want, got any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

func wantKind(t *testing.T, err error, want provisioner.Kind) {
	t.Helper()
	if err == nil || provisioner.KindOf(err) != want {
		t.Errorf("error %v (%s), want one of kind %s", err, provisioner.KindOf(err), want)
	}
}

func TestAHostIsReadAsItWasWritten(t *testing.T) {
	s := openStore(t)
	want := host("h-1")
	want.Status.Key = "key"
	want.Status.Attempt = provisioner.Attempt{ID: "a-1", Token: "token", Began: day}
	want.Facts.Report = &provisioner.Report{Report: inventory.Report{Disks: []inventory.Disk{
		{Name: "sda"},                         // nobody looked at it
		{Name: "sdb", Signatures: []string{}}, // looked at and empty: another thing
	}}}
	commit(t, s, store.Change{Put: []provisioner.Host{want}})
	got := read(t, s, "h-1")
	if got.Revision == 0 {
		t.Error("the revision is not set")
	}
	want.Revision = got.Revision
	diff(t, want, got)
}

func TestWhatIsNotThereIsNotFound(t *testing.T) {
	s := openStore(t)
	for _, id := range []provisioner.HostID{"h-1", "", "h/1", "h 1"} {
		_, err := s.Host(t.Context(), id)
		wantKind(t, err, provisioner.NotFound)
	}
	_, err := s.Order(t.Context(), "o")
	wantKind(t, err, provisioner.NotFound)
}

func TestAnOrderMayHaveAnyName(t *testing.T) {
	s := openStore(t)
	want := provisioner.Order{Name: "Köln / rack 7", Hosts: []provisioner.HostID{"h-1"}, Imported: day}
	commit(t, s, store.Change{PutOrders: []provisioner.Order{want}})
	got, err := s.Order(t.Context(), want.Name)
	if err != nil {
		t.Fatal(err)
	}
	want.Revision = got.Revision
	diff(t, want, got)
	commit(t, s, store.Change{DeleteOrders: []provisioner.Order{got}})
	orders, err := s.Orders(t.Context())
	if err != nil || len(orders) != 0 {
		t.Errorf("orders %v, error %v: want none", orders, err)
	}
	wantKind(t, s.Commit(t.Context(), store.Change{PutOrders: []provisioner.Order{{}}}), provisioner.Invalid)
}

func TestAChangeOfSomethingOlderIsAConflictAndWritesNothing(t *testing.T) {
	s := openStore(t)
	commit(t, s, store.Change{Put: []provisioner.Host{host("h-1"), host("h-2")}})
	old, other := read(t, s, "h-1"), read(t, s, "h-2")
	commit(t, s, store.Change{Put: []provisioner.Host{old}, Entries: []provisioner.Entry{entry("h-1", "first")}})
	present := read(t, s, "h-1")
	for name, c := range map[string]store.Change{
		"put":    {Put: []provisioner.Host{other, old}, Entries: []provisioner.Entry{entry("h-2", "no")}},
		"delete": {Put: []provisioner.Host{other}, Delete: []provisioner.Host{old}},
		"create": {Put: []provisioner.Host{other, host("h-1")}},
	} {
		err := s.Commit(t.Context(), c)
		if !errors.Is(err, store.ErrConflict) {
			t.Errorf("%s: error %v, want ErrConflict", name, err)
		}
		wantKind(t, err, provisioner.Conflict)
	}
	diff(t, present, read(t, s, "h-1"))
	diff(t, other, read(t, s, "h-2"))
	diff(t, []string(nil), texts(t, s, "h-2", 0, 0))
}

func TestTheJournalIsNumberedWithoutAGapAndOutlivesItsHost(t *testing.T) {
	s := openStore(t)
	commit(t, s, store.Change{Put: []provisioner.Host{host("h-1"), host("h-10")}, Entries: []provisioner.Entry{
		entry("h-1", "a"), entry("h-10", "of the other"), entry("h-1", "b"),
	}})
	commit(t, s, store.Change{Put: []provisioner.Host{read(t, s, "h-1")}, Entries: []provisioner.Entry{entry("h-1", "c")}})
	commit(t, s, store.Change{Delete: []provisioner.Host{read(t, s, "h-1")}, Entries: []provisioner.Entry{entry("h-1", "absorbed")}})
	diff(t, []string{"1 a", "2 b", "3 c", "4 absorbed"}, texts(t, s, "h-1", 0, 0))
	diff(t, []string{"2 b", "3 c"}, texts(t, s, "h-1", 1, 2))
	diff(t, []string{"1 of the other"}, texts(t, s, "h-10", 0, 0))
	entries, err := s.Journal(t.Context(), "h-10", 0, 1)
	if err != nil || !entries[0].At.Equal(day) {
		t.Errorf("entries %v, error %v: want one dated by the store", entries, err)
	}
}

func TestTheJournalIsNeverOverwritten(t *testing.T) {
	s := openStore(t)
	first := store.Change{Put: []provisioner.Host{host("h-1")}, Entries: []provisioner.Entry{entry("h-1", "first life")}}
	commit(t, s, first)
	commit(t, s, store.Change{Delete: []provisioner.Host{read(t, s, "h-1")}})
	wantKind(t, s.Commit(t.Context(), first), provisioner.Conflict)
	diff(t, []string{"1 first life"}, texts(t, s, "h-1", 0, 0))
}

func TestAChangeThatCannotBeIsRefused(t *testing.T) {
	s := openStore(t)
	unencodable := host("h-1")
	unencodable.Created = time.Date(10000, time.January, 1, 0, 0, 0, 0, time.UTC) // RFC 3339 has four digits for a year
	for name, c := range map[string]store.Change{
		"entry of a host not written": {Put: []provisioner.Host{host("h-1")}, Entries: []provisioner.Entry{entry("h-2", "x")}},
		"delete of what was not read": {Delete: []provisioner.Host{host("h-1")}},
		"delete of an unread order":   {DeleteOrders: []provisioner.Order{{Name: "o"}}},
		"host twice":                  {Put: []provisioner.Host{host("h-1"), host("h-1")}},
		"host without id":             {Put: []provisioner.Host{host("")}},
		"host that is no JSON":        {Put: []provisioner.Host{unencodable}},
		"too much at once":            {Put: manyHosts(129)},
	} {
		if err := s.Commit(t.Context(), c); err == nil || provisioner.KindOf(err) != provisioner.Invalid {
			t.Errorf("%s: error %v, want one of kind invalid", name, err)
		}
	}
	if hosts, err := s.Hosts(t.Context()); err != nil || len(hosts) != 0 {
		t.Errorf("%d hosts, error %v: want none", len(hosts), err)
	}
}

func manyHosts(n int) []provisioner.Host {
	hosts := make([]provisioner.Host, n)
	for i := range hosts {
		hosts[i] = host(fmt.Sprintf("h-%04d", i))
	}
	return hosts
}

func TestALargeChangeIsCommittedInParts(t *testing.T) {
	for name, size := range map[string]int{"many": 0, "large": 5000} {
		t.Run(name, func(t *testing.T) { commitLarge(t, size) })
	}
}

func commitLarge(t *testing.T, size int) {
	s := openStore(t)
	c := store.Change{Put: manyHosts(300), PutOrders: []provisioner.Order{{Name: "o"}}, Guard: acquire(t, s, "me")}
	for i, h := range c.Put {
		c.Put[i].Intent.Hold = strings.Repeat("\x00", size) // six bytes each as JSON
		c.Entries = append(c.Entries, entry(string(h.ID), "imported"))
	}
	if err := s.CommitParts(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	hosts, err := s.Hosts(t.Context())
	if err != nil || len(hosts) != len(c.Put) {
		t.Fatalf("%d hosts, error %v: want %d", len(hosts), err, len(c.Put))
	}
	order, err := s.Order(t.Context(), "o")
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range hosts {
		if h.Entries != 1 || h.Revision > order.Revision {
			t.Fatalf("%s has %d entries and revision %d; the order has %d", h.ID, h.Entries, h.Revision, order.Revision)
		}
	}
}

func TestConcurrentChangesOfOneHostAreAllMade(t *testing.T) {
	s := openStore(t)
	commit(t, s, store.Change{Put: []provisioner.Host{host("h-1")}})
	var g errgroup.Group
	for range 6 {
		g.Go(func() error {
			for range 10 {
				_, err := s.Change(t.Context(), "h-1", func(h *provisioner.Host) ([]provisioner.Entry, error) {
					h.Intent.Requests.Retry++
					return []provisioner.Entry{entry("h-1", fmt.Sprint(h.Intent.Requests.Retry))}, nil
				})
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	if h := read(t, s, "h-1"); h.Intent.Requests.Retry != 60 || h.Entries != 60 {
		t.Errorf("%d changes and %d entries, want 60", h.Intent.Requests.Retry, h.Entries)
	}
	for i, text := range texts(t, s, "h-1", 0, 0) {
		if want := fmt.Sprintf("%d %d", i+1, i+1); text != want {
			t.Errorf("entry %q, want %q", text, want)
		}
	}
}

func TestChangeReturnsTheHostAsItNowIs(t *testing.T) {
	s := openStore(t)
	commit(t, s, store.Change{Put: []provisioner.Host{host("h-1")}})
	got, err := s.Change(t.Context(), "h-1", func(h *provisioner.Host) ([]provisioner.Entry, error) {
		h.ID, h.Entries, h.Revision = "h-2", 7, 7 // not its to change
		h.Intent.Hold = "waits for a cable"
		return []provisioner.Entry{entry("h-1", "held")}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	diff(t, read(t, s, "h-1"), got)
	if got.ID != "h-1" || got.Entries != 1 || got.Intent.Hold == "" {
		t.Errorf("got %+v", got)
	}
}

func TestChangingNothingWritesNothing(t *testing.T) {
	s := openStore(t)
	commit(t, s, store.Change{Put: []provisioner.Host{host("h-1")}})
	before := read(t, s, "h-1")
	got, err := s.Change(t.Context(), "h-1", func(h *provisioner.Host) ([]provisioner.Entry, error) {
		h.Aliases = []provisioner.HostID{} // the same in JSON
		return nil, nil
	})
	if err != nil || got.Revision != before.Revision {
		t.Errorf("revision %d, error %v: want %d", got.Revision, err, before.Revision)
	}
	revision, err := s.Revision(t.Context())
	if err != nil || revision != before.Revision {
		t.Errorf("the store is at revision %d (%v), want %d", revision, err, before.Revision)
	}
}

func TestAChangeThatFailsWritesNothing(t *testing.T) {
	s := openStore(t)
	commit(t, s, store.Change{Put: []provisioner.Host{host("h-1")}})
	before := read(t, s, "h-1")
	refused := errors.New("refused")
	_, err := s.Change(t.Context(), "h-1", func(h *provisioner.Host) ([]provisioner.Entry, error) {
		h.Intent.Hold = "no"
		return nil, refused
	})
	if !errors.Is(err, refused) {
		t.Errorf("error %v, want the func's own", err)
	}
	diff(t, before, read(t, s, "h-1"))
	_, err = s.Change(t.Context(), "h-2", nil)
	wantKind(t, err, provisioner.NotFound)
}

func TestFollowTellsEveryEntryAndResumes(t *testing.T) {
	s := openStore(t)
	commit(t, s, store.Change{Put: []provisioner.Host{host("h-1"), host("h-2")}, Entries: []provisioner.Entry{
		entry("h-1", "a"), entry("h-2", "b"),
	}})
	middle, err := s.Revision(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	commit(t, s, store.Change{Put: []provisioner.Host{read(t, s, "h-1")}}) // no entry: nothing to tell
	commit(t, s, store.Change{Put: []provisioner.Host{read(t, s, "h-2")}, Entries: []provisioner.Entry{entry("h-2", "c")}})
	for after, want := range map[uint64][]string{0: {"h-1 1 a", "h-2 1 b", "h-2 2 c"}, middle: {"h-2 2 c"}} {
		enough := errors.New("enough")
		var got []string
		err := s.Follow(t.Context(), after, func(revision uint64, entries []provisioner.Entry) error {
			for _, e := range entries {
				got = append(got, fmt.Sprintf("%s %d %s", e.Host, e.Seq, e.Text))
			}
			if len(got) == len(want) {
				return enough
			}
			return nil
		})
		if !errors.Is(err, enough) {
			t.Fatal(err)
		}
		diff(t, want, got)
	}
}
