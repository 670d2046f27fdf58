package boltstore_test

import (
	"testing"

	"github.com/muster-boot/muster/provisioner/store"
	"github.com/muster-boot/muster/provisioner/store/boltstore"
	"github.com/muster-boot/muster/provisioner/store/storetest"
)

func TestItKeepsTheContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Engine { return open(t, t.TempDir(), boltstore.Options{}) })
}

func open(t *testing.T, dir string, o boltstore.Options) *boltstore.Engine {
	t.Helper()
	e, err := boltstore.Open(t.Context(), dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}
