package redfish

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func count(list []string, part string) int {
	n := 0
	for _, s := range list {
		if strings.Contains(s, part) {
			n++
		}
	}
	return n
}

func TestTheServiceRootIsReadBeforeTheLogin(t *testing.T) {
	s := newStandin(t)
	s.connect(Options{})
	if diff := cmp.Diff([]string{"GET /redfish/v1/", "POST /redfish/v1/SessionService/Sessions"}, s.asked[:2]); diff != "" {
		t.Error(diff)
	}
}

func TestHelloNeedsNoPassword(t *testing.T) {
	s := newStandin(t)
	about, err := Hello(t.Context(), Target{Address: s.URL}, Options{Pace: quick})
	if err != nil || about.Product.Vendor != "Contoso" || about.UUID != "u" || len(about.Fingerprint) != 64 || len(s.asked) != 1 {
		t.Errorf("%+v, asked %v, %v", about, s.asked, err)
	}
}

func TestAWrongPasswordIsTriedOnce(t *testing.T) {
	for name, basic := range map[string]bool{"session": false, "basic": true} {
		t.Run(name, func(t *testing.T) {
			s := newStandin(t)
			s.password, s.basic = "other", basic
			_, err := Connect(t.Context(), s.target(), Options{Pace: quick})
			if CauseOf(err) != WrongPassword || !ForOperator(err) || strings.Contains(err.Error(), "right\"") {
				t.Errorf("got %v", err)
			}
			with := map[bool]string{false: "POST /redfish/v1/SessionService/Sessions", true: "GET /redfish/v1/Systems"}[basic]
			if count(s.asked, with) != 1 || len(s.asked) > 3 {
				t.Errorf("asked %v", s.asked)
			}
		})
	}
}

func TestAGuardKeepsARefusedPasswordFromBeingTriedAgain(t *testing.T) {
	s := newStandin(t)
	guard := new(Guard)
	wrong := s.target()
	wrong.Password = "wrong"
	for range 3 {
		if _, err := Connect(t.Context(), wrong, Options{Pace: quick, Guard: guard}); CauseOf(err) != WrongPassword {
			t.Errorf("got %v", err)
		}
	}
	if n := count(s.asked, "POST"); n != 1 {
		t.Errorf("it was tried %d times", n)
	}
	s.connect(Options{Guard: guard}) // another password is another try
}

func TestAPasswordChangedUnderwayStopsEverything(t *testing.T) {
	s := newStandin(t)
	b := s.connect(Options{})
	s.mu.Lock()
	s.password = "changed"
	clear(s.sessions)
	s.mu.Unlock()
	for range 3 {
		if _, err := b.Power(t.Context()); CauseOf(err) != WrongPassword {
			t.Errorf("got %v", err)
		}
	}
	if n := count(s.asked, "POST /redfish/v1/SessionService/Sessions"); n != 2 {
		t.Errorf("%d logins, want the first and one more", n)
	}
}

func TestASessionThatTimedOutIsOpenedAgain(t *testing.T) {
	s := newStandin(t)
	b := s.connect(Options{})
	s.mu.Lock()
	clear(s.sessions)
	s.mu.Unlock()
	if p, err := b.Power(t.Context()); err != nil || p != On || s.opened != 2 {
		t.Errorf("%s, %d sessions, %v", p, s.opened, err)
	}
}

func TestAStray401LeavesNoSecondSession(t *testing.T) {
	s := newStandin(t)
	b := s.connect(Options{})
	stray := true
	s.intercept = func(w http.ResponseWriter, r *http.Request) bool {
		if !stray || r.URL.Path != sysPath {
			return false
		}
		stray = false
		w.WriteHeader(http.StatusUnauthorized)
		return true
	}
	if _, err := b.Power(t.Context()); err != nil || len(s.sessions) != 1 {
		t.Errorf("%d sessions, %v", len(s.sessions), err)
	}
}

func TestBasicIsTakenWhereThereAreNoSessions(t *testing.T) {
	for name, shape := range map[string]func(*standin){
		"405": func(*standin) {},
		"no link": func(s *standin) {
			delete(s.tree["/redfish/v1"], "Links")
			delete(s.tree["/redfish/v1"], "SessionService")
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStandin(t)
			s.basic = true
			shape(s)
			b := s.connect(Options{})
			if p, err := b.Power(t.Context()); err != nil || p != On || !b.About().Basic {
				t.Errorf("%s, %+v, %v", p, b.About(), err)
			}
		})
	}
}

func TestFullSessionsAreWaitedForByTheCaller(t *testing.T) {
	s := newStandin(t)
	s.intercept = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPost {
			return false
		}
		refuseWith(w, http.StatusBadRequest, "Base.1.0.SessionLimitExceeded", "too many")
		return true
	}
	_, err := Connect(t.Context(), s.target(), Options{Pace: quick})
	if CauseOf(err) != Sessions || ForOperator(err) || !strings.Contains(err.Error(), "close some") {
		t.Errorf("got %v", err)
	}
}

