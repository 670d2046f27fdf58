// Package storetest is the contract of [store.Engine] as tests: every engine
// passes [Run].
//
// It tests what any caller can see of one engine, and nothing of how it is
// kept: restarts, damage and full disks are each engine's own tests. Start at
// [Run].
package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/store"
)

// Run runs the suite. Each test calls open for an empty engine of its own,
// which open closes by t.Cleanup.
func Run(t *testing.T, open func(t *testing.T) store.Engine) {
	for name, test := range map[string]func(*testing.T, store.Engine){
		"a key that is not there has revision 0":        absentKey,
		"what was put is there under its revision":      putAndGet,
		"values are copied on the way in and out":       copies,
		"a list has the prefix in order at one time":    lists,
		"a list can be read in pages":                   pages,
		"a transaction needs all its conditions":        conditions,
		"changing nothing makes no revision":            nothing,
		"requests out of bounds change nothing":         bounds,
		"the largest transaction is taken":              largest,
		"concurrent increments are all counted":         increments,
		"readers see transactions whole":                atomicity,
		"watchers see every change in order":            watchOrder,
		"a watcher resumes where it left off":           watchResume,
		"a transaction is one batch under its prefix":   watchBatch,
		"a watcher waits for the next change":           watchWaits,
		"a watcher ends with its caller's error":        watchEnds,
		"a cancelled call changes nothing":              cancelled,
		"a closed engine says so":                       closes,
		"a deposed holder's transaction is not written": fencing,
		"a lease passes from a silent holder":           lease,
		"it behaves as a map does":                      model,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

// patience bounds what a test waits for; a suite that is well needs moments.
const patience = time.Minute

func absentKey(t *testing.T, e store.Engine) {
	got, err := e.Get(t.Context(), "a/b")
	check(t, err)
	equal(t, store.Item{Key: "a/b"}, got)
}

func putAndGet(t *testing.T, e store.Engine) {
	first := txn(t, e, nil, put("a", "1"))
	second := txn(t, e, nil, put("a", "2"), put("b", "3"))
	if first == 0 || second <= first {
		t.Fatalf("revisions %d, then %d: want them above 0 and rising", first, second)
	}
	equal(t, []store.Item{item("a", "2", second), item("b", "3", second)}, listed(t, e, ""))
	third := txn(t, e, nil, store.Delete("a"))
	if third <= second {
		t.Fatalf("revision %d after %d: want it higher", third, second)
	}
	equal(t, []store.Item{item("b", "3", second)}, listed(t, e, ""))
}

func copies(t *testing.T, e store.Engine) {
	want := strings.Repeat("m", 32<<10) // more than an engine keeps aside in a small buffer
	value := []byte(want)
	_, err := e.Txn(t.Context(), nil, []store.Op{store.Put("k", value)})
	check(t, err)
	clear(value)
	for range 2 {
		got, err := e.Get(t.Context(), "k")
		check(t, err)
		items := listed(t, e, "k")
		err = e.Watch(t.Context(), "", 0, func(b store.Batch) error {
			equal(t, want, string(b.Events[0].Value))
			clear(b.Events[0].Value)
			return errEnough
		})
		if !errors.Is(err, errEnough) {
			t.Fatal(err)
		}
		for _, item := range append(items, got) {
			equal(t, want, string(item.Value))
			clear(item.Value)
		}
	}
}

func lists(t *testing.T, e store.Engine) {
	txn(t, e, nil, put("a/1", "x"), put("a/10", "x"), put("a/2", "x"), put("b/1", "x"))
	last := txn(t, e, nil, put("c/1", "x"))
	items, revision, err := e.List(t.Context(), store.Query{Prefix: "a/"})
	check(t, err)
	equal(t, last, revision)
	equal(t, []string{"a/1", "a/10", "a/2"}, keys(items))
	equal(t, []string{"a/1", "a/10"}, keys(listed(t, e, "a/1")))
	equal(t, 0, len(listed(t, e, "d")))
}

func pages(t *testing.T, e store.Engine) {
	for i := range 7 {
		txn(t, e, nil, put(fmt.Sprintf("p/%d", i), "x"))
	}
	txn(t, e, nil, put("q/0", "x"))
	var got []string
	for after := ""; ; {
		page, _, err := e.List(t.Context(), store.Query{Prefix: "p/", After: after, Limit: 3})
		check(t, err)
		if len(page) > 3 {
			t.Fatalf("a page of 3 has %d items", len(page))
		}
		if len(page) == 0 {
			break
		}
		got = append(got, keys(page)...)
		after = got[len(got)-1]
	}
	equal(t, "p/0 p/1 p/2 p/3 p/4 p/5 p/6", strings.Join(got, " "))
}

func conditions(t *testing.T, e store.Engine) {
	a := txn(t, e, []store.Cond{{Key: "a"}}, put("a", "1"))
	b := txn(t, e, []store.Cond{{Key: "a", Revision: a}, {Key: "b"}}, put("b", "1"))
	for name, conds := range map[string][]store.Cond{
		"exists":         {{Key: "a"}},
		"older":          {{Key: "b", Revision: a}},
		"newer":          {{Key: "a", Revision: b}},
		"does not exist": {{Key: "c", Revision: a}},
		"one of two":     {{Key: "a", Revision: a}, {Key: "b", Revision: a}},
	} {
		_, err := e.Txn(t.Context(), conds, []store.Op{put("a", name), put("d", name), store.Delete("b")})
		if !errors.Is(err, store.ErrConflict) {
			t.Errorf("%s: error %v, want ErrConflict", name, err)
		}
	}
	equal(t, []store.Item{item("a", "1", a), item("b", "1", b)}, listed(t, e, ""))
	equal(t, b, txn(t, e, []store.Cond{{Key: "a", Revision: a}}))
}

func nothing(t *testing.T, e store.Engine) {
	last := txn(t, e, nil, put("a", "1"))
	equal(t, last, txn(t, e, nil, store.Delete("b")))
	equal(t, last, txn(t, e, nil))
	after := txn(t, e, nil, store.Delete("b"), put("a", "2"))
	equal(t, []event{{after, "a", "2", false}}, collect(t, e, "", last, 1))
}

func bounds(t *testing.T, e store.Engine) {
	many := make([]store.Op, store.MaxTxn+1)
	conds := make([]store.Cond, store.MaxTxn+1)
	for i := range many {
		many[i] = put(fmt.Sprint("k", i), "x")
		conds[i].Key = many[i].Key
	}
	large := strings.Repeat("x", store.MaxValue)
	for name, try := range map[string]struct {
		conds []store.Cond
		ops   []store.Op
	}{
		"too many operations": {nil, many},
		"too many conditions": {conds, many[:1]},
		"too large a value":   {nil, []store.Op{put("k", large+"x")}},
		"too large in all":    {nil, []store.Op{put("k", large), put("l", large)}},
		"key twice":           {nil, []store.Op{put("k", "1"), store.Delete("k")}},
		"empty key":           {nil, []store.Op{put("", "1")}},
		"empty word":          {nil, []store.Op{put("a//b", "1")}},
		"leading slash":       {nil, []store.Op{put("/a", "1")}},
		"trailing slash":      {nil, []store.Op{put("a/", "1")}},
		"blank in key":        {nil, []store.Op{put("a b", "1")}},
		"not ASCII":           {nil, []store.Op{put("ä", "1")}},
		"long key":            {nil, []store.Op{put(strings.Repeat("k", store.MaxKey+1), "1")}},
		"bad condition":       {[]store.Cond{{Key: "a/"}}, []store.Op{put("k", "1")}},
	} {
		if _, err := e.Txn(t.Context(), try.conds, try.ops); !errors.Is(err, store.ErrBounds) {
			t.Errorf("%s: error %v, want ErrBounds", name, err)
		}
	}
	equal(t, 0, len(listed(t, e, "")))
	if _, err := e.Get(t.Context(), "a/"); !errors.Is(err, store.ErrBounds) {
		t.Errorf("get of a bad key: error %v, want ErrBounds", err)
	}
}

func largest(t *testing.T, e store.Engine) {
	ops := make([]store.Op, store.MaxTxn)
	conds := make([]store.Cond, store.MaxTxn)
	for i := range ops {
		ops[i] = put(fmt.Sprintf("k/%03d", i), strings.Repeat("v", 9000))
		conds[i].Key = ops[i].Key
	}
	revision := txn(t, e, conds, ops...)
	txn(t, e, nil, put(strings.Repeat("k", store.MaxKey), strings.Repeat("v", store.MaxValue)))
	equal(t, store.MaxTxn, len(listed(t, e, "k/")))
	equal(t, store.MaxTxn, len(collect(t, e, "k/", revision-1, store.MaxTxn)))
}

func cancelled(t *testing.T, e store.Engine) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, get := e.Get(ctx, "a")
	_, _, list := e.List(ctx, store.Query{})
	_, write := e.Txn(ctx, nil, []store.Op{put("a", "1")})
	for _, err := range []error{get, list, write} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("error %v, want that of the context", err)
		}
	}
	equal(t, 0, len(listed(t, e, "")))
}

