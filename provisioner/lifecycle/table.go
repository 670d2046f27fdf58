package lifecycle

import (
	"slices"
	"time"

	"github.com/muster-boot/muster/inventory/profile"
	"github.com/muster-boot/muster/provisioner"
)

// A Rule is one arrow of the drawing.
type Rule struct {
	From   []provisioner.Phase // empty: from any other phase; a phase may be entered anew from itself
	When   string              // the condition in a few words, for the drawing
	If     func(h provisioner.Host, now time.Time) (why string, ok bool)
	To     provisioner.Phase
	Exit   Exit
	Effect func(provisioner.Host) Effect // may be nil
}

func (r Rule) from(p provisioner.Phase) bool {
	return len(r.From) == 0 && p != r.To || slices.Contains(r.From, p)
}

func phases(p ...provisioner.Phase) []provisioner.Phase { return p }

// table is read from the top and the first match wins, so order is policy:
// what people and the hardware forbid stands before what they allow, late
// evidence of success stands before the deadline it missed. It is never
// written to.
var table = []Rule{
	{phases(), "a person holds the host", held, provisioner.Quarantined, Operator, nil},
	{phases(provisioner.Unknown, provisioner.Expected, provisioner.Discovered, provisioner.Verifying, provisioner.Ready,
		provisioner.Installing, provisioner.Failed),
		"two hosts claim one identity", conflicted, provisioner.Quarantined, Refusal, nil},
	{phases(provisioner.Quarantined, provisioner.Failed, provisioner.Ready, provisioner.Installed, provisioner.Registered,
		provisioner.Shipped),
		"reinstall asked", reinstallAsked, provisioner.Expected, Operator, grantErase},
	{phases(provisioner.Quarantined), "release asked, was registered", releasedFrom(provisioner.Registered), provisioner.Registered, Operator, startOver},
	{phases(provisioner.Quarantined), "release asked, was shipped", releasedFrom(provisioner.Shipped), provisioner.Shipped, Operator, startOver},
	{phases(provisioner.Quarantined), "release asked, was installed", releasedFrom(provisioner.Installed), provisioner.Installed, Operator, startOver},
	{phases(provisioner.Quarantined), "release asked", releaseAsked, provisioner.Expected, Operator, startOver},
	{phases(provisioner.Expected, provisioner.Discovered, provisioner.Verifying, provisioner.Ready, provisioner.Installing, provisioner.Failed),
		"retry asked", retryAsked, provisioner.Expected, Operator, startOver},

	{phases(provisioner.Unknown), "a person listed or approved it", listed, provisioner.Expected, Operator, nil},
	{phases(provisioner.Unknown), "seen on a network that discovers", seenDiscovering, provisioner.Discovered, Success, nil},
	{phases(provisioner.Expected), "no longer in any order", unlisted, provisioner.Unknown, Operator, nil},
	{phases(provisioner.Expected), "seen", seen, provisioner.Discovered, Success, nil},
	{phases(provisioner.Expected), "its BMC answered", surveyed, provisioner.Discovered, Success, nil},

	{phases(provisioner.Discovered), "scout reported, host is listed", reported, provisioner.Verifying, Success, nil},
	{phases(provisioner.Discovered), "deadline: no report", overdue, provisioner.Failed, Deadline, nil},
	{phases(provisioner.Discovered), "its BMC refuses every way to start it", unstartable, provisioner.Failed, Failure, nil},

	{phases(provisioner.Verifying, provisioner.Ready), "hardware differs", mismatched, provisioner.Quarantined, Refusal, verdict},
	{phases(provisioner.Verifying), "hardware matches", verified, provisioner.Ready, Success, verdict},
	{phases(provisioner.Verifying), "deadline: no report", overdue, provisioner.Failed, Deadline, nil},

	{phases(provisioner.Ready), "boots from the network again", bootsAgain, provisioner.Discovered, Success, nil},
	{phases(provisioner.Ready), "order started, names an image, scout is there", assigned, provisioner.Installing, Success, target},
	{phases(provisioner.Ready), "order started, scout is gone, its BMC can bring it back", abandoned, provisioner.Discovered, Success, nil},

	{phases(provisioner.Installing), "this attempt called home", calledHome, provisioner.Installed, Success, nil},
	{phases(provisioner.Installing), "the scout could not write the disk", writeFailed, provisioner.Failed, Failure, nil},
	{phases(provisioner.Installing), "its BMC does not take its medium", mediumRefused, provisioner.Failed, Failure, unreached},
	{phases(provisioner.Installing), "its BMC started something else than its medium", startedOtherwise, provisioner.Failed, Failure, unreached},
	{phases(provisioner.Installing), "deadline: no call-home, and no bytes flow", overdue, provisioner.Failed, Deadline, unreached},

	{phases(provisioner.Installed), "receipt stored", receipted, provisioner.Registered, Success, nil},
	{phases(provisioner.Installed), "ships, is off, and its record is written", shipped, provisioner.Shipped, Success, nil},
	{phases(provisioner.Installed), "deadline: no receipt, or not off", overdueInstalled, provisioner.Failed, Deadline, nil},

	{phases(provisioner.Failed), "receipt stored after all", receipted, provisioner.Registered, Success, nil},
	{phases(provisioner.Failed), "ships, is off, and its record is written after all", shipped, provisioner.Shipped, Success, nil},
	{phases(provisioner.Failed), "called home after all", calledHomeLate, provisioner.Installed, Success, nil},
	{phases(provisioner.Failed), "shows itself again, tries left", returned, provisioner.Discovered, Success, nil},
	{phases(provisioner.Failed), "its BMC can start it again, tries left", startsAgain, provisioner.Expected, Success, nil},
}

// verdict, target, grantErase and startOver are the effects of moves.

func verdict(h provisioner.Host) Effect { return Effect{Findings: Findings(h)} }

func target(h provisioner.Host) Effect {
	disk, _ := installDisk(h)
	return Effect{Disk: byID(disk)}
}

func grantErase(h provisioner.Host) Effect {
	return Effect{Handled: h.Intent.Requests, Erase: true, Reset: true}
}

func startOver(h provisioner.Host) Effect {
	return Effect{Handled: h.Intent.Requests, Reset: true}
}

// Findings compares the report of the current attempt with what was ordered:
// first whether this is the host of its row and of its BMC, then the profile's
// rules.
func Findings(h provisioner.Host) []profile.Finding {
	r := h.Facts.Report
	if r == nil {
		return nil
	}
	return slices.Concat(rowFindings(h.Intent.Row, r.Report), witnessFindings(h),
		profile.Compare(h.Intent.Rules, r.Report, allowed(h)))
}

// allowed is what may be done to the disk in this run. What an attempt of ours
// left half-done is ours; what called home once is not ours any more.
func allowed(h provisioner.Host) profile.Allow {
	a := profile.Allow{Erase: h.Intent.Erase || h.Status.Erase}
	for _, w := range h.Facts.Writes {
		if w.Serial != "" && !w.InUse && !slices.Contains(a.Ours, w.Serial) {
			a.Ours = append(a.Ours, w.Serial)
		}
	}
	return a
}
