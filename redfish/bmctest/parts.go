package bmctest

import (
	"fmt"
	"path"
)

// identity is the machine as the BMC tells it: its own, unless the BMC lies.
func (e *Emulator) identity() Identity {
	id := e.machine.Identity()
	if _, lies := e.fault(FaultLiesSerial); lies {
		id.Serial, id.BoardSerial = "OTHER-"+id.Serial, "OTHER-"+id.BoardSerial
	}
	if _, lies := e.fault(FaultLiesUUID); lies {
		id.UUID = "ffffffff-ffff-ffff-ffff-ffffffffffff"
	}
	if _, lies := e.fault(FaultLiesMemory); lies {
		var ghosts []DIMM
		for _, d := range id.DIMMs {
			ghosts = append(ghosts, DIMM{Slot: d.Slot + "'", MiB: d.MiB, Serial: d.Serial + "9"})
		}
		id.DIMMs = append(id.DIMMs[:len(id.DIMMs):len(id.DIMMs)], ghosts...)
	}
	if _, lies := e.fault(FaultLiesNICs); lies {
		var others []NIC
		for i, n := range id.NICs {
			others = append(others, NIC{MAC: fmt.Sprintf("02:ff:ff:ff:ff:%02x", i), Mbps: n.Mbps})
		}
		id.NICs = others
	}
	return id
}

// identityFields are who the System says it is.
func (e *Emulator) identityFields() object {
	id, r := e.identity(), e.rules
	o := object{"UUID": e.uuidOf(id), "BiosVersion": "1.0.0"}
	if r.System.Manufacturer != "" {
		o["Manufacturer"], o["Model"], o["PartNumber"] = id.Manufacturer, id.Product, id.SKU
	}
	switch r.Parts.Serial {
	case "system":
		o["SerialNumber"] = id.Serial
	case "board":
		o["SerialNumber"] = id.BoardSerial
	case "blank":
		o["SerialNumber"] = "               "
	}
	switch r.Parts.SKU {
	case "serial":
		o["SKU"] = id.Serial
	case "sku":
		o["SKU"] = id.SKU
	}
	o["ProcessorSummary"] = object{"Count": len(id.CPUs), "Status": status("Enabled")}
	mib := 0
	for _, d := range id.DIMMs {
		mib += d.MiB
	}
	o["MemorySummary"] = object{"TotalSystemMemoryGiB": float64(mib) / 1024, "Status": status("Enabled")}
	return o
}

// machineUUID is what the service root tells without a login.
func (e *Emulator) machineUUID() string { return e.uuidOf(e.identity()) }

func (e *Emulator) uuidOf(id Identity) string {
	if e.rules.Parts.UUIDSwapped {
		return swapUUID(id.UUID)
	}
	return id.UUID
}

// swapUUID turns the first three fields round (SMBIOS 2.6, 7.2.1).
func swapUUID(u string) string {
	if len(u) != 36 {
		return u
	}
	return u[6:8] + u[4:6] + u[2:4] + u[0:2] + "-" + u[11:13] + u[9:11] + "-" + u[16:18] + u[14:16] + u[18:]
}

// partsTree is the machine's hardware.
func (e *Emulator) partsTree() map[string]resource {
	tree := map[string]resource{}
	for p, kind := range map[string]string{"Processors": "Processor", "Memory": "Memory", "EthernetInterfaces": "EthernetInterface"} {
		dir := e.systemPath() + "/" + p
		tree[dir] = resource{get: func() object {
			var members []string
			for _, o := range e.parts(dir) {
				members = append(members, path.Join(dir, o["Id"].(string)))
			}
			return e.collection(dir, kind, members)
		}}
	}
	e.plantStorage(tree, e.systemPath()+"/Storage")
	return tree
}

// parts are the members of a collection of hardware, made anew each time: a
// lying BMC has other ones.
func (e *Emulator) parts(dir string) []object {
	switch dir {
	case e.systemPath() + "/Processors":
		return e.processors(dir)
	case e.systemPath() + "/Memory":
		return e.memory(dir)
	case e.systemPath() + "/EthernetInterfaces":
		return e.nics(dir)
	}
	return nil
}

func (e *Emulator) partResource(dir, id string) (resource, bool) {
	for _, o := range e.parts(dir) {
		if o["Id"] == id {
			return fixed(o), true
		}
	}
	return resource{}, false
}

