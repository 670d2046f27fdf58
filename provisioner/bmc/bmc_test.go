package bmc_test

import (
	"bytes"
	"context"
	"errors"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/muster-boot/muster/inventory"
	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/bmc"
	"github.com/muster-boot/muster/provisioner/seal"
	"github.com/muster-boot/muster/redfish"
	"github.com/muster-boot/muster/redfish/bmctest"
)

// second is a BMC's second in these tests, as the emulator's clock goes.
const second = 15 * time.Millisecond

var pace = redfish.Pace{
	Request: 10 * time.Second, Poll: second, Busy: 2 * second, Patience: 480 * second, Settle: 120 * second, Task: 300 * second,
}

// library serves the ISOs of attempts by http and https.
type library struct{ plain, secure string }

func (l library) URLs(_ provisioner.Host, r provisioner.Rendering) []string {
	file := "/m/" + string(r.Attempt) + "-token.iso"
	return []string{l.plain + file, l.secure + file}
}

func (l library) Ours(image string) bool { return strings.HasSuffix(image, "-token.iso") }

func (library) Netboots(provisioner.Host) bool { return true }

// site is an emulated BMC in front of a paper host, and the host as muster
// knows it.
type site struct {
	*bmctest.Emulator
	controller *bmc.Controller
	logged     *bytes.Buffer
	box        *seal.Box
	host       provisioner.Host
}

func newSite(t *testing.T, personality string, with ...func(*bmctest.Options)) *site {
	t.Helper()
	p, err := bmctest.Named(personality)
	if err != nil {
		t.Fatal(err)
	}
	p.Session.Timeout *= 20 // the BMC's seconds are short, and this machine may be busy for several
	host := bmctest.NewPaper(bmctest.PaperOptions{Identity: p.Identity(7), Second: second})
	o := bmctest.Options{Personality: p, Second: second, Machine: host}
	for _, edit := range with {
		edit(&o)
	}
	e, err := bmctest.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
		if err := host.PowerOff(context.Background()); err != nil {
			t.Error(err)
		}
	})
	box, err := seal.Open(filepath.Join(t.TempDir(), "key"))
	if err != nil {
		t.Fatal(err)
	}
	s := &site{Emulator: e, logged: new(bytes.Buffer), box: box}
	s.controller = bmc.New(bmc.Options{Secrets: box, Media: newLibrary(t), Pace: pace, Log: zerolog.New(s.logged), IPMIPort: "1"})
	words := provisioner.Controller{Address: e.HTTPS(), User: e.User()}
	if p.Account.Change {
		words.Password = box.Seal([]byte(changePassword(t, e)), words.Context())
	} else {
		words.Password = box.Seal([]byte(e.Password()), words.Context())
	}
	s.host = provisioner.Host{ID: "h-7", Intent: provisioner.Intent{BMC: &words}}
	return s
}

// changePassword does what a person does at a new BMC.
func changePassword(t *testing.T, e *bmctest.Emulator) string {
	t.Helper()
	const changed = "changed-secret-16"
	b, err := redfish.Connect(t.Context(), redfish.Target{Address: e.HTTPS(), User: e.User(), Password: redfish.Secret(e.Password()), NewPassword: changed}, redfish.Options{Pace: pace})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	return changed
}

