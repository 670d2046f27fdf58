package main

import (
	"context"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"

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
	}{{provisioner.Registered, exitDone}, {provisioner.Shipped, exitDone}, {provisioner.Quarantined, exitNo}} {
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

// watching runs a watch until its end, and closes printed at its first event.
func watching(ctx context.Context, socket string) (printed <-chan struct{}, end func() (code int, events []v1.Event, said string)) {
	out, in := io.Pipe()
	first := make(chan struct{})
	var g errgroup.Group
	var events []v1.Event
	g.Go(func() error {
		dec := json.NewDecoder(out)
		for {
			var ev v1.Event
			if err := dec.Decode(&ev); err == io.EOF {
				return nil
			} else if err != nil {
				return err
			}
			if events = append(events, ev); len(events) == 1 {
				close(first)
			}
		}
	})
	code, complaints := 0, &strings.Builder{}
	g.Go(func() error {
		s := &session{out: in, err: complaints}
		code = s.run(ctx, []string{"host", "watch", "--wait", "h-1", "-o", "json", "--server", socket})
		return in.Close()
	})
	return first, func() (int, []v1.Event, string) {
		if err := g.Wait(); err != nil {
			return -1, events, err.Error()
		}
		return code, events, complaints.String()
	}
}

// until moves a host to and fro until something is printed: nobody tells when a
// watch listens.
func until(t *testing.T, site *apitest.Site, printed <-chan struct{}) {
	t.Helper()
	for {
		select {
		case <-printed:
			return
		default:
			move(t.Context(), t, site, "h-1", provisioner.Verifying)
		}
	}
}

func TestAWatchGoesOnWhenItsServerComesBack(t *testing.T) {
	dir := t.TempDir()
	site, err := apitest.Start(dir, func(*api.Options) {})
	if err != nil {
		t.Fatal(err)
	}
	host := provisioner.Host{ID: "h-1", Status: provisioner.Status{Phase: provisioner.Installing, Why: "Installing."}}
	if err := site.Store.Commit(t.Context(), store.Change{Put: []provisioner.Host{host}}); err != nil {
		t.Fatal(err)
	}
	printed, end := watching(t.Context(), site.Socket)
	until(t, site, printed)
	if err := site.Close(); err != nil {
		t.Fatal(err)
	}
	if site, err = apitest.Start(dir, func(*api.Options) {}); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := site.Close(); err != nil {
			t.Error(err)
		}
	}()
	move(t.Context(), t, site, "h-1", provisioner.Installed)
	move(t.Context(), t, site, "h-1", provisioner.Registered)
	code, events, said := end()
	phases := map[string]int{}
	for _, ev := range events {
		phases[ev.Entry.Phase]++
	}
	if code != exitDone || phases["installed"] != 1 || phases["registered"] != 1 || strings.Count(said, "the server went away") != 1 {
		t.Errorf("exit code %d, events of phases %v, said %q", code, phases, said)
	}
}

func TestAWatchWaitsForItsServerFromWhenItWentAway(t *testing.T) {
	start := time.Date(2026, 5, 4, 9, 0, 0, 0, time.UTC)
	var to contact
	if to.lost(start) {
		t.Error("it waits for a server that never was there")
	}
	to.opened()
	day := start.Add(24 * time.Hour) // of watching
	for _, c := range []struct {
		after time.Duration
		wait  bool
	}{{0, true}, {watchLimit, true}, {watchLimit + time.Second, false}} {
		if wait := to.lost(day.Add(c.after)); wait != c.wait {
			t.Errorf("%s after the server went away it waits on: %v", c.after, wait)
		}
	}
}

func TestAWatchWaitsForWhatWasJustAskedFor(t *testing.T) {
	site, err := apitest.Start(t.TempDir(), func(*api.Options) {})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := site.Close(); err != nil {
			t.Error(err)
		}
	}()
	host := provisioner.Host{ID: "h-1", Status: provisioner.Status{Phase: provisioner.Failed, Why: "Lost."}}
	host.Intent.Requests.Retry = 1
	if err := site.Store.Commit(t.Context(), store.Change{Put: []provisioner.Host{host}}); err != nil {
		t.Fatal(err)
	}
	printed, end := watching(t.Context(), site.Socket)
	until(t, site, printed)
	move(t.Context(), t, site, "h-1", provisioner.Registered)
	code, events, said := end()
	for _, ev := range events {
		if ev.Entry.Phase == string(provisioner.Failed) || ev.Entry.Phase == "" {
			t.Errorf("it printed a state of before: %+v", ev)
		}
	}
	if code != exitDone || said != "" {
		t.Errorf("exit code %d, said %q", code, said)
	}
}