func (e *Emulator) processors(p string) []object {
	var out []object
	for i, c := range e.identity().CPUs {
		o := e.node(numbered(p+"/CPU.Socket.%d", i+1), "Processor.v1_11_0.Processor", "Processor")
		o["ProcessorType"], o["Model"], o["TotalCores"], o["TotalThreads"] = "CPU", c.Model, c.Cores, c.Threads
		o["Socket"], o["Status"] = numbered("CPU %d", i+1), status("Enabled")
		out = append(out, o)
	}
	for i := range e.rules.Parts.GPUs {
		o := e.node(numbered(p+"/GPU.Slot.%d", i+1), "Processor.v1_11_0.Processor", "GPU")
		o["ProcessorType"], o["Model"], o["Status"] = "GPU", "Accelerator", status("Enabled")
		out = append(out, o)
	}
	return out
}

func (e *Emulator) memory(p string) []object {
	dimms := e.identity().DIMMs
	var out []object
	for i, d := range dimms {
		o := e.node(numbered(p+"/DIMM.%d", i+1), "Memory.v1_11_0.Memory", d.Slot)
		o["DeviceLocator"], o["CapacityMiB"], o["SerialNumber"] = d.Slot, d.MiB, d.Serial
		o["MemoryDeviceType"], o["OperatingSpeedMhz"], o["Status"] = "DDR4", 3200, status("Enabled")
		out = append(out, o)
	}
	for i := range e.rules.Parts.EmptyDIMMs {
		n := len(dimms) + i + 1
		o := e.node(numbered(p+"/DIMM.%d", n), "Memory.v1_11_0.Memory", numbered("Slot %d", n))
		o["CapacityMiB"], o["Status"] = 0, object{"State": "Absent"}
		out = append(out, o)
	}
	return out
}

func (e *Emulator) nics(p string) []object {
	var out []object
	if e.rules.Parts.NICs == "none" {
		return nil
	}
	if e.rules.Parts.ToManager {
		o := e.node(p+"/ToManager", "EthernetInterface.v1_8_0.EthernetInterface", "Host USB NIC")
		o["MACAddress"], o["Description"], o["Status"] = "02:00:5e:00:53:01", "host interface to the manager", status("Enabled")
		out = append(out, o)
	}
	for i, n := range e.identity().NICs {
		o := e.node(numbered(p+"/NIC.%d", i+1), "EthernetInterface.v1_8_0.EthernetInterface", "NIC")
		o["MACAddress"] = n.MAC
		if e.rules.Parts.NICs == "full" {
			o["PermanentMACAddress"], o["SpeedMbps"], o["LinkStatus"], o["Status"] = n.MAC, n.Mbps, "LinkUp", status("Enabled")
		}
		out = append(out, o)
	}
	return out
}

// plantStorage hangs the drives where the personality has them.
func (e *Emulator) plantStorage(tree map[string]resource, p string) {
	disks := e.machine.Identity().Disks
	var units []string
	switch e.rules.Parts.Drives {
	case "together":
		units = append(units, e.plantUnit(tree, p+"/Controller.1", disks, 0))
	case "single":
		for i := range disks {
			units = append(units, e.plantUnit(tree, numbered(p+"/DA%06d", i), disks[i:i+1], i))
		}
	case "chassis":
		dir := e.chassisPath() + "/Drives"
		tree[dir] = e.listed(dir, "Drive", e.plantDrives(tree, dir, disks, 0)...)
	}
	tree[p] = e.listed(p, "Storage", units...)
}

func (e *Emulator) plantUnit(tree map[string]resource, p string, disks []Disk, first int) string {
	drives := []object{}
	for _, d := range e.plantDrives(tree, p+"/Drives", disks, first) {
		drives = append(drives, e.ref(d))
	}
	o := e.node(p, "Storage.v1_10_0.Storage", "Storage")
	o["Drives"], o["Drives@odata.count"], o["Status"] = drives, len(drives), status("Enabled")
	tree[p] = fixed(o)
	return p
}

func (e *Emulator) plantDrives(tree map[string]resource, dir string, disks []Disk, first int) []string {
	var paths []string
	for i, d := range disks {
		p := numbered(dir+"/Disk.%d", first+i)
		o := e.node(p, "Drive.v1_13_0.Drive", "Drive")
		o["Model"], o["SerialNumber"], o["CapacityBytes"], o["Status"] = d.Model, d.Serial, d.Bytes, status("Enabled")
		o["Protocol"], o["MediaType"] = "SATA", "SSD"
		if d.NVMe {
			o["Protocol"] = "NVMe"
		}
		if d.Rotational {
			o["MediaType"] = "HDD"
		}
		tree[p] = fixed(o)
		paths = append(paths, p)
	}
	return paths
}