func newLibrary(t *testing.T) library {
	content := make([]byte, 64<<10)
	copy(content[16*2048:], "\x01CD001\x01")
	files := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"one"`)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
	})
	plain, secure := httptest.NewServer(files), httptest.NewUnstartedServer(files)
	secure.Config.ErrorLog = log.New(new(bytes.Buffer), "", 0)
	secure.StartTLS()
	t.Cleanup(plain.Close)
	t.Cleanup(secure.Close)
	return library{plain.URL, secure.URL}
}

// do sends the BMC on an errand, and keeps what was seen as a fact.
func (s *site) do(t *testing.T, do provisioner.ErrandKind, attempt provisioner.AttemptID) error {
	t.Helper()
	seen, err := s.controller.Do(t.Context(), s.host, do, provisioner.Rendering{Attempt: attempt}, nil)
	if !seen.At.IsZero() {
		s.host.Facts.BMC = &seen
	}
	return err
}

func (s *site) survey(t *testing.T) *inventory.Report {
	t.Helper()
	seen, report, err := s.controller.Survey(t.Context(), s.host)
	if err != nil {
		t.Fatal(err)
	}
	s.host.Facts.BMC = &seen
	return report
}

// last is what the machine's firmware was told at its last boot.
func (s *site) last() bmctest.Device {
	boots := s.Boots()
	if len(boots) == 0 {
		return "none"
	}
	return boots[len(boots)-1].Device
}

// holdOrder wants one request and one medium at a time, and no session left.
func (s *site) holdOrder(t *testing.T) {
	t.Helper()
	open, _, leaked := s.Sessions()
	if requests, media := s.Peak(); requests > 1 || media > 1 || open > 0 || leaked > 0 || s.Locked() {
		t.Errorf("%d requests and %d media at once, %d sessions open, %d leaked, locked %t", requests, media, open, leaked, s.Locked())
	}
	if s.logged.Len() > 0 {
		t.Errorf("it logged %s", s.logged)
	}
}

func TestEveryPersonalityGoesThroughAllErrands(t *testing.T) {
	noMedia := map[string]string{"huawei": "takes media by", "intel": "Boot this host by PXE", "xcc-old": "boot this host by PXE"}
	for _, name := range bmctest.Names() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, name)
			report := s.survey(t)
			fact := s.host.Facts.BMC
			if report.Witness != inventory.BMC || fact.Driver != bmc.Redfish || fact.Fingerprint == "" || !fact.Abilities.Network {
				t.Errorf("the survey says %+v by %s", fact, report.Witness)
			}
			if _, refused := noMedia[name]; fact.Abilities.Media == refused {
				t.Errorf("the survey says of media: %t; %q", fact.Abilities.Media, fact.Cannot)
			}
			if c, err := s.controller.Check(t.Context(), s.host); err != nil || !c.Boots() || c.Quirks != fact.Quirks || len(c.Answers) != 5 {
				t.Errorf("the check says %+v, %v", c, err)
			}
			s.bootMedium(t, name, noMedia[name])
			steps := []struct {
				do   provisioner.ErrandKind
				boot bmctest.Device
				on   bool
			}{
				{provisioner.ErrandNetwork, bmctest.DeviceNetwork, true},
				{provisioner.ErrandOff, bmctest.DeviceNetwork, false},
				{provisioner.ErrandDisk, bmctest.FirmwareOrder, true},
				{provisioner.ErrandClear, bmctest.FirmwareOrder, true},
			}
			for _, step := range steps {
				if err := s.do(t, step.do, "a-1"); err != nil {
					t.Fatalf("%s: %v\n%s", step.do, err, s.logged)
				}
				state := s.State()
				if s.last() != step.boot || state.On != step.on || len(state.Inserted) > 0 {
					t.Errorf("after %s it booted %q, is on: %t, with %q in", step.do, s.last(), state.On, state.Inserted)
				}
			}
			if _, enabled, _ := s.Override(); enabled == "Once" || enabled == "Continuous" {
				t.Errorf("an override is left: %s", enabled)
			}
			s.holdOrder(t)
		})
	}
}

// bootMedium boots the attempt's ISO and clears it, or wants to be told why not.
// At a BMC that says yes and boots the disk the next attempt goes another way.
func (s *site) bootMedium(t *testing.T, name, refused string) {
	t.Helper()
	err := s.do(t, provisioner.ErrandMedium, "a-1")
	if refused != "" {
		if provisioner.KindOf(err) != provisioner.Operator || !strings.Contains(err.Error(), refused) || len(s.Boots()) > 0 {
			t.Errorf("it booted %v and said: %v", s.Boots(), err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if name == "strict" {
		if s.last() == bmctest.DeviceMedium {
			t.Fatal("this personality should boot the disk at first")
		}
		if err := s.do(t, provisioner.ErrandMedium, "a-2"); err != nil {
			t.Fatal(err)
		}
	}
	if s.last() != bmctest.DeviceMedium {
		t.Errorf("it booted %+v", s.Boots())
	}
	if err := s.do(t, provisioner.ErrandClear, "a-1"); err != nil {
		t.Fatal(err)
	}
	if in := s.Inserted(); len(in) > 0 {
		t.Errorf("%q is left in", in)
	}
}

func TestWhatWorkedIsKeptAndTriedFirst(t *testing.T) {
	s := newSite(t, "supermicro-x12")
	if err := s.do(t, provisioner.ErrandMedium, "a-1"); err != nil {
		t.Fatal(err)
	}
	first := string(s.host.Facts.BMC.Working)
	if !strings.Contains(first, `"slot":"/redfish/`) || !strings.Contains(first, `"attempt":"a-1"`) {
		t.Errorf("it keeps %s", first)
	}
	s.host.Facts.Booted = &provisioner.CallHome{Attempt: "a-1"}
	if err := s.do(t, provisioner.ErrandClear, "a-1"); err != nil {
		t.Fatal(err)
	}
	if kept := string(s.host.Facts.BMC.Working); !strings.Contains(kept, `"proven":"`) || strings.Contains(kept, "a-1") || !strings.Contains(kept, `"slot":"/redfish/`) {
		t.Errorf("it keeps %s", kept)
	}
}

