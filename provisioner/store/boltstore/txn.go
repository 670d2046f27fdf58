package boltstore

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	bolt "go.etcd.io/bbolt"

	"github.com/muster-boot/muster/provisioner/store"
)

// maxGroup is how many transactions share one write to the disk.
const maxGroup = 128

// request is one Txn on its way to the disk.
type request struct {
	conds []store.Cond
	ops   []store.Op

	// revision and err are written before done is closed, by whoever writes.
	revision uint64
	err      error
	done     chan struct{}
}

func (r *request) finish(revision uint64, err error) {
	r.revision, r.err = revision, err
	close(r.done)
}

// Txn implements [store.Engine]. Syncing the disk is the price of a
// transaction, so callers that meet share it: whoever gets the turn writes
// what is waiting in one go, and the others find theirs done.
func (e *Engine) Txn(ctx context.Context, conds []store.Cond, ops []store.Op) (uint64, error) {
	if err := store.CheckTxn(conds, ops); err != nil {
		return 0, err
	}
	if err := ctx.Err(); err != nil {
		return 0, fmt.Errorf("write to the store: %w", err)
	}
	r := &request{conds: conds, ops: ops, done: make(chan struct{})}
	if !e.enqueue(r) {
		return 0, store.ErrClosed
	}
	select {
	case <-r.done:
	case e.turn <- struct{}{}:
		e.writeUntil(r)
		<-e.turn
	case <-ctx.Done():
		if e.withdraw(r) {
			return 0, fmt.Errorf("write to the store: %w", ctx.Err())
		}
		<-r.done // it is being written: the outcome is moments away and worth knowing
	}
	return r.revision, r.err
}

func (e *Engine) enqueue(r *request) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return false
	}
	e.waiting = append(e.waiting, r)
	return true
}

// withdraw takes r back; false means that somebody is writing it already.
func (e *Engine) withdraw(r *request) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	i := slices.Index(e.waiting, r)
	if i < 0 {
		return false
	}
	e.waiting = slices.Delete(e.waiting, i, i+1)
	return true
}

// writeUntil writes group after group until r is done. The caller has the turn.
func (e *Engine) writeUntil(r *request) {
	for {
		select {
		case <-r.done:
			return
		default:
			e.write(e.take())
		}
	}
}

func (e *Engine) take() []*request {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := min(len(e.waiting), maxGroup)
	group := slices.Clone(e.waiting[:n])
	e.waiting = slices.Delete(e.waiting, 0, n)
	return group
}

// write applies a group in one bbolt transaction and tells each its outcome.
// Where the disk fails, all fail alike: an outcome that rests on a neighbour
// which was not written is worth nothing.
func (e *Engine) write(group []*request) {
	type outcome struct {
		revision uint64
		err      error
	}
	outcomes := make([]outcome, len(group))
	err := e.db.Update(func(tx *bolt.Tx) error {
		for i, r := range group {
			revision, held, err := apply(tx, r.conds, r.ops, e.history)
			if err != nil {
				return err
			}
			outcomes[i].revision = revision
			if !held {
				outcomes[i].err = store.ErrConflict
			}
		}
		return nil
	})
	e.wake() // also after a failure: a sync that failed may have been written all the same
	for i, r := range group {
		switch {
		case err != nil:
			r.finish(0, fmt.Errorf("write to the store: %w", e.explain(err)))
		case outcomes[i].err != nil:
			r.finish(0, outcomes[i].err)
		default:
			r.finish(outcomes[i].revision, nil)
		}
	}
}

// apply does one transaction inside tx and returns the revision that it made,
// or the present one where nothing changed; held is whether its conditions did.
func apply(tx *bolt.Tx, conds []store.Cond, ops []store.Op, history uint64) (revision uint64, held bool, err error) {
	kv := tx.Bucket(bucketKV)
	revision = revisionOf(tx)
	for _, c := range conds {
		at, err := writtenAt(kv, c.Key)
		if err != nil {
			return 0, false, err
		}
		if at != c.Revision {
			return revision, false, nil
		}
	}
	events, err := put(kv, ops, revision+1)
	if err != nil || len(events) == 0 {
		return revision, true, err
	}
	return revision + 1, true, record(tx, revision+1, events, history)
}

// put performs ops and returns what they changed, in the order of keys.
func put(kv *bolt.Bucket, ops []store.Op, revision uint64) ([]store.Event, error) {
	ops = slices.SortedFunc(slices.Values(ops), func(a, b store.Op) int { return strings.Compare(a.Key, b.Key) })
	events := make([]store.Event, 0, len(ops))
	for _, op := range ops {
		key := []byte(op.Key)
		if !op.Delete {
			if err := kv.Put(key, encodeItem(op.Value, revision)); err != nil {
				return nil, fmt.Errorf("put %q: %w", op.Key, err)
			}
			events = append(events, store.Event{Key: op.Key, Value: op.Value})
			continue
		}
		if kv.Get(key) == nil {
			continue
		}
		if err := kv.Delete(key); err != nil {
			return nil, fmt.Errorf("delete %q: %w", op.Key, err)
		}
		events = append(events, store.Event{Key: op.Key, Deleted: true})
	}
	return events, nil
}

// record raises the store's revision and writes what it changed for watchers.
func record(tx *bolt.Tx, revision uint64, events []store.Event, history uint64) error {
	log := tx.Bucket(bucketLog)
	if err := log.Put(binary.BigEndian.AppendUint64(nil, revision), encodeEvents(events)); err != nil {
		return fmt.Errorf("log revision %d: %w", revision, err)
	}
	if err := tx.Bucket(bucketMeta).Put(keyRevision, binary.BigEndian.AppendUint64(nil, revision)); err != nil {
		return fmt.Errorf("raise the revision to %d: %w", revision, err)
	}
	return trim(log, revision, history)
}

// trimEvery is how many revisions go by between two trimmings, so that not every
// transaction has to touch both ends of the log.
const trimEvery = 64

// trim drops the revisions that lie further back than history.
func trim(log *bolt.Bucket, revision, history uint64) error {
	if revision%trimEvery != 0 || revision <= history {
		return nil
	}
	c := log.Cursor()
	for k, _ := c.First(); k != nil && binary.BigEndian.Uint64(k) <= revision-history; k, _ = c.First() {
		if err := c.Delete(); err != nil {
			return fmt.Errorf("trim the log: %w", err)
		}
	}
	return nil
}