func closes(t *testing.T, e store.Engine) {
	txn(t, e, nil, put("a", "1"))
	watching := make(chan error, 1)
	seen := make(chan struct{})
	go func() {
		watching <- e.Watch(t.Context(), "", 0, func(store.Batch) error { close(seen); return nil })
	}()
	<-seen
	check(t, e.Close())
	check(t, e.Close())
	_, get := e.Get(t.Context(), "a")
	_, _, list := e.List(t.Context(), store.Query{})
	_, write := e.Txn(t.Context(), nil, []store.Op{put("a", "1")})
	for _, err := range []error{<-watching, get, list, write, e.Watch(t.Context(), "", 0, nil)} {
		if !errors.Is(err, store.ErrClosed) {
			t.Errorf("error %v, want ErrClosed", err)
		}
	}
}

// fencing is what leases stand on: whoever takes the lease rewrites its key,
// and so every transaction guarded by the key's former revision fails.
func fencing(t *testing.T, e store.Engine) {
	first := txn(t, e, []store.Cond{{Key: "leases/x"}}, put("leases/x", "a"))
	guard := []store.Cond{{Key: "leases/x", Revision: first}}
	txn(t, e, guard, put("data", "by a"))
	second := txn(t, e, guard, put("leases/x", "b"))
	if _, err := e.Txn(t.Context(), guard, []store.Op{put("data", "by a, late")}); !errors.Is(err, store.ErrConflict) {
		t.Errorf("the former holder's write: error %v, want ErrConflict", err)
	}
	txn(t, e, []store.Cond{{Key: "leases/x", Revision: second}}, put("data", "by b"))
	equal(t, "by b", string(listed(t, e, "data")[0].Value))
}

