package store_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/store"
)

// prepared is a host of whose attempt there is a rendering.
func prepared(id string, a provisioner.AttemptID) (provisioner.Host, store.Rendering) {
	h := host(id)
	h.Facts.Prepared = &provisioner.Prepared{Attempt: a, Way: provisioner.WayNetboot}
	return h, store.Rendering{Attempt: a, Sealed: []byte("sealed of " + id)}
}

func wantRendering(t *testing.T, s *store.Store, a provisioner.AttemptID, want string) {
	t.Helper()
	got, err := s.Rendering(t.Context(), a)
	if want == "" {
		wantKind(t, err, provisioner.NotFound)
		return
	}
	if err != nil || string(got) != want {
		t.Errorf("%s: %q, %v; want %q", a, got, err, want)
	}
}

func TestAnAttemptIsRenderedOnceAndTogetherWithItsHost(t *testing.T) {
	s := openStore(t)
	h, r := prepared("h-1", "a-1")
	commit(t, s, store.Change{Put: []provisioner.Host{h}, PutRenderings: []store.Rendering{r}})
	wantRendering(t, s, "a-1", "sealed of h-1")

	h = read(t, s, "h-1")
	h.Status.Why = "changed"
	second := store.Rendering{Attempt: "a-1", Sealed: []byte("another")}
	err := s.Commit(t.Context(), store.Change{Put: []provisioner.Host{h}, PutRenderings: []store.Rendering{second}})
	if !errors.Is(err, store.ErrConflict) || read(t, s, "h-1").Status.Why == "changed" {
		t.Errorf("rendered twice: %v", err)
	}
	wantRendering(t, s, "a-1", "sealed of h-1")

	stale, other := prepared("h-1", "a-2")
	err = s.Commit(t.Context(), store.Change{Put: []provisioner.Host{stale}, PutRenderings: []store.Rendering{other}})
	if !errors.Is(err, store.ErrConflict) {
		t.Errorf("a host that was changed since: %v", err)
	}
	wantRendering(t, s, "a-2", "")
}

func TestARenderingIsDroppedWithItsHostOrByName(t *testing.T) {
	s := openStore(t)
	one, r1 := prepared("h-1", "a-1")
	two, r2 := prepared("h-2", "a-2")
	commit(t, s, store.Change{Put: []provisioner.Host{one, two}, PutRenderings: []store.Rendering{r1, r2}})
	commit(t, s, store.Change{Delete: []provisioner.Host{read(t, s, "h-1")}})
	wantRendering(t, s, "a-1", "")
	wantRendering(t, s, "a-2", "sealed of h-2")
	for range 2 { // again is no mistake
		commit(t, s, store.Change{DropRenderings: []provisioner.AttemptID{"a-2"}})
		wantRendering(t, s, "a-2", "")
	}
}

func TestARenderingStaysWithTheHostThatTakesItsAttemptOver(t *testing.T) {
	s := openStore(t)
	seen, r := prepared("h-1", "a-1")
	commit(t, s, store.Change{Put: []provisioner.Host{seen, host("h-2")}, PutRenderings: []store.Rendering{r}})
	row := read(t, s, "h-2")
	row.Facts = read(t, s, "h-1").Facts
	commit(t, s, store.Change{Put: []provisioner.Host{row}, Delete: []provisioner.Host{read(t, s, "h-1")}})
	wantRendering(t, s, "a-1", "sealed of h-1")
}

func TestARenderingThatIsTooLargeIsRefused(t *testing.T) {
	s := openStore(t)
	r := store.Rendering{Attempt: "a-1", Sealed: bytes.Repeat([]byte("x"), store.MaxValue+1)}
	wantKind(t, s.Commit(t.Context(), store.Change{PutRenderings: []store.Rendering{r}}), provisioner.Invalid)
}
