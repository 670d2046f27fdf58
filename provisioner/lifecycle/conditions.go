package lifecycle

import (
	"fmt"
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
	return "A person asked to install it anew and to erase its disk; waiting for it to boot from the network.", asked
}

func releaseAsked(h provisioner.Host, _ time.Time) (string, bool) {
	asked := h.Intent.Requests.Release > h.Status.Handled.Release && free(h)
	return "Released by a person; waiting for it to show itself again.", asked
}

func retryAsked(h provisioner.Host, _ time.Time) (string, bool) {
	asked := h.Intent.Requests.Retry > h.Status.Handled.Retry
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
	if s := h.Facts.Sighting; s != nil && !s.Netboot.IsZero() && !s.Netboot.Before(h.Status.Since) {
		return fmt.Sprintf("Boots from the network on %s (%s).", s.Network, strings.Join(s.MACs, ", ")), true
	}
	if c := h.Facts.Scout; c != nil && !c.Last.Before(h.Status.Since) {
		return "Its scout is running and asked what to do.", true
	}
	return "", false
}

// returned is the retry without a keyboard: a person switched a failed host on
// again. A host whose installed system has run boots that instead.
func returned(h provisioner.Host, _ time.Time) (string, bool) {
	s := h.Facts.Sighting
	if s == nil || s.Netboot.Before(h.Status.Since) || h.Status.Tries >= MaxTries || bootsDisk(h) {
		return "", false
	}
	return fmt.Sprintf("Boots from the network again; trying anew (%d of %d tries used).", h.Status.Tries, MaxTries), true
}

func reported(h provisioner.Host, _ time.Time) (string, bool) {
	return "The scout reported its hardware; checking it against what was ordered.",
		reportIsCurrent(h) && h.Intent.Order != ""
}

func reportIsCurrent(h provisioner.Host) bool {
	return h.Facts.Report != nil && h.Facts.Report.Attempt == h.Status.Attempt.ID
}

func overdue(h provisioner.Host, now time.Time) (string, bool) {
	late := !h.Status.Deadline.IsZero() && now.After(h.Status.Deadline)
	return fmt.Sprintf("Nothing more was heard in time: %s Last evidence: %s.", Awaiting(h), LastEvidence(h)), late
}

func overdueUnreported(h provisioner.Host, now time.Time) (string, bool) {
	why, late := overdue(h, now)
	return why, late && !reportIsCurrent(h)
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

func assigned(h provisioner.Host, _ time.Time) (string, bool) {
	if !h.Intent.Started || h.Intent.Image == "" {
		return "", false
	}
	disk, ok := installDisk(h)
	return fmt.Sprintf("Order %s is started; installing to %s.", h.Intent.Order, byID(disk)), ok
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

func callHomeTime(h provisioner.Host) time.Time {
	a := h.Status.Attempt.ID
	if b := h.Facts.Booted; b != nil && b.Attempt == a {
		return b.At
	}
	if r := h.Facts.Registration; r != nil && r.Attempt == a {
		return r.At
	}
	return time.Time{}
}

func receipted(h provisioner.Host, _ time.Time) (string, bool) {
	r := h.Facts.Receipt
	if r == nil || r.Attempt != h.Status.Attempt.ID {
		return "", false
	}
	return fmt.Sprintf("Registered as %s (%s).", r.ID, r.Proof), true
}

// rowFindings says whether the host that reported is the one its row lists.
func rowFindings(row provisioner.Row, r inventory.Report) []profile.Finding {
	if row.Serial == "" || r.System.Serial == "" || strings.EqualFold(row.Serial, r.System.Serial) {
		return nil
	}
	return []profile.Finding{{
		Check: "identity", Slot: "system serial", Expected: row.Serial, Seen: r.System.Serial,
		Witness: r.Witness, Blocking: true,
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
