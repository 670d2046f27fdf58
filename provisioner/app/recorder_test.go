package app

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/evidence"
)

// recorder is one that keeps its records in data.
func (r *rig) recorder(t *testing.T, data string) *recorder {
	t.Helper()
	key, err := evidence.OpenKey(filepath.Join(data, "record-key"))
	if err != nil {
		t.Fatal(err)
	}
	shelf, err := evidence.OpenShelf(data, key)
	if err != nil {
		t.Fatal(err)
	}
	return &recorder{store: r.store, catalog: r.catalog, shelf: shelf, key: key, given: r.viewer().Preview}
}

// TestAHostThatShipsAgainIsReportedAsItLeftLast, and what was written when it
// left first stays as it was.
func TestAHostThatShipsAgainIsReportedAsItLeftLast(t *testing.T) {
	r, data := newRig(t), t.TempDir()
	rec := r.recorder(t, data)
	h := provisioner.Host{ID: "h-1", Intent: provisioner.Intent{Order: "o1", Ship: true}}
	h.Status.Phase = provisioner.Shipped
	var files []string
	for _, left := range []struct {
		attempt provisioner.AttemptID
		why     string
	}{{"a-1", "It left in May."}, {"a-2", "It came back and left in June."}} {
		h.Status.Attempt.ID, h.Status.Why = left.attempt, left.why
		written, err := rec.Record(t.Context(), h)
		if err != nil {
			t.Fatal(err)
		}
		h.Facts.Record = &written
		files = append(files, written.File)
		said(t, left.why)(rec.Report(t.Context(), h))
	}
	said(t, "It left in May.")(os.ReadFile(filepath.Join(data, files[0])))
}

// said holds that a record is signed and says why its host is where it is.
func said(t *testing.T, why string) func(text []byte, err error) {
	return func(text []byte, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if got, _, err := evidence.Check(text); err != nil || got.Host.Why != why {
			t.Errorf("it says %q, want %q: %v", got.Host.Why, why, err)
		}
	}
}
