package profile

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Sentences says the profile in words, one rule each, for people who do not
// read YAML.
func (p Profile) Sentences() []string {
	var s []string
	say := func(asked bool, c Check, format string, args ...any) {
		if asked {
			s = append(s, c.subject()+": "+fmt.Sprintf(format, args...)+".")
		}
	}
	say(p.System != System{}, CheckSystem, "%s", strings.TrimSpace(p.System.Manufacturer+" "+p.System.Product))
	say(p.Firmware.Mode != "", CheckFirmwareMode, "%s", p.Firmware.Mode)
	say(p.Firmware.SecureBoot != nil, CheckSecureBoot, "%s", onOff(p.Firmware.SecureBoot != nil && *p.Firmware.SecureBoot))
	say(p.TPM != "", CheckTPM, "version %s or later", p.TPM)
	say(p.CPU.Sockets != Count{}, CheckCPUSockets, "%s", p.CPU.Sockets.words("processor"))
	say(p.CPU.Cores != Count{}, CheckCPUCores, "%s", p.CPU.Cores.words("core"))
	say(p.Memory.installed() > 0, CheckMemory, "%s in DIMMs; where nobody sees the DIMMs, at least %v usable", p.Memory.words(), p.Memory.usable())
	for _, slot := range slices.Sorted(maps.Keys(p.Memory.Slots)) {
		say(true, CheckMemorySlot, "%s holds %v", slot, p.Memory.Slots[slot])
	}
	say(p.NICs.Count != Count{}, CheckNICCount, "%s", p.NICs.Count.words("network port"))
	say(p.NICs.Link != Count{}, CheckNICLink, "%s with link", p.NICs.Link.words("port"))
	say(p.NICs.Speed > 0, CheckNICSpeed, "%v or faster, else the port does not count", p.NICs.Speed)
	for _, d := range p.Disks {
		say(true, CheckDisks, "%s", d.Count.words(d.noun()))
	}
	say(p.InstallDisk.ByID != "", CheckInstallDisk, "%s", p.InstallDisk.words())
	say(p.InstallDisk.ByID == "", CheckInstallDisk, "the smallest that fits: %s", p.InstallDisk.words())
	say(true, CheckDiskEmpty, "the install disk is empty, unless erasing is allowed or muster itself began to write to it")
	if len(p.MustSee) > 0 {
		s = append(s, "The host waits if nobody could see: "+joinChecks(p.MustSee)+".")
	}
	return s
}
