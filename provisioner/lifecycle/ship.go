package lifecycle

import (
	"fmt"
	"time"

	"github.com/muster-boot/muster/provisioner"
)

// How a host ends that an order stages for shipment: its installed system is
// told to power off when it calls, the host is seen to be off, its record is
// written, and it is shipped. It registers at its final site.

const (
	// quiet is how long a host without a BMC must be silent to count as off: a
	// minute, and the ten seconds within which a packet may go unnoted.
	quiet = time.Minute + 10*time.Second
	// grace is how long a system may take to power off before its BMC does it,
	// and untold how long one that could not be told so.
	grace  = time.Minute
	untold = 5 * time.Minute
)

// MayPart tells whether the installed system of h, should it call, is told to
// power off: once it stands on the disk, until the host is off.
func MayPart(h provisioner.Host) bool {
	if !h.Intent.Ship || !free(h) {
		return false
	}
	switch h.Status.Phase {
	case provisioner.Installing, provisioner.Installed, provisioner.Failed:
		return true
	case provisioner.Unknown, provisioner.Expected, provisioner.Discovered, provisioner.Verifying, provisioner.Ready,
		provisioner.Registered, provisioner.Shipped, provisioner.Quarantined:
	}
	return false
}

// Parts tells whether h is being sent off: its system is to power off. One that
// was told and did not in time may still do so.
func Parts(h provisioner.Host) bool {
	_, told := farewell(h)
	return h.Intent.Ship && (h.Status.Phase == provisioner.Installed || h.Status.Phase == provisioner.Failed && told)
}

// Departs decides whether h, which is to power off, is off. A BMC is asked where
// muster drives one; without, or where it refuses, silence must do, after h was
// told and counted while muster was listening, so since the given time at the
// earliest. Where it is not known yet, again says when it may be; zero: not
// before something happens.
func Departs(h provisioner.Host, now, listening time.Time) (d provisioner.Departure, again time.Time, ok bool) {
	d = provisioner.Departure{Attempt: h.Status.Attempt.ID, At: now}
	if byBMC(h) {
		e, done := offSince(h)
		d.By = provisioner.SignBMC
		d.Proof = fmt.Sprintf("Its BMC at %s read power Off, with no medium of muster's in, at %s.", h.BMCAddress(), clock(e.Done))
		return d, mayBeCut(h), done
	}
	f, told := farewell(h)
	if !told {
		return d, time.Time{}, false
	}
	since := lastHeard(h)
	if listening.After(since) {
		since = listening
	}
	d.By = provisioner.SignSilence
	d.Proof = fmt.Sprintf("Its installed system called from %s, was told to power off at %s, and nothing was heard of the host for %d s.",
		f.Address, clock(f.Last), int(quiet.Seconds()))
	return d, since.Add(quiet), !now.Before(since.Add(quiet))
}

func clock(t time.Time) string { return t.UTC().Format("15:04:05") }

// farewell is that of h's present attempt.
func farewell(h provisioner.Host) (provisioner.Farewell, bool) {
	f := h.Facts.Farewell
	if f == nil || f.Attempt != h.Status.Attempt.ID {
		return provisioner.Farewell{}, false
	}
	return *f, true
}

// Departed is the proof that h is off in its present attempt; false: none yet.
func Departed(h provisioner.Host) (provisioner.Departure, bool) {
	d := h.Facts.Departure
	if d == nil || d.Attempt != h.Status.Attempt.ID {
		return provisioner.Departure{}, false
	}
	return *d, true
}

// byBMC tells whether the BMC of h says when it is off: one that muster drives
// was seen by it, and has not refused.
func byBMC(h provisioner.Host) bool {
	e, _ := errandOf(h, provisioner.ErrandOff)
	return h.SeenBMC() != nil && h.BMCLacks() == "" && !refused(e)
}

// offSince is the errand that read the power off, if it ended after the host last
// called: one that was switched on again since is not off.
func offSince(h provisioner.Host) (provisioner.Errand, bool) {
	e, ok := errandOf(h, provisioner.ErrandOff)
	return e, ok && !e.Done.IsZero() && e.Done.After(callHomeTime(h))
}

