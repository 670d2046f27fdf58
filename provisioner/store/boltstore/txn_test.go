package boltstore

import (
	"context"
	"errors"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/muster-boot/muster/provisioner/store"
)

func TestACallerThatGivesUpInTheQueueHasWrittenNothing(t *testing.T) {
	e, err := Open(t.Context(), t.TempDir(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var g errgroup.Group
	e.turn <- struct{}{}
	for key, ctx := range map[string]context.Context{"stays": t.Context(), "goes": ctx} {
		g.Go(func() error {
			_, err := e.Txn(ctx, nil, []store.Op{store.Put(key, nil)})
			if key == "goes" && errors.Is(err, context.Canceled) {
				<-e.turn // the other may have its turn now
				return nil
			}
			return err
		})
	}
	cancel()
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	items, _, err := e.List(t.Context(), store.Query{})
	if err != nil || len(items) != 1 || items[0].Key != "stays" {
		t.Errorf("items %v, error %v: want the one whose caller stayed", items, err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
}
