package lab

import (
	"fmt"
	"net"
	"strings"
)

// OVMF as Debian ships it, without Secure Boot and with it and Microsoft's
// keys; each host has its own copy of the variables.
const (
	ovmfCode       = "/usr/share/OVMF/OVMF_CODE_4M.fd"
	ovmfVars       = "/usr/share/OVMF/OVMF_VARS_4M.fd"
	ovmfSecureCode = "/usr/share/OVMF/OVMF_CODE_4M.ms.fd"
	ovmfSecureVars = "/usr/share/OVMF/OVMF_VARS_4M.ms.fd"
)

// files are the places and descriptors that a host's QEMU works with.
type files struct {
	console string
	vars    string   // UEFI only
	disks   []string // one per disk of the spec
	taps    []string // one per NIC of the spec
	tpm     string   // the TPM's state, a directory
	// Descriptors of connected sockets, inherited by QEMU.
	qmpFD, tpmFD int
}

// qemuArgs writes the command line of a host whose drive holds the medium, or
// nothing. TCG is asked for by name: where /dev/kvm exists QEMU's own choice may
// be one that hangs.
func qemuArgs(s Spec, f files, order bootOrder, medium string) []string {
	args := []string{
		"-name", option(s.Name) + ",debug-threads=on", // see [worktime]
		"-nodefaults", "-no-user-config", "-display", "none",
		"-accel", "tcg",
		"-machine", machine(s),
		"-m", fmt.Sprint(s.MemoryMiB),
		"-smp", fmt.Sprint(s.CPUs),
		"-device", "VGA",
		"-chardev", "file,id=console,append=on,path=" + option(f.console),
		"-serial", "chardev:console",
		"-chardev", fmt.Sprintf("socket,id=qmp,fd=%d", f.qmpFD),
		"-mon", "chardev=qmp,mode=control",
		// Without a source of randomness a guest on this CPU waits seconds, some
		// programs for ever; every server has one.
		"-object", "rng-random,id=rng,filename=/dev/urandom",
		"-device", "virtio-rng-pci,rng=rng",
	}
	args = append(args, firmwareArgs(s, f)...)
	args = append(args, smbiosArgs(s)...)
	args = append(args, nicArgs(s, f, order)...)
	args = append(args, diskArgs(s, f, order)...)
	args = append(args, cdArgs(s, order, medium)...)
	args = append(args, chipArgs(s, f)...)
	if s.BMC != nil {
		// Each boot is a QEMU of its own, as only a new one can have another order
		// and firmware; see [Host.attend].
		args = append(args, "-action", "reboot=shutdown")
	}
	if !s.Clock.IsZero() {
		args = append(args, "-rtc", "base="+s.Clock.UTC().Format("2006-01-02T15:04:05"))
	}
	return args
}

// machine chooses the chipset: the older one boots a little faster, the newer
// one brings the AHCI and PCI Express that some devices of a spec need.
// graphics=off makes SeaBIOS show its console on the serial line as well.
func machine(s Spec) string {
	switch {
	case s.SecureBoot:
		// OVMF keeps its variables from the guest by system management mode.
		return "q35,smm=on,graphics=off"
	case express(s):
		return "q35,smm=off,graphics=off"
	}
	return "pc,graphics=off"
}

func express(s Spec) bool {
	if s.SecureBoot {
		return true
	}
	for _, n := range s.NICs {
		if n.Model == "e1000e" {
			return true
		}
	}
	for _, d := range s.Disks {
		if d.Kind == SATA || d.Kind == MegaSAS {
			return true
		}
	}
	return false
}

func firmwareArgs(s Spec, f files) []string {
	if s.Firmware != UEFI {
		return nil
	}
	code, _ := firmwareFiles(s)
	args := []string{
		"-drive", "if=pflash,format=raw,unit=0,readonly=on,file=" + code,
		"-drive", "if=pflash,format=raw,unit=1,file=" + option(f.vars),
	}
	if s.SecureBoot {
		args = append(args, "-global", "driver=cfi.pflash01,property=secure,value=on", "-global", "ICH9-LPC.disable_s3=1")
	}
	if s.HTTPBoot {
		args = append(args, "-fw_cfg", "name=opt/org.tianocore/IPv4PXESupport,string=no")
	}
	if s.HTTPBoot || s.NoIPv6PXE {
		args = append(args, "-fw_cfg", "name=opt/org.tianocore/IPv6PXESupport,string=no")
	}
	return args
}

