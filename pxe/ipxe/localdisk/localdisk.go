// Package localdisk carries localdisk.efi, a UEFI application of a few
// kilobytes that starts the system installed on the local disk at once.
//
// On UEFI a host that boots the network first has no good way back to its
// disk: leaving the network loader leads to the firmware's next entry, which
// may be the same network card by another protocol, or a menu that waits for
// a person. So iPXE chains localdisk.efi instead. It follows the firmware's
// boot order as far as that names local disks, then looks for the default
// loader of each EFI System Partition and for the usual vendors' loaders, and
// starts the first that is there with a proper device path and its load
// options. A host that started BIOS has no need of it: there the iPXE script
// says `sanboot --no-describe --drive 0x80`.
//
// It refuses removable media, USB disks and disks reached over a network, even
// where the boot order prefers them. It writes nothing, neither to a disk nor
// to a variable, so what the firmware will do at the next boot is unchanged.
// Where it finds nothing it says so on the console, waits ten seconds and
// returns EFI_NOT_FOUND; the script that chained it should then `exit 1`. It
// is not signed: with Secure Boot on, the firmware does not run it. There is
// no build for arm64.
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
