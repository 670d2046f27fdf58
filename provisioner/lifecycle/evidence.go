package lifecycle

import (
	"fmt"
	"time"

	"github.com/muster-boot/muster/provisioner"
)

// Awaiting says in a sentence what must happen next and, where a person must
// do it, what to type or press. It is never empty.
func Awaiting(h provisioner.Host) string {
	if text, ok := awaitingErrand(h); ok {
		return text
	}
	switch h.Status.Phase {
	case provisioner.Unknown:
		return "Awaited: nothing. It is in no manifest and its network is silent; list it in an order to have it answered."
	case provisioner.Expected:
		return awaitingExpected(h)
	case provisioner.Discovered:
		return awaitingDiscovered(h)
	case provisioner.Verifying:
		return "Awaited: the scout's second look at the hardware and at what is on the disks."
	case provisioner.Ready:
		return awaitingReady(h)
	case provisioner.Installing:
		return awaitingInstalling(h)
	case provisioner.Installed:
		if h.Intent.Ship {
			return awaitingDeparture(h)
		}
		if a := h.Facts.Ask; a != nil && a.Attempt == h.Status.Attempt.ID {
			return "Awaited: a person. " + a.Text
		}
		if w, ok := waits(h); ok && w.Text != "" {
			return "Awaited: " + w.Text + leftInBMC(h)
		}
		return fmt.Sprintf("Awaited: the registration of the agent (hand-off %s) with the token of attempt %s.%s", h.Intent.Handoff, h.Status.Attempt.ID, leftInBMC(h))
	case provisioner.Registered:
		return "Awaited: nothing. It is done." + leftInBMC(h)
	case provisioner.Shipped:
		return awaitingShipped(h)
	case provisioner.Failed:
		if Parts(h) {
			return awaitingDeparture(h)
		}
		return fmt.Sprintf("Awaited: a person. Look at its console, then power-cycle it or run: muster host retry %s", h.ID)
	case provisioner.Quarantined:
		return fmt.Sprintf("Awaited: a person. Mend what is said, then run: muster host release %s (or reinstall, to erase its disk)", h.ID)
	}
	return "Awaited: nothing."
}

func awaitingExpected(h provisioner.Host) string {
	lacks := h.BMCLacks()
	switch {
	case lacks != "":
		return "Awaited: a network boot of this host, or a person. " + lacks
	case h.Intent.BMC == nil:
		return "Awaited: a network boot of this host. Power it on with the network first in its boot order."
	case !h.Intent.Started:
		return awaitingStart(h)
	}
	return fmt.Sprintf("Awaited: the first answer of its BMC at %s.", h.BMCAddress())
}

func awaitingDiscovered(h provisioner.Host) string {
	if text := whyNoWayIn(h); text != "" && !reportIsCurrent(h) {
		return text
	}
	switch {
	case !reportIsCurrent(h):
		return "Awaited: the scout's report."
	case h.Intent.Order == "":
		return fmt.Sprintf("Awaited: a person. Serial %q is in no manifest: muster host approve %s --order ORDER, or import an order that lists it.",
			h.Facts.Report.Report.System.Serial, h.ID)
	}
	return "Awaited: the check against what was ordered."
}

func awaitingReady(h provisioner.Host) string {
	switch {
	case h.Intent.Image == "":
		return fmt.Sprintf("Awaited: nothing. Order %s names no image, so the verdict was all.", h.Intent.Order)
	case !h.Intent.Started:
		return "Awaited: a person. Run: muster order start " + string(h.Intent.Order)
	}
	return "Awaited: its scout, which was not heard for a while. Power the host on with the network first in its boot order."
}

