package lifecycle

import (
	"github.com/muster-boot/muster/inventory"
	"github.com/muster-boot/muster/provisioner"
)

// Seconds after which a waiting scout asks again: sooner where the next move is
// the server's, later where a person must act first.
const (
	againSoon  = 1
	againLater = 5
)

// InstructionFor says what a scout that runs on h is told to do. The netboot of
// an Install and the image of a WriteDisk are left to the caller, who knows the
// URLs.
func InstructionFor(h provisioner.Host) inventory.Instruction {
	say := h.Status.Why + " " + Awaiting(h)
	wait := inventory.Instruction{Do: inventory.Wait, Say: say, Again: againLater}
	switch h.Status.Phase {
	case provisioner.Discovered:
		if reportIsCurrent(h) {
			return wait
		}
		return now(h, inventory.Look, say)
	case provisioner.Verifying:
		return now(h, inventory.Verify, say)
	case provisioner.Installing:
		return instructInstalling(h, say)
	case provisioner.Installed, provisioner.Registered, provisioner.Shipped:
		return now(h, inventory.Reboot, "The installed system is on the disk; rebooting into it.")
	case provisioner.Expected, provisioner.Ready:
		wait.Again = againSoon
		return wait
	case provisioner.Unknown, provisioner.Failed, provisioner.Quarantined:
		return wait
	}
	return wait
}

func now(h provisioner.Host, do inventory.Action, say string) inventory.Instruction {
	return inventory.Instruction{Do: do, Attempt: string(h.Status.Attempt.ID), Say: say}
}

// instructInstalling depends on the way that the image takes.
func instructInstalling(h provisioner.Host, say string) inventory.Instruction {
	if SystemOnDisk(h) {
		return leave(h)
	}
	way, _ := Way(h)
	wait := inventory.Instruction{Do: inventory.Wait, Attempt: string(h.Status.Attempt.ID), Say: say, Again: againLater}
	switch way {
	case provisioner.WayNetboot:
		return now(h, inventory.Install, say)
	case provisioner.WayWrite:
		return now(h, inventory.WriteDisk, say)
	case provisioner.WayUEFIHTTP:
		if h.Intent.BMC == nil {
			return now(h, inventory.Reboot, say)
		}
		return wait // its BMC starts it, told what from
	case provisioner.WayMedia:
		return wait
	}
	return inventory.Instruction{Do: inventory.Wait, Say: say, Again: againSoon}
}

// leave is what a scout does when the system stands on the disk: only one that
// wrote it itself must end as the order says.
func leave(h provisioner.Host) inventory.Instruction {
	way, _ := Way(h)
	if way == provisioner.WayWrite && After(h) == provisioner.AfterPowerOff && callHomeTime(h).IsZero() {
		return now(h, inventory.PowerOff, "The disk is written; powering off, as its order says.")
	}
	return now(h, inventory.Reboot, "The installer is done; rebooting into what it installed.")
}
