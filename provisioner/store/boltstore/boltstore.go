// Package boltstore keeps a store in one file on the local disk, by bbolt.
//
// It serves one process: a second one is told who has the directory. It repairs
// nothing and throws nothing away: a file that it cannot read in full is left
// as it is. Start at [Open], then [Engine.Txn] and apply.
package boltstore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/muster-boot/muster/provisioner/store"
)

// FileName is the name of the file in its directory.
const FileName = "muster.db"

// Options are what may be left out; the zero value works.
type Options struct {
	// History is how many revisions are kept for watchers; 0 means 1024.
	History uint64
	// LockWait is how long another process is given to end; 0 means 2 s.
	LockWait time.Duration
}

const (
	defaultHistory  = 1024
	defaultLockWait = 2 * time.Second
)

// Engine is a [store.Engine] on one file.
type Engine struct {
	path    string
	history uint64
	db      *bolt.DB
	lock    *os.File

	turn chan struct{} // held by whoever writes to the file

	mu      sync.Mutex
	waiting []*request    // not yet taken by whoever writes
	changed chan struct{} // closed and replaced after each write
	closed  bool
}

var _ store.Engine = (*Engine)(nil)

// Open opens the store in dir, and makes both where they are missing. It
// reads the whole file once, so that a damaged one is found now and not in the
// middle of an install; nothing is written to a file that does not read well.
func Open(ctx context.Context, dir string, o Options) (*Engine, error) {
	if o.History == 0 {
		o.History = defaultHistory
	}
	if o.LockWait == 0 {
		o.LockWait = defaultLockWait
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the data directory: %w", err)
	}
	lock, err := lockDir(ctx, dir, o.LockWait)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, FileName)
	db, err := openFile(path)
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return &Engine{
		path: path, history: o.History, db: db, lock: lock,
		turn: make(chan struct{}, 1), changed: make(chan struct{}),
	}, nil
}

// Close implements [store.Engine]. It waits for calls that are at work.
func (e *Engine) Close() error {
	e.turn <- struct{}{}
	defer func() { <-e.turn }()

	e.mu.Lock()
	was := e.closed
	e.closed = true
	waiting := e.waiting
	e.waiting = nil
	e.mu.Unlock()
	if was {
		return nil
	}
	for _, r := range waiting {
		r.finish(0, store.ErrClosed)
	}
	e.wake()
	return errors.Join(e.db.Close(), e.lock.Close())
}

// Get implements [store.Engine].
func (e *Engine) Get(ctx context.Context, key string) (store.Item, error) {
	if err := errors.Join(ctx.Err(), store.CheckKey(key)); err != nil {
		return store.Item{}, fmt.Errorf("get %q: %w", key, err)
	}
	item := store.Item{Key: key}
	err := e.db.View(func(tx *bolt.Tx) error {
		v := tx.Bucket(bucketKV).Get([]byte(key))
		if v == nil {
			return nil
		}
		var err error
		item, err = decodeItem([]byte(key), v)
		return err
	})
	if err != nil {
		return store.Item{}, fmt.Errorf("get %q: %w", key, e.explain(err))
	}
	return item, nil
}

// List implements [store.Engine].
func (e *Engine) List(ctx context.Context, q store.Query) ([]store.Item, uint64, error) {
	if err := ctx.Err(); err != nil {
		return nil, 0, fmt.Errorf("list %q: %w", q.Prefix, err)
	}
	var items []store.Item
	var revision uint64
	err := e.db.View(func(tx *bolt.Tx) (err error) {
		revision = revisionOf(tx)
		items, err = list(ctx, tx.Bucket(bucketKV).Cursor(), q)
		return err
	})
	if err != nil {
		return nil, 0, fmt.Errorf("list %q: %w", q.Prefix, e.explain(err))
	}
	return items, revision, nil
}

func list(ctx context.Context, c *bolt.Cursor, q store.Query) ([]store.Item, error) {
	var items []store.Item
	for k, v := c.Seek([]byte(max(q.Prefix, q.After))); k != nil; k, v = c.Next() {
		if !strings.HasPrefix(string(k), q.Prefix) {
			break
		}
		if string(k) == q.After {
			continue
		}
		item, err := decodeItem(k, v)
		if err != nil {
			return nil, err
		}
		items = append(items, item)
		if len(items) == q.Limit {
			break
		}
		if len(items)%1024 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	return items, nil
}

// wake lets everybody who waits for a change look again.
func (e *Engine) wake() {
	e.mu.Lock()
	defer e.mu.Unlock()
	close(e.changed)
	e.changed = make(chan struct{})
}

// explain turns what bbolt or the system said into what a person can act on.
func (e *Engine) explain(err error) error {
	switch {
	case errors.Is(err, bolterrors.ErrDatabaseNotOpen):
		return store.ErrClosed
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("%w: nothing was changed; free some space where %s lies (%w)", store.ErrFull, e.path, err)
	}
	return err
}
