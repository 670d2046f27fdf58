package inventory

import (
	"encoding/hex"
	"strings"
)

// Junk reports whether an identity value (a serial number, an asset tag) says
// nothing: empty, a placeholder that a board maker left in, or one character
// repeated ("00000000"). Two hosts with the same junk value are not the same
// host, so junk never counts when hosts are matched.
func Junk(value string) bool {
	v := strings.Join(strings.Fields(strings.ToLower(value)), " ")
	if strings.Trim(v, v[:min(1, len(v))]) == "" || strings.Trim(v, " .-_") == "" {
		return true
	}
	switch v {
	case "to be filled by o.e.m.", "to be filled by oem", "filled by oem", "o.e.m.", "oem",
		"default string", "default", "system serial number", "chassis serial number",
		"base board serial number", "serial number", "serial", "s/n", "sn",
		"not specified", "not applicable", "not available", "not present", "not provided",
		"no asset tag", "no enclosure", "none", "null", "n/a", "na", "unknown", "undefined",
		"invalid", "empty", "blank", "test", "0123456789", "123456789", "1234567890", "12345678":
		return true
	}
	return false
}

// NormalSerial is a serial number as it is compared: without surrounding
// spaces, in upper case. Labels and firmware disagree about case, makers do
// not tell two products apart by it. Junk becomes "".
func NormalSerial(serial string) string {
	if Junk(serial) {
		return ""
	}
	return strings.ToUpper(strings.TrimSpace(serial))
}

// NormalMAC reads a MAC address in any of the forms 52:54:00:12:34:56,
// 52-54-00-12-34-56, 5254.0012.3456 and 525400123456, and gives it in lower
// case with colons. It refuses group addresses (IEEE 802 §8.2: lowest bit of
// the first octet) and the zero address, which no network port has.
func NormalMAC(mac string) (string, bool) {
	b, ok := hexOctets(mac, ":-.", 6)
	if !ok || b[0]&1 != 0 || strings.Trim(string(b), "\x00") == "" {
		return "", false
	}
	digits := hex.EncodeToString(b)
	parts := make([]string, 0, 6)
	for i := 0; i < len(digits); i += 2 {
		parts = append(parts, digits[i:i+2])
	}
	return strings.Join(parts, ":"), true
}

// NormalUUID gives a UUID in lower case with hyphens at the usual places. It
// takes any placing of hyphens, and braces. Junk UUIDs are refused; see
// [JunkUUID].
func NormalUUID(uuid string) (string, bool) {
	b, ok := uuidOctets(uuid)
	if !ok || junkOctets(b) {
		return "", false
	}
	return formatUUID(b), true
}

// JunkUUID reports whether a well-formed UUID is a maker's default that many
// boards share, in either byte order.
func JunkUUID(uuid string) bool {
	b, ok := uuidOctets(uuid)
	return ok && junkOctets(b)
}

// SameUUID compares two UUIDs of which either may be in the other byte order:
// SMBIOS 2.6 and later (§7.2.1) store the first three fields little-endian,
// Linux and iPXE print them decoded, some BMCs and older boards do not.
// swapped says that they match only after turning those fields round. Junk
// matches nothing.
func SameUUID(a, b string) (match, swapped bool) {
	x, okA := uuidOctets(a)
	y, okB := uuidOctets(b)
	if !okA || !okB || junkOctets(x) || junkOctets(y) {
		return false, false
	}
	if string(x) == string(y) {
		return true, false
	}
	if string(x) == string(swapOctets(y)) {
		return true, true
	}
	return false, false
}

// SwapUUID turns the byte order of the first three fields round and gives the
// result as [NormalUUID] does.
func SwapUUID(uuid string) (string, bool) {
	b, ok := uuidOctets(uuid)
	if !ok || junkOctets(b) {
		return "", false
	}
	return formatUUID(swapOctets(b)), true
}

func uuidOctets(uuid string) ([]byte, bool) {
	return hexOctets(strings.Trim(strings.TrimSpace(uuid), "{}"), "-", 16)
}

// hexOctets reads n octets in hexadecimal, with any of the separators between
// them, and no other character.
func hexOctets(text, separators string, n int) ([]byte, bool) {
	digits := strings.Map(func(r rune) rune {
		if strings.ContainsRune(separators, r) {
			return -1
		}
		return r
	}, strings.TrimSpace(text))
	b, err := hex.DecodeString(digits)
	return b, err == nil && len(b) == n
}

func swapOctets(b []byte) []byte {
	s := append([]byte(nil), b...)
	s[0], s[1], s[2], s[3] = b[3], b[2], b[1], b[0]
	s[4], s[5] = b[5], b[4]
	s[6], s[7] = b[7], b[6]
	return s
}

func formatUUID(b []byte) string {
	h := hex.EncodeToString(b)
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// junkOctets knows the defaults that boards are shipped with. One octet
// repeated covers all zero and all FF ("not settable" and "not set", SMBIOS
// §7.2.1).
func junkOctets(b []byte) bool {
	if strings.Trim(string(b), string(b[:1])) == "" {
		return true
	}
	for _, u := range []string{formatUUID(b), formatUUID(swapOctets(b))} {
		switch u {
		case "03000200-0400-0500-0006-000700080009", // American Megatrends reference board
			"12345678-1234-5678-90ab-cddeefaabbcc", // Insyde sample
			"12345678-1234-1234-1234-123456789abc",
			"4c4c4544-0000-2010-8020-80c04f202020": // Dell without a service tag: the tag's letters are blanks
			return true
		}
	}
	return false
}
