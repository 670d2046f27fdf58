package bmctest

import "context"

// Machine is what a BMC controls. Its methods may be called from several
// goroutines, and never while the emulator holds a lock that next or a
// [Medium] takes; next must be called with no lock held that On takes.
type Machine interface {
	// Identity is what the machine's own firmware says of it (SMBIOS). It does
	// not change.
	Identity() Identity
	// PowerOn starts the machine. At every boot until the next PowerOn, those
	// included that its own system asks for, next says what to boot; each call
	// uses up an override that holds for one boot.
	PowerOn(ctx context.Context, next func() Boot) error
	// PowerOff takes the power away.
	PowerOff(ctx context.Context) error
	// Shutdown presses the power button; the machine's system may ignore it.
	Shutdown(ctx context.Context) error
	// Reset presses the reset button.
	Reset(ctx context.Context) error
	// On says whether the machine has power; it answers at once.
	On() bool
	// InsertMedium puts m in the virtual drive, in place of what is there.
	InsertMedium(ctx context.Context, m *Medium) error
	// EjectMedium empties the virtual drive, whatever the machine does with it.
	EjectMedium(ctx context.Context) error
}

// Boot is what firmware does at one boot.
type Boot struct {
	Device Device
	// Legacy asks for a BIOS boot of a machine that could boot by UEFI.
	Legacy bool
	// URI is what DeviceHTTP boots.
	URI string
}

// Device is a class of boot devices.
type Device string

// The devices. FirmwareOrder is no device: the machine's own order stands.
const (
	FirmwareOrder Device = ""
	DeviceMedium  Device = "medium" // the virtual drive
	DeviceNetwork Device = "network"
	DeviceDisk    Device = "disk"
	DeviceHTTP    Device = "http"
	DeviceSetup   Device = "setup" // the firmware's setup menu, for ever
)

// Identity is a machine as its SMBIOS shows it. The BMC's tree is derived from
// it, so that the two agree unless a fault makes the BMC lie.
type Identity struct {
	Manufacturer string
	Product      string
	Serial       string // of the system: the service tag, where there is one
	BoardSerial  string
	SKU          string
	UUID         string // in the order Linux prints it
	BMCMAC       string
	CPUs         []CPU
	DIMMs        []DIMM // populated slots only
	Disks        []Disk
	NICs         []NIC
}

// CPU is one socket.
type CPU struct {
	Model          string
	Cores, Threads int
}

// DIMM is one populated slot.
type DIMM struct {
	Slot   string
	MiB    int
	Serial string
}

// Disk is one drive.
type Disk struct {
	Model, Serial string
	Bytes         int64
	NVMe          bool
	Rotational    bool
}

// NIC is one port.
type NIC struct {
	MAC  string
	Mbps int
}
