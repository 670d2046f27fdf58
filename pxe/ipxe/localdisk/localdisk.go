// Package localdisk carries localdisk.efi, a UEFI application of a few
// kilobytes that starts the system installed on the local disk at once.
//
// On UEFI a host that boots the network first has no good way back to its
// disk: leaving the network loader leads to the firmware's next entry, which
// may be the same network card by another protocol, or a menu that waits for a
// person. So iPXE chains localdisk.efi instead. It follows the firmware's boot
// order as far as that names local disks, then looks on each EFI System
// Partition for the default loader and for the usual vendors' ones, and starts
// the first that is there, naming it on the console. Firmware that has not
// looked at its disks yet is made to.
//
// A host that started by BIOS has no need of it. There the iPXE script says
// `sanboot --no-describe --drive 0x80`: boot the BIOS's first disk, and leave
// no table behind that calls it a network disk.
//
// It refuses removable media, USB disks, disks reached over a network and
// disks made in memory, even where the boot order prefers them. It writes
// nothing, neither to a disk nor to a variable, so the firmware will do at the
// next boot what it did at this one. Where it finds nothing it says so, waits
// ten seconds for a reader and returns EFI_NOT_FOUND; the script that chained
// it should then `exit 1`, so that firmware goes to its next entry. It is not
// signed: with Secure Boot on, firmware does not run it. There is no build for
// arm64.
//
// Start at [EFI], then efi/main.c and efi/list.c. After a change there,
// efi/build.sh makes efi/localdisk.efi anew with Debian's gcc and binutils; the
// same compiler gives the same bytes, and a test compares them. Sources and
// image are this project's own, under its Apache-2.0 licence.
package localdisk

import _ "embed"

//go:embed efi/localdisk.efi
var image string

// EFI returns localdisk.efi for x86-64, as a copy that the caller owns.
func EFI() []byte {
	return []byte(image)
}
