package overlay

import (
	"fmt"

	"github.com/muster-boot/muster/images/iso"
)

// maxRecord is the longest directory record: its length is one byte (§9.1.1)
// and even.
const maxRecord = 254

// newRecord makes the record of a new file. self is the directory's own, which
// lends its time and its version of Rock Ridge.
func newRecord(t *Tree, self iso.Record, identifier []byte, name string, x iso.Extent) (iso.Record, error) {
	b := make([]byte, 33, 256)
	setExtent(b, x)
	copy(b[18:25], self.Bytes[18:25]) // §9.1.5: recorded when the directory was
	copy(b[28:32], self.Bytes[28:32]) // §9.1.9: on the same volume of a set
	b[32] = byte(len(identifier))
	b = append(b, identifier...)
	if len(b)%2 == 1 { // §9.1.12
		b = append(b, 0)
	}
	if t.RockRidge {
		b = append(b, make([]byte, t.Skip)...)
		b = append(b, posix(self, x)...)
		b = append(b, 'N', 'M', byte(min(255, 5+len(name))), 1, 0) // RRIP §4.1.4
		b = append(b, name...)
	}
	if len(b)%2 == 1 {
		b = append(b, 0)
	}
	if len(b) > maxRecord {
		return iso.Record{}, fmt.Errorf("%w: the name %q is too long by %d bytes", ErrCannot, name, len(b)-maxRecord)
	}
	b[0] = byte(len(b))
	return iso.Record{At: isNew, Bytes: b, Identifier: identifier, Name: name, Extent: x}, nil
}

// posix is a PX entry (RRIP §4.1.1): a plain file of root that all may read. Its
// serial number, which Rock Ridge has since 1.12, is its block.
func posix(self iso.Record, x iso.Extent) []byte {
	const plainFile, length, withSerial = 0o100444, 36, 44
	b := []byte{'P', 'X', length, 1}
	for _, n := range []uint32{plainFile, 1, 0, 0} { // mode, links, user, group
		b = append(b, both32(n)...)
	}
	for _, u := range self.SystemUse {
		if u.Signature == "PX" && len(u.Data) == withSerial-4 {
			b[2] = withSerial
			return append(b, both32(uint32(x.Offset/sectorSize))...)
		}
	}
	return b
}
