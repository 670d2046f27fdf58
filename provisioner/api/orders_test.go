package api_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/api"
	v1 "github.com/muster-boot/muster/provisioner/api/v1"
)

const twoRows = "name,serial,mac\nalpha,S1,52:54:00:00:00:01\nbeta,S2,52:54:00:00:00:02\n"

func TestAnImportMakesExpectedHosts(t *testing.T) {
	s := newSite(t)
	report := s.imports(twoRows)
	if len(report.Added) != 2 || report.Hosts != 2 || len(report.Warnings) != 0 {
		t.Errorf("report %+v", report)
	}
	h, err := s.Host(t.Context(), "alpha")
	if err != nil {
		t.Fatal(err)
	}
	if h.Phase != "expected" || h.Why != "Listed in order plant7, not seen yet." || h.NextEvidence == "" ||
		h.Order != "plant7" || h.Serial != "S1" || h.Profile != "edge-minimum" || h.Started {
		t.Errorf("host %+v", h)
	}
	journal, err := s.Journal(t.Context(), "S1", "")
	if err != nil || len(journal) != 1 || journal[0].Kind != "intent" || journal[0].By != "operator" {
		t.Errorf("journal %+v, %v", journal, err)
	}
}

func TestTheSameImportAgainChangesNothing(t *testing.T) {
	s := newSite(t)
	s.imports(twoRows)
	report := s.imports(twoRows)
	if len(report.Added)+len(report.Changed)+len(report.Removed)+len(report.Kept) != 0 {
		t.Errorf("report %+v", report)
	}
	journal, err := s.Journal(t.Context(), "alpha", "")
	if err != nil || len(journal) != 1 {
		t.Errorf("journal %+v, %v", journal, err)
	}
}

