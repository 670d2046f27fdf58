package api_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/muster-boot/muster/inventory"
	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/api"
	"github.com/muster-boot/muster/provisioner/api/client"
	v1 "github.com/muster-boot/muster/provisioner/api/v1"
)

// recorder is a Plane that writes down what it was asked.
type recorder struct {
	calls     []string
	report    inventory.Report // the last
	documents map[string]provisioner.Document
	claims    map[string]string // the last
	err       error
	refused   error // of registrations
	off       bool  // the installed system is to power off
}

func (p *recorder) note(format string, args ...any) {
	p.calls = append(p.calls, fmt.Sprintf(format, args...))
}

func (p *recorder) Time(context.Context) time.Time { return time.Unix(1_800_000_000, 0).UTC() }

func (p *recorder) Instruction(_ context.Context, id provisioner.HostID, version, remote string) (inventory.Instruction, error) {
	p.note("instruction %s %s from %s", id, version, remote)
	return inventory.Instruction{Do: inventory.Verify, Attempt: "a-1", Say: "Verifying."}, p.err
}

func (p *recorder) Report(_ context.Context, id provisioner.HostID, attempt provisioner.AttemptID, r inventory.Report) error {
	p.report = r
	p.note("report %s %s %q", id, attempt, r.System.Serial)
	return p.err
}

func (p *recorder) Progress(_ context.Context, id provisioner.HostID, s inventory.Step) error {
	p.note("progress %s %s %s %q", id, s.Attempt, s.Stage, s.Detail)
	return p.err
}

func (p *recorder) Document(_ context.Context, attempt provisioner.AttemptID, name string) (provisioner.Document, error) {
	p.note("document %s %s", attempt, name)
	d, ok := p.documents[name]
	if !ok && p.err == nil {
		return d, &provisioner.Fault{Kind: provisioner.NotFound, Err: errors.New("no such document")}
	}
	return d, p.err
}

func (p *recorder) Step(_ context.Context, attempt provisioner.AttemptID, stage, detail string) error {
	p.note("step %s %s %q", attempt, stage, detail)
	return p.err
}

func (p *recorder) Booted(_ context.Context, attempt provisioner.AttemptID, remote string) error {
	p.note("booted %s from %s", attempt, remote)
	return p.err
}

func (p *recorder) Dismiss(_ context.Context, attempt provisioner.AttemptID, remote string) (bool, error) {
	if p.off {
		p.note("dismiss %s from %s", attempt, remote)
	}
	return p.off, p.err
}

func (p *recorder) Register(_ context.Context, attempt provisioner.AttemptID, remote string, claims map[string]string) (provisioner.Receipt, error) {
	p.note("register %s from %s agent %s", attempt, remote, claims["agent"])
	p.claims = claims
	return provisioner.Receipt{ID: "r-1"}, errors.Join(p.err, p.refused)
}

// oneHost is a Finder of one host.
type oneHost provisioner.Host

func (h oneHost) Host(id provisioner.HostID) (provisioner.Host, bool) {
	return provisioner.Host(h), id == h.ID
}

func (h oneHost) ByAttempt(id provisioner.AttemptID) (provisioner.Host, bool) {
	return provisioner.Host(h), id == h.Status.Attempt.ID
}

const (
	scoutToken   = "scout-token"
	attemptToken = "attempt-token"
)

func bootPlane(t *testing.T) (*recorder, *httptest.Server) {
	t.Helper()
	plane := &recorder{documents: map[string]provisioner.Document{
		"config": {Name: "config", Type: "text/x-preseed", Content: []byte("#cloud-config\ninstall: {auto: true}\n")},
	}}
	h := provisioner.Host{ID: "h-1"}
	h.Status.Key = scoutToken
	h.Status.Attempt = provisioner.Attempt{ID: "a-1", Token: attemptToken}
	srv := httptest.NewServer(api.NewBootPlane(plane, oneHost(h), zerolog.Nop()))
	t.Cleanup(srv.Close)
	return plane, srv
}

