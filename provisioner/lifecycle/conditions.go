package lifecycle

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/muster-boot/muster/inventory"
	"github.com/muster-boot/muster/inventory/profile"
	"github.com/muster-boot/muster/provisioner"
)

// Conditions of the table: each answers one question of one host and says, in
// a sentence, why the answer is yes.

func held(h provisioner.Host, _ time.Time) (string, bool) {
	return "Held by a person: " + h.Intent.Hold, h.Intent.Hold != ""
}

func conflicted(h provisioner.Host, _ time.Time) (string, bool) {
	return h.Facts.Conflict, h.Facts.Conflict != ""
}

// free tells whether nothing stands against leaving quarantine.
func free(h provisioner.Host) bool { return h.Intent.Hold == "" && h.Facts.Conflict == "" }

func reinstallAsked(h provisioner.Host, _ time.Time) (string, bool) {
	asked := h.Intent.Requests.Reinstall > h.Status.Handled.Reinstall && free(h)
	if h.Intent.BMC != nil {
		return "A person asked to install it anew and to erase its disk; its BMC is asked to start it.", asked
	}
	return "A person asked to install it anew and to erase its disk; waiting for it to boot from the network.", asked
}

func releaseAsked(h provisioner.Host, _ time.Time) (string, bool) {
	asked := h.Intent.Requests.Release > h.Status.Handled.Release && free(h)
	return "Released by a person; waiting for it to show itself again.", asked
}

// releasedFrom is a release of a host that was held when its system stood: it
// goes back to where it was, and nothing is installed.
func releasedFrom(before provisioner.Phase) func(provisioner.Host, time.Time) (string, bool) {
	return func(h provisioner.Host, now time.Time) (string, bool) {
		_, asked := releaseAsked(h, now)
		return fmt.Sprintf("Released by a person; it is %s as before.", before), asked && h.Status.Before == before
	}
}

func retryAsked(h provisioner.Host, _ time.Time) (string, bool) {
	asked := h.Intent.Requests.Retry > h.Status.Handled.Retry
	if h.Intent.BMC != nil {
		return "A person asked to try again; its BMC is asked anew.", asked
	}
	return "A person asked to try again; waiting for it to boot from the network.", asked
}

func listed(h provisioner.Host, _ time.Time) (string, bool) {
	return fmt.Sprintf("Listed in order %s, not seen since.", h.Intent.Order), h.Intent.Order != ""
}

func unlisted(h provisioner.Host, _ time.Time) (string, bool) {
	return "In no order any more; it will not be answered.", h.Intent.Order == ""
}

func seenDiscovering(h provisioner.Host, _ time.Time) (string, bool) {
	s := h.Facts.Sighting
	if s == nil || !s.Discover || s.Netboot.IsZero() {
		return "", false
	}
	return fmt.Sprintf("Seen on %s, which gives the scout to hosts in no manifest.", s.Network), true
}

func seen(h provisioner.Host, _ time.Time) (string, bool) {
	if why, netboots := netbooted(h); netboots {
		return why, true
	}
	return "Its scout is running and asked what to do.", scoutAsked(h)
}

// bootsAgain is a ready host that was restarted: what was read of it is old.
// The boot that led here must not count, not even in the same instant.
func bootsAgain(h provisioner.Host, _ time.Time) (string, bool) {
	why, netboots := netbooted(h)
	return why, netboots && h.Facts.Sighting.Netboot.After(h.Status.Since)
}

// netbooted and scoutAsked tell whether the host showed itself since it entered
// its phase.

func netbooted(h provisioner.Host) (string, bool) {
	s := h.Facts.Sighting
	if s == nil || s.Netboot.IsZero() || s.Netboot.Before(h.Status.Since) {
		return "", false
	}
	return fmt.Sprintf("Boots from the network on %s (%s).", s.Network, strings.Join(s.MACs, ", ")), true
}

func scoutAsked(h provisioner.Host) bool {
	c := h.Facts.Scout
	return c != nil && !c.Last.Before(h.Status.Since)
}

// returned is the retry without a keyboard: a failed host is switched on again,
// or its scout is still there. A host whose installed system has run boots that
// instead.
func returned(h provisioner.Host, _ time.Time) (string, bool) {
	_, netboots := netbooted(h)
	back := (netboots || scoutAsked(h)) && h.Status.Tries < MaxTries && !SystemOnDisk(h)
	return fmt.Sprintf("It shows itself again; trying anew (%d of %d tries failed).", h.Status.Tries, MaxTries), back
}

