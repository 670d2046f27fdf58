// Package pxe holds the words of network booting: the client that asks, the
// answer it is given, and the one [Decider] that DHCP, TFTP and HTTP all ask.
//
// It knows nothing of orders, hosts or installers: an answer says whether the
// client is served at all and, if so, which script it boots. It opens no
// socket; the rooms below it do (dhcp, lease, tftp, ipxe, httpboot, routeradv).
// Start at [Decider], then [Client] and [Answer].
package pxe

import (
	"context"
	"net"
	"net/netip"
)

// Decider says what a boot client is given. DHCP, TFTP, HTTP and the router
// advertiser ask the same one, so a client that gets no address gets no loader
// either. Implementations answer from memory, never from a slow network, and
// are called many times per boot: the protocols are stateless, so an answer
// must not depend on how often it was asked. Safe for concurrent use.
type Decider interface {
	Decide(ctx context.Context, c Client) (Answer, error)
}

// Client is what one packet or request told about who is asking. Fields the
// protocol does not carry are zero: TFTP and HTTP know only MAC (through the
// lease of the source address), Network and Transport.
type Client struct {
	MAC       net.HardwareAddr // chaddr (RFC 2131 §2)
	UUID      UUID             // option 97 (RFC 4578 §2.3), wire order; zero when absent or junk
	Arch      Arch             // option 93, or the Arch of option 60; ArchUnknown when neither is there
	Loader    Loader           // who speaks: firmware, an iPXE, or an operating system
	Vendor    string           // option 60, as sent
	UserClass string           // option 77, as sent
	Network   string           // name of the interface the packet arrived on
	Address   netip.Addr       // the client's own address, where it has one
	Transport Transport        // the protocol this question came by
}

// Transport is the protocol by which a client asked.
type Transport string

// The transports that ask a [Decider].
const (
	DHCP            Transport = "dhcp"
	TFTP            Transport = "tftp"
	HTTP            Transport = "http"
	RouterDiscovery Transport = "ndp"
)

// Arch is the client system architecture of option 93.
type Arch uint16

// Architectures of the IANA registry "Processor Architecture Types" (RFC 4578
// §2.1 and RFC 5970 §3.3) that muster has an answer for. ArchUnknown is ours:
// the client did not say, and we never guess.
const (
	ArchBIOS      Arch = 0
	ArchUEFI32    Arch = 6
	ArchUEFIx64   Arch = 7
	ArchUEFIBC    Arch = 9 // x86-64 too, on firmware that follows the RFC's errata
	ArchUEFIARM64 Arch = 11
	ArchHTTPx64   Arch = 16
	ArchHTTPARM64 Arch = 19
	ArchUnknown   Arch = 0xffff
)

// Loader tells which program sent a request.
type Loader string

// The programs that a host runs on its way, in the order they come.
const (
	Firmware    Loader = "firmware"     // PXEClient or HTTPClient without a user class of iPXE
	OurIPXE     Loader = "muster-ipxe"  // the embedded loader: user class "Tinkerbell"
	ForeignIPXE Loader = "foreign-ipxe" // a NIC's own iPXE: user class "iPXE" or option 175
	System      Loader = "system"       // an operating system or scout: no PXE vendor class
)

// Answer is what a client is given. The zero value is silence.
type Answer struct {
	// Serve is whether the client is answered at all, by any transport.
	Serve bool
	// Script is the path below the boot plane's root of the iPXE script this
	// client boots, e.g. "/boot/a-1b2c/tok3n/script.ipxe"; empty when it gets an
	// address only. It is an absolute, clean path without query.
	Script string
	// Image is the path below the boot plane's root of an ISO that this client's
	// firmware is to boot by itself over HTTP (UEFI 2.10 §24.7), in place of a
	// loader; empty for none. Whoever cannot, firmware that speaks PXE or a loader
	// of any kind, gets the script. It is an absolute, clean path without query.
	Image string
	// Name is a host name for DHCP option 12; may be empty.
	Name string
	// Address is a fixed address (reservation); invalid when the pool decides.
	Address netip.Addr
}

// UUID is a system UUID as it came in option 97: sixteen bytes, wire order.
// Firmware disagrees about the byte order of its first three fields, so
// whoever compares must try both.
type UUID [16]byte

// IsZero reports whether the client sent no UUID.
func (u UUID) IsZero() bool { return u == UUID{} }
