package lifecycle

import "github.com/muster-boot/muster/provisioner"

// BootFor says what h is offered when it boots from the network. It is asked
// several times in one boot, so it depends on nothing but the host.
func BootFor(h provisioner.Host) provisioner.Boot {
	switch h.Status.Phase {
	case provisioner.Unknown:
		if s := h.Facts.Sighting; s != nil && s.Discover {
			return provisioner.BootDiscover
		}
		return provisioner.BootSilence
	case provisioner.Expected, provisioner.Discovered, provisioner.Verifying, provisioner.Ready:
		return provisioner.BootDiscover
	case provisioner.Installing:
		if bootsDisk(h) {
			return provisioner.BootLocalDisk
		}
		return provisioner.BootInstall
	case provisioner.Installed, provisioner.Registered:
		return provisioner.BootLocalDisk
	case provisioner.Failed, provisioner.Quarantined:
		if bootsDisk(h) {
			return provisioner.BootLocalDisk
		}
		return provisioner.BootDiscover
	}
	return provisioner.BootSilence
}

// bootsDisk tells whether the last install attempt left a system on the disk:
// its installer said it was done, or the system itself called.
func bootsDisk(h provisioner.Host) bool {
	a := h.Status.Attempt
	if a.Phase != provisioner.Installing {
		return false
	}
	return hasStep(h, provisioner.StageWritten) || !callHomeTime(h).IsZero()
}

func hasStep(h provisioner.Host, stage string) bool {
	for _, s := range h.Facts.Steps {
		if s.Attempt == h.Status.Attempt.ID && s.Stage == stage {
			return true
		}
	}
	return false
}
