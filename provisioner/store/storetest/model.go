package storetest

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/muster-boot/muster/provisioner/store"
)

// world is what an engine should hold: a map, and the history of its changes.
// It lives under a prefix of its own, so that one engine serves all runs.
type world struct {
	t       *testing.T
	e       store.Engine
	prefix  string
	items   map[string]store.Item
	history []event
	start   uint64 // revision before the history
	newest  uint64
}

// model runs random transactions, lists and replays, and compares each answer
// with that of the map.
func model(t *testing.T, e store.Engine) {
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		run++
		_, revision, err := e.List(t.Context(), store.Query{Limit: 1})
		must(rt, err)
		w := &world{
			t: t, e: e, prefix: "run" + strings.Repeat("x", run) + "/",
			items: map[string]store.Item{}, start: revision, newest: revision,
		}
		rt.Repeat(map[string]func(*rapid.T){"txn": w.txn, "get": w.get, "list": w.list})
		w.replay(rt)
	})
}

func (w *world) key() *rapid.Generator[string] {
	return rapid.Map(rapid.SampledFrom([]string{"a", "b", "b/c", "bb", "d/e/f"}), func(k string) string { return w.prefix + k })
}

func (w *world) txn(t *rapid.T) {
	conds := rapid.SliceOfNDistinct(rapid.Custom(w.cond), 0, 2, func(c store.Cond) string { return c.Key }).Draw(t, "conds")
	ops := rapid.SliceOfNDistinct(rapid.Custom(w.op), 0, 3, func(o store.Op) string { return o.Key }).Draw(t, "ops")
	held := !slices.ContainsFunc(conds, func(c store.Cond) bool { return w.items[c.Key].Revision != c.Revision })

	revision, err := w.e.Txn(w.t.Context(), conds, ops)
	if !held {
		if !errors.Is(err, store.ErrConflict) {
			t.Fatalf("txn: error %v, want ErrConflict", err)
		}
		return
	}
	must(t, err)
	if !w.apply(ops, revision) {
		same(t, w.newest, revision)
		return
	}
	if revision <= w.newest {
		t.Fatalf("revision %d after %d: want it higher", revision, w.newest)
	}
	w.newest = revision
}

// cond draws a condition that holds about every other time.
func (w *world) cond(t *rapid.T) store.Cond {
	key := w.key().Draw(t, "key")
	if rapid.Bool().Draw(t, "true") {
		return store.Cond{Key: key, Revision: w.items[key].Revision}
	}
	return store.Cond{Key: key, Revision: rapid.SampledFrom([]uint64{0, w.start + 1, w.newest}).Draw(t, "revision")}
}

func (w *world) op(t *rapid.T) store.Op {
	key := w.key().Draw(t, "key")
	if rapid.Bool().Draw(t, "delete") {
		return store.Delete(key)
	}
	return put(key, rapid.StringN(0, 4, 16).Draw(t, "value"))
}

// apply does ops on the map and says whether they changed anything.
func (w *world) apply(ops []store.Op, revision uint64) (changed bool) {
	slices.SortFunc(ops, func(a, b store.Op) int { return strings.Compare(a.Key, b.Key) })
	for _, op := range ops {
		_, there := w.items[op.Key]
		switch {
		case !op.Delete:
			w.items[op.Key] = store.Item{Key: op.Key, Value: op.Value, Revision: revision}
		case there:
			delete(w.items, op.Key)
		default:
			continue
		}
		w.history = append(w.history, event{revision, op.Key, string(op.Value), op.Delete})
		changed = true
	}
	return changed
}

func (w *world) get(t *rapid.T) {
	key := w.key().Draw(t, "key")
	got, err := w.e.Get(w.t.Context(), key)
	must(t, err)
	same(t, string(w.items[key].Value), string(got.Value))
	same(t, w.items[key].Revision, got.Revision)
}

func (w *world) list(t *rapid.T) {
	q := store.Query{
		Prefix: w.prefix + rapid.SampledFrom([]string{"", "b", "b/", "z"}).Draw(t, "prefix"),
		After:  rapid.OneOf(rapid.Just(""), w.key()).Draw(t, "after"),
		Limit:  rapid.IntRange(0, 3).Draw(t, "limit"),
	}
	var want []string
	for _, key := range slices.Sorted(maps.Keys(w.items)) {
		if strings.HasPrefix(key, q.Prefix) && key > q.After && (q.Limit == 0 || len(want) < q.Limit) {
			want = append(want, key)
		}
	}
	got, revision, err := w.e.List(w.t.Context(), q)
	must(t, err)
	same(t, w.newest, revision)
	same(t, strings.Join(want, " "), strings.Join(keys(got), " "))
}

// replay watches from before the first change and compares the histories.
func (w *world) replay(t *rapid.T) {
	if len(w.history) == 0 {
		return
	}
	got := collect(w.t, w.e, w.prefix, w.start, len(w.history))
	if !slices.Equal(w.history, got) {
		t.Fatalf("the watch shows\n%v\nwant\n%v", got, w.history)
	}
}

func must(t *rapid.T, err error) {
	if err != nil {
		t.Fatal(err)
	}
}

func same[T comparable](t *rapid.T, want, got T) {
	if want != got {
		t.Fatalf("got %v, want %v", got, want)
	}
}
