// Package inventory holds the hardware words: what a host is made of, as one
// witness reported it, and the instruction a scout is given in return.
//
// It reads nothing and judges nothing; inband reads Linux, profile compares.
// Values are plain data that travel as JSON: a field that the witness could
// not see is absent (nil or empty), which is "unknown" and never "none".
// Start at [Report].
package inventory

import "time"

// Witness names who made a report.
type Witness string

// The witnesses. Two may disagree; that is a finding of its own.
const (
	Scout Witness = "scout"
	BMC   Witness = "bmc"
)

// Report is one witness's account of one host at one time.
type Report struct {
	Witness  Witness       `json:"witness"`
	Version  string        `json:"version"` // of the program that made it
	At       time.Time     `json:"at"`      // by the witness's clock, after it was stepped
	System   System        `json:"system"`
	Board    Board         `json:"board"`
	Firmware Firmware      `json:"firmware"`
	CPUs     []CPU         `json:"cpus,omitempty"`
	DIMMs    []DIMM        `json:"dimms,omitempty"` // populated and empty slots
	Memory   Bytes         `json:"memory"`          // what the operating system can use
	Disks    []Disk        `json:"disks,omitempty"`
	NICs     []NIC         `json:"nics,omitempty"`
	TPM      *TPM          `json:"tpm,omitempty"`
	BMC      *Controller   `json:"bmc,omitempty"`
	Gaps     []FirmwareGap `json:"gaps,omitempty"`
	Clock    *Clock        `json:"clock,omitempty"`
	Problems []string      `json:"problems,omitempty"` // what could not be read, in sentences
}

// Bytes is a size in bytes.
type Bytes uint64

// System is SMBIOS type 1. UUID is in the order Linux prints it.
type System struct {
	Manufacturer string `json:"manufacturer,omitempty"`
	Product      string `json:"product,omitempty"`
	Serial       string `json:"serial,omitempty"`
	SKU          string `json:"sku,omitempty"`
	UUID         string `json:"uuid,omitempty"`
}

// Board is SMBIOS type 2.
type Board struct {
	Manufacturer string `json:"manufacturer,omitempty"`
	Product      string `json:"product,omitempty"`
	Serial       string `json:"serial,omitempty"`
}

// Firmware is SMBIOS type 0 and how the running system was started.
type Firmware struct {
	Vendor     string `json:"vendor,omitempty"`
	Version    string `json:"version,omitempty"`
	Date       string `json:"date,omitempty"`
	Mode       string `json:"mode,omitempty"`        // "bios" or "uefi"
	SecureBoot *bool  `json:"secure_boot,omitempty"` // nil where the firmware cannot say
	Medium     bool   `json:"medium,omitempty"`      // started from a CD of muster's, not from the network
}

// CPU is one socket (SMBIOS type 4).
type CPU struct {
	Slot    string `json:"slot"`
	Model   string `json:"model,omitempty"`
	Cores   int    `json:"cores,omitempty"`
	Threads int    `json:"threads,omitempty"`
	MHz     int    `json:"mhz,omitempty"`
}

// DIMM is one memory slot (SMBIOS type 17). Size 0 is an empty slot.
type DIMM struct {
	Slot         string `json:"slot"`
	Bank         string `json:"bank,omitempty"`
	Size         Bytes  `json:"size"`
	Type         string `json:"type,omitempty"`
	MTs          int    `json:"mts,omitempty"` // configured speed, mega-transfers per second
	Manufacturer string `json:"manufacturer,omitempty"`
	Part         string `json:"part,omitempty"`
	Serial       string `json:"serial,omitempty"`
}

// Disk is one block device that could hold a system.
type Disk struct {
	Name       string   `json:"name"`            // kernel name, e.g. "nvme0n1"; changes between boots
	ByID       []string `json:"by_id,omitempty"` // names under /dev/disk/by-id as udev makes them, best first
	Model      string   `json:"model,omitempty"`
	Serial     string   `json:"serial,omitempty"`
	WWID       string   `json:"wwid,omitempty"`
	Firmware   string   `json:"firmware,omitempty"`
	Transport  string   `json:"transport,omitempty"` // nvme, sata, sas, scsi, virtio, usb, ata
	Size       Bytes    `json:"size"`
	Rotational *bool    `json:"rotational,omitempty"`
	Removable  bool     `json:"removable,omitempty"`
	ReadOnly   bool     `json:"read_only,omitempty"`
	BootMedium bool     `json:"boot_medium,omitempty"` // the running system came from it
	Holders    []string `json:"holders,omitempty"`     // device-mapper, md or mounts on top of it
	// Signatures is what was found on the disk: partition table, file system,
	// RAID or LVM, e.g. "gpt", "ext4 at 1048576". Nil means it was not looked at
	// (then nobody may call it empty); an empty slice means looked and found nothing.
	Signatures []string `json:"signatures"`
}

