package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Bounds that every engine keeps. They are etcd's defaults, or below them, so
// that what fits one engine fits all.
const (
	MaxKey      = 512       // bytes of one key
	MaxValue    = 1 << 20   // bytes of one value
	MaxTxn      = 128       // conditions, and operations, of one transaction (etcd --max-txn-ops)
	MaxTxnBytes = 1_250_000 // keys and values of one transaction (etcd --max-request-bytes is 1.5 MiB)
)

// Errors of an engine. They are wrapped; test with [errors.Is].
var (
	// ErrConflict says that a condition did not hold, and so nothing was written.
	ErrConflict = errors.New("somebody else changed it first")
	// ErrCompacted says that the changes asked for are no longer kept: list again.
	ErrCompacted = errors.New("those changes are no longer kept")
	// ErrBounds says that a request is larger than, or not of, what the contract allows.
	ErrBounds = errors.New("outside the bounds of the store")
	// ErrFull says that the disk has no space left, and so nothing was written.
	ErrFull = errors.New("no space left for the store")
	// ErrClosed says that the engine was closed.
	ErrClosed = errors.New("store is closed")
)

// Engine is a small linearizable key-value store. A change that a caller was
// told of is seen by every call that begins later, on every server.
//
// Keys are words joined by '/', as [CheckKey] wants them, in the order of their
// bytes. Every transaction that changes something gets a revision of its own,
// higher than all before it; revisions start above 0 and go on after a restart.
// Slices that come in are not kept, slices that go out belong to the caller.
// All methods may be called concurrently. A cancelled context ends a call with
// the context's error; a Txn ended so either happened whole or not at all.
type Engine interface {
	// Get returns the item of a key. A key that is not there is an Item with
	// Revision 0, as [Cond] has it, and no error.
	Get(ctx context.Context, key string) (Item, error)

	// List returns the items that q asks for in the order of their keys, all as
	// they were at the one revision returned with them.
	List(ctx context.Context, q Query) ([]Item, uint64, error)

	// Txn does all ops if all conds hold, else nothing and returns ErrConflict.
	// Ops name each key at most once. What it returns is durable: it survives
	// the loss of power. Deleting a key that is not there changes nothing; a Txn
	// that changes nothing returns the present revision.
	Txn(ctx context.Context, conds []Cond, ops []Op) (uint64, error)

	// Watch calls each for every transaction after the given revision that
	// changed a key with the prefix: in the order of revisions, once each, with
	// all its changes under the prefix. Keeping the revision of the last Batch
	// is enough to resume. It returns only with an error: that of each, that of
	// ctx, ErrClosed, or ErrCompacted where the engine no longer keeps what
	// followed the revision.
	Watch(ctx context.Context, prefix string, after uint64, each func(Batch) error) error

	// Close ends all calls, with ErrClosed where they have not happened.
	Close() error
}

// Item is one key and what it holds.
type Item struct {
	Key      string
	Value    []byte
	Revision uint64 // of the transaction that wrote it last; 0: there is no such key
}

// Query selects items. The zero value asks for all.
type Query struct {
	Prefix string // of the key, byte by byte: "a/b" also finds "a/bc"
	After  string // only keys that sort behind this one, to page on
	Limit  int    // at most so many; 0: no limit
}

// Cond is a condition of a transaction: the key was last written at this
// revision, or with 0 does not exist.
type Cond struct {
	Key      string
	Revision uint64
}

// Op is one operation of a transaction. Make it with [Put] or [Delete].
type Op struct {
	Key    string
	Value  []byte
	Delete bool
}

// Put sets key to value.
func Put(key string, value []byte) Op { return Op{Key: key, Value: value} }

// Delete removes key.
func Delete(key string) Op { return Op{Key: key, Delete: true} }

// Batch is what one transaction changed.
type Batch struct {
	Revision uint64
	Events   []Event // in the order of their keys
}

// Event is one change of one key.
type Event struct {
	Key     string
	Value   []byte // nil where Deleted
	Deleted bool
}

// CheckKey returns ErrBounds unless key is one or more words joined by single
// slashes, printable ASCII without blanks, and at most MaxKey bytes.
func CheckKey(key string) error {
	if len(key) > MaxKey {
		return fmt.Errorf("key of %d bytes: %w", len(key), ErrBounds)
	}
	for word := range strings.SplitSeq(key, "/") {
		if word == "" {
			return fmt.Errorf("key %q has an empty word: %w", key, ErrBounds)
		}
	}
	if strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return fmt.Errorf("key %q has a character that is not printable ASCII: %w", key, ErrBounds)
	}
	return nil
}

// CheckTxn returns ErrBounds unless the transaction is one that every engine
// takes. Engines call it first, so that all refuse the same.
func CheckTxn(conds []Cond, ops []Op) error {
	if len(conds) > MaxTxn || len(ops) > MaxTxn {
		return fmt.Errorf("transaction of %d conditions and %d operations: %w", len(conds), len(ops), ErrBounds)
	}
	size := 0
	for _, c := range conds {
		if err := CheckKey(c.Key); err != nil {
			return err
		}
		size += len(c.Key)
	}
	named := make(map[string]bool, len(ops))
	for _, op := range ops {
		if err := checkOp(op, named); err != nil {
			return err
		}
		size += len(op.Key) + len(op.Value)
	}
	if size > MaxTxnBytes {
		return fmt.Errorf("transaction of %d bytes: %w", size, ErrBounds)
	}
	return nil
}

func checkOp(op Op, named map[string]bool) error {
	if err := CheckKey(op.Key); err != nil {
		return err
	}
	if named[op.Key] {
		return fmt.Errorf("key %q is named twice in one transaction: %w", op.Key, ErrBounds)
	}
	named[op.Key] = true
	if len(op.Value) > MaxValue {
		return fmt.Errorf("value of %q has %d bytes: %w", op.Key, len(op.Value), ErrBounds)
	}
	return nil
}
