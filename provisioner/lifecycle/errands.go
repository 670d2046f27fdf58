package lifecycle

import (
	"fmt"
	"slices"
	"time"

	"github.com/muster-boot/muster/provisioner"
)

// How the list of a host's errands goes on. Errands are kept over attempts, the
// oldest first, as what a BMC was left with must be cleared whenever it was.

// errandsKept bounds the list.
const errandsKept = 16

// Begin is the list with do begun at now: anew, or once more. What the end of
// the server cut short is not counted as a try.
func Begin(h provisioner.Host, do provisioner.ErrandKind, now time.Time) (provisioner.Errand, []provisioner.Errand) {
	e, again := errandOf(h, do)
	list := slices.Clone(h.Facts.Errands)
	if again {
		list = slices.DeleteFunc(list, func(o provisioner.Errand) bool { return Same(o, e) })
	} else {
		e = provisioner.Errand{Attempt: h.Status.Attempt.ID, Do: do}
	}
	if e.Tries == 0 || e.Problem != "" {
		e.Tries++
	}
	e.Began, e.Done, e.Failed, e.Problem, e.Doing = now, time.Time{}, time.Time{}, "", ""
	return e, bounded(append(list, e))
}

// Same tells whether two are one try of one errand.
func Same(a, b provisioner.Errand) bool {
	return a.Do == b.Do && a.Attempt == b.Attempt && a.Began.Equal(b.Began)
}

// Booked is the list with what became of e in the place of e as it was begun;
// false where it is not there any more.
func Booked(list []provisioner.Errand, e provisioner.Errand) ([]provisioner.Errand, bool) {
	at := slices.IndexFunc(list, func(o provisioner.Errand) bool { return Same(o, e) })
	if at < 0 {
		return list, false
	}
	list = slices.Clone(list)
	list[at] = e
	return list, true
}

// bounded forgets the oldest errands, but never that something may be left in
// the BMC.
func bounded(list []provisioner.Errand) []provisioner.Errand {
	if len(list) <= errandsKept {
		return list
	}
	kept := slices.Clone(list[len(list)-errandsKept:])
	if !leftBehind(list) || leftBehind(kept) {
		return kept
	}
	for _, e := range slices.Backward(list) {
		if e.Do == provisioner.ErrandMedium || e.Do == provisioner.ErrandNetwork {
			kept[0] = e
			break
		}
	}
	return kept
}

// Bounds of how an errand is tried again.
const (
	firstErrandPause = 5 * time.Second
	lastErrandPause  = 2 * time.Minute
)

// ErrandDue is when the errand do, which [Errand] answered, may be begun: after
// a failed try each time later, within bounds.
func ErrandDue(h provisioner.Host, do provisioner.ErrandKind) time.Time {
	e, ok := errandOf(h, do)
	if !ok || e.Failed.IsZero() {
		return time.Time{}
	}
	pause := firstErrandPause
	for range e.Tries - 1 {
		pause = min(4*pause, lastErrandPause)
	}
	return e.Failed.Add(pause)
}

// Pace bounds how many hosts are started by their BMCs: so many in each period.
type Pace struct {
	Hosts int
	Every time.Duration
}

// Turn is when the next host may be started, given when others were, the
// earliest first; a time that is not after now means at once.
func (p Pace) Turn(started []time.Time, now time.Time) time.Time {
	if p.Hosts < 1 || len(started) < p.Hosts {
		return now
	}
	first := started[len(started)-p.Hosts]
	if first.After(now) { // the clock was set back
		return now
	}
	return first.Add(p.Every)
}

// surveyed is how a host that only has a BMC shows itself.
func surveyed(h provisioner.Host, _ time.Time) (string, bool) {
	e, ok := errandOf(h, provisioner.ErrandSurvey)
	if !ok || e.Done.IsZero() || h.Intent.BMC == nil {
		return "", false
	}
	return fmt.Sprintf("Its BMC at %s answered.", h.BMCAddress()), true
}
