package lifecycle

import (
	"cmp"
	"slices"
	"time"

	"github.com/muster-boot/muster/provisioner"
)

// MaxErrandTries is how often an errand is begun before the BMC counts as
// refusing it. A survey is tried for ever: its BMC may not be plugged in yet.
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
		return open(h, provisioner.ErrandClear, leftBehind(h.Facts.Errands))
	case provisioner.Ready: // where nothing is to be installed the scout was all
		return open(h, provisioner.ErrandClear, h.Intent.Image == "" && leftBehind(h.Facts.Errands))
	case provisioner.Installing:
		return errandInstalling(h, now)
	case provisioner.Expected, provisioner.Discovered, provisioner.Verifying:
		return errandBefore(h, now)
	case provisioner.Unknown:
	}
	return "", false
}

// errandBefore is what is done for a host that is not verified yet, once its
// order is started. A host that was faster than its survey is surveyed still.
func errandBefore(h provisioner.Host, now time.Time) (provisioner.ErrandKind, bool) {
	if !h.Intent.Started {
		return "", false
	}
	expected := h.Status.Phase == provisioner.Expected
	if do, ok := open(h, provisioner.ErrandSurvey, expected || h.SeenBMC() == nil); ok || expected {
		return do, ok
	}
	return errandScout(h, now)
}

// errandScout starts the scout of a host that has none and is not bringing one
// up.
func errandScout(h provisioner.Host, now time.Time) (provisioner.ErrandKind, bool) {
	_, begun := BootOpen(h)
	if scoutLives(h, now) || reportIsCurrent(h) || comesUp(h, now) && !begun {
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
		return open(h, provisioner.ErrandDisk, After(h) == provisioner.AfterPowerOff && callHomeTime(h).IsZero())
	case !prepared, installerSpoke(h):
		return "", false
	case way == provisioner.WayMedia:
		return open(h, provisioner.ErrandMedium, true)
	case way == provisioner.WayUEFIHTTP:
		return open(h, provisioner.ErrandNetwork, true)
	}
	return open(h, provisioner.ErrandNetwork, !scoutLives(h, now) && abilities(h).Network)
}

// After is what the installer of h does when it is done: as its order says, else
// a host with a BMC powers off, which shows the end of its installation and is
// the moment to take its medium out.
func After(h provisioner.Host) provisioner.After {
	if h.Intent.BMC != nil {
		return cmp.Or(h.Intent.After, provisioner.AfterPowerOff)
	}
	return cmp.Or(h.Intent.After, provisioner.AfterReboot)
}

// Boots tells whether an errand starts the host.
func Boots(do provisioner.ErrandKind) bool {
	return do == provisioner.ErrandNetwork || do == provisioner.ErrandMedium || do == provisioner.ErrandDisk
}

// GoesOn tells whether an errand that is being done may go on: nobody stopped
// it, and h is still where it was begun for. A survey changes nothing at the
// host and is of use wherever it is.
func GoesOn(h provisioner.Host, e provisioner.Errand) bool {
	if h.Intent.BMC == nil || h.Intent.Order == "" || !free(h) {
		return false
	}
	if e.Do == provisioner.ErrandSurvey {
		return true
	}
	if e.Attempt != h.Status.Attempt.ID {
		return false
	}
	switch h.Status.Phase {
	case provisioner.Discovered, provisioner.Verifying:
		return Boots(e.Do) && h.Intent.Started
	case provisioner.Installing:
		return Boots(e.Do)
	case provisioner.Ready, provisioner.Installed, provisioner.Registered, provisioner.Shipped, provisioner.Failed, provisioner.Quarantined:
		return e.Do == provisioner.ErrandClear || e.Do == provisioner.ErrandOff
	case provisioner.Unknown, provisioner.Expected:
	}
	return false
}

// BootOpen is the errand that starts h in its present attempt, begun and neither
// done nor refused: the BMC may still put the power off. Nothing may be written
// to the disk until it is done. There is none where muster cannot enter the BMC
// any more: nobody would bring it to its end.
func BootOpen(h provisioner.Host) (provisioner.Errand, bool) {
	if h.Intent.BMC == nil || h.BMCLacks() != "" {
		return provisioner.Errand{}, false
	}
	for _, e := range slices.Backward(h.Facts.Errands) {
		if Boots(e.Do) && e.Attempt == h.Status.Attempt.ID {
			return e, e.Done.IsZero() && !refused(e)
		}
	}
	return provisioner.Errand{}, false
}

// Overtaken is the errand of [BootOpen] where the host itself has shown that it
// was started: what its BMC says of that matters no more.
func Overtaken(h provisioner.Host) (provisioner.Errand, bool) {
	e, isOpen := BootOpen(h)
	if !isOpen {
		return e, false
	}
	way, _ := Way(h)
	switch {
	case e.Do == provisioner.ErrandDisk:
		return e, callHomeTime(h).After(e.Began)
	case h.Status.Attempt.Phase == provisioner.Installing && (way == provisioner.WayMedia || way == provisioner.WayUEFIHTTP):
		return e, installerSpoke(h)
	}
	return e, installerSpoke(h) || heardScout(h, e.Began)
}

// installerSpoke tells whether the present attempt showed more than bytes read
// by whoever boots it. What boots by the network is the scout, unless the
// installer does.
func installerSpoke(h provisioner.Host) bool {
	silent := []string{provisioner.StageMedium}
	if way, _ := Way(h); way != provisioner.WayNetboot {
		silent = append(silent, provisioner.StageScript, provisioner.StageKernel)
	}
	return slices.ContainsFunc(h.Facts.Steps, func(s provisioner.Step) bool {
		return s.Attempt == h.Status.Attempt.ID && !slices.Contains(silent, s.Stage)
	})
}