func TestEachFaultSaysWhoMustAct(t *testing.T) {
	const good = provisioner.Kind("")
	for _, tc := range []struct {
		name  string
		fault bmctest.Fault
		want  provisioner.Kind
		say   string
	}{
		{"503 for a while", bmctest.Fault{Kind: bmctest.FaultUnavailable, Times: 6}, good, ""},
		{"503 for ever", bmctest.Fault{Kind: bmctest.FaultUnavailable}, provisioner.Retry, "busy"},
		{"resets for ever", bmctest.Fault{Kind: bmctest.FaultReset}, provisioner.Retry, "does not answer; look at its power, cable and address"},
		{"wrong password", bmctest.Fault{Kind: bmctest.FaultUnauthorized, Method: "POST", Path: "Sessions"}, provisioner.Operator, ": muster bmc add h-7 --user USER --password-file FILE"},
		{"all sessions taken", bmctest.Fault{Kind: bmctest.FaultSessions}, provisioner.Retry, "session"},
		{"slow answers", bmctest.Fault{Kind: bmctest.FaultSlow, Seconds: 3, Times: 10}, good, ""},
		{"a stuck task", bmctest.Fault{Kind: bmctest.FaultStuckTask}, good, ""},
		{"stale after an eject", bmctest.Fault{Kind: bmctest.FaultStaleInserted, For: 20}, good, ""},
		{"an eject that does nothing", bmctest.Fault{Kind: bmctest.FaultEjectIgnored}, good, ""},
		{"an override that is lost", bmctest.Fault{Kind: bmctest.FaultLostOverride}, provisioner.Operator, "set the boot order in the firmware"},
		{"a reset that does nothing", bmctest.Fault{Kind: bmctest.FaultDeafPower}, provisioner.Retry, "look at its power supply"},
		{"a restart in the middle", bmctest.Fault{Kind: bmctest.FaultReboot, Seconds: 60}, good, ""},
		{"somebody's medium", bmctest.Fault{Kind: bmctest.FaultForeign, URL: "http://198.51.100.9/os/theirs.iso"}, provisioner.Operator, "http://198.51.100.9/os/theirs.iso"},
		{"another certificate", bmctest.Fault{Kind: bmctest.FaultCertificate}, provisioner.Operator, ": muster bmc add h-7 --fingerprint SHA256"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, "openbmc")
			s.survey(t)
			if err := s.Fail(tc.fault); err != nil {
				t.Fatal(err)
			}
			err := s.do(t, provisioner.ErrandMedium, "a-1")
			s.Heal()
			if booted := s.last() == bmctest.DeviceMedium; booted != (tc.want == good) {
				t.Errorf("it booted %v", s.Boots())
			}
			if tc.want == good && err != nil || tc.want != good && (err == nil || provisioner.KindOf(err) != tc.want || !strings.Contains(err.Error(), tc.say)) {
				t.Errorf("(%s) %v", provisioner.KindOf(err), err)
			}
			if s.host.Facts.BMC == nil || s.host.Facts.BMC.Fingerprint == "" {
				t.Error("what was known of the BMC is lost")
			}
			if open, _, _ := s.Sessions(); open > 0 {
				t.Errorf("%d sessions are open", open)
			}
		})
	}
}

