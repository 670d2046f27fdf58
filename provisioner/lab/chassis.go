package lab

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"

	"github.com/muster-boot/muster/redfish/bmctest"
)

// chassis is a host as its BMC has it in hand.
type chassis struct {
	host  *Host
	drive *drive
}

// wish is what one start of a host with a BMC is to be.
type wish struct {
	boot     []Device
	firmware Firmware
	// blind starts with an empty drive, as the medium cannot be read.
	blind bool
}

// Identity implements [bmctest.Machine].
func (c *chassis) Identity() bmctest.Identity { return identity(c.host.spec) }

// On implements [bmctest.Machine].
func (c *chassis) On() bool { return !c.host.Off() }

// PowerOn implements [bmctest.Machine].
func (c *chassis) PowerOn(ctx context.Context, next func() bmctest.Boot) error {
	return c.host.powerOnBy(ctx, func() wish { return c.wish(next()) })
}

// wish is what the firmware does when its BMC says b.
func (c *chassis) wish(b bmctest.Boot) wish {
	w := wish{firmware: c.host.spec.Firmware, blind: c.drive.unreadable()}
	if b.Legacy {
		w.firmware = BIOS
	}
	w.boot = devices(b, c.host.usualBoot(), w.firmware)
	return w
}

// devices is the order of one boot. A host of SeaBIOS alone boots no medium that
// is asked for by UEFI. There is neither a setup menu nor a boot from a URI that
// did not come by DHCP; asked for those, a host takes its own order.
func devices(b bmctest.Boot, usual []Device, firmware Firmware) []Device {
	switch b.Device {
	case bmctest.DeviceMedium:
		if b.Legacy == (firmware == BIOS) {
			return first(FromCD, usual)
		}
	case bmctest.DeviceNetwork:
		return first(FromNetwork, usual)
	case bmctest.DeviceDisk:
		return first(FromDisk, usual)
	case bmctest.FirmwareOrder, bmctest.DeviceHTTP, bmctest.DeviceSetup:
	}
	return usual
}

// PowerOff implements [bmctest.Machine].
func (c *chassis) PowerOff(context.Context) error { return c.host.kill() }

// Shutdown implements [bmctest.Machine]: it presses the power button.
func (c *chassis) Shutdown(context.Context) error {
	return c.host.press("press the power button of", "system_powerdown")
}

// Reset implements [bmctest.Machine].
func (c *chassis) Reset(context.Context) error { return c.host.press("reset", "system_reset") }

// InsertMedium implements [bmctest.Machine].
func (c *chassis) InsertMedium(ctx context.Context, medium *bmctest.Medium) error {
	return c.host.InsertMedium(ctx, c.drive.take(medium))
}

// EjectMedium implements [bmctest.Machine].
func (c *chassis) EjectMedium(ctx context.Context) error {
	err := c.host.EjectMedium(ctx)
	c.drive.take(nil)
	return err
}

// drive gives QEMU the medium that the BMC has, on loopback of the wires'
// namespace: each read of the host's becomes reads of the BMC's.
type drive struct {
	root   string
	server http.Server
	done   chan struct{} // closed when nothing is served any more

	mu     sync.Mutex
	medium *bmctest.Medium
	name   string // of the medium; a new one for each
	count  int
}

func openDrive(ns *Namespace) (*drive, error) {
	var l net.Listener
	if err := ns.Do(func() (err error) {
		l, err = net.Listen("tcp4", "127.0.0.1:0")
		return err
	}); err != nil {
		return nil, fmt.Errorf("open the virtual drive: %w", err)
	}
	d := &drive{root: "http://" + l.Addr().String(), done: make(chan struct{})}
	d.server.Handler = d
	go func() { defer close(d.done); _ = d.server.Serve(l) }() // ends with close alone
	return d, nil
}

func (d *drive) close() error {
	err := d.server.Close()
	<-d.done
	return err
}

// take holds a medium, or none if it is nil, and returns the URL by which QEMU
// reads it.
func (d *drive) take(m *bmctest.Medium) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.count++
	d.medium, d.name = m, fmt.Sprintf("/medium%d.iso", d.count)
	return d.root + d.name
}

// unreadable says that there is a medium, and that nothing can be read of it.
func (d *drive) unreadable() bool {
	d.mu.Lock()
	m := d.medium
	d.mu.Unlock()
	if m == nil {
		return false
	}
	_, err := m.Size()
	return err != nil
}

// ServeHTTP implements [http.Handler].
func (d *drive) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	m, name := d.medium, d.name
	d.mu.Unlock()
	if m == nil || r.URL.Path != name {
		http.Error(w, "the drive is empty", http.StatusNotFound)
		return
	}
	m.ServeHTTP(w, r)
}

// identity is what the host's firmware says of it; see smbiosArgs.
func identity(s Spec) bmctest.Identity {
	id := bmctest.Identity{
		Manufacturer: s.Manufacturer, Product: s.Product, Serial: s.Serial, BoardSerial: s.Serial + boardSuffix, SKU: labSKU, UUID: s.UUID,
		CPUs:  []bmctest.CPU{{Model: labCPU, Cores: s.CPUs, Threads: s.CPUs}},
		DIMMs: []bmctest.DIMM{{Slot: "DIMM 0", MiB: s.MemoryMiB, Serial: s.Serial + dimmSuffix}},
	}
	for _, n := range s.NICs {
		id.NICs = append(id.NICs, bmctest.NIC{MAC: n.MAC, Mbps: 1000})
	}
	for _, d := range s.Disks {
		id.Disks = append(id.Disks, bmctest.Disk{
			Model: diskModel(d.Kind), Serial: d.Serial, Bytes: int64(d.GB) * 1e9, NVMe: d.Kind == NVMe, Rotational: d.Rotational,
		})
	}
	return id
}

// diskModel is what QEMU's disks call themselves; virtio disks have no name.
func diskModel(k DiskKind) string {
	switch k {
	case NVMe:
		return "QEMU NVMe Ctrl"
	case SATA, SCSI, MegaSAS:
		return "QEMU HARDDISK"
	case Virtio:
		return ""
	}
	return ""
}
