package profile

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/muster-boot/muster/inventory"
)

// Allow is what lifts the check disk-empty for one attempt.
type Allow struct {
	Erase bool     // the order says erase: allowed, or a person asked for a reinstall
	Ours  []string // serials of disks that an earlier attempt of ours on this host began to write
}

// Compare lists what differs between a report and the profile: nothing when
// the host is as ordered. The order is fixed, from the host as a whole to its
// disks. What the report does not say is a finding whose Seen is "unknown"; it
// blocks for the checks in must_see, for a TPM (one that is not there looks
// just like one that nobody saw), and for the disk to be written.
func Compare(p Profile, r inventory.Report, allow Allow) []Finding {
	c := comparison{profile: p, report: r}
	c.system()
	c.firmware()
	c.tpm()
	c.cpu()
	c.memory()
	c.memorySlots()
	c.nics()
	c.disks()
	c.diskEmpty(allow)
	return c.found
}

// comparison gathers findings; it holds no other state.
type comparison struct {
	profile Profile
	report  inventory.Report
	found   []Finding
}

func (c *comparison) add(f Finding) {
	f.Witness = c.report.Witness
	if f.Unknown() {
		f.Blocking = f.Blocking || slices.Contains(c.profile.MustSee, f.Check)
	}
	c.found = append(c.found, f)
}

// wrong adds a difference that blocks the host.
func (c *comparison) wrong(check Check, slot, expected, seen, advice string) {
	c.add(Finding{Check: check, Slot: slot, Expected: expected, Seen: seen, Blocking: true, Advice: advice})
}

// unseen adds that nobody could see what the profile asks for.
func (c *comparison) unseen(check Check, expected, advice string) {
	c.add(Finding{Check: check, Expected: expected, Seen: unknown, Advice: advice})
}

func (c *comparison) system() {
	want, seen := c.profile.System, c.report.System
	c.same(CheckSystem, "manufacturer", want.Manufacturer, seen.Manufacturer)
	c.same(CheckSystem, "product", want.Product, seen.Product)
}

func (c *comparison) same(check Check, slot, want, seen string) {
	if want == "" || strings.EqualFold(strings.TrimSpace(want), strings.TrimSpace(seen)) {
		return
	}
	if seen == "" {
		c.add(Finding{Check: check, Slot: slot, Expected: want, Seen: unknown,
			Advice: "Read the label and compare it with the order."})
		return
	}
	c.wrong(check, slot, want, seen, "This is another model than the one ordered; check that the right host stands here.")
}

func (c *comparison) firmware() {
	want, seen := c.profile.Firmware, c.report.Firmware
	if want.Mode != "" && seen.Mode == "" {
		c.unseen(CheckFirmwareMode, want.Mode, "Look in the firmware setup whether it boots in "+want.Mode+" mode.")
	} else if want.Mode != "" && want.Mode != seen.Mode {
		c.wrong(CheckFirmwareMode, "", want.Mode, seen.Mode, "Switch the boot mode to "+want.Mode+" in the firmware setup and boot the host again.")
	}
	if want.SecureBoot != nil {
		c.secureBoot(*want.SecureBoot, seen)
	}
}

