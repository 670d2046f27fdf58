package lab

import (
	"context"
	"fmt"
	"slices"
)

// Device is a class of devices in a host's boot order.
type Device int

// What a host can boot from.
const (
	FromNetwork Device = iota
	FromDisk
	FromCD
)

// The names by which QEMU knows the devices that can boot.
const cdID = "cdrom"

func nicID(i int) string  { return fmt.Sprint("nic", i) }
func diskID(i int) string { return fmt.Sprint("hd", i) }

// bootOrder lists devices by name, the first to boot first. QEMU hands it to
// both firmwares; OVMF heeds nothing else.
type bootOrder []string

// order spells out which devices of the spec come in which order.
func (s Spec) order(classes []Device) bootOrder {
	var order bootOrder
	for _, class := range classes {
		switch class {
		case FromNetwork:
			for i := range s.NICs {
				order = append(order, nicID(i))
			}
		case FromDisk:
			for i, d := range s.Disks {
				if !d.unlisted() {
					order = append(order, diskID(i))
				}
			}
		case FromCD:
			if s.CD != "" || s.Drive {
				order = append(order, cdID)
			}
		}
	}
	return order
}

// unlisted says that the disk must stay out of the boot order; see nvmeDevices.
func (d Disk) unlisted() bool { return d.Kind == NVMe && d.WWN != 0 }

// option is what makes a device take its place in the order, or nothing if the
// host does not boot from it.
func (o bootOrder) option(id string) string {
	i := slices.Index(o, id)
	if i < 0 {
		return ""
	}
	return fmt.Sprintf(",bootindex=%d", i+1)
}

// orderCommands changes the order of a host that is on. QEMU takes no place that
// is taken, so all are given up first.
func orderCommands(from, to bootOrder) []command {
	var commands []command
	set := func(id string, place int) {
		commands = append(commands, command{"qom-set", map[string]any{
			"path": "/machine/peripheral/" + id, "property": "bootindex", "value": place,
		}})
	}
	for _, id := range from {
		set(id, -1)
	}
	for i, id := range to {
		set(id, i+1)
	}
	return commands
}

// first puts one class before the others.
func first(class Device, order []Device) []Device {
	rest := slices.DeleteFunc(slices.Clone(order), func(d Device) bool { return d == class })
	return append([]Device{class}, rest...)
}

// SetBoot changes the boot order for good, from the next start on: a power-on,
// or a reset by whomever.
func (h *Host) SetBoot(order ...Device) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	before := h.spec.order(h.boot)
	h.boot = slices.Clone(order)
	if h.Off() {
		return nil
	}
	return h.control("change the boot order of", orderCommands(before, h.spec.order(h.boot)))
}

// BootOnce puts a class of devices first in the boot order of the next PowerOn
// or Reset, and of that one only. A reset by the host's own system neither
// follows the wish nor uses it up.
func (h *Host) BootOnce(class Device) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.once = first(class, h.boot)
}

// ForgetBootOnce takes back a BootOnce that no start has used up.
func (h *Host) ForgetBootOnce() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.once = nil
}

// nextOrder is the order of the coming start.
func (h *Host) nextOrder() bootOrder {
	if h.once != nil {
		return h.spec.order(h.once)
	}
	return h.spec.order(h.boot)
}

// Reset presses the reset button. After a BootOnce it takes the power away and
// gives it back instead, as BMCs do; ctx is then that of PowerOn. SeaBIOS makes
// two resets of one, so that an order for one reset alone cannot be had.
func (h *Host) Reset(ctx context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.Off() {
		return fmt.Errorf("reset %s: the host is off", h.spec.Name)
	}
	if h.once == nil || h.bmc != nil {
		return h.control("reset", []command{{name: "system_reset"}})
	}
	p := h.power.Load()
	if err := p.kill(); err != nil {
		return fmt.Errorf("reset %s: %w", h.spec.Name, err)
	}
	<-p.done
	return h.powerOn(ctx, nil)
}

// press gives one command to a host that is on, and none to one that is off.
func (h *Host) press(what, name string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.Off() {
		return nil
	}
	return h.control(what, []command{{name: name}})
}

// usualBoot is the order of every boot that nobody orders otherwise.
func (h *Host) usualBoot() []Device {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.boot)
}

// control gives commands to a host that is on; the error says what they are for.
func (h *Host) control(what string, commands []command) error {
	if err := h.power.Load().qmp.executeAll(commands); err != nil {
		return fmt.Errorf("%s %s: %w", what, h.spec.Name, err)
	}
	return nil
}
