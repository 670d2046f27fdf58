package boltstore_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/muster-boot/muster/provisioner/store"
	"github.com/muster-boot/muster/provisioner/store/boltstore"
)

// keepAll is a history that is never trimmed.
var keepAll = boltstore.Options{History: math.MaxUint64}

// ack is what the child says after a transaction: this key has this revision.
type ack struct {
	key      string
	revision uint64
}

// writeForEver is the child that is killed: some writers, each with a counter
// of its own and one key for each count, all in the same transaction.
func writeForEver(ctx context.Context, dir string) error {
	e, err := boltstore.Open(ctx, dir, keepAll)
	if err != nil {
		return err
	}
	var g errgroup.Group
	for w := range 4 {
		g.Go(func() error { return count(ctx, e, fmt.Sprint("counter/", w), fmt.Sprint("count/", w)) })
	}
	return g.Wait()
}

func count(ctx context.Context, e store.Engine, counter, prefix string) error {
	at, err := e.Get(ctx, counter)
	if err != nil {
		return err
	}
	n, _ := strconv.Atoi(string(at.Value)) // absent: 0
	for revision := at.Revision; ; {
		n++
		key := fmt.Sprintf("%s/%06d", prefix, n)
		revision, err = e.Txn(ctx,
			[]store.Cond{{Key: counter, Revision: revision}, {Key: key}},
			[]store.Op{store.Put(counter, []byte(strconv.Itoa(n))), store.Put(key, make([]byte, 700))})
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintln(os.Stdout, key, revision); err != nil {
			return err
		}
	}
}

func TestWhatWasAcknowledgedSurvivesSIGKILL(t *testing.T) {
	dir := t.TempDir()
	var acks []ack
	for round := range 6 {
		acks = append(acks, runAndKill(t, dir, 40+37*round)...)
		checkSurvived(t, dir, acks)
	}
}

// runAndKill lets the child write until it has acknowledged n transactions,
// kills it, and returns all that it acknowledged.
func runAndKill(t *testing.T, dir string, n int) []ack {
	t.Helper()
	cmd := child(t, "write", dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var acks []ack
	lines := bufio.NewReader(out)
	for {
		var a ack
		_, err := fmt.Fscanln(lines, &a.key, &a.revision)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			break // a line cut short is one that nobody was told
		}
		if err != nil {
			t.Fatal(err)
		}
		acks = append(acks, a)
		if len(acks) == n {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil || len(acks) < n {
		t.Fatalf("the child ended by itself after %d transactions", len(acks))
	}
	return acks
}

func checkSurvived(t *testing.T, dir string, acks []ack) {
	t.Helper()
	e, err := boltstore.Open(t.Context(), dir, keepAll)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}()
	items, newest, err := e.List(t.Context(), store.Query{})
	if err != nil {
		t.Fatal(err)
	}
	at := map[string]uint64{}
	for _, i := range items {
		at[i.Key] = i.Revision
	}
	for _, a := range acks {
		if at[a.key] != a.revision {
			t.Fatalf("%s was acknowledged at revision %d and is at %d", a.key, a.revision, at[a.key])
		}
	}
	checkLog(t, e, at, newest)
}

// checkLog replays the whole log: no revision is missing, and it ends in what
// the store holds.
func checkLog(t *testing.T, e store.Engine, want map[string]uint64, newest uint64) {
	t.Helper()
	last := uint64(0)
	at := map[string]uint64{}
	done := errors.New("done")
	err := e.Watch(t.Context(), "", 0, func(b store.Batch) error {
		if b.Revision != last+1 {
			t.Fatalf("revision %d follows %d", b.Revision, last)
		}
		last = b.Revision
		for _, ev := range b.Events {
			at[ev.Key] = b.Revision
		}
		if b.Revision == newest {
			return done
		}
		return nil
	})
	if !errors.Is(err, done) {
		t.Fatal(err)
	}
	for key, revision := range want {
		if at[key] != revision {
			t.Fatalf("%s is at revision %d and was last logged at %d", key, revision, at[key])
		}
	}
}