func TestARefusedPasswordIsShownOnceAndNeverTold(t *testing.T) {
	s := newSite(t, "ilo5")
	words := s.host.Intent.BMC
	box, err := seal.Open(filepath.Join(t.TempDir(), "key"))
	if err != nil {
		t.Fatal(err)
	}
	words.Password = box.Seal([]byte("not-the-password"), words.Context())
	c := bmc.New(bmc.Options{Secrets: box, Pace: pace, IPMIPort: "1"})
	for range 5 {
		_, _, err := c.Survey(t.Context(), s.host)
		if provisioner.KindOf(err) != provisioner.Operator || strings.Contains(err.Error(), "not-the-password") {
			t.Errorf("(%s) %v", provisioner.KindOf(err), err)
		}
	}
	logins := 0
	for _, r := range s.Requests() {
		if r.Method == http.MethodPost {
			logins++
		}
	}
	if logins != 1 || s.Locked() {
		t.Errorf("it tried %d times, locked: %t", logins, s.Locked())
	}
}

func TestSomebodysMediumIsEjectedWhereAPersonGaveThatOne(t *testing.T) {
	s := newSite(t, "openbmc")
	const theirs = "http://198.51.100.9/os/theirs.iso"
	if err := s.Fail(bmctest.Fault{Kind: bmctest.FaultForeign, URL: theirs}); err != nil {
		t.Fatal(err)
	}
	checked, err := s.controller.Check(t.Context(), s.host)
	if err != nil || !strings.HasSuffix(checked.Answers[0].Seen, "by https; a medium is in slot Slot_0: "+theirs) {
		t.Errorf("the check says %+v, %v", checked.Answers[0], err)
	}
	s.host.Intent.BMC.Eject = "http://198.51.100.9/os/other.iso"
	err = s.do(t, provisioner.ErrandMedium, "a-1")
	if err == nil || !strings.HasSuffix(err.Error(), "muster bmc add h-7 --eject "+theirs) || len(s.Inserted()) != 1 {
		t.Errorf("with %q in: %v", s.Inserted(), err)
	}
	s.host.Intent.BMC.Eject = theirs
	if err := s.do(t, provisioner.ErrandMedium, "a-1"); err != nil || s.last() != bmctest.DeviceMedium {
		t.Errorf("it booted %q: %v", s.last(), err)
	}
}

func TestABMCThatWantsItsPasswordChangedSaysWhatToRunThen(t *testing.T) {
	s := newSite(t, "openbmc", func(o *bmctest.Options) { o.PasswordExpired = true })
	_, _, err := s.controller.Survey(t.Context(), s.host)
	if provisioner.KindOf(err) != provisioner.Operator || !strings.HasSuffix(err.Error(), ": muster bmc add h-7 --new-password-file FILE, or --password-file FILE") {
		t.Errorf("(%s) %v", provisioner.KindOf(err), err)
	}
}

// TestABMCIsGivenItsNewPasswordByAnErrandAndNeverByACheck: a check changes
// nothing, and what an errand changed is not tried out at the next one.
func TestABMCIsGivenItsNewPasswordByAnErrandAndNeverByACheck(t *testing.T) {
	s := newSite(t, "openbmc", func(o *bmctest.Options) { o.PasswordExpired = true })
	words := s.host.Intent.BMC
	words.NewPassword = s.box.Seal([]byte("changed-secret-16"), words.NewContext())
	if _, err := s.controller.Check(t.Context(), s.host); err == nil || !strings.Contains(err.Error(), "wants its password changed") || s.host.BMCRenewed() {
		t.Fatalf("the check says: %v", err)
	}
	fresh := s.host
	s.survey(t)
	if !s.host.BMCRenewed() {
		t.Fatalf("of the change is kept %+v", s.host.Facts.BMC)
	}
	if _, err := s.controller.Check(t.Context(), fresh); err != nil {
		t.Errorf("who does not know of the change is refused: %v", err)
	}
	before := len(s.Requests())
	if _, err := s.controller.Check(t.Context(), s.host); err != nil {
		t.Error(err)
	}
	s.survey(t)
	logins := 0
	for _, r := range s.Requests()[before:] {
		if r.Method == http.MethodPost {
			logins++
		}
	}
	if logins != 2 || !s.host.BMCRenewed() {
		t.Errorf("%d logins for a check and a survey, renewed %t", logins, s.host.BMCRenewed())
	}
	words.NewPassword = s.box.Seal([]byte("another-secret-16"), words.NewContext())
	if s.host.BMCRenewed() {
		t.Error("a new password that was never set counts as set")
	}
	s.holdOrder(t)
}

