package boltstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/muster-boot/muster/provisioner/store"
	"github.com/muster-boot/muster/provisioner/store/boltstore"
)

func write(t *testing.T, e store.Engine, n int) (last uint64) {
	t.Helper()
	for i := range n {
		var err error
		if last, err = e.Txn(t.Context(), nil, []store.Op{store.Put(fmt.Sprintf("k/%04d", i), bytes.Repeat([]byte("v"), 900))}); err != nil {
			t.Fatal(err)
		}
	}
	return last
}

func TestAReopenedStoreGoesOnWhereItWas(t *testing.T) {
	dir := t.TempDir()
	e := open(t, dir, boltstore.Options{})
	last := write(t, e, 10)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	e = open(t, dir, boltstore.Options{})
	items, revision, err := e.List(t.Context(), store.Query{})
	if err != nil || len(items) != 10 || revision != last {
		t.Fatalf("%d items at revision %d, error %v; want 10 at %d", len(items), revision, err, last)
	}
	if got := write(t, e, 1); got != last+1 {
		t.Fatalf("the next revision is %d, want %d", got, last+1)
	}
	if got := replay(t, e, last-2, 3); got != nil {
		t.Fatalf("watching over the restart: %v", got)
	}
}

var errEnough = errors.New("seen enough")

// replay watches n revisions, each one above the last; nil is success.
func replay(t *testing.T, e store.Engine, after uint64, n int) error {
	t.Helper()
	err := e.Watch(t.Context(), "", after, func(b store.Batch) error {
		if after++; b.Revision != after {
			t.Fatalf("revision %d, want %d", b.Revision, after)
		}
		if n--; n == 0 {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

func TestOldHistoryIsCompacted(t *testing.T) {
	const history = 100
	e := open(t, t.TempDir(), boltstore.Options{History: history})
	last := write(t, e, 256) // the log is trimmed at every 64th revision
	if err := replay(t, e, last-history, history); err != nil {
		t.Errorf("watching the history that is kept: %v", err)
	}
	if err := replay(t, e, last-history-1, 1); !errors.Is(err, store.ErrCompacted) {
		t.Errorf("watching one revision more: error %v, want ErrCompacted", err)
	}
}

func TestAWatcherThatIsOvertakenIsTold(t *testing.T) {
	e := open(t, t.TempDir(), boltstore.Options{History: 10})
	write(t, e, 1)
	err := e.Watch(t.Context(), "", 0, func(store.Batch) error {
		write(t, e, 200)
		return nil
	})
	if !errors.Is(err, store.ErrCompacted) {
		t.Errorf("error %v, want ErrCompacted", err)
	}
}

func TestASecondMusterIsToldWhoHasTheDirectory(t *testing.T) {
	dir := t.TempDir()
	e := open(t, dir, boltstore.Options{})
	_, err := boltstore.Open(t.Context(), dir, boltstore.Options{LockWait: time.Millisecond})
	want := fmt.Sprintf("another muster uses %s (pid %d)", dir, os.Getpid())
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Fatalf("error %v, want %q in it", err, want)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, dir, boltstore.Options{LockWait: time.Millisecond})
}

func TestWaitingForTheDirectoryCanBeCancelled(t *testing.T) {
	dir := t.TempDir()
	open(t, dir, boltstore.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := boltstore.Open(ctx, dir, boltstore.Options{LockWait: time.Hour})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want the context's", err)
	}
}

func TestDamageIsNamedAndLeftAsItIs(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, boltstore.FileName)
	e := open(t, dir, boltstore.Options{})
	write(t, e, 500)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	page := os.Getpagesize()
	for name, bad := range map[string][]byte{
		"empty":                   {},
		"not a store":             bytes.Repeat([]byte("Lorem ipsum. "), 5000),
		"a few bytes":             good[:100],
		"cut off":                 good[:len(good)/2],
		"cut off after the heads": good[:2*page],
		"both heads overwritten":  append(make([]byte, 2*page), good[2*page:]...),
		"its middle overwritten":  append(append(bytes.Clone(good[:2*page]), bytes.Repeat([]byte{0xa5}, len(good)-4*page)...), good[len(good)-2*page:]...),
		"another program's":       foreign(t, func(tx *bolt.Tx) error { _, err := tx.CreateBucket([]byte("theirs")); return err }),
		"a later muster's":        foreign(t, laterFormat),
	} {
		t.Run(name, func(t *testing.T) {
			overwrite(t, path, bad)
			_, err := boltstore.Open(t.Context(), dir, boltstore.Options{})
			if err == nil || !strings.Contains(err.Error(), path+" is damaged or not muster's, and was left as it is") {
				t.Errorf("error %v, want a sentence about the damage", err)
			}
			now, err := os.ReadFile(path)
			if err != nil || !bytes.Equal(now, bad) {
				t.Errorf("the file was changed (%v)", err)
			}
			overwrite(t, path, good)
			e := open(t, dir, boltstore.Options{LockWait: time.Millisecond})
			if err := e.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func overwrite(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func foreign(t *testing.T, fill func(*bolt.Tx) error) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "foreign")
	db, err := bolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Update(fill), db.Close()); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func laterFormat(tx *bolt.Tx) error {
	for _, name := range []string{"kv", "log", "meta"} {
		if _, err := tx.CreateBucket([]byte(name)); err != nil {
			return err
		}
	}
	return tx.Bucket([]byte("meta")).Put([]byte("format"), []byte("muster store 2"))
}

func TestAHalfMadeFileIsMadeAgain(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, boltstore.FileName+".new"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	write(t, open(t, dir, boltstore.Options{}), 1)
}

func TestNobodyElseMayReadTheFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	open(t, dir, boltstore.Options{})
	for name, want := range map[string]os.FileMode{"": 0o700, boltstore.FileName: 0o600} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%q has mode %o, want %o: the store holds secrets", name, got, want)
		}
	}
}
