package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/store"
)

func TestAHandoffIsKeptForEachOrderAndDriver(t *testing.T) {
	s := openStore(t)
	h, err := s.Handoff(t.Context(), "plant7", "palette")
	if err != nil || h.Revision != 0 || h.Order != "plant7" || h.Driver != "palette" {
		t.Fatalf("nothing is kept: %+v, %v", h, err)
	}
	h.State, h.Opened, h.Said = []byte("sealed"), time.Date(2026, 5, 4, 9, 0, 0, 0, time.UTC), "Made a token."
	other := provisioner.Handoff{Order: "plant7", Driver: "a/b", State: []byte("another")}
	commit(t, s, store.Change{PutHandoffs: []provisioner.Handoff{h, other}})

	got, err := s.Handoff(t.Context(), "plant7", "palette")
	if err != nil || got.Revision == 0 {
		t.Fatalf("%+v, %v", got, err)
	}
	kept := got
	kept.Revision = 0
	if diff := cmp.Diff(h, kept); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if all, err := s.Handoffs(t.Context()); err != nil || len(all) != 2 {
		t.Errorf("all: %+v, %v", all, err)
	}
	if err := s.Commit(t.Context(), store.Change{PutHandoffs: []provisioner.Handoff{h}}); !errors.Is(err, store.ErrConflict) {
		t.Errorf("one that was changed since: %v", err)
	}
}