// NIC is one network port.
type NIC struct {
	Name      string `json:"name"`
	MAC       string `json:"mac"` // permanent address, lower case with colons
	Driver    string `json:"driver,omitempty"`
	Firmware  string `json:"firmware,omitempty"`
	PCI       string `json:"pci,omitempty"`    // address, e.g. "0000:00:03.0"
	PCIID     string `json:"pci_id,omitempty"` // vendor:device, e.g. "8086:10d3"
	SpeedMbps int    `json:"speed_mbps,omitempty"`
	Link      *bool  `json:"link,omitempty"`
	Booted    bool   `json:"booted,omitempty"` // the firmware booted from it, or the scout that came by a CD reached muster over it
	Address   string `json:"address,omitempty"`
}

// TPM is the trusted platform module.
type TPM struct {
	Version string `json:"version"` // "1.2" or "2.0"
}

// Controller is a BMC as seen from inside the host.
type Controller struct {
	Present bool   `json:"present"`
	Via     string `json:"via,omitempty"` // how it was noticed: smbios-38, ipmi, host-interface
	Address string `json:"address,omitempty"`
	MAC     string `json:"mac,omitempty"`
}

// FirmwareGap is a blob that a driver asked the kernel for and did not get.
type FirmwareGap struct {
	Device string `json:"device"` // PCI address or interface name
	Driver string `json:"driver"`
	Blob   string `json:"blob"` // path below /lib/firmware
}

// Clock is how far the host's clock was from muster's before it was stepped.
type Clock struct {
	SkewSeconds float64 `json:"skew_seconds"`
	RTCWritten  bool    `json:"rtc_written"`
}

// Action is what a scout is told to do.
type Action string

// The actions.
const (
	Wait     Action = "wait"     // nothing yet; ask again
	Look     Action = "look"     // read the hardware and report
	Verify   Action = "verify"   // read it again for this attempt's verdict, disks' contents too
	Install  Action = "install"  // go to the installer
	Reboot   Action = "reboot"   // e.g. into a newer scout
	PowerOff Action = "poweroff" // and stay off

	WriteDisk Action = "write" // put a disk image on a disk
)

// Instruction is the server's answer to a scout that asks what to do next. It
// is idempotent: asked again, the same instruction comes until a report, a
// progress call or a person has changed the host.
type Instruction struct {
	Do      Action   `json:"do"`
	Attempt string   `json:"attempt,omitempty"` // goes back with every report and progress call
	Say     string   `json:"say"`               // a sentence for the console: what is going on, what is awaited
	Again   int      `json:"again,omitempty"`   // with Wait: ask again after so many seconds
	Netboot *Netboot `json:"netboot,omitempty"` // with Install
	Write   *Write   `json:"write,omitempty"`   // with WriteDisk
}

// Netboot is a kernel to start: what a boot script and kexec both need. URLs
// are absolute.
type Netboot struct {
	Kernel  string   `json:"kernel"`
	Initrds []string `json:"initrds"`
	Cmdline string   `json:"cmdline"` // without BOOTIF and initrd=; who boots adds them
}

// Write is a disk image and the disk that it goes to.
type Write struct {
	URL    string     `json:"url"`
	Coding string     `json:"coding"`           // raw, gzip, xz, zstd, qcow2
	Digest string     `json:"digest"`           // sha256 of what URL serves, in hex
	Size   int64      `json:"size"`             // of that, in bytes
	Disk   string     `json:"disk"`             // name below /dev/disk/by-id
	Serial string     `json:"serial,omitempty"` // of that disk, as it was verified
	Seed   []SeedFile `json:"seed,omitempty"`   // of a NoCloud volume; none: no volume
}

// SeedFile is one file of a NoCloud volume, e.g. "user-data".
type SeedFile struct {
	Name    string `json:"name"`
	Content string `json:"content"`
}

// Step is one line of progress from a scout or an installer.
type Step struct {
	Attempt string `json:"attempt"`
	Stage   string `json:"stage"` // e.g. "kexec", "installing", "installed"
	Detail  string `json:"detail,omitempty"`
	Bytes   int64  `json:"bytes,omitempty"` // done of this stage
	Total   int64  `json:"total,omitempty"` // 0 where it is not known
}