func TestNoSessionIsLeftWhenConnectFails(t *testing.T) {
	for name, path := range map[string]string{"no system": "/redfish/v1/Systems", "half way": mgrPath} {
		t.Run(name, func(t *testing.T) {
			s := newStandin(t)
			ctx, cancel := context.WithCancel(t.Context())
			s.intercept = func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path == path {
					s.over(r)
					cancel()
					<-r.Context().Done() // so that no answer is faster
					return true
				}
				return false
			}
			if _, err := Connect(ctx, s.target(), Options{Pace: quick}); !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
			if s.opened != 1 || len(s.sessions) != 0 {
				t.Errorf("opened %d, left %d", s.opened, len(s.sessions))
			}
		})
	}
}

// TestALoginIsNotCutOff ends the context while the BMC makes the session.
func TestALoginIsNotCutOff(t *testing.T) {
	s := newStandin(t)
	ctx, cancel := context.WithCancel(t.Context())
	s.intercept = func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPost {
			cancel()
		}
		return false
	}
	if _, err := Connect(ctx, s.target(), Options{Pace: quick}); !errors.Is(err, context.Canceled) || s.opened != 1 {
		t.Errorf("opened %d, %v", s.opened, err)
	}
}

func TestTheCertificateIsPinned(t *testing.T) {
	first, second := newStandin(t), newStandin(t)
	seen := first.connect(Options{}).About().Fingerprint
	target := first.target()
	target.Fingerprint = strings.ToUpper(seen[:2]) + ":" + seen[2:]
	b, err := Connect(t.Context(), target, Options{Pace: quick})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Close(t.Context()); err != nil {
		t.Error(err)
	}
	target.Address = second.URL
	target.Fingerprint = strings.Repeat("ab", 32)
	if _, err := Connect(t.Context(), target, Options{Pace: quick}); CauseOf(err) != Certificate || !ForOperator(err) || len(second.asked) != 0 {
		t.Errorf("asked %v, %v", second.asked, err)
	}
	target.Fingerprint = "abcd"
	if _, err := Connect(t.Context(), target, Options{}); CauseOf(err) != BadTarget {
		t.Errorf("got %v", err)
	}
}

func TestABusyBMCIsWaitedForWithItsReason(t *testing.T) {
	s := newStandin(t)
	busy := 3
	s.intercept = func(w http.ResponseWriter, _ *http.Request) bool {
		if busy--; busy < 0 {
			return false
		}
		refuseWith(w, http.StatusServiceUnavailable, "Base.1.0.ServiceTemporarilyUnavailable", "starting")
		return true
	}
	var reasons []string
	s.connect(Options{Waiting: func(reason string) { reasons = append(reasons, reason) }})
	if len(reasons) != 3 || !strings.Contains(reasons[0], "starting") {
		t.Errorf("told %q", reasons)
	}
}

func TestABMCThatStaysBusyIsAFaultToRetry(t *testing.T) {
	s := newStandin(t)
	s.intercept = func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	}
	if _, err := Connect(t.Context(), s.target(), Options{Pace: quick}); ForOperator(err) || err == nil {
		t.Errorf("got %v", err)
	}
}

func TestARestartInTheMiddleIsWaitedOut(t *testing.T) {
	s := newStandin(t)
	b := s.connect(Options{})
	silent := 4
	s.intercept = func(w http.ResponseWriter, r *http.Request) bool {
		if silent--; silent < 0 {
			return false
		}
		hijack(t, w)
		return true
	}
	if p, err := b.Power(t.Context()); err != nil || p != On {
		t.Errorf("%s, %v", p, err)
	}
	if n := count(s.asked, "GET /redfish/v1/"); n < 3 {
		t.Errorf("steady after %d reads", n)
	}
}

// hijack closes a connection without an answer.
func hijack(t *testing.T, w http.ResponseWriter) {
	c, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		t.Error(err)
		return
	}
	c.Close()
}

func TestALostAnswerIsNotSentAgainUnseen(t *testing.T) {
	s := newStandin(t)
	b := s.connect(Options{})
	s.intercept = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPost || !strings.Contains(r.URL.Path, "Actions") {
			return false
		}
		var body map[string]any
		_ = json.NewDecoder(r.Body).Decode(&body)
		s.mu.Lock()
		s.act(discard{}, r.URL.Path, body)
		s.mu.Unlock()
		hijack(t, w)
		return true
	}
	if _, err := b.Boot(t.Context(), bootISO); err != nil {
		t.Fatal(err)
	}
	if n := count(s.asked, "Actions"); n != 4 || len(s.inserts) != 1 || len(s.boots) != 1 {
		t.Errorf("%d actions, inserted %v, booted %v", n, s.inserts, s.boots)
	}
}

type discard struct{}

