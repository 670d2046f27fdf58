// Package ipxe holds the loaders that firmware fetches from muster, and writes
// the scripts that they then run.
//
// It decides nothing about a host, and serves nothing: tftp and httpboot do. It
// builds no iPXE: the loaders are those of the tinkerbell project, embedded as
// they are but for the script inside the UEFI ones (see [NewLoaders]). No text
// given to it can end a command of a script or start one.
//
// Start at [NewLoaders] for the bytes, and at [Netboot] and [LocalDisk] for the
// scripts.
package ipxe

import (
	"bytes"

	"github.com/tinkerbell/ipxedust/binary"

	"github.com/muster-boot/muster/pxe/ipxe/localdisk"
)

// Loaders is the files that firmware may fetch, by name. It is read only after
// it was made, so it may be used by everybody at once.
type Loaders map[string][]byte

// NewLoaders returns undionly.kpxe for BIOS, ipxe.efi for UEFI on x86-64,
// snp.efi for UEFI on arm64, and localdisk.efi, which [LocalDisk] chains.
//
// The script inside the two UEFI loaders is replaced where it is found: as it
// comes it waits two seconds for a key, asks DHCP twice, and loses the exit
// status of the script it boots, without which UEFI never goes on to the next
// boot option. undionly.kpxe keeps its script: it is compressed, and BIOS needs
// none of the three so badly.
func NewLoaders() Loaders {
	return Loaders{
		"undionly.kpxe": binary.Undionly,
		"ipxe.efi":      withScript(binary.IpxeEFI),
		"snp.efi":       withScript(binary.SNP),
		"localdisk.efi": localdisk.EFI(),
	}
}

// File returns the loader of that name. The caller must not change the bytes.
func (l Loaders) File(name string) ([]byte, bool) {
	data, ok := l[name]
	return data, ok
}

// The first and the last lines of the script that the tinkerbell project
// builds into its loaders (ipxedust binary/script/embed.ipxe).
const (
	embeddedStart = "#!ipxe\n\nset user-class Tinkerbell\n"
	embeddedEnd   = ":error\necho Failed to find the vlan interface\nshell\n"
)

// loaderScript takes the place of the embedded one. It asks DHCP on the
// interface that the loader came by, which is the one that firmware left an
// address on, and boots what it is told; any failure, and any failure of what
// it booted, ends with an error, so that firmware tries its next boot option.
// The user class must stay: DHCP knows our loader by it.
const loaderScript = `#!ipxe

set user-class Tinkerbell
echo muster: asking for this host's boot script
set idx:int32 0
:find
isset ${net${idx}/ip} && goto found || iseq ${idx} 50 && goto any || inc idx && goto find

:found
set try:int32 1
:ask
dhcp net${idx} && goto boot || iseq ${try} 5 && exit 1 || inc try && goto ask
:boot
chain --autofree ${net${idx}.dhcp/filename} && exit 0 || exit 1

:any
dhcp && chain --autofree ${filename} && exit 0 || exit 1
`

// withScript returns a copy of loader whose embedded script is loaderScript,
// padded to the same length, or the loader itself when it does not hold exactly
// the one script that we know.
func withScript(loader []byte) []byte {
	start := bytes.Index(loader, []byte(embeddedStart))
	end := bytes.Index(loader, []byte(embeddedEnd)) + len(embeddedEnd)
	once := bytes.Count(loader, []byte(embeddedStart)) == 1 && bytes.Count(loader, []byte(embeddedEnd)) == 1
	if !once || end-start < len(loaderScript) {
		return loader
	}
	out := bytes.Clone(loader)
	n := copy(out[start:], loaderScript)
	for i := start + n; i < end; i++ {
		out[i] = '\n'
	}
	return out
}
