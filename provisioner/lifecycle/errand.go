package lifecycle

import (
	"fmt"
	"slices"
	"time"

	"github.com/muster-boot/muster/inventory"
	"github.com/muster-boot/muster/inventory/profile"
	"github.com/muster-boot/muster/provisioner"
)

// MaxErrandTries is how often an errand is begun before the BMC counts as
// refusing it.
const MaxErrandTries = 5

// bootPatience is how long a host may be silent after its BMC started it before
// that way in counts as not working: memory training alone takes minutes.
const bootPatience = 6 * time.Minute

// Errand is what the BMC of h has to do next; false where it has nothing to do.
// Whoever does it writes it down before it begins. What was begun and is not
// done is answered again.
func Errand(h provisioner.Host, now time.Time) (provisioner.ErrandKind, bool) {
	if h.Intent.BMC == nil || h.BMCLacks() != "" || h.Intent.Order == "" || !free(h) {
		return "", false
	}
	if Parts(h) {
		return errandParting(h, now)
	}
	switch h.Status.Phase {
	case provisioner.Installed, provisioner.Registered, provisioner.Shipped, provisioner.Failed, provisioner.Quarantined:
		return open(h, provisioner.ErrandClear, leftBehind(h))
	case provisioner.Unknown, provisioner.Ready:
		return "", false
	case provisioner.Expected, provisioner.Discovered, provisioner.Verifying, provisioner.Installing:
	}
	if !h.Intent.Started {
		return "", false
	}
	switch h.Status.Phase {
	case provisioner.Expected:
		return open(h, provisioner.ErrandSurvey, true)
	case provisioner.Installing:
		return errandInstalling(h, now)
	}
	return errandScout(h, now)
}

// errandScout starts the scout of a host that has none.
func errandScout(h provisioner.Host, now time.Time) (provisioner.ErrandKind, bool) {
	if scoutLives(h, now) || reportIsCurrent(h) {
		return "", false
	}
	for _, do := range waysIn(h) {
		if !failedWay(h, do, now) {
			return open(h, do, true)
		}
	}
	return "", false
}

// errandInstalling never touches a host whose installer has said a word, until
// its system is on the disk.
func errandInstalling(h provisioner.Host, now time.Time) (provisioner.ErrandKind, bool) {
	way, prepared := Way(h)
	switch {
	case SystemOnDisk(h):
		return open(h, provisioner.ErrandDisk, h.Intent.After == provisioner.AfterPowerOff && callHomeTime(h).IsZero())
	case !prepared, installerSpoke(h):
		return "", false
	case way == provisioner.WayMedia:
		return open(h, provisioner.ErrandMedium, true)
	case scoutLives(h, now):
		return "", false
	case way == provisioner.WayWrite:
		return errandScout(h, now)
	}
	return open(h, provisioner.ErrandNetwork, true)
}

// installerSpoke tells whether the present attempt showed more than bytes read
// by whoever boots it.
func installerSpoke(h provisioner.Host) bool {
	return slices.ContainsFunc(h.Facts.Steps, func(s provisioner.Step) bool {
		return s.Attempt == h.Status.Attempt.ID && s.Stage != provisioner.StageMedium
	})
}

func scoutLives(h provisioner.Host, now time.Time) bool {
	c := h.Facts.Scout
	return c != nil && now.Sub(c.Last) <= scoutGone
}

// waysIn are the errands by which the scout can be started, the better first. A
// host with an address of its own has no DHCP server to boot by.
func waysIn(h provisioner.Host) []provisioner.ErrandKind {
	var can provisioner.Abilities
	if h.Facts.BMC != nil {
		can = h.Facts.BMC.Abilities
	}
	var ways []provisioner.ErrandKind
	if can.Network {
		ways = append(ways, provisioner.ErrandNetwork)
	}
	if can.Media {
		ways = append(ways, provisioner.ErrandMedium)
	}
	if h.Intent.Way == provisioner.WayMedia || h.Intent.Row.Static.Address != "" {
		slices.Reverse(ways)
	}
	return ways
}

// errandOf is the errand of that kind in the present attempt and phase.
func errandOf(h provisioner.Host, do provisioner.ErrandKind) (provisioner.Errand, bool) {
	for _, e := range slices.Backward(h.Facts.Errands) {
		if e.Do == do && e.Attempt == h.Status.Attempt.ID && !e.Began.Before(h.Status.Since) {
			return e, true
		}
	}
	return provisioner.Errand{}, false
}

// open answers do where it is wanted and neither done nor refused.
func open(h provisioner.Host, do provisioner.ErrandKind, wanted bool) (provisioner.ErrandKind, bool) {
	e, _ := errandOf(h, do)
	if !wanted || !e.Done.IsZero() || refused(e) {
		return "", false
	}
	return do, true
}

