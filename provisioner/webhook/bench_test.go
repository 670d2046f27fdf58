package webhook

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/store"
	"github.com/muster-boot/muster/provisioner/store/boltstore"
)

// BenchmarkCatchUp is the look at all hosts at a server's start: 10,000 hosts
// with 20 entries each, of which none is due.
func BenchmarkCatchUp(b *testing.B) {
	const hosts, entries = 10_000, 20
	kv, err := boltstore.Open(b.Context(), b.TempDir(), boltstore.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer kv.Close()
	s := store.New(kv, time.Now)
	var c store.Change
	for n := range hosts {
		h := provisioner.Host{ID: provisioner.HostID(fmt.Sprintf("h-%05d", n)), Status: provisioner.Status{Phase: provisioner.Registered}}
		c.Put = append(c.Put, h)
		for range entries {
			c.Entries = append(c.Entries, provisioner.Entry{Host: h.ID, Kind: provisioner.EntryMove, Text: "x"})
		}
	}
	if err := s.CommitParts(b.Context(), c); err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	m := store.NewMirror(s)
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx) }()
	<-m.Ready()
	out, err := New(Options{Store: s, Mirror: m, Log: zerolog.Nop(),
		Hooks: []Hook{{Name: "a", URL: "https://x/", Secret: []byte(secret)}, {Name: "b", URL: "https://x/", Secret: []byte(secret)}}})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := out.catchUp(ctx); err != nil {
			b.Fatal(err)
		}
	}
	cancel()
	if err := <-done; err != nil {
		b.Fatal(err)
	}
}