func TestACheckSaysWhetherTheLicenceIsThere(t *testing.T) {
	for _, tc := range []struct {
		personality string
		unlicensed  bool
		says        bmc.Says
		seen        string
	}{
		{"idrac9", false, bmc.Yes, "it has iDRAC9 15G Enterprise License"},
		{"idrac9", true, bmc.No, "media need iDRAC Enterprise or Datacenter here, and it has iDRAC9 15G Express License: add it"},
		{"idrac10", false, bmc.Yes, "Datacenter"},
		{"ilo5", false, bmc.Yes, "it has iLO Advanced"},
		{"ilo5", true, bmc.No, "it has iLO Standard"},
		{"xcc", false, bmc.Unknown, "shows at the first insert"},
		{"openbmc", false, bmc.Unknown, "none is known to be needed"},
	} {
		s := newSite(t, tc.personality, func(o *bmctest.Options) { o.Unlicensed = tc.unlicensed })
		checked, err := s.controller.Check(t.Context(), s.host)
		if err != nil {
			t.Fatal(err)
		}
		if got := checked.Answers[3]; got.About != bmc.Licence || got.Says != tc.says || !strings.Contains(got.Seen, tc.seen) {
			t.Errorf("%s, unlicensed %t: %+v", tc.personality, tc.unlicensed, got)
		}
	}
}

func TestAPasswordThatWasRefusedBeforeTheServerStartedIsNotShown(t *testing.T) {
	s := newSite(t, "ilo5")
	_, _, err := s.controller.Survey(t.Context(), s.host)
	if err != nil {
		t.Fatal(err)
	}
	before := len(s.Requests())
	s.host.Facts.BMCRefusal = &provisioner.Refusal{At: time.Unix(0, 0), Account: s.host.Intent.BMC.Digest()}
	_, _, err = s.controller.Survey(t.Context(), s.host)
	if provisioner.KindOf(err) != provisioner.Operator || errors.Is(err, provisioner.ErrRefused) || len(s.Requests()) != before {
		t.Errorf("after %d further requests: %v", len(s.Requests())-before, err)
	}
	s.host.Status.Handled.Retry++
	if _, _, err := s.controller.Survey(t.Context(), s.host); err != nil {
		t.Errorf("a person asked, and: %v", err)
	}
}

