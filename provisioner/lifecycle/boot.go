package lifecycle

import "github.com/muster-boot/muster/provisioner"

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
		if SystemOnDisk(h) {
			return provisioner.BootLocalDisk
		}
		return provisioner.BootInstall
	case provisioner.Installed, provisioner.Registered:
		return provisioner.BootLocalDisk
	case provisioner.Failed, provisioner.Quarantined:
		if SystemOnDisk(h) {
			return provisioner.BootLocalDisk
		}
		return provisioner.BootDiscover
	}
	return provisioner.BootSilence
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
	for _, s := range h.Facts.Steps {
		if s.Attempt == h.Status.Attempt.ID && s.Stage == stage {
			return true
		}
	}
	return false
}