func TestAnImportAgainFollowsTheManifest(t *testing.T) {
	s := newSite(t)
	first := s.imports("name,serial,mac\nalpha,S1,\nbeta,S2,\ngamma,S3,\n")
	s.edit(first.Added[2], func(h *provisioner.Host) {
		h.Facts.Sighting = &provisioner.Sighting{MACs: []string{"52:54:00:00:00:03"}}
	})
	report := s.imports("name,serial,mac\nalpha,S1,52:54:00:00:00:01\ndelta,S4,\n")
	want := v1.Imported{Changed: first.Added[:1], Removed: first.Added[1:2], Kept: first.Added[2:]}
	got := v1.Imported{Changed: report.Changed, Removed: report.Removed, Kept: report.Kept}
	if diff := cmp.Diff(want, got); diff != "" || len(report.Added) != 1 {
		t.Errorf("added %v, -want +got:\n%s", report.Added, diff)
	}
	if diff := cmp.Diff([]string{"alpha", "delta", "gamma"}, s.names()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if !strings.Contains(report.Warnings[len(report.Warnings)-1].Text, "no longer listed but was seen") {
		t.Errorf("warnings %v", report.Warnings)
	}
}

func TestAHostAtWorkKeepsWhatItWasImportedWith(t *testing.T) {
	s := newSite(t)
	first := s.imports("name,serial\nalpha,S1\n")
	s.edit(first.Added[0], func(h *provisioner.Host) { h.Status.Phase = provisioner.Installing })
	report := s.imports("name,serial\nomega,S1\n")
	if len(report.Changed) != 0 || !strings.Contains(report.Warnings[len(report.Warnings)-1].Text, "is installing") {
		t.Errorf("report %+v", report)
	}
	if diff := cmp.Diff([]string{"alpha"}, s.names()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestAnImportNamesEverythingThatIsWrongAndTakesNothing(t *testing.T) {
	s := newSite(t)
	s.imports("name,serial\nalpha,S1\n")
	for _, tc := range []struct {
		name, order, csv string
		says             []string
	}{
		{"duplicated serial and bad MAC", order, "serial,mac\nS5,nonsense\nS6,\nS6,\n", []string{"manifest line 2, column mac", "manifest line 4, column serial"}},
		{"unknown profile", "name: p\nprofile: nope\n", twoRows, []string{`profile "nope"`}},
		{"unknown hand-off", "name: p\nprofile: edge-minimum\nhandoff: {driver: pigeon}\n", twoRows, []string{`no hand-off "pigeon"; it has callhome`}},
		{"unknown image", "name: p\nprofile: edge-minimum\nimage: none\nhandoff: {driver: callhome}\n", twoRows, []string{"image", "muster image add"}},
		{"unknown key", "name: p\nprofile: edge-minimum\nhandof: {}\n", twoRows, []string{"order line 3", "handof"}},
		{"both files wrong", "name: p\n", "serial\n", []string{"order", "manifest: the manifest lists no host"}},
		{"host of another order", strings.Replace(order, "plant7", "plant8", 1), "serial\nS1\n", []string{"manifest line 2: host h-", "of order plant7 is this one already"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := s.Import(t.Context(), v1.Import{Order: tc.order, Manifest: tc.csv})
			for _, says := range tc.says {
				refused(t, err, 422, says)
			}
			if diff := cmp.Diff([]string{"alpha"}, s.names()); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestARowThatIsTwoHostsIsWrong(t *testing.T) {
	s := newSite(t)
	s.imports(twoRows)
	_, err := s.Import(t.Context(), v1.Import{Order: order, Manifest: "serial,mac\nS1,52:54:00:00:00:02\n"})
	refused(t, err, 422, "manifest line 2: its serial, UUID and MACs are those of hosts")
}

func TestHostsThatWillNotBeAnsweredAreSaid(t *testing.T) {
	const serialOnly = "serial\nS1\nS2\n"
	silent := newSite(t).imports(serialOnly)
	if len(silent.Warnings) != 1 || !strings.Contains(silent.Warnings[0].Text, "no MAC and no UUID in lines 2, 3, and every network") {
		t.Errorf("warnings %v", silent.Warnings)
	}
	open := newSite(t, func(o *api.Options) { o.Discover = true }).imports(serialOnly)
	if len(open.Warnings) != 0 {
		t.Errorf("warnings %v", open.Warnings)
	}
}

func TestLintDoesNothing(t *testing.T) {
	s := newSite(t)
	report, err := s.Lint(t.Context(), v1.Import{Order: order, Manifest: twoRows})
	if err != nil || report.Hosts != 2 {
		t.Errorf("report %+v, %v", report, err)
	}
	if names := s.names(); len(names) != 0 {
		t.Errorf("hosts %v", names)
	}
}

func TestAProfileMayComeWithItsOrder(t *testing.T) {
	s := newSite(t)
	_, err := s.Import(t.Context(), v1.Import{
		Order:    "name: p\nprofile: ours\n",
		Manifest: "serial\nS1\n",
		Profiles: []string{"name: ours\nabout: Ours.\ninstall_disk: {minimum: 10GB}\n"},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.put(provisioner.Host{ID: "h-x", Status: provisioner.Status{Phase: provisioner.Discovered}})
	if h, err := s.Approve(t.Context(), "h-x", "p"); err != nil || h.Profile != "ours" {
		t.Errorf("approved %+v, %v", h, err)
	}
}

func TestStartAndStopReachEveryHostAlsoOfALargeOrder(t *testing.T) {
	s := newSite(t)
	var csv strings.Builder
	csv.WriteString("serial\n")
	for i := range 150 {
		csv.WriteString("S" + strings.Repeat("A", i+1) + "\n")
	}
	s.imports(csv.String())
	for _, started := range []bool{true, true, false} {
		do := s.Start
		if !started {
			do = s.Stop
		}
		o, err := do(t.Context(), "plant7")
		if err != nil || (o.Started != nil) != started || len(o.Hosts) != 150 {
			t.Fatalf("order started %v with %d hosts, %v", o.Started, len(o.Hosts), err)
		}
		hosts, err := s.Hosts(t.Context(), "plant7", "")
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range hosts {
			if h.Started != started {
				t.Fatalf("host %s started %t, want %t", h.ID, h.Started, started)
			}
		}
	}
	journal, err := s.Journal(t.Context(), "SA", "")
	if err != nil || len(journal) != 3 { // listed, started once, stopped
		t.Errorf("journal %+v, %v", journal, err)
	}
}

func TestAnOrderStartsWhileItsHostsChangeAllTheTime(t *testing.T) {
	s := newSite(t)
	ids := s.imports(twoRows).Added
	changing, stop := context.WithCancel(t.Context())
	var g errgroup.Group
	for _, id := range ids {
		g.Go(func() error {
			tick := time.NewTicker(2 * time.Millisecond) // far more often than any host
			defer tick.Stop()
			for n := 0; changing.Err() == nil; n++ {
				<-tick.C
				_, err := s.Store.Change(t.Context(), provisioner.HostID(id), func(h *provisioner.Host) ([]provisioner.Entry, error) {
					h.Facts.Conflict = strconv.Itoa(n)
					return nil, nil
				})
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	for range 5 {
		_, started := s.Start(t.Context(), "plant7")
		_, stopped := s.Stop(t.Context(), "plant7")
		if err := errors.Join(started, stopped); err != nil {
			t.Error(err)
		}
	}
	stop()
	if err := g.Wait(); err != nil {
		t.Error(err)
	}
	journal, err := s.Journal(t.Context(), "alpha", "")
	if err != nil || len(journal) != 11 {
		t.Errorf("%d entries, %v", len(journal), err)
	}
}
