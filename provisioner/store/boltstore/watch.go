package boltstore

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"

	bolt "go.etcd.io/bbolt"

	"github.com/muster-boot/muster/provisioner/store"
)

// A watcher reads the log in pieces of so many revisions and about so many
// bytes: no transaction stays open, and no more memory is used, while its
// caller is busy with one.
const (
	pieceRevisions = 256
	pieceBytes     = 4 << 20
)

// Watch implements [store.Engine].
func (e *Engine) Watch(ctx context.Context, prefix string, after uint64, each func(store.Batch) error) error {
	for {
		changed, closed := e.signal() // before reading, so that no change falls between
		if closed {
			return store.ErrClosed
		}
		batches, err := e.replay(after)
		if err != nil {
			return fmt.Errorf("watch %q after revision %d: %w", prefix, after, e.explain(err))
		}
		for _, b := range batches {
			if err := deliver(ctx, b, prefix, each); err != nil {
				return err
			}
			after = b.Revision
		}
		if len(batches) > 0 {
			continue
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		}
	}
}

func (e *Engine) signal() (changed <-chan struct{}, closed bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.changed, e.closed
}

// replay returns the next piece of the log.
func (e *Engine) replay(after uint64) (batches []store.Batch, err error) {
	err = e.db.View(func(tx *bolt.Tx) error {
		c := tx.Bucket(bucketLog).Cursor()
		if first, _ := c.First(); first != nil && binary.BigEndian.Uint64(first) > after+1 {
			return store.ErrCompacted
		}
		size := 0
		k, v := c.Seek(binary.BigEndian.AppendUint64(nil, after+1))
		for ; k != nil && len(batches) < pieceRevisions && size < pieceBytes; k, v = c.Next() {
			events, err := decodeEvents(v)
			if err != nil {
				return err
			}
			batches = append(batches, store.Batch{Revision: binary.BigEndian.Uint64(k), Events: events})
			size += len(v)
		}
		return nil
	})
	return batches, err
}

// deliver hands on what of b lies under prefix.
func deliver(ctx context.Context, b store.Batch, prefix string, each func(store.Batch) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	under := b.Events[:0]
	for _, ev := range b.Events {
		if strings.HasPrefix(ev.Key, prefix) {
			under = append(under, ev)
		}
	}
	if len(under) == 0 {
		return nil
	}
	return each(store.Batch{Revision: b.Revision, Events: under})
}