func TestWhatAPersonMustMendIsSaidBeforeAnythingIsSent(t *testing.T) {
	s := newSite(t, "ilo5")
	for want, words := range map[string]*provisioner.Controller{
		"no BMC is named for this host":                                          nil,
		"The password of its BMC at 192.0.2.1 is not known. Run: muster bmc add": {Address: "192.0.2.1"},
		"The address of its BMC is not known: 52:54:00:00:00:77":                 {MAC: "52:54:00:00:00:77", Password: []byte("?")},
		"give the password of the BMC at":                                        {Address: "192.0.2.1", Password: []byte("?")},
		`there is no driver "amt"`:                                               {Address: s.host.Intent.BMC.Address, User: s.User(), Password: s.host.Intent.BMC.Password, Driver: "amt"},
	} {
		_, _, err := s.controller.Survey(t.Context(), provisioner.Host{Intent: provisioner.Intent{BMC: words}})
		if provisioner.KindOf(err) != provisioner.Operator || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
	if n := len(s.Requests()); n > 0 {
		t.Errorf("the BMC got %d requests", n)
	}
}

func TestCallsForOneBMCTakeTurns(t *testing.T) {
	s := newSite(t, "openbmc")
	var calls sync.WaitGroup
	var waited sync.Map
	for range 3 {
		calls.Go(func() {
			if _, err := s.controller.Do(t.Context(), s.host, provisioner.ErrandOff, provisioner.Rendering{Attempt: "a-1"}, func(say string) { waited.Store(say, true) }); err != nil {
				t.Error(err)
			}
		})
	}
	calls.Wait()
	if _, told := waited.Load("another errand at this BMC is under way"); !told {
		t.Error("nobody was told that a call waited for its turn")
	}
	s.holdOrder(t)
}

func TestABMCWithoutRedfishNamesTheDriverThatItNeeds(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := closed.Addr().String()
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	sim := startSimulator(t)
	box, words := sealed(t, provisioner.Controller{Address: address, User: "root"}, "right")
	_, port, _ := net.SplitHostPort(sim.Address)
	c := bmc.New(bmc.Options{Secrets: box, Pace: pace, IPMIPort: port})
	_, _, err = c.Survey(t.Context(), provisioner.Host{Intent: provisioner.Intent{BMC: &words}})
	if provisioner.KindOf(err) != provisioner.Retry || !strings.Contains(err.Error(), `write "driver: ipmi"`) || !bmc.Unreachable(err) {
		t.Errorf("(%s) %v", provisioner.KindOf(err), err)
	}
}

// TestABMCIsEnteredWhereDHCPPutIt has a listed MAC and no listed address. What
// was seen of the BMC before counts for the same BMC alone.
func TestABMCIsEnteredWhereDHCPPutIt(t *testing.T) {
	s := newSite(t, "ilo5")
	const mac = "52:54:00:00:00:77"
	box, words := sealed(t, provisioner.Controller{MAC: mac, User: s.User()}, s.Password())
	c := bmc.New(bmc.Options{Secrets: box, Media: library{}, Pace: pace, IPMIPort: "1"})
	h := provisioner.Host{ID: "h-7", Intent: provisioner.Intent{BMC: &words}}
	h.Facts.BMCLease = &provisioner.BMCLease{MAC: mac, Address: s.HTTPS()}
	fact, _, err := c.Survey(t.Context(), h)
	if err != nil || fact.Of != mac || fact.Fingerprint == "" {
		t.Fatalf("of %q with certificate %q: %v", fact.Of, fact.Fingerprint, err)
	}
	other := fact
	other.Fingerprint = strings.Repeat("0", len(fact.Fingerprint))
	h.Facts.BMC = &other
	if _, _, err := c.Survey(t.Context(), h); err == nil || !strings.Contains(err.Error(), "another certificate than before") {
		t.Errorf("the pinned certificate: %v", err)
	}
	other.Of = "52:54:00:00:00:78"
	if again, _, err := c.Survey(t.Context(), h); err != nil || again.Of != mac || again.Fingerprint != fact.Fingerprint {
		t.Errorf("of %q with certificate %q after the BMC was replaced: %v", again.Of, again.Fingerprint, err)
	}
}

func sealed(t *testing.T, words provisioner.Controller, password string) (*seal.Box, provisioner.Controller) {
	t.Helper()
	box, err := seal.Open(filepath.Join(t.TempDir(), "key"))
	if err != nil {
		t.Fatal(err)
	}
	words.Password = box.Seal([]byte(password), words.Context())
	return box, words
}

func TestTheFirmwareIsGivenTheISOByHTTPWhereItTakesOne(t *testing.T) {
	for personality, uri := range map[string]string{"ami": "/m/a-1-token.iso", "idrac9": ""} {
		t.Run(personality, func(t *testing.T) {
			s := newSite(t, personality)
			s.survey(t)
			r := provisioner.Rendering{Attempt: "a-1", Way: provisioner.WayUEFIHTTP}
			if _, err := s.controller.Do(t.Context(), s.host, provisioner.ErrandNetwork, r, nil); err != nil {
				t.Fatal(err)
			}
			boots := s.Boots()
			if len(boots) != 1 || boots[0].Device != bmctest.DeviceHTTP || !strings.HasSuffix(boots[0].URI, uri) || (uri == "") != (boots[0].URI == "") {
				t.Errorf("it booted %+v", boots)
			}
			s.holdOrder(t)
		})
	}
}
