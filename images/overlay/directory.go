package overlay

import (
	"encoding/binary"
	"fmt"

	"github.com/muster-boot/muster/images/iso"
)

// directory is one that is being changed. It stays where it is if what is added
// fits into its sectors, else it grows by sectors and moves to the tail; only
// the sectors that changed are then in memory, the others are the base's.
type directory struct {
	*Dir
	records []iso.Record // as they were
	sectors []sector
	grown   bool
}

type sector struct {
	from    int64 // in the base; of no meaning once changed and moved
	records []iso.Record
	changed bool
}

// isNew marks a record that the base does not have.
const isNew = -1

func newDirectory(d *Dir, records []iso.Record) *directory {
	out := &directory{Dir: d, records: records}
	for at := d.Extent.Offset; at < d.Extent.Offset+d.Extent.Length; at += sectorSize {
		out.sectors = append(out.sectors, sector{from: at})
	}
	for _, r := range records {
		s := &out.sectors[(r.At-d.Extent.Offset)/sectorSize]
		s.records = append(s.records, r)
	}
	return out
}

// used is how many bytes the records take.
func used(records []iso.Record) int {
	sum := 0
	for _, r := range records {
		sum += len(r.Bytes)
	}
	return sum
}

// add inserts a record where the order wants it. A sector that is full is
// parted there, which moves no record out of its sector but those behind it.
func (d *directory) add(record iso.Record, wide bool) {
	i, j := d.place(record, wide)
	s := &d.sectors[i]
	if used(s.records)+len(record.Bytes) <= sectorSize {
		s.records = append(s.records[:j:j], append([]iso.Record{record}, s.records[j:]...)...)
		s.changed = true
		return
	}
	left, right := s.records[:j:j], s.records[j:len(s.records):len(s.records)]
	if used(left)+len(record.Bytes) <= sectorSize {
		left = append(left, record)
	} else {
		right = append([]iso.Record{record}, right...)
	}
	tail := append([]sector{{records: left, changed: true}, {records: right, changed: true}}, d.sectors[i+1:]...)
	d.sectors = append(d.sectors[:i:i], tail...)
	if len(right) == 0 {
		d.sectors = append(d.sectors[:i+1], d.sectors[i+2:]...)
	}
	d.grown = true
}

// place finds the sector and the index in it before which a record belongs. It
// prefers the end of a sector with room to the start of the next.
func (d *directory) place(record iso.Record, wide bool) (i, j int) {
	i, j = len(d.sectors)-1, len(d.sectors[len(d.sectors)-1].records)
search:
	for k := range d.sectors {
		for l, r := range d.sectors[k].records {
			if k == 0 && l < 2 || before(r.Identifier, record.Identifier, wide) {
				continue
			}
			i, j = k, l
			break search
		}
	}
	if i > 0 && j == 0 && used(d.sectors[i-1].records)+len(record.Bytes) <= sectorSize {
		return i - 1, len(d.sectors[i-1].records)
	}
	return i, j
}

// point makes the records of one file lead to other content, in one extent.
func (d *directory) point(identifier []byte, x stamped) {
	first := true
	for i := range d.sectors {
		s := &d.sectors[i]
		kept := make([]iso.Record, 0, len(s.records))
		for _, r := range s.records {
			if string(r.Identifier) != string(identifier) || r.Dir {
				kept = append(kept, r)
				continue
			}
			s.changed = true
			if first {
				first = false
				setExtent(r.Bytes, x.Extent)
				r.Bytes[1] = 0         // §9.1.2: no attribute record before it
				r.Bytes[25] &^= 1 << 7 // §9.1.6: no further extent
				r.Extent, r.More = x.Extent, false
				if !x.time.IsZero() {
					stamp(r, x.time)
				}
				kept = append(kept, r)
			}
		}
		if s.changed {
			s.records = kept
		}
	}
}

// edit changes bytes of a record of the base, by their old place.
func (d *directory) edit(at int64, b []byte) error {
	for i := range d.sectors {
		for _, r := range d.sectors[i].records {
			if r.At != isNew && r.At <= at && at+int64(len(b)) <= r.At+int64(len(r.Bytes)) {
				copy(r.Bytes[at-r.At:], b)
				d.sectors[i].changed = true
				return nil
			}
		}
	}
	return fmt.Errorf("the directory %s holds no record at byte %d: the image is not the one of the index", d.Path, at)
}

// patches lays the directory out at an offset, that of the base if it did not
// grow.
func (d *directory) patches(at int64) []patch {
	var out []patch
	for i, s := range d.sectors {
		to := at + int64(i)*sectorSize
		switch {
		case s.changed:
			out = append(out, patch{at: to, data: s.bytes()})
		case to != s.from:
			out = append(out, patch{at: to, from: s.from, size: sectorSize})
		}
	}
	return joinRuns(out)
}

func (s sector) bytes() []byte {
	out := make([]byte, 0, sectorSize)
	for _, r := range s.records {
		out = append(out, r.Bytes...)
	}
	return out[:sectorSize]
}

// joinRuns makes one of runs of the base that follow each other.
func joinRuns(patches []patch) []patch {
	var out []patch
	for _, p := range patches {
		if i := len(out) - 1; i >= 0 && p.data == nil && out[i].data == nil && out[i].from+out[i].size == p.from && out[i].at+out[i].size == p.at {
			out[i].size += p.size
			continue
		}
		out = append(out, p)
	}
	return out
}

// size is that of the whole directory, in bytes.
func (d *directory) size() int64 { return int64(len(d.sectors)) * sectorSize }

// setExtent writes location and length into a record (§9.1.3, §9.1.4).
func setExtent(record []byte, x iso.Extent) {
	copy(record[2:], both32(uint32(x.Offset/sectorSize)))
	copy(record[10:], both32(uint32(x.Length)))
}

// both32 is a number in both byte orders, §7.3.3.
func both32(n uint32) []byte {
	return binary.BigEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, n), n)
}
