package store_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/store"
)

const ttl = 15 * time.Second

func acquire(t *testing.T, s *store.Store, holder string) *store.Lease {
	t.Helper()
	l, err := s.Acquire(t.Context(), "engine", holder, ttl)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// since runs f and returns how long it took by the bubble's clock.
func since(f func()) time.Duration {
	start := time.Now()
	f()
	return time.Since(start)
}

func TestALeaseChangesHandsWhenItsHolderIsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openStore(t)
		first := acquire(t, s, "a")
		if waited := since(func() { acquire(t, s, "b") }); waited != ttl {
			t.Errorf("the lease changed hands after %s, want %s", waited, ttl)
		}
		if err := s.Renew(t.Context(), first); !errors.Is(err, store.ErrDeposed) {
			t.Errorf("renew: error %v, want ErrDeposed", err)
		}
		if err := s.Release(t.Context(), first); !errors.Is(err, store.ErrDeposed) {
			t.Errorf("release: error %v, want ErrDeposed", err)
		}
	})
}

func TestARenewedLeaseStaysWhereItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openStore(t)
		first := acquire(t, s, "a")
		var g errgroup.Group
		g.Go(func() error {
			for range 4 {
				<-time.After(ttl / 3)
				if err := s.Renew(t.Context(), first); err != nil {
					return err
				}
			}
			return nil
		})
		if waited, want := since(func() { acquire(t, s, "b") }), 4*(ttl/3)+ttl; waited != want {
			t.Errorf("the lease changed hands after %s, want %s", waited, want)
		}
		if err := g.Wait(); err != nil {
			t.Error(err)
		}
	})
}

func TestALostHistoryIsNoSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := store.New(&forgetful{Engine: openEngine(t), lost: 1}, time.Now)
		acquire(t, s, "a")
		if waited := since(func() { acquire(t, s, "b") }); waited != ttl {
			t.Errorf("the lease changed hands after %s, want %s", waited, ttl)
		}
	})
}

func TestAFreeLeaseIsTakenAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openStore(t)
		waited := since(func() {
			acquire(t, s, "a")
			again := acquire(t, s, "a") // as after a crash
			if err := s.Release(t.Context(), again); err != nil {
				t.Fatal(err)
			}
			acquire(t, s, "b")
		})
		if waited != 0 {
			t.Errorf("it took %s, want no time", waited)
		}
	})
}

func TestARaceForALeaseHasOneWinner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openStore(t)
		won := make(chan string, 3)
		var g errgroup.Group
		for _, holder := range []string{"a", "b", "c"} {
			g.Go(func() error {
				l, err := s.Acquire(t.Context(), "engine", holder, ttl)
				if err != nil {
					return err
				}
				won <- holder
				<-time.After(time.Second)
				return s.Release(t.Context(), l)
			})
		}
		for range 3 {
			<-won
			synctest.Wait()
			if len(won) > 0 {
				t.Error("two hold the lease at once")
			}
		}
		if err := g.Wait(); err != nil {
			t.Error(err)
		}
	})
}

func TestADeposedHolderCommitsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openStore(t)
		first := acquire(t, s, "a")
		commit(t, s, store.Change{Put: []provisioner.Host{host("h-1")}, Guard: first})
		if err := s.Renew(t.Context(), first); err != nil {
			t.Fatal(err)
		}
		commit(t, s, store.Change{Put: []provisioner.Host{host("h-2")}, Guard: first}) // renewing disturbs nothing

		second := acquire(t, s, "b")
		err := s.Commit(t.Context(), store.Change{Put: []provisioner.Host{host("h-3")}, Guard: first})
		if !errors.Is(err, store.ErrDeposed) || errors.Is(err, store.ErrConflict) {
			t.Errorf("the former holder's commit: error %v, want ErrDeposed", err)
		}
		err = s.Commit(t.Context(), store.Change{Put: []provisioner.Host{host("h-1")}, Guard: second})
		if !errors.Is(err, store.ErrConflict) {
			t.Errorf("the holder's commit of something older: error %v, want ErrConflict", err)
		}
		commit(t, s, store.Change{Put: []provisioner.Host{host("h-4")}, Guard: second})
	})
}
