package lab

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"regexp"
	"slices"
	"time"

	"github.com/muster-boot/muster/redfish/bmctest"
)

// Firmware is what a host runs first.
type Firmware int

// The firmware of a lab host.
const (
	BIOS Firmware = iota // SeaBIOS; its PXE is the iPXE in QEMU's option ROMs
	UEFI                 // OVMF without Secure Boot; its PXE is EDK2's own on a virtio NIC
)

func (f Firmware) String() string {
	switch f {
	case BIOS:
		return "BIOS"
	case UEFI:
		return "UEFI"
	}
	return fmt.Sprintf("Firmware(%d)", int(f))
}

// DiskKind is the controller that a disk hangs on.
type DiskKind int

// The kinds of disk.
const (
	NVMe   DiskKind = iota
	SATA            // the chipset's AHCI
	SCSI            // virtio-scsi
	Virtio          // virtio-blk
	// MegaSAS is an LSI MegaRAID SAS 2108 HBA (megasas-gen2). Under Linux 6.1 it
	// now and then damages the memory of the host, which is no place to install.
	MegaSAS
)

func (k DiskKind) String() string {
	switch k {
	case NVMe:
		return "nvme"
	case SATA:
		return "sata"
	case SCSI:
		return "scsi"
	case Virtio:
		return "virtio"
	case MegaSAS:
		return "megasas"
	}
	return fmt.Sprintf("DiskKind(%d)", int(k))
}

// Disk is one disk; its content is a sparse raw file.
type Disk struct {
	Kind DiskKind
	GB   int // size in units of 10^9 bytes; 0 means 100
	// Serial is what the disk says of itself, at most 20 characters; empty
	// means one made from the host's serial and the disk's place.
	Serial string
	// WWN is the disk's world wide name; 0 means that it has none. NVMe disks
	// have it as EUI-64, virtio disks have none.
	WWN uint64
	// Rotational makes it a spinning disk. A virtio disk always says it is one,
	// an NVMe disk never.
	Rotational bool
}

// NIC is one network interface.
type NIC struct {
	MAC     string
	Network string // one of the lab's networks; empty means its first
	// Model is the QEMU device: virtio-net-pci (also if empty), e1000e or e1000.
	Model string
}

// Spec is a host to make. Only Name is required.
type Spec struct {
	Name     string
	Firmware Firmware
	// Manufacturer and Product are what SMBIOS says; empty means those of the
	// BMC's family, or without a BMC the lab's own.
	Manufacturer, Product string
	// Serial and UUID are what SMBIOS says of the system; empty means that the
	// serial is made from the name, and that there is no UUID.
	Serial, UUID string
	CPUs         int // 0 means 2
	MemoryMiB    int // 0 means 8192
	NICs         []NIC
	Disks        []Disk
	// CD is the ISO image in the drive: its path, or its http or https URL, of
	// which QEMU then reads by ranges what the host asks for, believing any
	// certificate, as BMCs do. See [Network.BMC].
	CD string
	// Drive gives the host a CD drive even without CD, for [Host.InsertMedium].
	Drive bool
	// Boot is the firmware's boot order; empty means network, disk, CD.
	Boot []Device
	// HTTPBoot takes PXE out of OVMF, so that what the host boots from its
	// network it boots by UEFI HTTP boot.
	HTTPBoot bool
	// SecureBoot starts OVMF with Microsoft's keys enrolled and Secure Boot on.
	SecureBoot bool
	// TPM gives the host a TPM 2.0, which keeps its state over power-offs.
	TPM bool
	// KCS is where the host's management controller waits for its end of the
	// system interface, speaking what ipmi_sim calls the VM codec: the path of a
	// unix socket, or a loopback address with its TCP port. Empty means that the
	// host has no such interface.
	KCS string
	// IPMI gives the host a controller with IPMI alone, and the interface to it.
	IPMI *IPMI
	// BMC gives the host an emulated BMC with Redfish, and with it a virtual
	// drive. Such a host can do both, UEFI and BIOS, if Firmware is UEFI; its BMC
	// says which, boot by boot.
	BMC *BMC
	// NoIPv6PXE takes PXE over IPv6 out of OVMF. It changes nothing for a host
	// that is answered over IPv4, as PXEv4 comes first; one that is left in
	// silence gets round its boot order 30 s faster. By default the firmware
	// is as its maker ships it.
	NoIPv6PXE bool
	// Clock is what the hardware clock shows at power-on; zero means the truth.
	Clock time.Time
}