// firmwareFiles are OVMF and the variables that a new host of the spec has.
func firmwareFiles(s Spec) (code, vars string) {
	if s.SecureBoot {
		return ovmfSecureCode, ovmfSecureVars
	}
	return ovmfCode, ovmfVars
}

// What every host says of its maker and its parts, to its own system by SMBIOS
// and to others by its BMC.
const (
	labMaker   = "Muster Lab"
	labProduct = "Lab Host"
	labSKU     = "LAB-1"
	labCPU     = "Lab CPU"
	// The serials of parts are the host's with an ending.
	boardSuffix = "-B"
	dimmSuffix  = "-M"
)

// smbiosArgs fills in what QEMU leaves blank in the structures of types 0 to 4
// and 17 (DMTF DSP0134); it makes the others by itself.
func smbiosArgs(s Spec) []string {
	serial, maker := option(s.Serial), ",manufacturer="+labMaker
	system := "type=1,manufacturer=" + option(s.Manufacturer) + ",product=" + option(s.Product) + ",version=1,sku=" + labSKU + ",serial=" + serial
	if s.UUID != "" {
		system += ",uuid=" + s.UUID
	}
	firmware := "type=0,vendor=" + labMaker + ",version=" + s.Firmware.String() + "-1,date=11/01/2026"
	if s.Firmware == UEFI {
		firmware += ",uefi=on"
	}
	return []string{
		"-smbios", firmware,
		"-smbios", system,
		"-smbios", "type=2" + maker + ",product=Lab Board,serial=" + serial + boardSuffix,
		"-smbios", "type=3" + maker + ",serial=" + serial + "-C",
		"-smbios", "type=4" + maker + ",version=" + labCPU + ",sock_pfx=CPU",
		"-smbios", "type=17" + maker + ",loc_pfx=DIMM,bank=BANK 0,part=LAB-DIMM,speed=3200,serial=" + serial + dimmSuffix,
	}
}

// nicArgs connects each NIC to its tap. OVMF drives a virtio NIC itself, so
// QEMU's iPXE is taken off the card there; for Intel cards Debian's OVMF has no
// driver and the card's own ROM stays, as on real hardware.
func nicArgs(s Spec, f files, order bootOrder) []string {
	var args []string
	for i, n := range s.NICs {
		device := fmt.Sprintf("%s,id=%s,netdev=net%d,mac=%s%s", n.Model, nicID(i), i, n.MAC, order.option(nicID(i)))
		if s.Firmware == UEFI && n.Model == "virtio-net-pci" {
			device += ",romfile="
		}
		args = append(args,
			"-netdev", fmt.Sprintf("tap,id=net%d,ifname=%s,script=no,downscript=no", i, f.taps[i]),
			"-device", device)
	}
	return args
}

func diskArgs(s Spec, f files, order bootOrder) []string {
	var args []string
	adapters := map[DiskKind]bool{}
	for i, d := range s.Disks {
		if a := adapter(d.Kind); a != "" && !adapters[d.Kind] {
			adapters[d.Kind] = true
			args = append(args, "-device", a)
		}
		// unsafe: a lab disk need not survive this machine, only the host.
		args = append(args,
			"-drive", fmt.Sprintf("if=none,id=disk%d,format=raw,cache=unsafe,file=%s", i, option(f.disks[i])))
		args = append(args, diskDevices(d, i, order.option(diskID(i)))...)
	}
	return args
}

// adapter is the controller that all disks of a kind share; NVMe and virtio
// disks are their own, and the chipset has SATA.
func adapter(k DiskKind) string {
	switch k {
	case SCSI:
		return "virtio-scsi-pci,id=scsi"
	case MegaSAS:
		return "megasas-gen2,id=megasas"
	case NVMe, SATA, Virtio:
		return ""
	}
	return ""
}