func (discard) Header() http.Header         { return http.Header{} }
func (discard) Write(b []byte) (int, error) { return len(b), nil }
func (discard) WriteHeader(int)             {}

func TestNobodyElseGetsTheToken(t *testing.T) {
	var asked int
	other := newStandin(t)
	other.intercept = func(http.ResponseWriter, *http.Request) bool { asked++; return false }
	s := newStandin(t)
	s.intercept = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != mgrPath {
			return false
		}
		http.Redirect(w, r, other.URL+mgrPath, http.StatusTemporaryRedirect)
		return true
	}
	s.tree["/redfish/v1"]["Systems"] = ref(other.URL + "/redfish/v1/Systems") // only its path counts
	s.connect(Options{})
	if asked != 0 {
		t.Errorf("another host was asked %d times", asked)
	}
}

func TestSomethingElseIsNotABMC(t *testing.T) {
	s := newStandin(t)
	s.intercept = func(w http.ResponseWriter, _ *http.Request) bool {
		fmt.Fprint(w, "<html>It works!</html>")
		return true
	}
	if _, err := Connect(t.Context(), s.target(), Options{Pace: quick}); CauseOf(err) != Unreachable || !strings.Contains(err.Error(), "not Redfish") || len(s.asked) != 1 {
		t.Errorf("asked %v, %v", s.asked, err)
	}
}

func TestASilentAddressIsAFaultToRetry(t *testing.T) {
	s := newStandin(t)
	s.Server.Close()
	if _, err := Connect(t.Context(), s.target(), Options{Pace: quick}); CauseOf(err) != Unreachable || ForOperator(err) {
		t.Errorf("got %v", err)
	}
}

func TestAddressesOfAllForms(t *testing.T) {
	for address, want := range map[string]string{
		"192.0.2.1": "https://192.0.2.1", "192.0.2.1:8443": "https://192.0.2.1:8443", "fe80::1": "https://[fe80::1]", "[fe80::1]:8443": "https://[fe80::1]:8443",
		"bmc.example": "https://bmc.example", "http://192.0.2.1:8000/": "http://192.0.2.1:8000",
		"": "", "ftp://192.0.2.1": "", "https://root:calvin@192.0.2.1": "", "192.0.2.1/redfish": "", "https://": "",
	} {
		got, err := Target{Address: address}.endpoint()
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q is %q, %v; want %q", address, got, err, want)
		}
	}
}

func TestAPasswordDoesNotPrintItself(t *testing.T) {
	target := Target{Password: "hunter2"}
	asJSON, err := json.Marshal(target)
	if err != nil {
		t.Fatal(err)
	}
	if all := fmt.Sprintf("%v %+v %#v %s %s", target, target, target, target.Password, asJSON); strings.Contains(all, "hunter2") {
		t.Error(all)
	}
}

func TestAStray401AfterALoginIsNoReasonForAnother(t *testing.T) {
	s := newStandin(t)
	b := s.connect(Options{})
	const lost, stray = 2, 1
	refusals := 0
	s.intercept = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodGet || refusals == lost+stray {
			return false
		}
		refusals++
		refuseWith(w, http.StatusUnauthorized, "Base.1.0.NoValidSession", "no session")
		return true
	}
	if _, err := b.Power(t.Context()); err != nil || s.opened != 2 || refusals != lost+stray {
		t.Errorf("opened %d sessions over %d refusals, %v", s.opened, refusals, err)
	}
}

// TestAPasswordThatTheBMCRepeatsIsNotTold: messages of registry Base quote the
// value that was refused.
func TestAPasswordThatTheBMCRepeatsIsNotTold(t *testing.T) {
	const old, fresh = "old-Passw0rd", "fresh-Passw0rd"
	for name, status := range map[string]int{"logging in": http.StatusBadRequest, "changing it": http.StatusForbidden} {
		t.Run(name, func(t *testing.T) {
			s := newStandin(t)
			s.intercept = func(w http.ResponseWriter, r *http.Request) bool {
				switch r.Method {
				case http.MethodPost:
					if status == http.StatusForbidden {
						refuseWith(w, status, "Base.1.0.PasswordChangeRequired", "The password of "+old+" must be changed.")
						return true
					}
					refuseWith(w, status, "Base.1.0.PropertyValueFormatError", "The value '"+old+"' for the property Password is of a different format.")
				case http.MethodPatch:
					refuseWith(w, http.StatusBadRequest, "Base.1.0.PropertyValueFormatError", "The value '"+fresh+"' for the property Password is too simple.")
				default:
					return false
				}
				return true
			}
			target := s.target()
			target.Password, target.NewPassword = old, fresh
			_, err := Connect(t.Context(), target, Options{Pace: quick})
			if err == nil || strings.Contains(err.Error(), old) || strings.Contains(err.Error(), fresh) || !strings.Contains(err.Error(), "PropertyValueFormatError") {
				t.Errorf("got %v", err)
			}
		})
	}
}