// withDefaults fills in what the spec leaves open.
func (s Spec) withDefaults(networks []Network) Spec {
	if s.Serial == "" {
		s.Serial = "LAB-" + s.Name
	}
	s.Manufacturer, s.Product = s.make()
	if s.CPUs == 0 {
		s.CPUs = 2
	}
	if s.MemoryMiB == 0 {
		s.MemoryMiB = 8192
	}
	if len(s.Boot) == 0 {
		s.Boot = []Device{FromNetwork, FromDisk, FromCD}
	}
	s.Drive = s.Drive || s.BMC != nil
	s.NICs, s.Disks = slices.Clone(s.NICs), slices.Clone(s.Disks)
	for i := range s.NICs {
		n := &s.NICs[i]
		if n.Model == "" {
			n.Model = "virtio-net-pci"
		}
		if n.Network == "" && len(networks) > 0 {
			n.Network = networks[0].Name
		}
	}
	for i := range s.Disks {
		d := &s.Disks[i]
		if d.GB == 0 {
			d.GB = 100
		}
		if d.Serial == "" {
			d.Serial = diskSerial(s.Serial, i)
		}
	}
	return s
}

// make is who made the host and what it is called.
func (s Spec) make() (manufacturer, product string) {
	manufacturer, product = labMaker, labProduct
	if s.BMC != nil {
		if p, err := bmctest.Named(s.BMC.Personality); err == nil { // else there will be no such host
			id := p.Identity(0)
			manufacturer, product = id.Manufacturer, cmp.Or(id.Product, product)
		}
	}
	return cmp.Or(s.Manufacturer, manufacturer), cmp.Or(s.Product, product)
}

// diskSerial makes a serial that differs between the disks of a lab; the end of
// the host's serial is kept, as that is where serials differ.
func diskSerial(host string, i int) string {
	serial := fmt.Sprintf("%s-D%d", host, i)
	return serial[max(0, len(serial)-maxDiskSerial):]
}

// maxDiskSerial is what all of NVMe (SN, 20 bytes), ATA (20) and virtio-blk
// (VIRTIO_BLK_ID_BYTES, 20) carry.
const maxDiskSerial = 20

// check says what QEMU would not understand or would silently cut short. It
// takes a spec with its defaults filled in.
func (s Spec) check(networks []Network) error {
	if !regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`).MatchString(s.Name) {
		return fmt.Errorf("host name %q: want lower-case letters, digits and hyphens, it names a directory", s.Name)
	}
	var errs []error
	for i, n := range s.NICs {
		if err := n.check(networks); err != nil {
			errs = append(errs, fmt.Errorf("host %s, NIC %d: %w", s.Name, i, err))
		}
	}
	for i, d := range s.Disks {
		if err := d.check(i); err != nil {
			errs = append(errs, fmt.Errorf("host %s, disk %d: %w", s.Name, i, err))
		}
	}
	if s.IPMI != nil && s.BMC != nil {
		errs = append(errs, fmt.Errorf("host %s: it has two BMCs; give it one", s.Name))
	}
	if s.Firmware != UEFI && (s.HTTPBoot || s.SecureBoot) {
		errs = append(errs, fmt.Errorf("host %s: HTTP boot and Secure Boot need UEFI firmware", s.Name))
	}
	return errors.Join(errs...)
}

func (n NIC) check(networks []Network) error {
	if _, err := net.ParseMAC(n.MAC); err != nil {
		return err
	}
	if !slices.Contains([]string{"virtio-net-pci", "e1000e", "e1000"}, n.Model) {
		return fmt.Errorf("model %q: want virtio-net-pci, e1000e or e1000", n.Model)
	}
	if !slices.ContainsFunc(networks, func(w Network) bool { return w.Name == n.Network }) {
		return fmt.Errorf("the lab has no network %q", n.Network)
	}
	return nil
}

// sataPorts is how many disks the chipset's AHCI takes: it has six ports, and
// the CD drive has the last.
const sataPorts = 5

func (d Disk) check(i int) error {
	switch {
	case d.Kind == SATA && i >= sataPorts:
		return fmt.Errorf("a SATA disk must be among the first %d disks", sataPorts)
	case len(d.Serial) > maxDiskSerial:
		return fmt.Errorf("serial %q is longer than %d characters", d.Serial, maxDiskSerial)
	case d.Kind == Virtio && d.WWN != 0:
		return errors.New("a virtio disk has no WWN")
	case d.Kind < NVMe || d.Kind > MegaSAS:
		return fmt.Errorf("unknown kind %v", d.Kind)
	}
	return nil
}
