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
// an Install is left to the caller, who knows the URLs.
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
		if SystemOnDisk(h) {
			return now(h, inventory.Reboot, "The installer is done; rebooting into what it installed.")
		}
		return now(h, inventory.Install, say)
	case provisioner.Installed, provisioner.Registered:
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
