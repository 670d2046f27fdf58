package dhcp

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/muster-boot/muster/pxe"
)

// boot is what a client is told to load.
type boot struct {
	File  string // a loader's name for TFTP, or a URL; empty: an address only
	Class string // option 60 of the reply; firmware ignores replies without it
	Note  string // why a client that wants to boot gets an address only
}

// bootFor picks the boot file by who asks, over what, and what was decided:
// our iPXE gets its script; firmware gets our iPXE by the way it speaks, or the
// image that it is to boot by HTTP itself; another iPXE is good enough, unless the network says otherwise. asked is the
// address the client reached us on, so that it can reach us there again.
func bootFor(c pxe.Client, a pxe.Answer, n Network, asked netip.Addr) boot {
	b := boot{Class: class(c.Vendor)}
	if c.Loader == pxe.System {
		return b
	}
	base := fmt.Sprintf("http://%s", netip.AddrPortFrom(asked, n.BootPort))
	name, byHTTP := loaderFor(c.Arch)
	replace := n.LoaderAlways && name != ""
	switch {
	case c.Loader == pxe.Firmware && byHTTP && a.Image != "":
		b.File = base + a.Image
	case a.Script == "":
		b.Note = noScript
	case c.Loader == pxe.OurIPXE, c.Loader == pxe.ForeignIPXE && !replace:
		b.File = base + a.Script
	case name == "":
		b.Note = noLoader(c.Arch)
	case byHTTP:
		b.File = base + "/loader/" + name
	default:
		b.File = name
	}
	return b
}

// noScript is the sentence for a client that wants to boot and may, but what is
// not decided.
const noScript = "the host wants to boot from the network and there is no script for it, so it gets an address only"

// loaderFor names our iPXE for an architecture, and whether firmware of that
// architecture loads it by HTTP; empty when we have none.
func loaderFor(a pxe.Arch) (name string, byHTTP bool) {
	switch a {
	case pxe.ArchBIOS:
		return "undionly.kpxe", false
	case pxe.ArchUEFIx64, pxe.ArchUEFIBC:
		return "ipxe.efi", false
	case pxe.ArchHTTPx64:
		return "ipxe.efi", true
	case pxe.ArchUEFIARM64:
		return "snp.efi", false
	case pxe.ArchHTTPARM64:
		return "snp.efi", true
	case pxe.ArchUEFI32, pxe.ArchUnknown:
		return "", false
	}
	return "", false
}

// noLoader is the sentence for a client that we have no loader for.
func noLoader(a pxe.Arch) string {
	switch a {
	case pxe.ArchUnknown:
		return "the firmware does not say its architecture (DHCP option 93 or 60), so it gets an address and no loader"
	case pxe.ArchUEFI32:
		return "the firmware is 32-bit UEFI, which muster has no loader for; switch the host to 64-bit UEFI or to BIOS"
	}
	return fmt.Sprintf("muster has no loader for client architecture %d of DHCP option 93", a)
}

// class is the vendor class to echo: the reply must say "PXEClient" or
// "HTTPClient" exactly, without what firmware appends to it.
func class(vendor string) string {
	for _, c := range []string{classPXE, classHTTP} {
		if strings.HasPrefix(vendor, c) {
			return c
		}
	}
	return ""
}