func refused(e provisioner.Errand) bool {
	return e.Final || e.Problem != "" && e.Tries >= MaxErrandTries
}

// failedWay tells whether the BMC refused this way in, or the host stayed silent
// after it.
func failedWay(h provisioner.Host, do provisioner.ErrandKind, now time.Time) bool {
	e, ok := errandOf(h, do)
	if !ok {
		return false
	}
	return refused(e) || !e.Done.IsZero() && now.Sub(e.Done) > bootPatience && !heardSince(h, e.Began)
}

func heardSince(h provisioner.Host, t time.Time) bool {
	if s := h.Facts.Sighting; s != nil && s.Netboot.After(t) {
		return true
	}
	if c := h.Facts.Scout; c != nil && c.Last.After(t) {
		return true
	}
	return slices.ContainsFunc(h.Facts.Progress, func(p provisioner.Progress) bool { return p.At.After(t) })
}

// leftBehind tells whether a medium or an override may stand since the BMC was
// last cleared.
func leftBehind(h provisioner.Host) bool {
	left := false
	for _, e := range h.Facts.Errands {
		switch e.Do {
		case provisioner.ErrandNetwork, provisioner.ErrandMedium:
			left = true
		case provisioner.ErrandDisk, provisioner.ErrandClear, provisioner.ErrandOff:
			left = left && e.Done.IsZero()
		case provisioner.ErrandSurvey:
		}
	}
	return left
}

// awaitingErrand is what stands with the BMC; false where nothing does, or where
// the host itself has said more since.
func awaitingErrand(h provisioner.Host) (string, bool) {
	if h.Intent.BMC == nil || len(h.Facts.Errands) == 0 || installerSpoke(h) {
		return "", false
	}
	last := h.Facts.Errands[len(h.Facts.Errands)-1]
	e, ok := errandOf(h, last.Do)
	switch {
	case !ok:
		return "", false
	case refused(e):
		return fmt.Sprintf("Awaited: a person. The BMC at %s did not do %s: %s Mend it, then run: muster host retry %s",
			h.BMCAddress(), e.Do, e.Problem, h.ID), true
	case e.Done.IsZero() && e.Problem != "":
		return fmt.Sprintf("Awaited: the next try of %s. The BMC said: %s", e.Do, e.Problem), true
	case e.Done.IsZero():
		return fmt.Sprintf("Awaited: the BMC doing %s. %s", e.Do, e.Doing), true
	case e.Do != provisioner.ErrandMedium || heardScout(h, e.Began):
		return "", false
	}
	return awaitingMedium(h), true
}

func heardScout(h provisioner.Host, t time.Time) bool {
	return h.Facts.Scout != nil && h.Facts.Scout.Last.After(t)
}

// awaitingMedium tells a BMC that cannot reach muster from one that stopped.
func awaitingMedium(h provisioner.Host) string {
	for _, p := range h.Facts.Progress {
		if p.Stage == provisioner.StageMedium && p.Bytes > 0 {
			return fmt.Sprintf("Awaited: the start of what is on its medium. The BMC has read %.1f MB of it, the last at %s.",
				float64(p.Bytes)/1e6, p.At.UTC().Format("15:04:05"))
		}
	}
	return "Awaited: the BMC reading its medium. It has not fetched a byte so far; if that stays so, it cannot reach muster's address."
}

// surveyed is how a host that only has a BMC shows itself.
func surveyed(h provisioner.Host, _ time.Time) (string, bool) {
	e, ok := errandOf(h, provisioner.ErrandSurvey)
	if !ok || e.Done.IsZero() || h.Intent.BMC == nil {
		return "", false
	}
	return fmt.Sprintf("Its BMC at %s answered.", h.BMCAddress()), true
}

// witnessFindings are what BMC and scout tell differently. What makes another
// host of it blocks; names and ports are only shown.
func witnessFindings(h provisioner.Host) []profile.Finding {
	if h.Facts.Survey == nil || h.Facts.Report == nil {
		return nil
	}
	var list []profile.Finding
	for _, d := range inventory.Disagreements(h.Facts.Report.Report, h.Facts.Survey.Report) {
		list = append(list, profile.Finding{
			Check: "witnesses", Slot: d.What,
			Expected: d.BMC + " as the BMC says", Seen: d.Scout + " as the scout says",
			Witness: inventory.Scout, Blocking: d.What != "Maker" && d.What != "Network ports",
			Advice: "One of the two reads another host, or reads this one wrongly: compare both with the label, and the BMC's address with the manifest.",
		})
	}
	return list
}
