package survey

import (
	"slices"
	"strings"

	"github.com/muster-boot/muster/inventory"
	"github.com/muster-boot/muster/redfish"
)

const mib, gib = 1 << 20, 1 << 30

// absent reports whether a part is a place where none is (DSP0268 Status.State).
func absent(o redfish.Object) bool { return o.Text("Status", "State") == "Absent" }

// number is a whole number that is not below zero.
func number(o redfish.Object, path ...string) int {
	n, ok := o.Number(path...)
	const most = 1 << 40
	if !ok || n < 0 || n > most {
		return 0
	}
	return int(n)
}

// cpu leaves out what is no CPU: GPUs and FPGAs are processors too.
func cpu(o redfish.Object) (inventory.CPU, bool) {
	kind := o.Text("ProcessorType")
	if absent(o) || (kind != "" && kind != "CPU") {
		return inventory.CPU{}, false
	}
	return inventory.CPU{
		Slot: name(o, "Socket"), Model: said(o.Text("Model")),
		Cores: number(o, "TotalCores"), Threads: number(o, "TotalThreads"), MHz: number(o, "MaxSpeedMHz"),
	}, true
}

// dimm keeps empty slots, as the scout does: their size is 0.
func dimm(o redfish.Object) (inventory.DIMM, bool) {
	d := inventory.DIMM{Slot: name(o, "DeviceLocator")}
	size := number(o, "CapacityMiB")
	if absent(o) || size == 0 {
		return d, true
	}
	d.Size = inventory.Bytes(size) * mib
	d.Type, d.MTs = o.Text("MemoryDeviceType"), number(o, "OperatingSpeedMhz")
	d.Manufacturer, d.Part, d.Serial = said(o.Text("Manufacturer")), said(o.Text("PartNumber")), said(o.Text("SerialNumber"))
	return d, true
}

// memory is the sum of the DIMMs, or what the summary says where they are not
// shown; it counts in GiB.
func memory(system redfish.Object, dimms []inventory.DIMM) inventory.Bytes {
	var sum inventory.Bytes
	for _, d := range dimms {
		sum += d.Size
	}
	if sum > 0 {
		return sum
	}
	n, ok := system.Number("MemorySummary", "TotalSystemMemoryGiB")
	if !ok || n < 0 || n > 1<<30 {
		return 0
	}
	return inventory.Bytes(n * gib)
}

// nic leaves out the port that leads from the host to its BMC: nobody boots
// from it.
func nic(o redfish.Object) (inventory.NIC, bool) {
	mac, ok := permanentMAC(o)
	if !ok || absent(o) || insideOnly(o) {
		return inventory.NIC{}, false
	}
	n := inventory.NIC{Name: name(o, "Id"), MAC: mac, SpeedMbps: number(o, "SpeedMbps")}
	switch o.Text("LinkStatus") {
	case "LinkUp":
		n.Link = new(true)
	case "LinkDown", "NoLink":
		n.Link = new(false)
	}
	return n, true
}

func permanentMAC(o redfish.Object) (string, bool) {
	for _, key := range []string{"PermanentMACAddress", "MACAddress"} {
		if mac, ok := inventory.NormalMAC(o.Text(key)); ok {
			return mac, true
		}
	}
	return "", false
}

// insideOnly knows the USB port between host and BMC by its names: ToManager at
// Supermicro and XCC, ToHost on the manager's side.
func insideOnly(o redfish.Object) bool {
	all := strings.ToLower(o.Text("Id") + " " + o.Text("Name") + " " + o.Text("Description"))
	return slices.ContainsFunc([]string{"tomanager", "to manager", "tohost", "host interface", "hostusb", "usb0"}, func(s string) bool { return strings.Contains(all, s) })
}

// tpm is the first module that is there.
func tpm(system redfish.Object) *inventory.TPM {
	for _, m := range system.Objects("TrustedModules") {
		if version := strings.ReplaceAll(strings.TrimPrefix(m.Text("InterfaceType"), "TPM"), "_", "."); !absent(m) && (version == "1.2" || version == "2.0") {
			return &inventory.TPM{Version: version}
		}
	}
	return nil
}

// disks reads the drives of every Storage, then those that only the chassis
// lists; a drive shown twice counts once.
func (s *survey) disks(system redfish.Object, chassis []redfish.Object) []inventory.Disk {
	paths := []string{}
	for _, member := range s.members(system.Link("Storage")) {
		paths = append(paths, s.read(member).Links("Drives")...)
	}
	for _, c := range chassis {
		paths = append(paths, c.Links("Links", "Drives")...)
		paths = append(paths, s.members(c.Link("Drives"))...)
	}
	slices.SortFunc(paths, natural)
	paths = slices.Compact(paths)
	const most = 128
	var list []inventory.Disk
	for _, path := range paths[:min(len(paths), most)] {
		d, ok := disk(s.read(path))
		twice := slices.ContainsFunc(list, func(other inventory.Disk) bool { return d.Serial != "" && d.Serial == other.Serial })
		if ok && !twice {
			list = append(list, d)
		}
	}
	return list
}

// disk reads a drive (DSP0268 Drive). Its contents are not looked at.
func disk(o redfish.Object) (inventory.Disk, bool) {
	if o == nil || absent(o) {
		return inventory.Disk{}, false
	}
	d := inventory.Disk{
		Name: name(o, "Id"), Model: said(o.Text("Model")), Serial: said(o.Text("SerialNumber")), Firmware: said(o.Text("Revision")),
		Transport: strings.ToLower(o.Text("Protocol")), Size: inventory.Bytes(number(o, "CapacityBytes")),
	}
	switch o.Text("MediaType") {
	case "HDD":
		d.Rotational = new(true)
	case "SSD":
		d.Rotational = new(false)
	}
	return d, true
}

// name is what a part is called: a property, or its id.
func name(o redfish.Object, key string) string {
	if v := o.Text(key); v != "" {
		return v
	}
	return o.Text("Id")
}
