package api_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/muster-boot/muster/inventory"
	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/api"
	"github.com/muster-boot/muster/provisioner/api/client"
	v1 "github.com/muster-boot/muster/provisioner/api/v1"
	"github.com/muster-boot/muster/provisioner/store"
	"github.com/muster-boot/muster/provisioner/store/boltstore"
)

// site is a people's API over a real store, on a real socket, without an engine.
type site struct {
	*client.Client
	store  *store.Store
	socket string
	t      *testing.T
}

func newSite(t *testing.T, change ...func(*api.Options)) *site {
	t.Helper()
	dir := t.TempDir()
	engine, err := boltstore.Open(t.Context(), dir, boltstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	st := store.New(engine, time.Now)
	mirror := store.NewMirror(st)
	o := api.Options{Store: st, Mirror: mirror, Images: &shelf{}, Drivers: []string{"callhome"}, Version: "v0-test", Log: zerolog.Nop()}
	for _, f := range change {
		f(&o)
	}
	s := &site{store: st, socket: filepath.Join(dir, "m.sock"), t: t}
	control, err := api.ListenControl(s.socket, api.New(o))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return mirror.Run(ctx) })
	g.Go(func() error { return control.Run(ctx) })
	t.Cleanup(func() {
		stop()
		if err := errors.Join(g.Wait(), engine.Close()); err != nil {
			t.Error(err)
		}
	})
	<-mirror.Ready()
	if s.Client, err = client.New(s.socket); err != nil {
		t.Fatal(err)
	}
	return s
}

