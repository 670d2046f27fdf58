package redfish_test

import (
	"bytes"
	"context"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/muster-boot/muster/redfish"
	"github.com/muster-boot/muster/redfish/bmctest"
)

// second is a BMC's second in these tests, as the emulator's clock goes.
const second = 15 * time.Millisecond

var pace = redfish.Pace{
	Request: 10 * time.Second, Poll: second, Busy: 2 * second, Patience: 480 * second, Settle: 120 * second, Task: 300 * second,
}

// site is an emulated BMC in front of a paper host, and who serves it an ISO.
type site struct {
	*bmctest.Emulator
	urls []string
}

func newSite(t *testing.T, personality string) site {
	t.Helper()
	p, err := bmctest.Named(personality)
	if err != nil {
		t.Fatal(err)
	}
	p.Session.Timeout *= 20 // the BMC's seconds are short, and this machine may be busy for several
	host := bmctest.NewPaper(bmctest.PaperOptions{Identity: p.Identity(7), Second: second})
	e, err := bmctest.Start(bmctest.Options{Personality: p, Second: second, Password: "initial-secret", Machine: host})
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
	content := make([]byte, 64<<10)
	copy(content[16*2048:], "\x01CD001\x01")
	files := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"one"`)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
	})
	plain, secure := httptest.NewServer(files), httptest.NewUnstartedServer(files)
	secure.Config.ErrorLog = log.New(bytes.NewBuffer(nil), "", 0)
	secure.StartTLS()
	t.Cleanup(plain.Close)
	t.Cleanup(secure.Close)
	return site{e, []string{plain.URL + "/m/a1/x.iso", secure.URL + "/m/a1/x.iso"}}
}

func (s site) target() redfish.Target {
	return redfish.Target{Address: s.URL(), User: s.User(), Password: redfish.Secret(s.Password()), NewPassword: "changed-secret-16"}
}

// boot drives one whole sequence and leaves no session.
func (s site) boot(t *testing.T, w redfish.Want) (redfish.About, redfish.Outcome, error) {
	t.Helper()
	b, err := redfish.Connect(t.Context(), s.target(), redfish.Options{Pace: pace})
	if err != nil {
		return redfish.About{}, redfish.Outcome{}, err
	}
	out, err := b.Boot(t.Context(), w)
	if cerr := b.Close(t.Context()); cerr != nil {
		t.Error(cerr)
	}
	return b.About(), out, err
}

// TestEveryPersonalityBootsTheMediumOrSaysWhyNot holds the client against the
// emulator, which shares no table with it.
func TestEveryPersonalityBootsTheMediumOrSaysWhyNot(t *testing.T) {
	refused := map[string]redfish.Cause{
		"huawei": redfish.Scheme, "intel": redfish.NoMedia, "xcc-old": redfish.NoMedia,
	}
	for _, name := range bmctest.Names() {
		if name == "strict" {
			continue // see below
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, name)
			about, out, err := s.boot(t, redfish.Want{Goal: redfish.BootMedium, URLs: s.urls, Mode: redfish.UEFI})
			t.Logf("%s\n%s\n%+v", about.Why, strings.Join(out.Steps, "\n"), out.Working)
			if cause := redfish.CauseOf(err); err != nil && (cause != refused[name] || cause == "") {
				t.Errorf("it said: %v", err)
			}
			if err == nil && refused[name] != "" {
				t.Error("it took what its personality refuses")
			}
			open, _, leaked := s.Sessions()
			if requests, media := s.Peak(); requests > 1 || media > 1 || open > 0 || leaked > 0 || s.Locked() {
				t.Errorf("%d requests and %d media at once, %d sessions open, %d leaked, locked %t", requests, media, open, leaked, s.Locked())
			}
			boots := s.Boots()
			if err == nil && (len(boots) != 1 || boots[0].Device != bmctest.DeviceMedium || boots[0].Legacy) {
				t.Errorf("it booted %+v", boots)
			}
			if err != nil && len(boots) > 0 {
				t.Errorf("it booted %+v, and failed", boots)
			}
			if problems := s.Problems(); len(problems) > 0 {
				t.Logf("problems: %q", problems)
			}
		})
	}
}

// TestAnUnknownBMCIsLearntFromWhatItRefusesAndWhatItBoots goes up the ladders
// at a BMC that no row is for. It takes target Cd and boots its disk: only the
// host can tell, so the next attempt names the target that did not do.
func TestAnUnknownBMCIsLearntFromWhatItRefusesAndWhatItBoots(t *testing.T) {
	t.Parallel()
	s := newSite(t, "strict")
	want := redfish.Want{Goal: redfish.BootMedium, URLs: s.urls, Mode: redfish.UEFI}
	about, first, err := s.boot(t, want)
	if err != nil || about.Family != "standard" || first.Working.Target != "Cd" || !first.Working.Settings {
		t.Fatalf("%s: %+v, %v", about.Why, first.Working, err)
	}
	next := redfish.Want{Goal: redfish.BootMedium, Mode: redfish.UEFI, Avoid: []string{first.Working.Target}, Ours: func(string) bool { return true }}
	for _, u := range s.urls {
		next.URLs = append(next.URLs, strings.Replace(u, "/a1/", "/a2/", 1))
	}
	_, second, err := s.boot(t, next)
	boots := s.Boots()
	if err != nil || second.Working.Target != "UsbCd" || len(boots) < 2 || boots[len(boots)-1].Device != bmctest.DeviceMedium {
		t.Errorf("%+v booted %+v, %v", second.Working, boots, err)
	}
	open, _, leaked := s.Sessions()
	if requests, media := s.Peak(); requests > 1 || media > 1 || open > 0 || leaked > 0 {
		t.Errorf("%d requests and %d media at once, %d sessions open, %d leaked", requests, media, open, leaked)
	}
}

// TestEachFaultEndsInAHostThatBootedOrASentence lets a standard BMC fail in
// each way, once it is connected, and for the duration of the whole sequence.
func TestEachFaultEndsInAHostThatBootedOrASentence(t *testing.T) {
	const good = redfish.Cause("")
	for _, tc := range []struct {
		name  string
		fault bmctest.Fault
		want  redfish.Cause
	}{
		{"503 for a while", bmctest.Fault{Kind: bmctest.FaultUnavailable, Times: 6}, good},
		{"503 for ever", bmctest.Fault{Kind: bmctest.FaultUnavailable}, redfish.Busy},
		{"resets for a while", bmctest.Fault{Kind: bmctest.FaultReset, Times: 6}, good},
		{"the insert's answer is lost", bmctest.Fault{Kind: bmctest.FaultReset, Method: "POST", Path: "InsertMedia", Times: 1}, good},
		{"the power's answer is lost", bmctest.Fault{Kind: bmctest.FaultReset, Method: "POST", Path: "Reset", Times: 1}, good},
		{"a stray 401", bmctest.Fault{Kind: bmctest.FaultUnauthorized, Method: "GET", Path: "Systems", Times: 2}, good},
		{"slow answers", bmctest.Fault{Kind: bmctest.FaultSlow, Seconds: 3, Times: 10}, good},
		{"stale after an eject", bmctest.Fault{Kind: bmctest.FaultStaleInserted, For: 20}, good},
		{"an eject that does nothing", bmctest.Fault{Kind: bmctest.FaultEjectIgnored}, good},
		{"an override that is lost", bmctest.Fault{Kind: bmctest.FaultLostOverride}, redfish.Refused},
		{"a reset that does nothing", bmctest.Fault{Kind: bmctest.FaultDeafPower}, redfish.Slow},
		{"a restart in the middle", bmctest.Fault{Kind: bmctest.FaultReboot, Seconds: 60}, good},
		{"somebody's medium", bmctest.Fault{Kind: bmctest.FaultForeign, URL: "http://198.51.100.9/os/theirs.iso"}, redfish.ForeignMedium},
		{"another certificate on new connections", bmctest.Fault{Kind: bmctest.FaultCertificate}, good},
		{"a stuck task", bmctest.Fault{Kind: bmctest.FaultStuckTask}, good},
	} {
		for _, personality := range []string{"openbmc", "idrac9"} {
			t.Run(tc.name+" at "+personality, func(t *testing.T) {
				t.Parallel()
				s := newSite(t, personality)
				target := s.target()
				target.Address = s.HTTPS()
				b, err := redfish.Connect(t.Context(), target, redfish.Options{Pace: pace})
				if err != nil {
					t.Fatal(err)
				}
				if err := s.Fail(tc.fault); err != nil {
					t.Fatal(err)
				}
				_, err = b.Boot(t.Context(), redfish.Want{Goal: redfish.BootMedium, URLs: s.urls})
				if cause := redfish.CauseOf(err); cause != tc.want || (err != nil && tc.want == good) {
					t.Errorf("it said (%s): %v", cause, err)
				}
				s.Heal()
				if err := b.Close(t.Context()); err != nil {
					t.Error(err)
				}
				boots := s.Boots()
				if booted := len(boots) == 1 && boots[0].Device == bmctest.DeviceMedium; booted != (tc.want == good) {
					t.Errorf("it booted %+v", boots)
				}
				open, _, _ := s.Sessions()
				if _, media := s.Peak(); media > 1 || open > 0 {
					t.Errorf("%d media at once, %d sessions open", media, open)
				}
			})
		}
	}
}
