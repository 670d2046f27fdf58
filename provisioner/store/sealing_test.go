package store_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/seal"
	"github.com/muster-boot/muster/provisioner/store"
)

// boxWith has a key of one letter.
func boxWith(t *testing.T, letter string) *seal.Box {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, bytes.Repeat([]byte(letter), 32), 0o600); err != nil {
		t.Fatal(err)
	}
	box, err := seal.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return box
}

func TestWhatOrdersGiveTheirHostsLiesSealed(t *testing.T) {
	engine := openEngine(t)
	now := func() time.Time { return day }
	clear, sealed, other := store.New(engine, now), store.NewSealed(engine, now, boxWith(t, "a")), store.NewSealed(engine, now, boxWith(t, "b"))
	want := provisioner.Order{Name: "o", Image: "sha256:1", Template: "#cloud-config", Secrets: map[string]provisioner.Secret{"join": "hunter2"},
		Config: map[string]any{"users": []any{map[string]any{"passwd": "calvin"}}}}
	held := func(what string) bool {
		t.Helper()
		item, err := engine.Get(t.Context(), "state/order/o")
		if err != nil {
			t.Fatal(err)
		}
		return bytes.Contains(item.Value, []byte(what))
	}
	order := func(s *store.Store) provisioner.Order {
		t.Helper()
		o, err := s.Order(t.Context(), "o")
		if err != nil {
			t.Fatal(err)
		}
		return o
	}

	commit(t, clear, store.Change{PutOrders: []provisioner.Order{want}})
	if !held("hunter2") {
		t.Fatal("the test looks at the wrong place")
	}
	kept := order(sealed)
	want.Revision = kept.Revision
	diff(t, want, kept) // in clear, as before

	kept.Started = day
	commit(t, sealed, store.Change{PutOrders: []provisioner.Order{kept}})
	if held("hunter2") || held("cloud-config") || held("calvin") || !held("sha256:1") {
		t.Error("the order lies in clear, or not at all")
	}
	want = kept
	kept = order(sealed)
	want.Revision = kept.Revision
	diff(t, want, kept)

	foreign := order(other)
	if foreign.Template != "" || len(foreign.Secrets)+len(foreign.Config) != 0 || len(foreign.Sealed) == 0 || foreign.Image != "sha256:1" {
		t.Errorf("with another key: %+v", foreign)
	}
	foreign.Started = time.Time{}
	commit(t, other, store.Change{PutOrders: []provisioner.Order{foreign}})
	back := order(sealed)
	want.Revision, want.Started = back.Revision, time.Time{}
	diff(t, want, back) // the right key has come back

	if orders := runMirror(t, sealed).Orders(); len(orders) != 1 || orders[0].Template != "#cloud-config" {
		t.Errorf("the mirror has %+v", orders)
	}
}

// TestAConfigurationThatLayInClearIsSealedWithTheRest reads what muster once
// wrote: the template sealed, the configuration beside it and in every host.
func TestAConfigurationThatLayInClearIsSealedWithTheRest(t *testing.T) {
	engine, box := openEngine(t), boxWith(t, "a")
	s := store.NewSealed(engine, func() time.Time { return day }, box)
	part, err := json.Marshal(map[string]any{"template": "#cloud-config"})
	if err != nil {
		t.Fatal(err)
	}
	commit(t, store.New(engine, func() time.Time { return day }), store.Change{PutOrders: []provisioner.Order{
		{Name: "o", Sealed: box.Seal(part, "order o"), Config: map[string]any{"passwd": "calvin"}},
	}})
	o, err := s.Order(t.Context(), "o")
	if err != nil || o.Template != "#cloud-config" || o.Config["passwd"] != "calvin" {
		t.Fatalf("%v: %+v", err, o)
	}
	commit(t, s, store.Change{PutOrders: []provisioner.Order{o}})
	item, err := engine.Get(t.Context(), "state/order/o")
	if err != nil || bytes.Contains(item.Value, []byte("calvin")) {
		t.Errorf("it lies in clear still, or not at all: %v", err)
	}
	if o, err = s.Order(t.Context(), "o"); err != nil || o.Config["passwd"] != "calvin" {
		t.Errorf("%v: %+v", err, o)
	}
}