// edit changes a host as the engine or the boot plane would.
func (s *site) edit(id string, f func(*provisioner.Host)) {
	s.t.Helper()
	_, err := s.store.Change(s.t.Context(), provisioner.HostID(id), func(h *provisioner.Host) ([]provisioner.Entry, error) {
		f(h)
		return nil, nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// put makes a host that was seen and is in no order.
func (s *site) put(h provisioner.Host) {
	s.t.Helper()
	if h.Status.Why == "" {
		h.Status.Why = "Seen."
	}
	if err := s.store.Commit(s.t.Context(), store.Change{Put: []provisioner.Host{h}}); err != nil {
		s.t.Fatal(err)
	}
}

const order = "name: plant7\nprofile: edge-minimum\nhandoff: {driver: callhome}\nconfig: {password: hunter2}\n"

func (s *site) imports(csv string) v1.Imported {
	s.t.Helper()
	report, err := s.Import(s.t.Context(), v1.Import{Order: order, Manifest: csv})
	if err != nil {
		s.t.Fatal(err)
	}
	return report
}

func (s *site) names() []string {
	s.t.Helper()
	hosts, err := s.Hosts(s.t.Context(), "", "")
	if err != nil {
		s.t.Fatal(err)
	}
	names := []string{}
	for _, h := range hosts {
		names = append(names, h.Name)
	}
	return names
}

// refused asserts that err is a problem of this status that says this.
func refused(t *testing.T, err error, status int, says string) {
	t.Helper()
	var p *v1.Problem
	if !errors.As(err, &p) || p.Status != status || !strings.Contains(err.Error(), says) {
		t.Errorf("%v, want status %d and %q", err, status, says)
	}
}

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
	if len(silent.Warnings) != 1 || !strings.Contains(silent.Warnings[0].Text, "2 rows have neither MAC nor UUID (lines 2, 3)") {
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
		{"reinstall", provisioner.Registered, true}, {"reinstall", provisioner.Quarantined, true},
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
			after, err := s.store.Host(t.Context(), "h-1")
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
	after, err := s.store.Host(t.Context(), "h-1")
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
	entries, err := s.store.Journal(t.Context(), provisioner.HostID(id), 0, 0)
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

func TestNoSecretLeavesByAnyRoute(t *testing.T) {
	s := newSite(t)
	id := s.imports("serial\nS1\n").Added[0]
	s.edit(id, func(h *provisioner.Host) {
		h.Status.Key = "scout-secret"
		h.Status.Attempt = provisioner.Attempt{ID: "a-1", Token: "attempt-secret"}
	})
	hc := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", s.socket)
	}}}
	for _, path := range []string{"/v1/hosts", "/v1/hosts/S1", "/v1/hosts/S1/why", "/v1/hosts/S1/journal", "/v1/orders", "/v1/orders/plant7"} {
		body := get(t, hc, path)
		for _, secret := range []string{"scout-secret", "attempt-secret", "hunter2"} {
			if strings.Contains(body, secret) {
				t.Errorf("%s tells %s", path, secret)
			}
		}
	}
	if body := get(t, hc, "/v1/orders/plant7"); !strings.Contains(body, `"config":["password"]`) {
		t.Errorf("order %s", body)
	}
}

func TestMisspeltWishesAreNotTaken(t *testing.T) {
	s := newSite(t)
	s.imports("serial\nS1\n")
	hc := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", s.socket)
	}}}
	resp, err := hc.Post("http://muster/v1/hosts/S1/hold", "application/json", strings.NewReader(`{"reson":"x"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 422 || resp.Header.Get("Content-Type") != v1.ProblemType {
		t.Errorf("%s %s", resp.Status, resp.Header.Get("Content-Type"))
	}
}

func TestAWatchSeesWhatHappensAndResumesWhereItWas(t *testing.T) {
	s := newSite(t)
	s.imports("serial\nS0\n")
	before, err := s.store.Revision(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.imports("serial\nS0\nS1\n")
	first := s.next(before)
	if first.Entry.Kind != "intent" || first.Host == nil || first.Host.Serial != "S1" {
		t.Errorf("event %+v", first)
	}
	if _, err := s.Hold(t.Context(), "S1", "x"); err != nil {
		t.Fatal(err)
	}
	second := s.next(first.Revision)
	if second.Entry.Text != "Held: x" || second.Entry.Seq != 2 {
		t.Errorf("event %+v", second)
	}
	if err := s.Remove(t.Context(), "S1", false); err != nil {
		t.Fatal(err)
	}
	if last := s.next(second.Revision); last.Host != nil || last.Entry.Text != "Removed." {
		t.Errorf("event %+v", last)
	}
}

// next is the first event after a revision.
func (s *site) next(after uint64) v1.Event {
	s.t.Helper()
	var got v1.Event
	enough := errors.New("enough")
	ctx, cancel := context.WithTimeout(s.t.Context(), 20*time.Second)
	defer cancel()
	err := s.Watch(ctx, after, func(ev v1.Event) error {
		got = ev
		return enough
	})
	if !errors.Is(err, enough) {
		s.t.Fatal(err)
	}
	return got
}

func TestHealthAndVersion(t *testing.T) {
	s := newSite(t, func(o *api.Options) {
		o.Reasons = func() []string { return []string{"There is no discovery ramdisk: run muster ramdisk build."} }
	})
	h, err := s.Health(t.Context())
	if err != nil || h.Status != "degraded" || len(h.Reasons) != 1 {
		t.Errorf("health %+v, %v", h, err)
	}
	v, err := s.Version(t.Context())
	if err != nil || v.Muster != "v0-test" {
		t.Errorf("version %+v, %v", v, err)
	}
}

func TestOnlyItsOwnerCanOpenTheSocket(t *testing.T) {
	s := newSite(t)
	info, err := os.Stat(s.socket)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestASecondMusterOnTheSameSocketIsRefused(t *testing.T) {
	s := newSite(t)
	_, err := api.ListenControl(s.socket, http.NotFoundHandler())
	if err == nil || !strings.Contains(err.Error(), "another muster answers there") {
		t.Errorf("error %v", err)
	}
	if _, err := s.Version(t.Context()); err != nil {
		t.Errorf("the first one no longer answers: %v", err)
	}
}

func TestASocketThatWasLeftBehindIsReplacedAndAFileIsNot(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.sock")
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	if err := dead.Close(); err != nil {
		t.Fatal(err)
	}
	control, err := api.ListenControl(path, http.NotFoundHandler())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := control.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is still there: %v", err)
	}
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := api.ListenControl(path, http.NotFoundHandler()); err == nil || !strings.Contains(err.Error(), "no socket") {
		t.Errorf("error %v", err)
	}
}

func TestAPathTooLongForASocketIsExplained(t *testing.T) {
	_, err := api.ListenControl("/"+strings.Repeat("x", 120), http.NotFoundHandler())
	if err == nil || !strings.Contains(err.Error(), "too long for a unix socket") {
		t.Errorf("error %v", err)
	}
}

// get reads a path of the API as text.
func get(t *testing.T, hc *http.Client, path string) string {
	t.Helper()
	resp, err := hc.Get("http://muster" + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var b strings.Builder
	if err := resp.Write(&b); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", path, resp.Status, err)
	}
	return b.String()
}
