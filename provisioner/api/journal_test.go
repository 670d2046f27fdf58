package api_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/store"
)

// TestAJournalBeginsWithWhatTheHostWasBefore joins a listed host with two that
// were seen, as the engine does, and reads its journal.
func TestAJournalBeginsWithWhatTheHostWasBefore(t *testing.T) {
	s := newSite(t)
	id := provisioner.HostID(s.imports("serial\nS1\n").Added[0])
	at := time.Date(2026, 5, 4, 9, 0, 0, 0, time.UTC)
	for i, seen := range []provisioner.HostID{"h-late", "h-early"} {
		h := provisioner.Host{ID: seen, Status: provisioner.Status{Phase: provisioner.Unknown, Why: "Seen."}}
		entry := provisioner.Entry{Host: seen, At: at.Add(-time.Duration(i) * time.Minute), Kind: provisioner.EntryFact, Text: "Seen as " + string(seen) + ".", By: "boot plane"}
		if err := s.Store.Commit(t.Context(), store.Change{Put: []provisioner.Host{h}, Entries: []provisioner.Entry{entry}}); err != nil {
			t.Fatal(err)
		}
		h, err := s.Store.Host(t.Context(), seen)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Store.Commit(t.Context(), store.Change{Delete: []provisioner.Host{h}}); err != nil {
			t.Fatal(err)
		}
	}
	s.edit(string(id), func(h *provisioner.Host) { h.Aliases = []provisioner.HostID{"h-late", "h-early"} })
	for after, want := range map[string][]string{
		"":  {"h-early 1 Seen as h-early.", "h-late 1 Seen as h-late.", fmt.Sprintf("%s 1 Listed in order plant7 (line 2).", id)},
		"1": nil,
	} {
		entries, err := s.Journal(t.Context(), "S1", after)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range entries {
			got = append(got, fmt.Sprintf("%s %d %s", e.Host, e.Seq, e.Text))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("after %q (-want +got):\n%s", after, diff)
		}
	}
}
