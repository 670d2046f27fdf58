package redfish

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestABMCThatWasSilentMustAnswerThriceBeforeItIsBelieved(t *testing.T) {
	s := newStandin(t)
	b := s.connect(Options{Pace: Pace{Request: 5 * time.Second, Poll: time.Millisecond, Busy: time.Millisecond, Patience: time.Second}})
	silent := []bool{false, true, false, false, false} // looks at the root; it restarts between the first two
	asked, looks := 0, 0
	s.intercept = func(_ http.ResponseWriter, r *http.Request) bool {
		switch strings.TrimSuffix(r.URL.Path, "/") {
		case "/redfish/v1":
			if looks++; looks <= len(silent) && silent[looks-1] {
				s.over(r)
				panic(http.ErrAbortHandler)
			}
		case sysPath:
			if asked++; asked <= 2 { // the second on a connection of its own
				s.over(r)
				panic(http.ErrAbortHandler)
			}
		}
		return false
	}
	if _, err := b.Get(t.Context(), sysPath); err != nil || asked != 3 || looks != len(silent) {
		t.Errorf("asked %d times after %d looks: %v", asked, looks, err)
	}
}

func TestABMCThatSendsNothingUncompressedIsAskedWithoutThatWish(t *testing.T) {
	s := newStandin(t)
	refused := 0
	s.intercept = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != mgrPath || r.Header.Get("Accept-Encoding") != "identity" {
			return false
		}
		refused++
		refuseWith(w, http.StatusNotAcceptable, "Base.1.0.NotAcceptable", "HPE: compressed only")
		return true
	}
	b := s.connect(Options{})
	if b.About().Product.Manager != "BMC" || refused != 1 {
		t.Errorf("its manager is %q after %d refusals", b.About().Product.Manager, refused)
	}
}

// TestNoRequestIsRepeatedUnseen lets a used connection be closed instead of
// answered, which net/http repeats by itself where it may.
func TestNoRequestIsRepeatedUnseen(t *testing.T) {
	s := newStandin(t)
	b := s.connect(Options{})
	before, sent := len(s.asked), b.Requests()
	closed := false
	s.intercept = func(_ http.ResponseWriter, r *http.Request) bool {
		if closed {
			return false
		}
		closed = true
		s.over(r)
		panic(http.ErrAbortHandler)
	}
	if _, err := b.Get(t.Context(), sysPath); err != nil {
		t.Fatal(err)
	}
	if came, counted := len(s.asked)-before, b.Requests()-sent; came != 2 || counted != came {
		t.Errorf("%d requests came and %d were sent", came, counted)
	}
}