func diskDevices(d Disk, i int, boot string) []string {
	serial := ",serial=" + option(d.Serial)
	// 1 is "does not rotate" in ATA (ACS-4, word 217) and SCSI (SBC-4, 6.6.4).
	rotation, wwn := ",rotation_rate=1", ""
	if d.Rotational {
		rotation = ",rotation_rate=7200"
	}
	if d.WWN != 0 {
		wwn = fmt.Sprintf(",wwn=%#016x", d.WWN)
	}
	drive := fmt.Sprintf("id=%s,drive=disk%d", diskID(i), i)
	switch d.Kind {
	case NVMe:
		return nvmeDevices(d, i, boot)
	case SATA:
		return []string{"-device", fmt.Sprintf("ide-hd,bus=ide.%d,%s%s%s%s%s", i, drive, serial, wwn, rotation, boot)}
	case Virtio:
		return []string{"-device", "virtio-blk-pci," + drive + serial + boot}
	case SCSI, MegaSAS:
		bus := map[DiskKind]string{SCSI: "scsi.0", MegaSAS: "megasas.0"}[d.Kind]
		return []string{"-device", fmt.Sprintf("scsi-hd,bus=%s,scsi-id=%d,%s%s%s%s%s", bus, i, drive, serial, wwn, rotation, boot)}
	}
	return nil
}

// nvmeDevices is a controller with one namespace. Only a namespace that is a
// device of its own can have an EUI-64; but its place in the boot order has a
// node that OVMF cannot read, and then OVMF ignores the whole order. So such a
// disk is left out of the boot order.
func nvmeDevices(d Disk, i int, boot string) []string {
	controller := fmt.Sprintf("nvme,id=%s,serial=%s", diskID(i), option(d.Serial))
	if d.WWN == 0 {
		return []string{"-device", controller + fmt.Sprintf(",drive=disk%d%s", i, boot)}
	}
	return []string{"-device", controller, "-device", fmt.Sprintf("nvme-ns,bus=%s,drive=disk%d,eui64=%#x", diskID(i), i, d.WWN)}
}

// cdArgs is a CD drive on the chipset's own controller. The drive is there
// even when it can never be booted from.
func cdArgs(s Spec, order bootOrder, medium string) []string {
	if s.CD == "" && !s.Drive {
		return nil
	}
	bus := "ide.1"
	if express(s) {
		bus = "ide.5" // the last AHCI port; disks count from the first
	}
	drive := fmt.Sprintf("ide-cd,id=%s,bus=%s%s", cdID, bus, order.option(cdID))
	if medium == "" {
		return []string{"-device", drive}
	}
	const node = "medium0"
	return []string{"-blockdev", blockdev(node, medium).json(), "-device", drive + ",drive=" + node}
}

// chipArgs are the chips beside the processor that a spec may ask for. The TPM
// has the register interface of TIS; the BMC is at the ports of KCS. QEMU falls
// over a BMC that is connected before its chip is there, so it is to connect
// later, and again when the BMC was away.
func chipArgs(s Spec, f files) []string {
	var args []string
	if s.TPM {
		args = append(args,
			"-chardev", fmt.Sprintf("socket,id=tpm,fd=%d", f.tpmFD),
			"-tpmdev", "emulator,id=tpm,chardev=tpm",
			"-device", "tpm-tis,tpmdev=tpm")
	}
	if s.KCS != "" {
		at := "path=" + option(s.KCS)
		if host, port, err := net.SplitHostPort(s.KCS); err == nil {
			at = "host=" + host + ",port=" + port
		}
		args = append(args,
			"-chardev", "socket,id=ipmi,reconnect=1,"+at,
			"-device", "ipmi-bmc-extern,id=bmc,chardev=ipmi",
			"-device", "isa-ipmi-kcs,bmc=bmc")
	}
	return args
}

// option writes a value so that QEMU's option parser takes it whole.
func option(value string) string { return strings.ReplaceAll(value, ",", ",,") }
