package inband

import (
	"path"
	"regexp"
	"strings"

	"github.com/safchain/ethtool"

	"github.com/muster-boot/muster/inventory"
)

// nics is every network port with a device behind it. Virtual functions are
// left out: they are the port's own, made by software.
func (t *tree) nics(o Options) []inventory.NIC {
	var list []inventory.NIC
	for _, name := range t.names("sys/class/net") {
		dir := t.device("sys/class/net", name)
		if !t.exists(dir, "device") || t.exists(dir, "device/physfn") {
			continue
		}
		list = append(list, t.nic(name, dir, o))
	}
	return list
}

func (t *tree) nic(name, dir string, o Options) inventory.NIC {
	n := inventory.NIC{
		Name:    name,
		MAC:     strings.ToLower(t.text(dir, "address")),
		Driver:  path.Base(t.target(t.device(dir, "device"), "driver")),
		Address: o.Addresses[name],
	}
	if n.Driver == "." {
		n.Driver = ""
	}
	if pci := pciOf(dir); pci != "" {
		n.PCI = path.Base(pci)
		n.PCIID = hexID(t.text(pci, "vendor")) + ":" + hexID(t.text(pci, "device"))
	}
	if up := t.text(dir, "carrier"); up != "" { // unreadable while the port is down
		link := up == "1"
		n.Link = &link
	}
	if mbps, ok := t.number(dir, "speed"); ok && mbps > 0 {
		n.SpeedMbps = int(mbps)
	}
	if o.Ports != nil {
		t.askDriver(&n, o.Ports)
	}
	n.Booted = o.Boot != "" && strings.EqualFold(n.MAC, o.Boot)
	return n
}

func (t *tree) askDriver(n *inventory.NIC, ports Ports) {
	p, err := ports.Port(n.Name)
	if err != nil {
		t.problem("The driver of %s does not answer: %v.", n.Name, err)
		return
	}
	if p.MAC != "" {
		n.MAC = p.MAC
	}
	n.Firmware = p.Firmware
}

// pciOf is the innermost PCI device in a place below /sys/devices; "" where
// there is none, as with USB network adapters on a chip's own bus.
func pciOf(dir string) string {
	address := regexp.MustCompile(`^[0-9a-f]{4,}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$`)
	for ; dir != "." && dir != "/"; dir = path.Dir(dir) {
		if address.MatchString(path.Base(dir)) {
			return dir
		}
	}
	return ""
}

// hexID is "0x8086" as "8086".
func hexID(s string) string { return strings.TrimPrefix(s, "0x") }

// KernelPorts asks the drivers of the running kernel, by ioctl (ethtool(8)).
type KernelPorts struct{}

// Port gives the permanent address and the firmware version. A driver that
// knows no permanent address leaves it empty.
func (KernelPorts) Port(name string) (Port, error) {
	e, err := ethtool.NewEthtool()
	if err != nil {
		return Port{}, err
	}
	defer e.Close()
	info, err := e.DriverInfo(name)
	if err != nil {
		return Port{}, err
	}
	p := Port{Firmware: strings.TrimSpace(info.FwVersion)}
	if mac, err := e.PermAddr(name); err == nil && mac != "00:00:00:00:00:00" {
		p.MAC = strings.ToLower(mac)
	}
	return p, nil
}