// lease is fencing as the store does it, with an engine's real clock and watch.
func lease(t *testing.T, e store.Engine) {
	s := store.New(e, time.Now)
	const ttl = 50 * time.Millisecond
	first, err := s.Acquire(t.Context(), "x", "a", ttl)
	check(t, err)
	start := time.Now()
	second, err := s.Acquire(t.Context(), "x", "b", ttl)
	check(t, err)
	if waited := time.Since(start); waited < ttl {
		t.Errorf("taken over after %s, before its time of %s", waited, ttl)
	}
	if err := s.Commit(t.Context(), change("late", first)); !errors.Is(err, store.ErrDeposed) {
		t.Errorf("the former holder's commit: error %v, want ErrDeposed", err)
	}
	check(t, s.Renew(t.Context(), second))
	check(t, s.Commit(t.Context(), change("h-1", second)))
}

func change(id provisioner.HostID, guard *store.Lease) store.Change {
	return store.Change{Put: []provisioner.Host{{ID: id}}, Guard: guard}
}

func put(key, value string) store.Op { return store.Put(key, []byte(value)) }

func item(key, value string, revision uint64) store.Item {
	return store.Item{Key: key, Value: []byte(value), Revision: revision}
}

func txn(t *testing.T, e store.Engine, conds []store.Cond, ops ...store.Op) uint64 {
	t.Helper()
	revision, err := e.Txn(t.Context(), conds, ops)
	check(t, err)
	return revision
}

func listed(t *testing.T, e store.Engine, prefix string) []store.Item {
	t.Helper()
	items, _, err := e.List(t.Context(), store.Query{Prefix: prefix})
	check(t, err)
	return items
}

func keys(items []store.Item) []string {
	var keys []string
	for _, i := range items {
		keys = append(keys, i.Key)
	}
	return keys
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func equal[T any](t *testing.T, want, got T) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("(-want +got)\n%s", diff)
	}
}
