package api_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/api"
	v1 "github.com/muster-boot/muster/provisioner/api/v1"
	"github.com/muster-boot/muster/provisioner/store"
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
	refused(t, err, 422, "manifest line 2: its serial, UUID, MACs or BMC are those of hosts")
}

func TestHostsThatWillNotBeAnsweredAreSaid(t *testing.T) {
	const serialOnly = "serial\nS1\nS2\n"
	silent := newSite(t).imports(serialOnly)
	if len(silent.Warnings) != 1 || !strings.Contains(silent.Warnings[0].Text, "no MAC and no UUID in lines 2, 3, and every network") {
		t.Errorf("warnings %v", silent.Warnings)
	}
	open := newSite(t, func(o *api.Options) { o.Site.Discover = true }).imports(serialOnly)
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

// desk is an Installer that has something to say about some rows.
type desk struct {
	says map[string]string // by serial
	lost map[string]string // by serial
	seen []provisioner.Intent
	got  provisioner.Order
}

func (d *desk) Try(o provisioner.Order, want provisioner.Intent) (string, error) {
	d.seen, d.got = append(d.seen, want), o
	if text := d.says[want.Row.Serial]; text != "" {
		return "", errors.New(text)
	}
	return d.lost[want.Row.Serial], nil
}

func (d *desk) Preview(context.Context, provisioner.Host) (v1.Preview, error) {
	return v1.Preview{}, errors.New("not shown")
}

func (d *desk) Medium(context.Context, provisioner.Host) (v1.Medium, error) {
	return v1.Medium{}, errors.New("not shown")
}

const templated = "name: plant7\nprofile: edge-minimum\nimage: edge\nhandoff: {driver: callhome}\ntransport: media\nsecrets: {join: hunter2}\n" +
	"config: {a: b}\ntemplate: |\n  #cloud-config\n  x: y\n"

func TestAnImportTriesWhatEachHostWouldGet(t *testing.T) {
	d := &desk{}
	s := newSite(t, func(o *api.Options) { o.Installer = d })
	for name, content := range map[string]string{"edge": "x", "other": "y"} {
		if _, err := s.AddImage(t.Context(), v1.NewImage{Name: name}, -1, strings.NewReader(content)); err != nil {
			t.Fatal(err)
		}
	}
	const rows = "serial,mac,transport,image\nS1,52:54:00:00:00:01,,\nS2,52:54:00:00:00:02,netboot,\nS3,52:54:00:00:00:03,,other\n"
	for _, c := range []struct {
		name string
		says map[string]string
		want []v1.Remark
	}{
		{"the template is wrong", map[string]string{"S1": "template: x", "S2": "template: x", "S3": "template: x"},
			[]v1.Remark{{Source: "order", Line: 8, Column: "template", Text: "x"}}},
		{"the config is wrong", map[string]string{"S2": "config: y"}, []v1.Remark{{Source: "order", Line: 7, Column: "config", Text: "y"}}},
		{"what it says of the hand-off is", map[string]string{"S1": "handoff.network.interface: z"},
			[]v1.Remark{{Source: "order", Line: 4, Column: "handoff", Text: "handoff.network.interface: z"}}},
		{"two rows are", map[string]string{"S2": "no way", "S3": "another"},
			[]v1.Remark{{Source: "manifest", Line: 3, Text: "no way"}, {Source: "manifest", Line: 4, Text: "another"}}},
	} {
		d.says = c.says
		_, err := s.Import(t.Context(), v1.Import{Order: templated, Manifest: rows})
		problem, is := errors.AsType[*v1.Problem](err)
		if !is || cmp.Diff(c.want, problem.Errors) != "" {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	d.says, d.seen = nil, nil
	if _, err := s.Import(t.Context(), v1.Import{Order: templated, Manifest: rows}); err != nil {
		t.Fatal(err)
	}
	ways := []provisioner.Way{}
	for _, want := range d.seen {
		ways = append(ways, want.Way)
	}
	if diff := cmp.Diff([]provisioner.Way{provisioner.WayMedia, provisioner.WayNetboot, provisioner.WayMedia}, ways); diff != "" {
		t.Errorf("ways that were tried (-want +got):\n%s", diff)
	}
	if d.got.Template != "#cloud-config\nx: y\n" || !d.got.Secrets["join"].Matches("hunter2") {
		t.Errorf("the order that was tried is %+v", d.got)
	}
	if other := d.seen[2].Image; other == d.got.Image || cmp.Diff([]string{other}, d.got.RowImages) != "" {
		t.Errorf("the order has image %s and %v for its rows", d.got.Image, d.got.RowImages)
	}
	h, err := s.Host(t.Context(), "S2")
	if err != nil || h.Way != "netboot" || h.ImageName != "edge" {
		t.Errorf("the host goes by %q from %q: %v", h.Way, h.ImageName, err)
	}
	o, err := s.Order(t.Context(), "plant7")
	if err != nil || o.Transport != "media" || o.Template != 2 || cmp.Diff([]string{"join"}, o.Secrets) != "" || o.ImageName != "edge" {
		t.Errorf("the order is %+v: %v", o, err)
	}
}

func TestAnImportSaysThatWhatHostsAreGivenWasChanged(t *testing.T) {
	s := newSite(t)
	if _, err := s.AddImage(t.Context(), v1.NewImage{Name: "edge"}, -1, strings.NewReader("x")); err != nil {
		t.Fatal(err)
	}
	const rows = "serial,mac\nS1,52:54:00:00:00:01\n"
	for _, c := range []struct {
		what, order string
		said        bool
	}{
		{"a first import", templated, false},
		{"the same again", templated, false},
		{"another config", strings.Replace(templated, "{a: b}", "{a: 1}", 1), true},
		{"the same again", strings.Replace(templated, "{a: b}", "{a: 1}", 1), false},
		{"another template", strings.Replace(templated, "x: y", "x: z", 1), true},
		{"another secret, too", strings.NewReplacer("x: y", "x: z", "hunter2", "hunter3").Replace(templated), true},
	} {
		got, err := s.Import(t.Context(), v1.Import{Order: c.order, Manifest: rows})
		said := slices.ContainsFunc(got.Warnings, func(w v1.Remark) bool {
			return strings.Contains(w.Text, "counts for install attempts that begin from now on")
		})
		if err != nil || said != c.said || len(got.Changed) != 0 {
			t.Errorf("%s: %+v, %v", c.what, got, err)
		}
	}
}

func TestAnOrderKeepsItsImageWhenTheTagMoves(t *testing.T) {
	s := newSite(t)
	digests := map[string]string{}
	for _, name := range []string{"edge-1", "edge-2"} {
		i, err := s.AddImage(t.Context(), v1.NewImage{Name: name}, -1, strings.NewReader(name))
		if err != nil {
			t.Fatal(err)
		}
		digests[name] = i.Digest
	}
	order := v1.Import{Order: strings.Replace(templated, "image: edge", "image: edge:current", 1), Manifest: "serial,mac\nS1,52:54:00:00:00:01\n"}
	has := func(when, name string) {
		t.Helper()
		o, err := s.Order(t.Context(), "plant7")
		h, errHost := s.Host(t.Context(), "S1")
		if err := errors.Join(err, errHost); err != nil || o.Image != digests[name] || h.Image != digests[name] {
			t.Errorf("%s: the order has %.12s, its host %.12s, want %.12s, %v", when, o.Image, h.Image, digests[name], err)
		}
	}
	before := "edge-1"
	for _, name := range []string{"edge-1", "edge-2"} {
		if _, err := s.Tag(t.Context(), name, "edge:current"); err != nil {
			t.Fatal(err)
		}
		if name != before {
			has("when the tag has moved", before)
			refused(t, s.RemoveImage(t.Context(), digests[before], true), 409, "plant7")
		}
		if _, err := s.Import(t.Context(), order); err != nil {
			t.Fatal(err)
		}
		has("imported again", name)
	}
	if err := s.RemoveImage(t.Context(), digests[before], true); err != nil {
		t.Errorf("what no order has any more cannot be removed: %v", err)
	}
}

func TestAnImportSaysWhatHostsGoWithout(t *testing.T) {
	const gone = "netboot leaves its content behind"
	d := &desk{lost: map[string]string{"S1": gone, "S2": gone, "S3": "another image does, too", "S4": "its BMC can bring it"}}
	s := newSite(t, func(o *api.Options) { o.Installer = d })
	for name, content := range map[string]string{"edge": "x", "other": "y"} {
		if _, err := s.AddImage(t.Context(), v1.NewImage{Name: name}, -1, strings.NewReader(content)); err != nil {
			t.Fatal(err)
		}
	}
	const rows = "serial,mac,image,bmc_address,bmc_user,bmc_password\nS1,52:54:00:00:00:01,,,,\nS2,52:54:00:00:00:02,,,,\nS3,52:54:00:00:00:03,other,,,\n" +
		"S4,52:54:00:00:00:04,,192.0.2.9,root,calvin-of-rack-4\n"
	got, err := s.Import(t.Context(), v1.Import{Order: templated, Manifest: rows})
	want := []v1.Remark{
		{Source: "order", Line: 3, Column: "image", Text: gone},
		{Source: "manifest", Line: 4, Column: "image", Text: "another image does, too"},
	}
	if diff := cmp.Diff(want, got.Warnings); err != nil || diff != "" {
		t.Errorf("%v, warnings (-want +got):\n%s", err, diff)
	}
}

func TestNothingIsShownWhereNothingIsInstalled(t *testing.T) {
	s := newSite(t)
	if _, err := s.Import(t.Context(), v1.Import{Order: "name: plant7\nprofile: edge-minimum\n", Manifest: "serial,mac\nS1,52:54:00:00:00:01\n"}); err != nil {
		t.Fatal(err)
	}
	_, preview := s.Preview(t.Context(), "S1")
	_, medium := s.Medium(t.Context(), "S1")
	_, nobody := s.Preview(t.Context(), "S2")
	for what, c := range map[string]struct {
		err  error
		kind provisioner.Kind
	}{"preview": {preview, provisioner.Conflict}, "medium": {medium, provisioner.Conflict}, "of nobody": {nobody, provisioner.NotFound}} {
		if problem, is := errors.AsType[*v1.Problem](c.err); !is || problem.Kind != string(c.kind) {
			t.Errorf("%s: %v, want %s", what, c.err, c.kind)
		}
	}
}

func TestAnOrderThatShipsSaysSoOfItsHosts(t *testing.T) {
	s := newSite(t)
	if _, err := s.AddImage(t.Context(), v1.NewImage{Name: "edge"}, -1, strings.NewReader("x")); err != nil {
		t.Fatal(err)
	}
	const head = "name: plant7\nprofile: edge-minimum\nship: true\n"
	_, err := s.Import(t.Context(), v1.Import{Order: head, Manifest: twoRows})
	if problem, is := errors.AsType[*v1.Problem](err); !is || len(problem.Errors) != 1 || problem.Errors[0].Line != 3 || !strings.Contains(problem.Errors[0].Text, "nothing is installed that could be shipped") {
		t.Errorf("without an image: %v", err)
	}
	if _, err := s.Import(t.Context(), v1.Import{Order: head + "image: edge\nhandoff: {driver: callhome}\n", Manifest: twoRows}); err != nil {
		t.Fatal(err)
	}
	order, errOrder := s.Order(t.Context(), "plant7")
	host, errHost := s.Host(t.Context(), "alpha")
	if errOrder != nil || errHost != nil || !order.Ship || !host.Ship || host.Shipment != nil {
		t.Errorf("order %t, host %t: %v %v", order.Ship, host.Ship, errOrder, errHost)
	}
	if _, err := s.Report(t.Context(), "alpha"); err == nil || !strings.Contains(err.Error(), "writes no records") {
		t.Errorf("a report where nobody makes one: %v", err)
	}
}

func TestATemplateWantsAnImage(t *testing.T) {
	s := newSite(t)
	const none = "name: plant7\nprofile: edge-minimum\ntemplate: x\n"
	_, err := s.Import(t.Context(), v1.Import{Order: none, Manifest: twoRows})
	if problem, is := errors.AsType[*v1.Problem](err); !is || len(problem.Errors) != 1 || !strings.Contains(problem.Errors[0].Text, "names no image") {
		t.Errorf("got %v", err)
	}
}

func TestNoSecretOfAnOrderLeavesByTheAPI(t *testing.T) {
	s := newSite(t)
	if _, err := s.AddImage(t.Context(), v1.NewImage{Name: "edge"}, -1, strings.NewReader("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Import(t.Context(), v1.Import{Order: templated, Manifest: twoRows}); err != nil {
		t.Fatal(err)
	}
	order, errOrder := s.Order(t.Context(), "plant7")
	hosts, errHosts := s.Hosts(t.Context(), "", "")
	why, errWhy := s.Why(t.Context(), "alpha")
	journal, errJournal := s.Journal(t.Context(), "alpha", "")
	text, errText := json.Marshal([]any{order, hosts, why, journal})
	if err := errors.Join(errOrder, errHosts, errWhy, errJournal, errText); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "hunter2") {
		t.Errorf("it is told:\n%s", text)
	}
}

// drivers is a Handoffs that takes the option project and may say no.
type drivers struct{ wrong, notes []string }

func (*drivers) CheckOptions(driver string, options map[string]any) error {
	for key := range options {
		if key != "project" {
			return errors.New("handoff." + key + ": " + driver + " has no such option")
		}
	}
	return nil
}

func (d *drivers) Check(_ context.Context, o provisioner.Order) (v1.Checked, error) {
	return v1.Checked{Wrong: d.wrong, Notes: append([]string{"project " + o.Options["project"].(string)}, d.notes...)}, nil
}

const optioned = "name: plant7\nprofile: edge-minimum\nhandoff:\n  driver: callhome\n  project: edge\n"

func TestWhatAnOrderSaysBelowItsHandOffIsCheckedWhenItIsImported(t *testing.T) {
	s := newSite(t, func(o *api.Options) { o.Handoffs = &drivers{} })
	_, err := s.Import(t.Context(), v1.Import{Order: optioned + "  projct: x\n", Manifest: twoRows})
	refused(t, err, 422, "order line 4, column handoff: handoff.projct: callhome has no such option")
	if _, err := s.Import(t.Context(), v1.Import{Order: optioned, Manifest: twoRows}); err != nil {
		t.Error(err)
	}
}

func TestAnOrderThatCouldNotBeHandedOverIsNotStarted(t *testing.T) {
	d := &drivers{wrong: []string{"The project is not there: make it."}}
	s := newSite(t, func(o *api.Options) { o.Handoffs = d })
	if _, err := s.Import(t.Context(), v1.Import{Order: optioned, Manifest: twoRows}); err != nil {
		t.Fatal(err)
	}
	checked, err := s.Check(t.Context(), "plant7")
	want := v1.Checked{Order: "plant7", Wrong: d.wrong, Notes: []string{"project edge"}}
	if diff := cmp.Diff(want, checked); err != nil || diff != "" {
		t.Errorf("%v, -want +got:\n%s", err, diff)
	}
	_, err = s.Start(t.Context(), "plant7")
	refused(t, err, 422, "hand-off: The project is not there: make it.")
	if o, err := s.Order(t.Context(), "plant7"); err != nil || o.Started != nil {
		t.Errorf("started %v, %v", o.Started, err)
	}
	d.wrong = nil
	if _, err := s.Start(t.Context(), "plant7"); err != nil {
		t.Fatal(err)
	}
	d.wrong = []string{"The service does not answer."}
	if _, err := s.Start(t.Context(), "plant7"); err != nil {
		t.Errorf("started again, which changes nothing: %v", err)
	}
	if _, err := s.Stop(t.Context(), "plant7"); err != nil {
		t.Errorf("stopped: %v", err)
	}
}

func TestNoOrderStartsFromADamagedImage(t *testing.T) {
	s := newSite(t)
	for name, content := range map[string]string{"edge": "x", "other": "y"} {
		if _, err := s.AddImage(t.Context(), v1.NewImage{Name: name}, -1, strings.NewReader(content)); err != nil {
			t.Fatal(err)
		}
	}
	const rows = "serial,mac,image\nS1,52:54:00:00:00:01,\nS2,52:54:00:00:00:02,other\n"
	if _, err := s.Import(t.Context(), v1.Import{Order: templated, Manifest: rows}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"edge", "other"} { // the order's own, and one of a row
		s.Shelf.Damaged = []string{name}
		says := "image " + name + " is damaged, so nothing of it is served: add it again"
		o, err := s.Order(t.Context(), "plant7")
		if err != nil || !slices.Contains(o.Warnings, says) {
			t.Errorf("%s is damaged: the order warns of %q, %v", name, o.Warnings, err)
		}
		_, err = s.Start(t.Context(), "plant7")
		refused(t, err, 422, "image: "+says)
		_, err = s.Import(t.Context(), v1.Import{Order: templated, Manifest: rows})
		refused(t, err, 422, "is damaged: add it again first (muster image show "+name)
	}
	s.Shelf.Damaged = nil
	o, err := s.Start(t.Context(), "plant7")
	if err != nil || len(o.Warnings) > 0 {
		t.Errorf("whole again: %q, %v", o.Warnings, err)
	}
}

func TestAnOrderShowsWhatItHoldsAndNotTheSecretOfIt(t *testing.T) {
	s := newSite(t)
	s.imports(twoRows)
	at := time.Date(2026, 5, 4, 9, 0, 0, 0, time.UTC)
	h := provisioner.Handoff{Order: "plant7", Driver: "palette", State: []byte("s3aled"), Opened: at, Closing: at.Add(time.Hour), Said: "Palette does not answer.", Ask: true}
	other := provisioner.Handoff{Order: "plant8", Driver: "palette", Opened: at}
	if err := s.Store.Commit(t.Context(), store.Change{PutHandoffs: []provisioner.Handoff{h, other}}); err != nil {
		t.Fatal(err)
	}
	o, err := s.Order(t.Context(), "plant7")
	if err != nil {
		t.Fatal(err)
	}
	want := []v1.Held{{Handoff: "palette", Opened: at, Closing: &h.Closing, Said: h.Said, Ask: true}}
	if diff := cmp.Diff(want, o.Held); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if data, err := json.Marshal(o); err != nil || strings.Contains(string(data), "s3aled") || strings.Contains(string(data), base64.StdEncoding.EncodeToString(h.State)) {
		t.Errorf("%s, %v", data, err)
	}
}