func (c *comparison) secureBoot(want bool, seen inventory.Firmware) {
	on := seen.SecureBoot
	if on == nil && seen.Mode == "bios" {
		on = new(bool) // BIOS mode has no Secure Boot
	}
	switch {
	case on == nil:
		c.unseen(CheckSecureBoot, onOff(want), "Look in the firmware setup whether Secure Boot is "+onOff(want)+".")
	case *on != want:
		c.wrong(CheckSecureBoot, "", onOff(want), onOff(*on), "Turn Secure Boot "+onOff(want)+" in the firmware setup and boot the host again.")
	}
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

func (c *comparison) tpm() {
	want := c.profile.TPM
	if want == "" {
		return
	}
	if t := c.report.TPM; t == nil || t.Version == "" {
		c.add(Finding{Check: CheckTPM, Expected: want + " or later", Seen: unknown, Blocking: true,
			Advice: "Enable the TPM in the firmware setup, or fit the module."})
	} else if t.Version < want { // "1.2" and "2.0" order as text
		c.wrong(CheckTPM, "", want+" or later", t.Version, "Switch the TPM to "+want+" in the firmware setup, or fit a newer module.")
	}
}

func (c *comparison) cpu() {
	sockets, cores, blind := 0, 0, false
	for _, cpu := range c.report.CPUs {
		if cpu.Model == "" && cpu.Cores == 0 {
			continue // an empty socket
		}
		sockets++
		cores += cpu.Cores
		blind = blind || cpu.Cores == 0
	}
	c.count(CheckCPUSockets, c.profile.CPU.Sockets, sockets, len(c.report.CPUs) == 0, "processor", "Check that every processor ordered is fitted.")
	c.count(CheckCPUCores, c.profile.CPU.Cores, cores, blind || sockets == 0, "core", "Check that the processors are the ones ordered and that no core is turned off in the firmware setup.")
}

// count compares a number of things. blind says that some may not have been
// seen: then too few is not known to be too few.
func (c *comparison) count(check Check, want Count, seen int, blind bool, noun, advice string) {
	if want.met(seen) && !(blind && want.Exact > 0) {
		return
	}
	if blind && !want.exceededBy(seen) {
		c.unseen(check, want.words(noun), advice)
		return
	}
	c.wrong(check, "", want.words(noun), plural(seen, noun), advice)
}

func (n Count) met(seen int) bool {
	if n.Exact > 0 {
		return seen == n.Exact
	}
	return seen >= n.Minimum
}

func (n Count) exceededBy(seen int) bool { return n.Exact > 0 && seen > n.Exact }

func (n Count) words(noun string) string {
	if n.Exact > 0 {
		return "exactly " + plural(n.Exact, noun)
	}
	return "at least " + plural(n.Minimum, noun)
}

// plural counts things; a noun may end in qualities in brackets.
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	noun, qualities, found := strings.Cut(noun, " (")
	if found {
		return fmt.Sprintf("%d %ss (%s", n, noun, qualities)
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// installed is the size that the rule asks for, 0 for no rule.
func (m Memory) installed() MemorySize { return max(m.Minimum, m.Exact) }

// usable is the least that the operating system must be able to use.
func (m Memory) usable() MemorySize {
	if m.Usable > 0 {
		return m.Usable
	}
	return m.installed() - m.installed()/16
}

func (m Memory) words() string {
	if m.Exact > 0 {
		return "exactly " + m.Exact.String()
	}
	return "at least " + m.Minimum.String()
}

func (c *comparison) memory() {
	want := c.profile.Memory
	if want.installed() == 0 {
		return
	}
	dimms, usable := dimmSum(c.report.DIMMs), MemorySize(c.report.Memory)
	switch {
	case dimms > 0:
		c.dimms(want, dimms, usable)
	case usable == 0:
		c.unseen(CheckMemory, want.words(), "Count the DIMMs and compare them with the order.")
	case usable < want.usable(), want.Exact > 0 && usable > want.Exact:
		c.wrong(CheckMemory, "", fmt.Sprintf("%s (%v usable)", want.words(), want.usable()), fmt.Sprintf("%v usable", usable), fixMemory)
	}
}

const fixMemory = "Fit or reseat memory as ordered and boot the host again."

func (c *comparison) dimms(want Memory, dimms, usable MemorySize) {
	if dimms < want.installed() || want.Exact > 0 && dimms > want.Exact {
		c.wrong(CheckMemory, "", want.words(), fmt.Sprintf("%v (%s)", dimms, listDIMMs(c.report.DIMMs)), fixMemory)
		return
	}
	if usable > 0 && usable < want.usable() {
		c.add(Finding{Check: CheckMemoryUsable, Expected: "at least " + want.usable().String(), Seen: usable.String(),
			Advice: "The DIMMs are right, but the system can use less: one may have been disabled, or memory mirroring is on; look in the firmware setup."})
	}
}

func dimmSum(dimms []inventory.DIMM) MemorySize {
	var sum MemorySize
	for _, d := range dimms {
		sum += MemorySize(d.Size)
	}
	return sum
}

func listDIMMs(dimms []inventory.DIMM) string {
	var words []string
	for _, d := range dimms {
		if d.Size == 0 {
			words = append(words, d.Slot+" empty")
			continue
		}
		words = append(words, d.Slot+" "+MemorySize(d.Size).String())
	}
	return strings.Join(words, ", ")
}

func (c *comparison) memorySlots() {
	for _, slot := range slices.Sorted(maps.Keys(c.profile.Memory.Slots)) {
		want := c.profile.Memory.Slots[slot]
		i := slices.IndexFunc(c.report.DIMMs, func(d inventory.DIMM) bool { return strings.EqualFold(d.Slot, slot) })
		if i < 0 {
			c.add(Finding{Check: CheckMemorySlot, Slot: slot, Expected: want.String(), Seen: unknown,
				Advice: "No witness reports a slot of this name; compare it with the print on the board."})
			continue
		}
		d := c.report.DIMMs[i]
		if MemorySize(d.Size) == want {
			continue
		}
		seen := "an empty slot"
		if d.Size > 0 {
			seen = strings.TrimSpace(MemorySize(d.Size).String() + " " + d.Part)
		}
		c.wrong(CheckMemorySlot, d.Slot, want.String(), seen, "Fit a DIMM of "+want.String()+" in slot "+d.Slot+".")
	}
}

func (c *comparison) nics() {
	want, seen := c.profile.NICs, c.report.NICs
	c.count(CheckNICCount, want.Count, len(seen), len(seen) == 0, "network port", "Check that every network card is fitted and that none is turned off in the firmware setup.")
	if want.Link == (Count{}) && want.Speed == 0 {
		return
	}
	if want.Link == (Count{}) {
		want.Link.Minimum = 1
	}
	linked, blind := links(seen)
	if !want.Link.met(linked) || blind && want.Link.Exact > 0 {
		c.link(want.Link, linked, blind)
		return
	}
	c.speed(want)
}

// links counts the ports with link; blind says that for some nobody knows.
func links(nics []inventory.NIC) (linked int, blind bool) {
	for _, n := range nics {
		if n.Link == nil {
			blind = true
		} else if *n.Link {
			linked++
		}
	}
	return linked, blind || len(nics) == 0
}

func (c *comparison) link(want Count, linked int, blind bool) {
	if blind && !want.exceededBy(linked) {
		c.unseen(CheckNICLink, want.words("port")+" with link", "Look at the link lights of the network ports.")
		return
	}
	var ports []string
	for _, n := range c.report.NICs {
		ports = append(ports, fmt.Sprintf("%s %s link", portName(n), map[bool]string{true: "has", false: "no"}[n.Link != nil && *n.Link]))
	}
	c.wrong(CheckNICLink, "", want.words("port")+" with link", plural(linked, "port")+" with link ("+strings.Join(ports, ", ")+")",
		"Plug or swap the network cables, and check the switch ports.")
}

func (c *comparison) speed(want NICs) {
	fast, blind := 0, 0
	var slow []inventory.NIC
	for _, n := range c.report.NICs {
		switch {
		case n.Link == nil || !*n.Link:
		case n.SpeedMbps == 0:
			blind++
		case n.SpeedMbps >= int(want.Speed):
			fast++
		default:
			slow = append(slow, n)
		}
	}
	need := max(want.Link.Minimum, want.Link.Exact)
	if want.Speed == 0 || fast >= need {
		return
	}
	expected := want.Speed.String() + " or faster on " + plural(need, "port")
	if fast+blind >= need {
		c.unseen(CheckNICSpeed, expected, "Read the speed of the ports at the switch.")
		return
	}
	for _, n := range slow {
		c.wrong(CheckNICSpeed, portName(n), expected, Speed(n.SpeedMbps).String(), "Check cable, transceiver and the speed set at the switch port.")
	}
}

func portName(n inventory.NIC) string {
	return strings.TrimSpace(n.Name + " " + n.MAC)
}