// startsAgain is the same by its BMC. What the BMC refused stays refused until a
// person acts, except that an image may come another way.
func startsAgain(h provisioner.Host, _ time.Time) (string, bool) {
	_, installing := Way(h)
	again := mayStart(h) && h.Status.Tries < MaxTries && !SystemOnDisk(h) && (installing || len(refusedWays(h)) == 0)
	return fmt.Sprintf("Its BMC can start it again; trying anew (%d of %d tries failed).", h.Status.Tries, MaxTries), again
}

// mayStart tells whether the BMC of h can and may start it.
func mayStart(h provisioner.Host) bool {
	return h.Intent.BMC != nil && h.Intent.Order != "" && h.Intent.Started && free(h) && len(waysIn(h)) > 0
}

// unstartable is a host that waits for a scout which its BMC refuses to start,
// by every way.
func unstartable(h provisioner.Host, _ time.Time) (string, bool) {
	refusals := refusedWays(h)
	if len(refusals) == 0 || showedItself(h) || reportIsCurrent(h) || heardSince(h, h.Status.Since) {
		return "", false
	}
	var why []string
	for _, e := range refusals {
		why = append(why, refusal(h, e))
	}
	return strings.Join(why, " "), true
}

// mediumRefused is an install attempt whose ISO its BMC does not take.
func mediumRefused(h provisioner.Host, _ time.Time) (string, bool) {
	e, ok := errandOf(h, provisioner.ErrandMedium)
	if way, _ := Way(h); !ok || way != provisioner.WayMedia || !refused(e) || installerSpoke(h) {
		return "", false
	}
	return refusal(h, e), true
}

// startedOtherwise is an install attempt whose host came back with its scout
// though its BMC says that it was started from its medium.
func startedOtherwise(h provisioner.Host, _ time.Time) (string, bool) {
	e, _ := errandOf(h, provisioner.ErrandMedium)
	way, _ := Way(h)
	other := way == provisioner.WayMedia && !e.Done.IsZero() && heardScout(h, e.Done) && !installerSpoke(h)
	return fmt.Sprintf("The BMC at %s says that it started the host from its medium, and the host started its scout instead.", h.BMCAddress()), other
}

// abandoned is a ready host without its scout, whose order was started and whose
// BMC can bring the scout back.
func abandoned(h provisioner.Host, now time.Time) (string, bool) {
	return "Its scout was not heard for a while; its BMC starts it again.",
		mayStart(h) && h.Intent.Image != "" && !scoutLives(h, now)
}

func reported(h provisioner.Host, _ time.Time) (string, bool) {
	return "The scout reported its hardware; checking it against what was ordered.",
		reportIsCurrent(h) && h.Intent.Order != ""
}

func reportIsCurrent(h provisioner.Host) bool {
	return h.Facts.Report != nil && h.Facts.Report.Attempt == h.Status.Attempt.ID
}

// overdue asks when h is due, which a BMC that is starting it and bytes that
// flow put off.
func overdue(h provisioner.Host, now time.Time) (string, bool) {
	due := Due(h)
	late := !due.IsZero() && now.After(due)
	return fmt.Sprintf("Nothing more was heard in time: %s Last evidence: %s.", Awaiting(h), LastEvidence(h)), late
}

func mismatched(h provisioner.Host, _ time.Time) (string, bool) {
	if !reportIsCurrent(h) {
		return "", false
	}
	var blocking []string
	for _, f := range Findings(h) {
		if f.Blocking {
			blocking = append(blocking, f.Sentence())
		}
	}
	return strings.Join(blocking, " "), len(blocking) > 0
}

// verified is asked after mismatched, so the findings that are left block nothing.
func verified(h provisioner.Host, _ time.Time) (string, bool) {
	return fmt.Sprintf("The hardware matches profile %s.", h.Intent.Rules.Name), reportIsCurrent(h)
}

// scoutGone is how long a scout may be silent before it counts as gone.
const scoutGone = time.Minute

