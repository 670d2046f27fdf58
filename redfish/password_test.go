package redfish_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/muster-boot/muster/redfish"
)

// logins are how often a BMC was shown a password.
func (s site) logins() int {
	n := 0
	for _, r := range s.Requests() {
		if r.Method == http.MethodPost && strings.HasSuffix(r.Path, "/Sessions") {
			n++
		}
	}
	return n
}

// TestANewPasswordIsSetOnceAndFoundAgainByWhoDoesNotKnowThatItWas: the answer to
// the change may be lost, and who asked may be killed.
func TestANewPasswordIsSetOnceAndFoundAgainByWhoDoesNotKnowThatItWas(t *testing.T) {
	s := newSite(t, "ami")
	guard, factory := new(redfish.Guard), s.target()
	for _, step := range []struct {
		name   string
		guard  *redfish.Guard
		logins int
	}{
		{"it demands another", guard, 2},
		{"it has it, and nobody knows", guard, 2},
		{"the old one is known to be refused", guard, 1},
		{"somebody else comes", nil, 2},
	} {
		before := s.logins()
		b, err := redfish.Connect(t.Context(), factory, redfish.Options{Pace: pace, Guard: step.guard})
		if err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if err := b.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if !b.About().PasswordChanged || s.logins()-before != step.logins {
			t.Errorf("%s: changed %t after %d logins", step.name, b.About().PasswordChanged, s.logins()-before)
		}
	}
	if open, _, leaked := s.Sessions(); open+leaked > 0 || s.Locked() {
		t.Errorf("%d sessions are open, %d leaked, locked %t", open, leaked, s.Locked())
	}
}

func TestTwoWrongPasswordsAreEachTriedOnce(t *testing.T) {
	s := newSite(t, "openbmc")
	guard, wrong := new(redfish.Guard), s.target()
	wrong.Password, wrong.NewPassword = "no-password-at-all", "nor-is-this-one"
	for range 3 {
		_, err := redfish.Connect(t.Context(), wrong, redfish.Options{Pace: pace, Guard: guard})
		if redfish.CauseOf(err) != redfish.WrongPassword {
			t.Errorf("got %v", err)
		}
	}
	if n := s.logins(); n != 2 || s.Locked() {
		t.Errorf("%d logins, locked %t", n, s.Locked())
	}
	guard.Forget(wrong)
	_, err := redfish.Connect(t.Context(), wrong, redfish.Options{Pace: pace, Guard: guard})
	if n := s.logins(); redfish.CauseOf(err) != redfish.WrongPassword || n != 4 {
		t.Errorf("when a person asked: %d logins, %v", n, err)
	}
}
