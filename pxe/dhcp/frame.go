package dhcp

import (
	"encoding/binary"
	"net"
	"net/netip"
)

// Lengths of the headers that frame writes, and the numbers in them.
const (
	ethernetLen  = 14
	ipv4Len      = 20
	udpLen       = 8
	etherIPv4    = 0x0800
	protocolUDP  = 17
	timeToLive   = 64
	dontFragment = 0x4000
)

// frame wraps a UDP payload in an Ethernet frame, for a client that has no ARP
// entry yet. Both checksums are filled in: some firmware checks UDP's.
func frame(src, dst net.HardwareAddr, from, to netip.AddrPort, payload []byte) []byte {
	b := make([]byte, ethernetLen+ipv4Len+udpLen+len(payload))
	copy(b[0:6], dst)
	copy(b[6:12], src)
	binary.BigEndian.PutUint16(b[12:], etherIPv4)

	ip := b[ethernetLen:]
	ip[0] = 4<<4 | ipv4Len/4
	binary.BigEndian.PutUint16(ip[2:], uint16(len(ip)))
	binary.BigEndian.PutUint16(ip[6:], dontFragment)
	ip[8], ip[9] = timeToLive, protocolUDP
	copy(ip[12:16], from.Addr().AsSlice())
	copy(ip[16:20], to.Addr().AsSlice())
	binary.BigEndian.PutUint16(ip[10:], checksum(0, ip[:ipv4Len]))

	udp := ip[ipv4Len:]
	binary.BigEndian.PutUint16(udp[0:], from.Port())
	binary.BigEndian.PutUint16(udp[2:], to.Port())
	binary.BigEndian.PutUint16(udp[4:], uint16(len(udp)))
	copy(udp[udpLen:], payload)
	pseudo := sum(protocolUDP+uint32(len(udp)), ip[12:20])
	c := checksum(pseudo, udp)
	if c == 0 {
		c = 0xffff // zero would say "no checksum" (RFC 768)
	}
	binary.BigEndian.PutUint16(udp[6:], c)
	return b
}

// sum adds b to acc as 16-bit words (RFC 1071).
func sum(acc uint32, b []byte) uint32 {
	for ; len(b) > 1; b = b[2:] {
		acc += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		acc += uint32(b[0]) << 8
	}
	return acc
}

// checksum is the ones' complement of acc and b.
func checksum(acc uint32, b []byte) uint16 {
	acc = sum(acc, b)
	for acc > 0xffff {
		acc = acc>>16 + acc&0xffff
	}
	return ^uint16(acc)
}