// assigned wants the scout there: its report is of now and it can go over to the
// installer. A host that was switched off meanwhile begins anew when it boots.
func assigned(h provisioner.Host, now time.Time) (string, bool) {
	if !h.Intent.Started || h.Intent.Image == "" || !scoutLives(h, now) {
		return "", false
	}
	disk, ok := installDisk(h)
	return fmt.Sprintf("Order %s is started; installing to %s.", h.Intent.Order, byID(disk)), ok
}

// writeFailed is an attempt whose scout could not write the disk and said why.
func writeFailed(h provisioner.Host, _ time.Time) (string, bool) {
	s, ok := step(h, provisioner.StageWriteFailed)
	why := strings.TrimRight(s.Detail, ". ")
	if why == "" {
		why = "the scout did not say why"
	}
	return "The disk could not be written: " + why + ".", ok && !SystemOnDisk(h)
}

func calledHome(h provisioner.Host, _ time.Time) (string, bool) {
	a := h.Status.Attempt.ID
	if b := h.Facts.Booted; b != nil && b.Attempt == a {
		return "The installed system booted and called home.", true
	}
	if r := h.Facts.Registration; r != nil && r.Attempt == a {
		return "The agent of the installed system called, so it booted.", true
	}
	return "", false
}

// calledHomeLate believes a call of the failed attempt that came while nothing
// else was tried. It must be new: a host that failed after it had called home
// waits for its receipt, not for the same call again.
func calledHomeLate(h provisioner.Host, now time.Time) (string, bool) {
	if h.Status.Attempt.Phase != provisioner.Installing {
		return "", false
	}
	why, ok := calledHome(h, now)
	return why, ok && callHomeTime(h).After(h.Status.Since)
}

// callHomeTime is when the present attempt's system was last heard.
func callHomeTime(h provisioner.Host) time.Time {
	a := h.Status.Attempt.ID
	var at time.Time
	if b := h.Facts.Booted; b != nil && b.Attempt == a {
		at = b.At
	}
	if r := h.Facts.Registration; r != nil && r.Attempt == a && r.At.After(at) {
		at = r.At
	}
	if f, told := farewell(h); told && f.Last.After(at) {
		at = f.Last
	}
	return at
}

func receipted(h provisioner.Host, _ time.Time) (string, bool) {
	r := h.Facts.Receipt
	if r == nil || r.Attempt != h.Status.Attempt.ID {
		return "", false
	}
	return fmt.Sprintf("Registered as %s (%s).", r.ID, r.Proof), true
}

// rowFindings says whether the host that reported is the one its row lists: by
// its serial where both have one, else by its addresses.
func rowFindings(row provisioner.Row, r inventory.Report) []profile.Finding {
	want, seen := inventory.NormalSerial(row.Serial), inventory.NormalSerial(r.System.Serial)
	switch {
	case want != "" && seen != "" && want == seen:
		return nil
	case want != "" && seen != "":
		return notItsRow("system serial", row.Serial, r.System.Serial, r.Witness)
	case len(row.MACs) == 0 || hasAny(r.NICs, row.MACs):
		return nil
	}
	return notItsRow("network port", strings.Join(row.MACs, " "), macs(r.NICs), r.Witness)
}

func hasAny(nics []inventory.NIC, macs []string) bool {
	return slices.ContainsFunc(nics, func(n inventory.NIC) bool { return slices.Contains(macs, n.MAC) })
}

func macs(nics []inventory.NIC) string {
	var all []string
	for _, n := range nics {
		all = append(all, n.MAC)
	}
	return strings.Join(all, " ")
}

func notItsRow(slot, expected, seen string, by inventory.Witness) []profile.Finding {
	return []profile.Finding{{
		Check: "identity", Slot: slot, Expected: expected, Seen: seen,
		Witness: by, Blocking: true,
		Advice: "Another machine stands in this one's place, or the manifest is wrong: compare the label, then mend the row and import again, or swap the machine.",
	}}
}

func installDisk(h provisioner.Host) (inventory.Disk, bool) {
	if h.Facts.Report == nil {
		return inventory.Disk{}, false
	}
	disk, finding := profile.InstallDisk(h.Intent.Rules, h.Facts.Report.Report)
	return disk, finding == nil && byID(disk) != ""
}

// byID is the path by which an installer finds the disk again: kernel names
// change between boots.
func byID(d inventory.Disk) string {
	if len(d.ByID) == 0 {
		return ""
	}
	return "/dev/disk/by-id/" + d.ByID[0]
}
