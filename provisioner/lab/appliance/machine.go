package main

import (
	"cmp"
	"net"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/muster-boot/muster/provisioner/handoff/localui/localuitest"
)

// machine is the hardware as Linux shows it.
type machine struct {
	uuid     string
	serial   string
	cores    int
	memoryMB int64
	disks    []disk
	nics     []localuitest.NIC
}

// disk is one that could be installed on.
type disk struct {
	Name       string `json:"name"`
	GB         int    `json:"size"`
	Controller string `json:"controller"`
	Vendor     string `json:"vendor"`
}

// thisMachine reads the hardware; what cannot be read stays empty. root is
// where /sys and /proc are.
func thisMachine(root string) machine {
	return machine{
		uuid: sysText(filepath.Join(root, "sys/class/dmi/id/product_uuid")), serial: sysText(filepath.Join(root, "sys/class/dmi/id/product_serial")),
		cores: runtime.NumCPU(), memoryMB: memoryOf(sysText(filepath.Join(root, "proc/meminfo"))),
		disks: disksBelow(filepath.Join(root, "sys/block")), nics: nicsOf(defaultNIC(sysText(filepath.Join(root, "proc/net/route")))),
	}
}

// memoryOf is what /proc/meminfo says, in MB as Palette counts them.
func memoryOf(meminfo string) int64 {
	for line := range strings.Lines(meminfo) {
		fields := strings.Fields(line)
		if len(fields) > 1 && fields[0] == "MemTotal:" {
			kib, _ := strconv.ParseInt(fields[1], 10, 64)
			return kib >> 10
		}
	}
	return 0
}

// disksBelow are the disks of /sys/block that are there to be installed on.
func disksBelow(dir string) []disk {
	const sector, gb = 512, 1_000_000_000
	kinds := map[string]string{"nvme": "nvme", "sd": "scsi", "vd": "virtio", "mmcblk": "mmc"}
	paths, _ := filepath.Glob(filepath.Join(dir, "*"))
	var disks []disk
	for _, path := range paths {
		for prefix, controller := range kinds {
			if !strings.HasPrefix(filepath.Base(path), prefix) {
				continue
			}
			sectors, _ := strconv.ParseInt(sysText(filepath.Join(path, "size")), 10, 64)
			vendor := cmp.Or(sysText(filepath.Join(path, "device/vendor")), sysText(filepath.Join(path, "device/model")))
			disks = append(disks, disk{filepath.Base(path), int(sectors * sector / gb), controller, vendor})
		}
	}
	return disks
}

// defaultNIC is the interface of the default route in /proc/net/route.
func defaultNIC(routes string) string {
	for line := range strings.Lines(routes) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[1] == "00000000" {
			return fields[0]
		}
	}
	return ""
}

// nicsOf are the interfaces that have a hardware address, with their first
// IPv4 address.
func nicsOf(main string) []localuitest.NIC {
	interfaces, _ := net.Interfaces()
	var nics []localuitest.NIC
	for _, i := range interfaces {
		if len(i.HardwareAddr) == 0 {
			continue
		}
		n := localuitest.NIC{Name: i.Name, MAC: i.HardwareAddr.String(), Main: i.Name == main}
		addresses, _ := i.Addrs()
		at := slices.IndexFunc(addresses, func(a net.Addr) bool {
			prefix, ok := a.(*net.IPNet)
			return ok && prefix.IP.To4() != nil
		})
		if at >= 0 {
			n.IP = addresses[at].(*net.IPNet).IP.String()
		}
		nics = append(nics, n)
	}
	return nics
}
