package overlay

import (
	"fmt"
	"time"

	"github.com/muster-boot/muster/images/iso"
)

// maxRecord is the longest directory record: its length is one byte (§9.1.1)
// and even.
const maxRecord = 254

// newRecord makes the record of a new file. self is the directory's own, which
// lends its time and its version of Rock Ridge.
func newRecord(t *Tree, self iso.Record, identifier []byte, name string, x stamped) (iso.Record, error) {
	b := make([]byte, 33, 256)
	setExtent(b, x.Extent)
	copy(b[18:], self.Bytes[18:25]) // §9.1.5: recorded when the directory was
	if !x.time.IsZero() {
		copy(b[18:], shortTime(x.time))
	}
	copy(b[28:32], self.Bytes[28:32]) // §9.1.9: on the same volume of a set
	b[32] = byte(len(identifier))
	b = append(b, identifier...)
	if len(b)%2 == 1 { // §9.1.12
		b = append(b, 0)
	}
	if t.RockRidge {
		b = append(b, make([]byte, t.Skip)...)
		b = append(b, posix(self, x.Extent)...)
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
	return iso.Record{At: isNew, Bytes: b, Identifier: identifier, Name: name, Extent: x.Extent}, nil
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

// stamped is the content of a file, and when it was changed; zero for no word
// on that.
type stamped struct {
	iso.Extent
	time time.Time
}

// The years that a directory record can say: one byte, from 1900 (§9.1.5).
const (
	firstYear = 1900
	lastYear  = firstYear + 255
)

// shortTime is the time of a directory record, §9.1.5, as UTC.
func shortTime(t time.Time) []byte {
	t = t.UTC()
	return []byte{byte(t.Year() - firstYear), byte(t.Month()), byte(t.Day()), byte(t.Hour()), byte(t.Minute()), byte(t.Second()), 0}
}

// longTime is the time of a volume descriptor, §8.4.26.1, as UTC.
func longTime(t time.Time) []byte {
	return append([]byte(t.UTC().Format("20060102150405")+"00"), 0)
}

// stamp writes a time into a record, and into what Rock Ridge says of it in the
// record itself (TF, RRIP §4.1.6): all that it says, as the file is new.
func stamp(r iso.Record, t time.Time) {
	copy(r.Bytes[18:], shortTime(t))
	for _, u := range r.SystemUse {
		at := u.At - r.At
		if u.Signature != "TF" || len(u.Data) == 0 || at < 0 || at+int64(len(u.Data)) > int64(len(r.Bytes)) {
			continue
		}
		const longForm = 1 << 7
		time := shortTime(t)
		if u.Data[0]&longForm != 0 {
			time = longTime(t)
		}
		for times := r.Bytes[at+1 : at+int64(len(u.Data))]; len(times) >= len(time); times = times[len(time):] {
			copy(times, time)
		}
	}
}
