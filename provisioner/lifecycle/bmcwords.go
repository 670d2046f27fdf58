package lifecycle

import (
	"fmt"
	"slices"
	"strings"

	"github.com/muster-boot/muster/provisioner"
)

// What is said of a host's BMC, for people.

// ErrandWords say what a BMC does on an errand, as in "the BMC is to ...".
func ErrandWords(do provisioner.ErrandKind) string {
	switch do {
	case provisioner.ErrandSurvey:
		return "say who it is and what the host has"
	case provisioner.ErrandNetwork:
		return "start the host from the network"
	case provisioner.ErrandMedium:
		return "start the host from its medium"
	case provisioner.ErrandDisk:
		return "start the host from its disk"
	case provisioner.ErrandClear:
		return "take muster's medium out and the boot override away"
	case provisioner.ErrandOff:
		return "switch the host off"
	}
	return string(do)
}

// awaitingErrand is what stands with the BMC; false where nothing does, or where
// the host itself has said more since.
func awaitingErrand(h provisioner.Host) (string, bool) {
	if h.Intent.BMC == nil || Parts(h) {
		return "", false
	}
	if turnAwaited(h) {
		return "Awaited: its turn to be started by its BMC. muster starts a few hosts at a time (power_on in its configuration).", true
	}
	if len(h.Facts.Errands) == 0 || installerSpoke(h) && !SystemOnDisk(h) {
		return "", false
	}
	last := h.Facts.Errands[len(h.Facts.Errands)-1]
	e, ok := errandOf(h, last.Do)
	switch {
	case !ok, e.Do == provisioner.ErrandClear:
		return "", false
	case refused(e):
		return fmt.Sprintf("Awaited: a person. %s %s", refusal(h, e), remedy(h)), true
	case e.Done.IsZero() && h.BMCLacks() != "":
		return "Awaited: a person. " + h.BMCLacks(), true
	case e.Done.IsZero() && stopped(h):
		return awaitingStart(h), true
	case e.Done.IsZero():
		return underway(h, e), true
	case e.Do != provisioner.ErrandMedium || heardScout(h, e.Began):
		return "", false
	}
	return awaitingMedium(h), true
}

// stopped tells whether h is where its BMC is sent only while its order is
// started, and its order is not.
func stopped(h provisioner.Host) bool {
	before := []provisioner.Phase{provisioner.Expected, provisioner.Discovered, provisioner.Verifying}
	return !h.Intent.Started && slices.Contains(before, h.Status.Phase)
}

func awaitingStart(h provisioner.Host) string {
	return fmt.Sprintf("Awaited: a person. Run: muster order start %s. muster then starts the host by its BMC at %s.", h.Intent.Order, h.BMCAddress())
}

// refusal is why an errand is not tried again.
func refusal(h provisioner.Host, e provisioner.Errand) string {
	return fmt.Sprintf("The BMC at %s was to %s, and: %s", h.BMCAddress(), ErrandWords(e.Do), e.Problem)
}

// remedy is what a person does about a refused errand.
func remedy(h provisioner.Host) string {
	if SystemOnDisk(h) {
		return "Mend that and switch the host on: it is installed, and is to boot from its disk."
	}
	return fmt.Sprintf("Mend that, then run: muster host retry %s", h.ID)
}

// underway is an errand that is being done, or waits for its next try.
func underway(h provisioner.Host, e provisioner.Errand) string {
	awaited := fmt.Sprintf("Awaited: the BMC at %s, which is to %s.", h.BMCAddress(), ErrandWords(e.Do))
	switch {
	case e.Problem != "":
		return fmt.Sprintf("%s It is tried again soon; the last time: %s", awaited, e.Problem)
	case e.Doing != "":
		return fmt.Sprintf("%s At present: %s.", awaited, e.Doing)
	}
	return awaited
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

// leftInBMC is what a person must take out because the BMC did not; empty where
// there is nothing.
func leftInBMC(h provisioner.Host) string {
	e, _ := errandOf(h, provisioner.ErrandClear)
	if h.Intent.BMC == nil || !refused(e) {
		return ""
	}
	return fmt.Sprintf(" %s Take it out by hand.", refusal(h, e))
}

// whyNoWayIn says why the BMC of a surveyed host cannot start it; empty where it
// can, or where there is none.
func whyNoWayIn(h provisioner.Host) string {
	if h.SeenBMC() == nil || len(waysIn(h)) > 0 || showedItself(h) {
		return ""
	}
	return fmt.Sprintf("Awaited: a person. The BMC at %s can start the host neither from the network nor from a medium (%s): power it on with the network first in its boot order.",
		h.BMCAddress(), strings.Join(h.Facts.BMC.Cannot, "; "))
}
