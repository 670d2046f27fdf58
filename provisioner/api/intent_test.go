package api_test

import (
	"context"
	"testing"

	"github.com/muster-boot/muster/inventory"
	"github.com/muster-boot/muster/provisioner"
	v1 "github.com/muster-boot/muster/provisioner/api/v1"
)

func TestApproveGivesADiscoveredHostTheOrdersIntent(t *testing.T) {
	s := newSite(t)
	s.imports("serial\nS1\n")
	s.put(provisioner.Host{
		ID:     "h-found",
		Status: provisioner.Status{Phase: provisioner.Discovered, Key: "scout-secret"},
		Facts: provisioner.Facts{
			Sighting: &provisioner.Sighting{MACs: []string{"52:54:00:00:00:09"}, Boot: provisioner.BootUEFI},
			Report: &provisioner.Report{Report: inventory.Report{
				System: inventory.System{Serial: "S9", UUID: "b6d5f8a2-53c8-4f2e-9b0a-0d9c51e3a7f1"},
				NICs:   []inventory.NIC{{MAC: "52:54:00:00:00:09"}, {MAC: "52:54:00:00:00:0a"}},
			}},
		},
	})
	h, err := s.Approve(t.Context(), "h-found", "plant7")
	if err != nil {
		t.Fatal(err)
	}
	if h.Order != "plant7" || h.Serial != "S9" || len(h.MACs) != 2 || h.Handoff != "callhome" {
		t.Errorf("host %+v", h)
	}
	_, err = s.Approve(t.Context(), "h-found", "plant7")
	refused(t, err, 409, "is in order plant7 already")
	_, err = s.Approve(t.Context(), "h-found", "nope")
	refused(t, err, 404, "nope")
}

func TestWishesFitThePhaseOrAreRefused(t *testing.T) {
	type act func(context.Context, string) (v1.Host, error)
	for _, tc := range []struct {
		verb  string
		phase provisioner.Phase
		ok    bool
	}{
		{"retry", provisioner.Failed, true}, {"retry", provisioner.Installing, true},
		{"retry", provisioner.Registered, false}, {"retry", provisioner.Quarantined, false}, {"retry", provisioner.Expected, false},
		{"release", provisioner.Quarantined, true}, {"release", provisioner.Ready, false},
		{"reinstall", provisioner.Registered, true}, {"reinstall", provisioner.Shipped, true}, {"retry", provisioner.Shipped, false}, {"reinstall", provisioner.Quarantined, true},
		{"reinstall", provisioner.Installing, false}, {"reinstall", provisioner.Expected, false},
	} {
		t.Run(tc.verb+" "+string(tc.phase), func(t *testing.T) {
			s := newSite(t)
			h := provisioner.Host{ID: "h-1", Status: provisioner.Status{Phase: tc.phase}}
			h.Intent.Image = "sha256:1"
			s.put(h)
			do := map[string]act{"retry": s.Retry, "release": s.Release, "reinstall": s.Reinstall}[tc.verb]
			_, err := do(t.Context(), "h-1")
			if tc.ok != (err == nil) {
				t.Errorf("error %v", err)
			}
			if !tc.ok {
				refused(t, err, 409, "host h-1 is "+string(tc.phase))
			}
			after, err := s.Store.Host(t.Context(), "h-1")
			if err != nil {
				t.Fatal(err)
			}
			asked := after.Intent.Requests.Retry + after.Intent.Requests.Release + after.Intent.Requests.Reinstall
			if (asked == 1) != tc.ok || int(after.Entries) != asked {
				t.Errorf("requests %+v, entries %d", after.Intent.Requests, after.Entries)
			}
		})
	}
}

func TestAHeldHostIsReleasedAndOnlyThen(t *testing.T) {
	s := newSite(t)
	h := provisioner.Host{ID: "h-1", Status: provisioner.Status{Phase: provisioner.Ready}}
	h.Intent.Image = "sha256:1"
	s.put(h)
	_, err := s.Hold(t.Context(), "h-1", " \n")
	refused(t, err, 422, "say why")
	if shape, err := s.Hold(t.Context(), "h-1", "fan rattles"); err != nil || shape.Hold != "fan rattles" {
		t.Errorf("held %+v, %v", shape, err)
	}
	_, err = s.Reinstall(t.Context(), "h-1")
	refused(t, err, 409, "is held (fan rattles): release it first")
	if _, err := s.Release(t.Context(), "h-1"); err != nil {
		t.Fatal(err)
	}
	after, err := s.Store.Host(t.Context(), "h-1")
	if err != nil {
		t.Fatal(err)
	}
	// It never came to quarantine, so no request may wait for the next one.
	if after.Intent.Hold != "" || after.Intent.Requests.Release != 0 {
		t.Errorf("intent %+v", after.Intent)
	}
}

func TestAHostAtWorkIsRemovedByForceOnlyAndItsJournalStays(t *testing.T) {
	s := newSite(t)
	id := s.imports("serial\nS1\n").Added[0]
	s.edit(id, func(h *provisioner.Host) { h.Status.Phase = provisioner.Installing })
	refused(t, s.Remove(t.Context(), "S1", false), 409, "is installing: wait, hold it first, or remove it by force")
	if err := s.Remove(t.Context(), "S1", true); err != nil {
		t.Fatal(err)
	}
	_, err := s.Host(t.Context(), "S1")
	refused(t, err, 404, `"S1"`)
	entries, err := s.Store.Journal(t.Context(), provisioner.HostID(id), 0, 0)
	if err != nil || len(entries) != 2 {
		t.Errorf("journal %+v, %v", entries, err)
	}
}

func TestWhyHasTheEndOfTheJournal(t *testing.T) {
	s := newSite(t)
	s.imports("serial\nS1\n")
	for range 30 {
		if _, err := s.Hold(t.Context(), "S1", "again"); err != nil {
			t.Fatal(err)
		}
	}
	why, err := s.Why(t.Context(), "S1")
	if err != nil || len(why.Recent) != 20 || why.Recent[19].Seq != 31 {
		t.Errorf("%d entries, %v", len(why.Recent), err)
	}
}