func awaitingInstalling(h provisioner.Host) string {
	way, prepared := Way(h)
	switch {
	case Reached(h, provisioner.StageWritten):
		return "Awaited: the call-home of the installed system at its first boot from the disk."
	case !prepared:
		return "Awaited: its installer. " + Unprepared(h)
	case h.Facts.Prepared.Problem != "":
		return "Awaited: a person. " + h.Facts.Prepared.Problem
	case way == provisioner.WayWrite:
		return awaitingWrite(h)
	case Reached(h, provisioner.StageWriting):
		return "Awaited: the end of the installation, then the call-home of the installed system."
	case way == provisioner.WayNetboot && Reached(h, provisioner.StageRootfs) && !Reached(h, provisioner.StageConfig) && !Reached(h, provisioner.StageEarly):
		return unread(h)
	case Reached(h, provisioner.StageRootfs), Reached(h, provisioner.StageEarly):
		return "Awaited: the installer beginning to write to the disk."
	case Reached(h, provisioner.StageMedium):
		return "Awaited: the start of the installer, whose ISO is being read."
	case way == provisioner.WayMedia && h.Intent.BMC != nil:
		return "Awaited: the start of the host from its medium, by its BMC" + because(h)
	case way == provisioner.WayMedia:
		return fmt.Sprintf("Awaited: a person. Put the host's ISO (muster host medium %s prints its URL) into its drive and boot the host from it.", h.ID)
	case way == provisioner.WayUEFIHTTP:
		return awaitingHTTPBoot(h)
	}
	return "Awaited: the installer's start" + because(h)
}

// unread is of an installer that runs and was never seen to fetch its
// configuration. Kairos asks thrice within seconds, and then says nothing.
func unread(h provisioner.Host) string {
	return fmt.Sprintf("Awaited: the installer fetching its configuration. One that has had its root file system for a minute goes on without, "+
		"in silence, and waits for a person at its console: see there whether it reaches muster, run muster host retry %s and start it anew.", h.ID)
}

// because ends a sentence with why the image goes the way that it goes.
func because(h provisioner.Host) string {
	if p := h.Facts.Prepared; p != nil && p.Because != "" {
		return fmt.Sprintf(" (it goes by %s, %s).", p.Way, p.Because)
	}
	return "."
}

// awaitingHTTPBoot says at once what keeps firmware that came by PXE from its
// image.
func awaitingHTTPBoot(h provisioner.Host) string {
	if s := h.Facts.Sighting; s != nil && (s.Boot == provisioner.BootUEFI || s.Boot == provisioner.BootBIOS) {
		return fmt.Sprintf("Awaited: a person. Its firmware came by PXE (%s) and its image goes by UEFI HTTP boot: "+
			"put HTTP boot first in its boot order, or name another transport in order %s.", s.Boot, h.Intent.Order)
	}
	return "Awaited: its firmware fetching the host's ISO by UEFI HTTP boot. Where it does not, put HTTP boot first in its boot order."
}

func awaitingWrite(h provisioner.Host) string {
	switch {
	case Reached(h, provisioner.StageVerify):
		return "Awaited: the end of the scout reading back what it wrote to the disk."
	case Reached(h, provisioner.StageWriting):
		return "Awaited: the end of the scout writing the image to the disk."
	}
	return "Awaited: the scout beginning to write the image to the disk."
}

// Unprepared says why there is nothing yet that the present attempt gives h.
func Unprepared(h provisioner.Host) string {
	if p := h.Facts.Prepared; p != nil && p.Attempt == h.Status.Attempt.ID && p.Problem != "" {
		return p.Problem
	}
	return "muster is preparing what the host gets."
}

// LastEvidence names the newest thing that was observed of h and when.
func LastEvidence(h provisioner.Host) string {
	var what string
	var at time.Time
	note := func(t time.Time, s string) {
		if t.After(at) {
			what, at = s, t
		}
	}
	if s := h.Facts.Sighting; s != nil {
		note(s.Last, "a packet on "+s.Network)
	}
	if b := h.SeenBMC(); b != nil {
		note(b.At, "an answer of its BMC")
	}
	if c := h.Facts.Scout; c != nil {
		note(c.Last, "the scout asked what to do")
	}
	if r := h.Facts.Report; r != nil {
		note(r.Received, "the scout's report")
	}
	for _, s := range h.Facts.Steps {
		note(s.At, "step "+s.Stage)
	}
	for _, p := range h.Facts.Progress {
		note(p.At, fmt.Sprintf("%.1f MB of stage %s", float64(p.Bytes)/1e6, p.Stage))
	}
	if b := h.Facts.Booted; b != nil {
		note(b.At, "the installed system's call-home")
	}
	if r := h.Facts.Registration; r != nil {
		note(r.At, "the agent's registration")
	}
	if f := h.Facts.Farewell; f != nil {
		note(f.Last, "the call of the installed system, which was told to power off")
	}
	if what == "" {
		return "none"
	}
	return fmt.Sprintf("%s at %s", what, at.UTC().Format("15:04:05"))
}
