package lifecycle

import (
	"testing"
	"time"

	"github.com/muster-boot/muster/provisioner"
)

func TestAnErrandIsBegunAnewInItsPlaceAndCountsWhatFailed(t *testing.T) {
	h := withBMC(t, provisioner.Discovered)
	var e provisioner.Errand
	for n, want := range []int{1, 1, 2, 2, 3} { // every other one is cut short by the end of the server
		e, h.Facts.Errands = Begin(h, provisioner.ErrandNetwork, start.Add(time.Duration(n)*time.Minute))
		if e.Tries != want || len(h.Facts.Errands) != 1 || e.Problem != "" {
			t.Fatalf("begun for the %d. time it counts %+v in %d errands", n+1, e, len(h.Facts.Errands))
		}
		if n%2 == 1 {
			e.Problem, e.Failed = "it does not answer.", e.Began.Add(time.Second)
			h.Facts.Errands, _ = Booked(h.Facts.Errands, e)
		}
	}
	old := e
	e, h.Facts.Errands = Begin(h, provisioner.ErrandNetwork, start.Add(time.Hour))
	old.Done = start.Add(2 * time.Hour)
	if _, there := Booked(h.Facts.Errands, old); there {
		t.Error("the outcome of a try before is booked to this one")
	}
}

func TestErrandsAreForgottenButNotWhatTheyLeft(t *testing.T) {
	h := withBMC(t, provisioner.Expected)
	_, h.Facts.Errands = Begin(h, provisioner.ErrandMedium, start)
	for n := range 100 {
		h.Status.Since = start.Add(time.Duration(n) * time.Minute)
		_, h.Facts.Errands = Begin(h, provisioner.ErrandSurvey, h.Status.Since)
	}
	if n := len(h.Facts.Errands); n != errandsKept {
		t.Errorf("%d errands are kept", n)
	}
	if !leftBehind(h.Facts.Errands) {
		t.Error("it is forgotten that a medium may be in")
	}
}

func TestAFailedErrandWaitsLongerEachTime(t *testing.T) {
	h := withBMC(t, provisioner.Expected)
	e := errand(&h, provisioner.ErrandSurvey)
	if at := ErrandDue(h, provisioner.ErrandSurvey); !at.IsZero() {
		t.Errorf("one that did not fail waits until %s", at)
	}
	e.Failed = start
	for tries, want := range map[int]time.Duration{1: 5 * time.Second, 2: 20 * time.Second, 3: 80 * time.Second, 4: 2 * time.Minute, 40: 2 * time.Minute} {
		e.Tries = tries
		if got := ErrandDue(h, provisioner.ErrandSurvey).Sub(start); got != want {
			t.Errorf("after %d tries it waits %s, want %s", tries, got, want)
		}
	}
}

func TestNoMoreHostsAreStartedInAPeriodThanTheSiteAllows(t *testing.T) {
	p := Pace{Hosts: 3, Every: 10 * time.Second}
	var started []time.Time
	now := start
	for n := range 9 {
		at := p.Turn(started, now)
		if at.After(now) {
			now = at
		}
		if want := start.Add(time.Duration(n/3) * 10 * time.Second); !now.Equal(want) {
			t.Errorf("host %d is started after %s, want %s", n+1, now.Sub(start), want.Sub(start))
		}
		started = append(started, now)
	}
	if at := p.Turn(started, start.Add(-time.Hour)); at.After(start.Add(-time.Hour)) {
		t.Errorf("a clock that was set back holds hosts up until %s", at)
	}
	if at := (Pace{}).Turn(started, now); at.After(now) {
		t.Error("without a bound a host waits")
	}
}
