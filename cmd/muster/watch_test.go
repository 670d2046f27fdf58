package main

import (
	"context"
	"encoding/json"
	"io"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/api"
	"github.com/muster-boot/muster/provisioner/api/apitest"
	v1 "github.com/muster-boot/muster/provisioner/api/v1"
	"github.com/muster-boot/muster/provisioner/store"
)

// move writes a host's next phase, with its entry, as the engine does.
func move(ctx context.Context, t *testing.T, site *apitest.Site, id provisioner.HostID, to provisioner.Phase) {
	t.Helper()
	_, err := site.Store.Change(ctx, id, func(h *provisioner.Host) ([]provisioner.Entry, error) {
		h.Status.Phase, h.Status.Why = to, "Now "+string(to)+"."
		return []provisioner.Entry{{Host: id, Kind: provisioner.EntryMove, Phase: to, Text: h.Status.Why, By: "engine"}}, nil
	})
	if err != nil && ctx.Err() == nil {
		t.Error(err)
	}
}

func TestAWatchPrintsWhatHappensAndEndsWithItsHost(t *testing.T) {
	site, err := apitest.Start(t.TempDir(), func(*api.Options) {})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := site.Close(); err != nil {
			t.Error(err)
		}
	}()
	host := provisioner.Host{ID: "h-1", Status: provisioner.Status{Phase: provisioner.Installing, Why: "Installing."}}
	if err := site.Store.Commit(t.Context(), store.Change{Put: []provisioner.Host{host}}); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		end  provisioner.Phase
		code int
	}{{provisioner.Registered, exitDone}, {provisioner.Quarantined, exitNo}} {
		move(t.Context(), t, site, "h-1", provisioner.Installing)
		out, printed := io.Pipe()
		printing, stopMoving := context.WithCancel(t.Context())
		var g errgroup.Group
		g.Go(func() error { // nobody tells when the watch listens: move until it prints
			for printing.Err() == nil {
				move(printing, t, site, "h-1", provisioner.Verifying)
			}
			move(t.Context(), t, site, "h-1", tc.end)
			return nil
		})
		var last v1.Event
		g.Go(func() error {
			defer stopMoving()
			dec := json.NewDecoder(out)
			for {
				if err := dec.Decode(&last); err == io.EOF {
					return nil
				} else if err != nil {
					return err
				}
				stopMoving()
			}
		})
		var complaints strings.Builder
		s := &session{out: printed, err: &complaints}
		code := s.run(t.Context(), []string{"host", "watch", "--wait", "h-1", "-o", "json", "--server", site.Socket})
		if err := printed.Close(); err != nil {
			t.Error(err)
		}
		if err := g.Wait(); err != nil {
			t.Error(err)
		}
		if code != tc.code || last.Entry.Phase != string(tc.end) || complaints.String() != "" {
			t.Errorf("exit code %d at %q, said %q", code, last.Entry.Phase, complaints.String())
		}
	}
}