// mayBeCut is from when on the BMC of h may switch it off.
func mayBeCut(h provisioner.Host) time.Time {
	if f, told := farewell(h); told {
		return f.Last.Add(grace)
	}
	return callHomeTime(h).Add(untold)
}

// lastHeard is when h last gave a sign of life by itself.
func lastHeard(h provisioner.Host) time.Time {
	at := callHomeTime(h)
	if s := h.Facts.Sighting; s != nil && s.Last.After(at) {
		at = s.Last
	}
	if c := h.Facts.Scout; c != nil && c.Last.After(at) {
		at = c.Last
	}
	return at
}

// errandParting has the BMC switch h off that did not do so by itself, or could
// not be told, and takes out what is left in its drive.
func errandParting(h provisioner.Host, now time.Time) (provisioner.ErrandKind, bool) {
	if _, off := Departed(h); off {
		return "", false
	}
	if now.Before(mayBeCut(h)) {
		return open(h, provisioner.ErrandClear, leftBehind(h.Facts.Errands))
	}
	if e, ok := errandOf(h, provisioner.ErrandOff); ok && !e.Done.IsZero() && !e.Done.After(callHomeTime(h)) {
		return provisioner.ErrandOff, true // it is on again
	}
	return open(h, provisioner.ErrandOff, true)
}

// shipped wants proof and record of the present attempt.
func shipped(h provisioner.Host, _ time.Time) (string, bool) {
	d, off := Departed(h)
	r := h.Facts.Record
	if !h.Intent.Ship || !off || r == nil || r.Attempt != d.Attempt {
		return "", false
	}
	return fmt.Sprintf("Ready for shipment. %s Its record is %s.", d.Proof, r.File), true
}

// overdueInstalled waits for ever for the record of a host that is off: nothing
// that the host could do is missing.
func overdueInstalled(h provisioner.Host, now time.Time) (string, bool) {
	why, late := overdue(h, now)
	_, off := Departed(h)
	return why, late && !(Parts(h) && off)
}

// awaitingDeparture says what is still missing of an installed host that ships.
func awaitingDeparture(h provisioner.Host) string {
	f, told := farewell(h)
	d, off := Departed(h)
	e, sent := errandOf(h, provisioner.ErrandOff)
	switch {
	case off && d.Problem != "":
		return "Awaited: a person. The host is off and its record could not be written: " + d.Problem + ". Mend that; muster tries again by itself."
	case off:
		return "Awaited: its record being written."
	case !told && byBMC(h) && !sent:
		return fmt.Sprintf("Awaited: the next call of the installed system, which is then told to power off. At %s its BMC does it.", clock(mayBeCut(h)))
	case !told && !byBMC(h):
		return "Awaited: the next call of the installed system, which is then told to power off. Where it does not come, restart the host."
	case sent && refused(e):
		return fmt.Sprintf("Awaited: a minute of silence. The BMC at %s does not switch the host off: %s Where it stays on, switch it off by hand.",
			h.BMCAddress(), e.Problem)
	case !byBMC(h):
		return fmt.Sprintf("Awaited: a minute of silence. The host was told to power off at %s; where it stays on, switch it off.", clock(f.Last))
	case sent && e.Problem != "":
		return "Awaited: the next try to have the host's power read as off. The BMC said: " + e.Problem
	}
	return fmt.Sprintf("Awaited: the BMC reading power Off. From %s on the BMC does it, where the system has not.", clock(mayBeCut(h)))
}

// awaitingShipped says also where a host that was shipped is here again.
func awaitingShipped(h provisioner.Host) string {
	if at, again := SeenAgain(h); again {
		return fmt.Sprintf("Awaited: nothing. It was shipped and is here again, seen on %s at %s: it boots its own disk and nothing is installed. To install it anew, run: muster host reinstall %s",
			h.Facts.Sighting.Network, clock(at), h.ID)
	}
	return "Awaited: nothing. It is off and ready for shipment; its agent registers at its final site."
}

// SeenAgain is when a host that was shipped was last seen on a network of
// muster's; false: it was not.
func SeenAgain(h provisioner.Host) (time.Time, bool) {
	s := h.Facts.Sighting
	if h.Status.Phase != provisioner.Shipped || s == nil || !s.Last.After(h.Status.Since) {
		return time.Time{}, false
	}
	return s.Last, true
}