func TestTheScoutsClientAndTheBootPlaneUnderstandEachOther(t *testing.T) {
	plane, srv := bootPlane(t)
	ctx := t.Context()
	s := client.NewScout(srv.URL+"/scout/h-1", scoutToken, srv.Client())

	now, err := s.Time(ctx)
	if err != nil || !now.Equal(plane.Time(ctx)) {
		t.Errorf("time = %s, %v", now, err)
	}
	do, err := s.Instruction(ctx, "v1 & more")
	if err != nil || do.Do != inventory.Verify {
		t.Errorf("instruction = %+v, %v", do, err)
	}
	if err := s.Report(ctx, "a-1", inventory.Report{System: inventory.System{Serial: "S1"}}); err != nil {
		t.Error(err)
	}
	if err := s.Progress(ctx, inventory.Step{Attempt: "a-1", Stage: "kexec", Detail: "going\x1b[2J over\n"}); err != nil {
		t.Error(err)
	}
	want := []string{
		"instruction h-1 v1 & more from 127.0.0.1", `report h-1 a-1 "S1"`, `progress h-1 a-1 kexec "going [2J over"`,
	}
	if diff := cmp.Diff(want, plane.calls); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestInstallersAndAgentsReachThePlane(t *testing.T) {
	plane, srv := bootPlane(t)
	base := srv.URL + "/a/a-1/" + attemptToken
	if status, body := ask(t, "GET", base+"/config", "", ""); status != 200 || !strings.HasPrefix(body, "#cloud-config\ninstall") {
		t.Errorf("config: %d %s", status, body)
	}
	for _, path := range []string{"/step/writing", "/booted"} {
		if status, body := ask(t, "POST", base+path, "42 %\n", ""); status != 204 || body != "" {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	status, body := ask(t, "POST", base+"/register", `{"agent":"demo"}`, attemptToken)
	if status != 200 || body != `{"id":"r-1"}`+"\n" {
		t.Errorf("register: %d %s", status, body)
	}
	want := []string{"document a-1 config", `step a-1 writing "42 %"`, "booted a-1 from 127.0.0.1", "register a-1 from 127.0.0.1 agent demo"}
	if diff := cmp.Diff(want, plane.calls); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestAHostThatShipsIsToldToPowerOff(t *testing.T) {
	plane, srv := bootPlane(t)
	plane.off = true
	plane.refused = &provisioner.Fault{Kind: provisioner.Conflict, Err: errors.New("host h-1 is not registered")}
	base := srv.URL + "/a/a-1/" + attemptToken
	if status, body := ask(t, "POST", base+"/booted", "", ""); status != 200 || body != "poweroff\n" {
		t.Errorf("booted: %d %q", status, body)
	}
	if status, body := ask(t, "POST", base+"/register", `{"agent":"demo"}`, attemptToken); status != 409 || !strings.Contains(body, `"do":"poweroff"`) || !strings.Contains(body, "final site") {
		t.Errorf("register: %d %s", status, body)
	}
	if status, body := ask(t, "POST", base+"/phone-home", "hostname=h", ""); status != 204 {
		t.Errorf("phone-home: %d %s", status, body)
	}
	want := []string{
		"booted a-1 from 127.0.0.1", "dismiss a-1 from 127.0.0.1",
		"register a-1 from 127.0.0.1 agent demo", "dismiss a-1 from 127.0.0.1",
		"booted a-1 from 127.0.0.1", "register a-1 from 127.0.0.1 agent cloud-init", // which heeds no answer
	}
	if diff := cmp.Diff(want, plane.calls); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestRefusalsOfTheBootPlane(t *testing.T) {
	const good, large = "/a/a-1/" + attemptToken, 1 << 20
	for _, tc := range []struct {
		name, method, path, body, bearer string
		status                           int
		says                             string
	}{
		{"scout with a wrong token", "GET", "/scout/h-1/guess/time", "", "", 403, "boot it again"},
		{"scout of an unknown host", "GET", "/scout/h-2/" + scoutToken + "/time", "", "", 403, "boot it again"},
		{"scout with the attempt's token", "GET", "/scout/h-1/" + attemptToken + "/time", "", "", 403, "boot it again"},
		{"step with a wrong token", "POST", "/a/a-1/guess/step/writing", "", "", 403, "boot it again"},
		{"config with a wrong token", "GET", "/a/a-1/guess/config", "", "", 403, "boot it again"},
		{"step of an old attempt", "POST", "/a/a-0/" + attemptToken + "/step/writing", "", "", 410, "over or never was"},
		{"boot call of an old attempt", "POST", "/a/a-0/" + attemptToken + "/booted", "", "", 410, "begin a new one"},
		{"registration of an old attempt", "POST", "/a/a-0/" + attemptToken + "/register", "{}", attemptToken, 410, "over or never was"},
		{"a seed with a wrong token", "GET", "/a/a-1/guess/seed/user-data", "", "", 403, "boot it again"},
		{"a seed's file that cloud-init does not know", "GET", good + "/seed/passwd", "", "", 404, "no file"},
		{"vendor-data of an old attempt", "GET", "/a/a-0/" + attemptToken + "/seed/vendor-data", "", "", 404, "over"},
		{"cloud-init with a wrong token", "POST", "/a/a-1/guess/phone-home", "hostname=h", "", 403, "boot it again"},
		{"cloud-init of an old attempt", "POST", "/a/a-0/" + attemptToken + "/phone-home", "hostname=h", "", 410, "over or never was"},
		{"cloud-init with more than a form", "POST", good + "/phone-home", strings.Repeat("x", large), "", 422, "larger than the 64 KiB"},
		{"cloud-init with no form", "POST", good + "/phone-home", "hostname=%zz", "", 422, "is no form"},
		{"registration without a token of its own", "POST", good + "/register", "{}", "", 403, "Authorization: Bearer"},
		{"registration with a wrong token", "POST", good + "/register", "{}", "guess", 403, "Authorization: Bearer"},
		{"claims that are not flat", "POST", good + "/register", `{"a":{"b":"c"}}`, attemptToken, 422, "not the JSON"},
		{"a claim that is too long", "POST", good + "/register", `{"a":"` + strings.Repeat("x", 2000) + `"}`, attemptToken, 422, "at most 1024"},
		{"a stage with a bad name", "POST", good + "/step/Writing_1", "", "", 422, "is no stage"},
		{"a report that is too large", "POST", "/scout/h-1/" + scoutToken + "/report", `{"problems":["` + strings.Repeat("x", large) + `"]}`, "", 422, "longer than the 512 KiB"},
		{"a report that is too large when kept", "POST", "/scout/h-1/" + scoutToken + "/report", sixfold(), "", 422, "longer than the 512 KiB"},
		{"two reports in one body", "POST", "/scout/h-1/" + scoutToken + "/report", `{} {}`, "", 422, "something follows"},
		{"the wrong method", "GET", good + "/booted", "", "", 405, "it is for POST"},
		{"a path that is not clean", "GET", "/scout/../scout/h-1/" + scoutToken + "/time", "", "", 404, "nothing at"},
		{"a doubled slash", "GET", "//scout/h-1/" + scoutToken + "/time", "", "", 404, "nothing at"},
		{"the people's hosts", "GET", "/v1/hosts", "", "", 404, "nothing at"},
		{"the root", "GET", "/", "", "", 404, "nothing at"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			plane, srv := bootPlane(t)
			status, body := ask(t, tc.method, srv.URL+tc.path, tc.body, tc.bearer)
			if status != tc.status || !strings.Contains(body, tc.says) {
				t.Errorf("%d %s, want %d and %q", status, body, tc.status, tc.says)
			}
			if len(plane.calls) > 0 {
				t.Errorf("the plane was asked: %v", plane.calls)
			}
		})
	}
}

// sixfold is a report within the bound that is beyond it in our JSON, which
// writes < as \u003c.
func sixfold() string {
	return `{"problems":["` + strings.Repeat(strings.Repeat("<", 250)+`","`, 500) + `"]}`
}

func TestAnAttemptThatIsOverGetsUserDataThatDoesNothing(t *testing.T) {
	plane, srv := bootPlane(t)
	status, body := ask(t, "GET", srv.URL+"/a/a-0/any/config", "", "")
	if status != 200 || body != "#cloud-config\n{}\n" || len(plane.calls) > 0 {
		t.Errorf("%d %q, calls %v", status, body, plane.calls)
	}
	plane.err = &provisioner.Fault{Kind: provisioner.Gone, Err: errors.New("over since a moment")}
	status, body = ask(t, "GET", srv.URL+"/a/a-1/"+attemptToken+"/config", "", "")
	if status != 200 || body != "#cloud-config\n{}\n" {
		t.Errorf("an attempt that ended meanwhile: %d %q", status, body)
	}
}

func TestASeedIsServedAsItWasRendered(t *testing.T) {
	plane, srv := bootPlane(t)
	base := srv.URL + "/a/a-1/" + attemptToken + "/seed/"
	status, body := ask(t, "GET", base+"user-data", "", "")
	if status != 200 || !strings.HasPrefix(body, "#cloud-config\ninstall") {
		t.Errorf("without a user-data of its own: %d %q", status, body)
	}
	plane.documents["user-data"] = provisioner.Document{Content: []byte("#cloud-config\nautoinstall: {}\n")}
	plane.documents["meta-data"] = provisioner.Document{Content: []byte("instance-id: i-1\n")}
	for name, want := range map[string]string{"user-data": "#cloud-config\nautoinstall: {}\n", "meta-data": "instance-id: i-1\n"} {
		if status, body := ask(t, "GET", base+name, "", ""); status != 200 || body != want {
			t.Errorf("%s: %d %q", name, status, body)
		}
	}
	for _, name := range []string{"vendor-data", "network-config"} {
		if status, _ := ask(t, "GET", base+name, "", ""); status != 404 {
			t.Errorf("%s, which was not rendered: %d", name, status)
		}
	}
}

func TestAConfigurationHasTheTypeThatItWasRenderedWith(t *testing.T) {
	_, srv := bootPlane(t)
	resp, err := srv.Client().Get(srv.URL + "/a/a-1/" + attemptToken + "/config")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got := resp.Header.Get("Content-Type"); got != "text/x-preseed" {
		t.Errorf("Content-Type %q", got)
	}
}

func TestASeedOfAnAttemptThatIsOverDoesNothing(t *testing.T) {
	plane, srv := bootPlane(t)
	for name, want := range map[string]string{"user-data": "#cloud-config\n{}\n", "meta-data": "instance-id: a-0\n"} {
		if status, body := ask(t, "GET", srv.URL+"/a/a-0/any/seed/"+name, "", ""); status != 200 || body != want || len(plane.calls) > 0 {
			t.Errorf("%s: %d %q, calls %v", name, status, body, plane.calls)
		}
	}
	if status, body := ask(t, "GET", srv.URL+"/a/a%0Ab/any/seed/meta-data", "", ""); status != 404 {
		t.Errorf("an attempt that can be none: %d %q", status, body)
	}
}

func TestCloudInitsCallIsTheBootAndTheRegistration(t *testing.T) {
	const form = "pub_key_rsa=ssh-rsa+AAAA&instance_id=a-1&hostname=edge-1%1b%5b2J&fqdn=edge-1.site"
	plane, srv := bootPlane(t)
	url := srv.URL + "/a/a-1/" + attemptToken + "/phone-home"
	if status, body := ask(t, "POST", url, form, ""); status != 204 {
		t.Errorf("%d %s", status, body)
	}
	want := []string{"booted a-1 from 127.0.0.1", "register a-1 from 127.0.0.1 agent cloud-init"}
	if diff := cmp.Diff(want, plane.calls); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	claims := map[string]string{"agent": "cloud-init", "instance_id": "a-1", "hostname": "edge-1 [2J", "fqdn": "edge-1.site"}
	if diff := cmp.Diff(claims, plane.claims); diff != "" {
		t.Errorf("claims, -want +got:\n%s", diff)
	}
	plane.refused = &provisioner.Fault{Kind: provisioner.Conflict, Err: errors.New("the hand-off waits for another agent")}
	if status, body := ask(t, "POST", url, form, ""); status != 204 {
		t.Errorf("cloud-init is asked again for what another agent must do: %d %s", status, body)
	}
	plane.refused = &provisioner.Fault{Kind: provisioner.Retry, Err: errors.New("starting")}
	if status, _ := ask(t, "POST", url, form, ""); status != 503 {
		t.Errorf("cloud-init is not asked again for what was not taken: %d", status)
	}
}

func TestWhatAReportHoldsIsMadeFitToKeepAndToShow(t *testing.T) {
	plane, srv := bootPlane(t)
	link := true
	sent := inventory.Report{
		Witness: inventory.Scout, At: time.Unix(1_800_000_000, 0).UTC(),
		System: inventory.System{Serial: "S1\x1b]0;owned\a\x1b[2J", Product: strings.Repeat("ä", 1000)},
		DIMMs:  make([]inventory.DIMM, 2000),
		Disks:  []inventory.Disk{{Name: "sda\r\n", ByID: []string{"ata-\x1b[31mred"}, Signatures: []string{}}},
		NICs:   []inventory.NIC{{Name: "eth0", Link: &link, SpeedMbps: 1000}},
		TPM:    &inventory.TPM{Version: "2.0\x00"},
	}
	if err := client.NewScout(srv.URL+"/scout/h-1", scoutToken, srv.Client()).Report(t.Context(), "a-1", sent); err != nil {
		t.Fatal(err)
	}
	want := sent
	want.System = inventory.System{Serial: "S1 ]0;owned  [2J", Product: strings.Repeat("ä", 128)}
	want.DIMMs = make([]inventory.DIMM, 1024)
	want.Disks = []inventory.Disk{{Name: "sda", ByID: []string{"ata- [31mred"}, Signatures: []string{}}}
	want.TPM = &inventory.TPM{Version: "2.0"}
	want.Problems = []string{"The report was longer than muster keeps: 976 items beyond the 1024th of a list are left out."}
	if diff := cmp.Diff(want, plane.report); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestAnswersHaveALengthAlsoToHEAD(t *testing.T) {
	_, srv := bootPlane(t)
	resp, err := srv.Client().Head(srv.URL + "/a/a-1/" + attemptToken + "/config")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if want := int64(len("#cloud-config\ninstall: {auto: true}\n")); resp.ContentLength != want {
		t.Errorf("Content-Length %d, want %d", resp.ContentLength, want)
	}
}

func TestTheKindOfAFaultDecidesTheStatusAndOursIsNotTold(t *testing.T) {
	for kind, want := range map[provisioner.Kind]int{
		provisioner.Retry: 503, provisioner.Operator: 409, provisioner.NotFound: 404, provisioner.Conflict: 409,
		provisioner.Invalid: 422, provisioner.Denied: 403, provisioner.Gone: 410, provisioner.Bug: 500,
	} {
		plane, srv := bootPlane(t)
		plane.err = fmt.Errorf("around: %w", &provisioner.Fault{Kind: kind, Err: errors.New("the inside")})
		_, err := client.NewScout(srv.URL+"/scout/h-1", scoutToken, srv.Client()).Instruction(t.Context(), "v")
		var p *v1.Problem
		if !errors.As(err, &p) || p.Status != want || p.Kind != string(kind) {
			t.Errorf("%s: %v, want status %d", kind, err, want)
			continue
		}
		if told := strings.Contains(p.Detail, "the inside"); told == (kind == provisioner.Bug) {
			t.Errorf("%s: the caller reads %q", kind, p.Detail)
		}
	}
}

func TestAScoutIsToldWhichServerIsAwayButNotItsToken(t *testing.T) {
	_, srv := bootPlane(t)
	srv.Close()
	_, err := client.NewScout(srv.URL+"/scout/h-1", scoutToken, http.DefaultClient).Time(t.Context())
	var away *client.Unreachable
	if !errors.As(err, &away) || strings.Contains(err.Error(), scoutToken) {
		t.Errorf("error %v", err)
	}
}

// ask makes a request as a bare HTTP client does and follows nothing.
func ask(t *testing.T, method, url, body, bearer string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader([]byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	hc := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := hc.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}
