package lifecycle

import (
	"slices"

	"github.com/muster-boot/muster/provisioner"
)

// BootFor says what h is offered when it boots on a network that gives the scout
// to unlisted hosts, or does not. It is asked several times in one boot, so it
// depends on nothing else. A host in no order is answered as the network says
// on which it asks, whatever it was on another.
func BootFor(h provisioner.Host, discovers bool) provisioner.Boot {
	if h.Intent.Order == "" && !discovers {
		return provisioner.BootSilence
	}
	switch h.Status.Phase {
	case provisioner.Unknown, provisioner.Expected, provisioner.Discovered, provisioner.Verifying, provisioner.Ready:
		return provisioner.BootDiscover
	case provisioner.Installing:
		return bootInstalling(h)
	case provisioner.Installed, provisioner.Registered, provisioner.Shipped:
		return provisioner.BootLocalDisk
	case provisioner.Failed, provisioner.Quarantined:
		if SystemOnDisk(h) {
			return provisioner.BootLocalDisk
		}
		return provisioner.BootDiscover
	}
	return provisioner.BootSilence
}

// bootInstalling gives the scout to whoever has no installer to boot (yet): it
// waits for it, writes the disk, or says what a person must put into the drive.
func bootInstalling(h provisioner.Host) provisioner.Boot {
	way, _ := Way(h)
	switch {
	case SystemOnDisk(h):
		return provisioner.BootLocalDisk
	case way == provisioner.WayNetboot:
		return provisioner.BootInstall
	case way == provisioner.WayUEFIHTTP:
		return provisioner.BootImage
	}
	return provisioner.BootDiscover
}

// Way is how the image reaches the host in its present attempt; false while
// nothing is prepared for it.
func Way(h provisioner.Host) (provisioner.Way, bool) {
	p := h.Facts.Prepared
	if p == nil || p.Attempt != h.Status.Attempt.ID || p.Way == "" {
		return "", false
	}
	return p.Way, true
}

// BootedBy is how h's firmware booted last, as far as it is known: as its packets
// said, unless what runs on it came from a medium.
func BootedBy(h provisioner.Host) provisioner.BootKind {
	if way, _ := Way(h); installerRuns(h) {
		switch way {
		case provisioner.WayMedia:
			return provisioner.BootMedia
		case provisioner.WayUEFIHTTP:
			return provisioner.BootHTTP
		case provisioner.WayNetboot, provisioner.WayWrite:
		}
	}
	s, r := h.Facts.Sighting, h.Facts.Report
	if r != nil && r.Report.Firmware.Medium && (s == nil || !s.Netboot.After(r.Received)) {
		return provisioner.BootMedia
	}
	if s == nil {
		return ""
	}
	return s.Boot
}

// installerRuns tells whether the present attempt's installer was heard of.
func installerRuns(h provisioner.Host) bool {
	return slices.ContainsFunc([]string{provisioner.StageConfig, provisioner.StageEarly, provisioner.StageWriting, provisioner.StageWritten},
		func(stage string) bool { return Reached(h, stage) })
}

// SystemOnDisk tells whether the last install attempt left a system on the disk:
// its installer said it was done, or the system itself called.
func SystemOnDisk(h provisioner.Host) bool {
	a := h.Status.Attempt
	if a.Phase != provisioner.Installing {
		return false
	}
	return Reached(h, provisioner.StageWritten) || !callHomeTime(h).IsZero()
}

// Reached tells whether the present attempt reported a stage.
func Reached(h provisioner.Host, stage string) bool {
	_, ok := step(h, stage)
	return ok
}

// step is what the present attempt reported of a stage.
func step(h provisioner.Host, stage string) (provisioner.Step, bool) {
	for _, s := range h.Facts.Steps {
		if s.Attempt == h.Status.Attempt.ID && s.Stage == stage {
			return s, true
		}
	}
	return provisioner.Step{}, false
}