func scoutLives(h provisioner.Host, now time.Time) bool {
	c := h.Facts.Scout
	return c != nil && now.Sub(c.Last) <= scoutGone
}

// comesUp tells whether h came to its phase by a boot of its own, and still has
// time to bring its scout up.
func comesUp(h provisioner.Host, now time.Time) bool {
	s := h.Facts.Sighting
	return s != nil && showedItself(h) && now.Sub(s.Netboot) <= bootPatience
}

// showedItself tells whether h came to its phase by a boot or a scout.
func showedItself(h provisioner.Host) bool {
	since := h.Status.Since.Add(-scoutGone)
	if s := h.Facts.Sighting; s != nil && s.Netboot.After(since) {
		return true
	}
	return heardScout(h, since)
}

func abilities(h provisioner.Host) provisioner.Abilities {
	if b := h.SeenBMC(); b != nil {
		return b.Abilities
	}
	return provisioner.Abilities{}
}

// waysIn are the errands by which the scout can be started, the better first. A
// host with an address of its own has no DHCP server to boot by, one on a network
// that muster does not answer has another's; what was
// refused in an attempt before comes last.
func waysIn(h provisioner.Host) []provisioner.ErrandKind {
	var ways []provisioner.ErrandKind
	can := abilities(h)
	if can.Network {
		ways = append(ways, provisioner.ErrandNetwork)
	}
	if can.Media {
		ways = append(ways, provisioner.ErrandMedium)
	}
	if h.Intent.Way == provisioner.WayMedia || ownAddress(h) || unanswered(h) {
		slices.Reverse(ways)
	}
	slices.SortStableFunc(ways, func(a, b provisioner.ErrandKind) int {
		return cmp.Compare(count(refusedBefore(h, a)), count(refusedBefore(h, b)))
	})
	return ways
}

func count(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

// ownAddress tells whether the manifest gives h an address.
func ownAddress(h provisioner.Host) bool { return h.Intent.Row.Static.Address != "" }

// unanswered tells whether a boot from the network would meet somebody else's
// DHCP server, or none. It may be that the BMC alone is on such a network: who
// was seen to boot, or is to boot by the network, is asked to.
func unanswered(h provisioner.Host) bool {
	b, s := h.SeenBMC(), h.Facts.Sighting
	seen := s != nil && !s.Netboot.IsZero()
	return b != nil && b.NoDHCP && !seen && h.Intent.Way != provisioner.WayNetboot && h.Intent.Way != provisioner.WayUEFIHTTP
}

// refusedBefore tells whether the last errand of that kind, in an attempt before
// this one, was refused.
func refusedBefore(h provisioner.Host, do provisioner.ErrandKind) bool {
	for _, e := range slices.Backward(h.Facts.Errands) {
		if e.Do == do && e.Attempt != h.Status.Attempt.ID {
			return refused(e)
		}
	}
	return false
}

// errandOf is the errand of that kind for the present attempt. A survey counts
// for the present phase only, and a clearing until the next boot.
func errandOf(h provisioner.Host, do provisioner.ErrandKind) (provisioner.Errand, bool) {
	for _, e := range slices.Backward(h.Facts.Errands) {
		switch {
		case do == provisioner.ErrandClear && Boots(e.Do):
			return provisioner.Errand{}, false
		case e.Do != do, e.Attempt != h.Status.Attempt.ID:
		case do == provisioner.ErrandSurvey && e.Began.Before(h.Status.Since):
		default:
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
	return e.Final || e.Do != provisioner.ErrandSurvey && e.Problem != "" && e.Tries >= MaxErrandTries
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
	return heardScout(h, t) || slices.ContainsFunc(h.Facts.Progress, func(p provisioner.Progress) bool { return p.At.After(t) })
}

func heardScout(h provisioner.Host, t time.Time) bool {
	return h.Facts.Scout != nil && h.Facts.Scout.Last.After(t)
}

// leftBehind tells whether a medium or an override may stand since the BMC was
// last cleared.
func leftBehind(errands []provisioner.Errand) bool {
	left := false
	for _, e := range errands {
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

// refusedWays are the present attempt's boot errands that were refused, where
// all ways in were; else none.
func refusedWays(h provisioner.Host) []provisioner.Errand {
	var list []provisioner.Errand
	for _, do := range waysIn(h) {
		e, _ := errandOf(h, do)
		if !refused(e) {
			return nil
		}
		list = append(list, e)
	}
	return list
}

// turnAwaited tells whether h waits for its turn at being started by its BMC.
func turnAwaited(h provisioner.Host) bool {
	if h.Intent.BMC == nil || h.Intent.Order == "" || !free(h) || slices.ContainsFunc(h.Facts.Errands, func(e provisioner.Errand) bool {
		return Boots(e.Do) && e.Attempt == h.Status.Attempt.ID
	}) {
		return false
	}
	way, _ := Way(h)
	switch h.Status.Phase {
	case provisioner.Discovered:
		return h.Intent.Started && len(waysIn(h)) > 0 && !reportIsCurrent(h) && !showedItself(h)
	case provisioner.Installing:
		return way == provisioner.WayMedia && !installerSpoke(h)
	case provisioner.Unknown, provisioner.Expected, provisioner.Verifying, provisioner.Ready, provisioner.Installed,
		provisioner.Registered, provisioner.Shipped, provisioner.Failed, provisioner.Quarantined:
	}
	return false
}
