package storetest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/muster-boot/muster/provisioner/store"
)

const (
	writers = 8
	writes  = 25 // of each writer
)

func increments(t *testing.T, e store.Engine) {
	var g errgroup.Group
	for range writers {
		g.Go(func() error {
			for range writes {
				if err := increment(t.Context(), e, "n"); err != nil {
					return err
				}
			}
			return nil
		})
	}
	check(t, g.Wait())
	got, err := e.Get(t.Context(), "n")
	check(t, err)
	equal(t, strconv.Itoa(writers*writes), string(got.Value))
}

func increment(ctx context.Context, e store.Engine, key string) error {
	for {
		old, err := e.Get(ctx, key)
		if err != nil {
			return err
		}
		n, _ := strconv.Atoi(string(old.Value)) // an absent key counts as 0
		_, err = e.Txn(ctx, []store.Cond{{Key: key, Revision: old.Revision}}, []store.Op{put(key, strconv.Itoa(n+1))})
		if !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
}

// atomicity moves one unit at a time from x to y: a reader who saw half a
// transaction would count too few or too many.
func atomicity(t *testing.T, e store.Engine) {
	const total = 50
	txn(t, e, nil, put("x", strconv.Itoa(total)), put("y", "0"))
	var g errgroup.Group
	g.Go(func() error {
		for i := 1; i <= total; i++ {
			ops := []store.Op{put("x", strconv.Itoa(total-i)), put("y", strconv.Itoa(i))}
			if _, err := e.Txn(t.Context(), nil, ops); err != nil {
				return err
			}
		}
		return nil
	})
	for y := 0; y < total; {
		items := listed(t, e, "")
		x, err := strconv.Atoi(string(items[0].Value))
		check(t, err)
		y, err = strconv.Atoi(string(items[1].Value))
		check(t, err)
		if x+y != total || items[0].Revision != items[1].Revision {
			t.Fatalf("read x=%d at %d and y=%d at %d: half a transaction", x, items[0].Revision, y, items[1].Revision)
		}
	}
	check(t, g.Wait())
}

// event is one event as the tests compare it.
type event struct {
	Revision uint64
	Key      string
	Value    string
	Deleted  bool
}

var errEnough = errors.New("seen enough")

// collect watches until n events came.
func collect(t *testing.T, e store.Engine, prefix string, after uint64, n int) []event {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var got []event
	err := e.Watch(ctx, prefix, after, func(b store.Batch) error {
		if len(b.Events) == 0 {
			t.Errorf("the batch of revision %d is empty", b.Revision)
		}
		for _, ev := range b.Events {
			got = append(got, event{b.Revision, ev.Key, string(ev.Value), ev.Deleted})
		}
		if len(got) >= n {
			return errEnough
		}
		return nil
	})
	if !errors.Is(err, errEnough) {
		t.Fatalf("watch ended after %d of %d events: %v", len(got), n, err)
	}
	return got
}

func watchOrder(t *testing.T, e store.Engine) {
	var g errgroup.Group
	for w := range writers {
		g.Go(func() error {
			for i := range writes {
				if _, err := e.Txn(t.Context(), nil, []store.Op{put(fmt.Sprint("w/", w), strconv.Itoa(i))}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	got := collect(t, e, "w/", 0, writers*writes)
	check(t, g.Wait())
	next := map[string]int{}
	last := uint64(0)
	for _, ev := range got {
		if ev.Revision <= last {
			t.Fatalf("revision %d came after %d", ev.Revision, last)
		}
		last = ev.Revision
		if want := strconv.Itoa(next[ev.Key]); ev.Value != want {
			t.Fatalf("%s: got value %s, want %s", ev.Key, ev.Value, want)
		}
		next[ev.Key]++
	}
}

func watchResume(t *testing.T, e store.Engine) {
	for i := range 10 {
		txn(t, e, nil, put("k", strconv.Itoa(i)))
	}
	whole := collect(t, e, "", 0, 10)
	for i := 1; i < len(whole); i++ {
		equal(t, whole[i:], collect(t, e, "", whole[i-1].Revision, len(whole)-i))
	}
}

func watchBatch(t *testing.T, e store.Engine) {
	before := txn(t, e, nil, put("a/gone", "x"))
	revision := txn(t, e, nil, put("b/1", "no"), put("a/2", "two"), store.Delete("a/gone"), put("a/1", "one"))
	want := []store.Event{
		{Key: "a/1", Value: []byte("one")},
		{Key: "a/2", Value: []byte("two")},
		{Key: "a/gone", Deleted: true},
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	err := e.Watch(ctx, "a/", before, func(b store.Batch) error {
		equal(t, store.Batch{Revision: revision, Events: want}, b)
		return errEnough
	})
	if !errors.Is(err, errEnough) {
		t.Fatalf("watch: %v", err)
	}
}

func watchWaits(t *testing.T, e store.Engine) {
	last := txn(t, e, nil, put("a", "1"))
	var g errgroup.Group
	g.Go(func() error {
		_, err := e.Txn(t.Context(), nil, []store.Op{put("other", "x")})
		if err != nil {
			return err
		}
		_, err = e.Txn(t.Context(), nil, []store.Op{put("a", "2")})
		return err
	})
	got := collect(t, e, "a", last, 1)
	check(t, g.Wait())
	equal(t, "2", got[0].Value)
	equal(t, 1, len(got))
}

func watchEnds(t *testing.T, e store.Engine) {
	txn(t, e, nil, put("a", "1"))
	ctx, cancel := context.WithCancel(t.Context())
	calls := 0
	err := e.Watch(ctx, "", 0, func(store.Batch) error {
		calls++
		cancel() // it now waits for a change that never comes
		return nil
	})
	if !errors.Is(err, context.Canceled) || calls != 1 {
		t.Errorf("watch ended with %v after %d calls, want the context's error after 1", err, calls)
	}
	stop := errors.New("stop")
	if err := e.Watch(t.Context(), "", 0, func(store.Batch) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("watch ended with %v, want what its caller returned", err)
	}
}
