package inband

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
)

// Vital product data pages as /sys gives them: byte 1 is the page's number,
// bytes 2 and 3 its length, then the content (SPC-6 §7.7).
const (
	pageHeader     = 4
	pageUnitSerial = 0x80
	pageIdentity   = 0x83
	pageATA        = 0x89
)

// page is the content of a page, nil where it is another or cut short.
func page(raw []byte, number byte) []byte {
	if len(raw) < pageHeader || raw[1] != number {
		return nil
	}
	end := pageHeader + int(binary.BigEndian.Uint16(raw[2:]))
	return raw[pageHeader:min(end, len(raw))]
}

func unitSerial(raw []byte) string {
	return strings.Trim(string(page(raw, pageUnitSerial)), " \x00")
}

// designator is one descriptor of page 83h (SPC-6 §7.7.6).
type designator struct {
	codeSet, association, kind byte
	id                         []byte
}

const (
	codeBinary = 1
	codeASCII  = 2

	ofUnit = 0

	kindVendor = 0
	kindT10    = 1
	kindEUI64  = 2
	kindNAA    = 3

	naaRegistered         = 5
	naaRegisteredExtended = 6
	naaAny                = 0xff
)

func designators(content []byte) []designator {
	var list []designator
	for len(content) >= 4 {
		size := int(content[3])
		if 4+size > len(content) {
			break
		}
		list = append(list, designator{
			codeSet: content[0] & 0x0f, association: content[1] >> 4 & 0x03, kind: content[1] & 0x0f, id: content[4 : 4+size],
		})
		content = content[4+size:]
	}
	return list
}

// text is the identifier as characters, hexadecimal where it is binary.
func (d designator) text() string {
	if d.codeSet == codeASCII {
		s, _, _ := strings.Cut(string(d.id), "\x00")
		return s
	}
	return hex.EncodeToString(d.id)
}

// scsiSerial is the identity that the program scsi_id of udev makes: the best
// designator of the unit by a fixed order, led by its type's digit. wwn is the
// whole of a binary name of the NAA kind, with its extension.
func scsiSerial(raw []byte, vendor, model string) (serial, wwn string) {
	list := designators(page(raw, pageIdentity))
	for _, want := range []struct{ kind, naa, codeSet byte }{
		{kindNAA, naaRegisteredExtended, codeBinary}, {kindNAA, naaRegisteredExtended, codeASCII},
		{kindNAA, naaRegistered, codeBinary}, {kindNAA, naaRegistered, codeASCII},
		{kindNAA, naaAny, codeBinary}, {kindNAA, naaAny, codeASCII},
		{kindEUI64, naaAny, codeBinary}, {kindEUI64, naaAny, codeASCII},
		{kindT10, naaAny, codeBinary}, {kindT10, naaAny, codeASCII},
		{kindVendor, naaAny, codeBinary}, {kindVendor, naaAny, codeASCII},
	} {
		for _, d := range list {
			if d.association != ofUnit || d.kind != want.kind || d.codeSet != want.codeSet || len(d.id) == 0 {
				continue
			}
			if want.naa != naaAny && d.id[0]>>4 != want.naa {
				continue
			}
			return prefixed(d, vendor, model)
		}
	}
	return "", ""
}

// prefixed adds the type's digit, and to an identifier of the vendor's own
// making vendor and model at their full widths, since it is unique only there.
func prefixed(d designator, vendor, model string) (serial, wwn string) {
	text := d.text()
	if d.kind == kindNAA {
		wwn = text[:min(len(text), 32)]
	}
	if d.kind == kindVendor {
		text = fmt.Sprintf("%-8.8s%-16.16s%s", vendor, model, text)
	}
	return fmt.Sprintf("%x%s", d.kind, text), wwn
}

// ataIdentity is what IDENTIFY DEVICE tells (ACS-4 §9.11, words).
type ataIdentity struct {
	model, serial, firmware string
	wwn                     string // "0x..." or ""
	sata                    bool
}

const (
	identifyOffset = 60 - pageHeader // in page 89h (SAT-4 §12.4.2)
	identifySize   = 512
)

// parseIdentify reads the IDENTIFY data out of page 89h.
func parseIdentify(raw []byte) (ataIdentity, bool) {
	content := page(raw, pageATA)
	if len(content) < identifyOffset+identifySize {
		return ataIdentity{}, false
	}
	data := content[identifyOffset : identifyOffset+identifySize]
	word := func(n int) uint16 { return binary.LittleEndian.Uint16(data[2*n:]) }
	a := ataIdentity{
		serial: ataString(data, 10, 20), firmware: ataString(data, 23, 8), model: ataString(data, 27, 40),
		sata: word(76) != 0 && word(76) != 0xffff,
	}
	if word(108)&0xf000 == 0x5000 { // NAA 5, the only valid one
		a.wwn = fmt.Sprintf("0x%04x%04x%04x%04x", word(108), word(109), word(110), word(111))
	}
	return a, true
}

// ataString is characters whose two bytes in each word are swapped.
func ataString(data []byte, word, size int) string {
	b := make([]byte, size)
	for i := 0; i < size; i += 2 {
		b[i], b[i+1] = data[2*word+i+1], data[2*word+i]
	}
	return strings.TrimRight(string(b), "\x00")
}

func (a ataIdentity) transport() string {
	if a.sata {
		return "sata"
	}
	return "ata"
}
