package profile

import (
	"strings"

	"github.com/muster-boot/muster/inventory"
)

// Check names one comparison. The set is closed; see [Compare] for the order
// in which they are made.
type Check string

// The checks.
const (
	CheckSystem       Check = "system"
	CheckFirmwareMode Check = "firmware-mode"
	CheckSecureBoot   Check = "secure-boot"
	CheckTPM          Check = "tpm"
	CheckCPUSockets   Check = "cpu-sockets"
	CheckCPUCores     Check = "cpu-cores"
	CheckMemory       Check = "memory"
	CheckMemoryUsable Check = "memory-usable" // installed is right, but the system can use less
	CheckMemorySlot   Check = "memory-slot"
	CheckNICCount     Check = "nic-count"
	CheckNICLink      Check = "nic-link"
	CheckNICSpeed     Check = "nic-speed"
	CheckDisks        Check = "disks"
	CheckInstallDisk  Check = "install-disk"
	CheckDiskEmpty    Check = "disk-empty"
)

func checks() []Check {
	return []Check{
		CheckSystem, CheckFirmwareMode, CheckSecureBoot, CheckTPM, CheckCPUSockets, CheckCPUCores,
		CheckMemory, CheckMemoryUsable, CheckMemorySlot, CheckNICCount, CheckNICLink, CheckNICSpeed,
		CheckDisks, CheckInstallDisk, CheckDiskEmpty,
	}
}

func joinChecks(cs []Check) string {
	names := make([]string, len(cs))
	for i, c := range cs {
		names[i] = string(c)
	}
	return strings.Join(names, ", ")
}

// unknown is what Seen says when no witness reported the thing.
const unknown = "unknown"

// Finding is one difference between a host and its profile.
type Finding struct {
	Check    Check             `json:"check"`
	Slot     string            `json:"slot,omitempty"` // where: a DIMM slot, a disk, a port; empty for the whole host
	Expected string            `json:"expected"`
	Seen     string            `json:"seen"` // "unknown" when nobody could see it
	Witness  inventory.Witness `json:"witness,omitempty"`
	Blocking bool              `json:"blocking"` // the host may not go on while this stands
	Advice   string            `json:"advice"`   // what a person at the host can do about it
}

// Unknown reports whether the finding is that nobody could see the thing.
func (f Finding) Unknown() bool { return f.Seen == unknown }

// Sentence says the finding in words, for somebody standing before the host.
func (f Finding) Sentence() string {
	subject := f.Check.subject()
	if f.Slot != "" {
		subject += " " + f.Slot
	}
	seen := "found " + f.Seen
	if f.Unknown() {
		seen = "but nobody could see it"
	}
	return subject + ": expected " + f.Expected + ", " + seen + ". " + f.Advice
}

func (c Check) subject() string {
	switch c {
	case CheckSystem:
		return "System"
	case CheckFirmwareMode:
		return "Firmware mode"
	case CheckSecureBoot:
		return "Secure Boot"
	case CheckTPM:
		return "TPM"
	case CheckCPUSockets:
		return "Processors"
	case CheckCPUCores:
		return "Processor cores"
	case CheckMemory:
		return "Memory"
	case CheckMemoryUsable:
		return "Usable memory"
	case CheckMemorySlot:
		return "Memory slot"
	case CheckNICCount:
		return "Network ports"
	case CheckNICLink:
		return "Network link"
	case CheckNICSpeed:
		return "Network speed"
	case CheckDisks:
		return "Disks"
	case CheckInstallDisk:
		return "Install disk"
	case CheckDiskEmpty:
		return "Disk"
	}
	return string(c)
}
