package write

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// The partition table of UEFI 2.11 §5.2.1: four records of 16 bytes, then a mark.
const (
	mbrRecords   = 446
	mbrRecord    = 16
	mbrMark      = 0xaa55
	mbrFAT16     = 0x0e // FAT16 below a logical block address
	mbrExtended  = 0x05
	mbrExtended2 = 0x0f
	mbrEFI       = 0xee      // UEFI 2.11 §5.2.3: protects a GPT
	maxMBR       = 1<<32 - 1 // sectors that a record can count
)

func isMBR(head []byte) bool {
	return len(head) >= 512 && binary.LittleEndian.Uint16(head[510:]) == mbrMark
}

// record is one of the four.
type record []byte

func records(sector []byte) [4]record {
	var list [4]record
	for i := range list {
		at := mbrRecords + i*mbrRecord
		list[i] = sector[at : at+mbrRecord : at+mbrRecord]
	}
	return list
}

func (r record) kind() byte   { return r[4] }
func (r record) first() int64 { return int64(binary.LittleEndian.Uint32(r[8:])) }
func (r record) count() int64 { return int64(binary.LittleEndian.Uint32(r[12:])) }
func (r record) empty() bool  { return r.kind() == 0 || r.count() == 0 }

// set fills a record in. Cylinders, heads and sectors are given as "beyond what
// they can count", as UEFI 2.11 §5.2.3 does.
func (r record) set(kind byte, first, count int64) {
	copy(r, []byte{0, 0xfe, 0xff, 0xff, kind, 0xfe, 0xff, 0xff})
	binary.LittleEndian.PutUint32(r[8:], uint32(first))
	binary.LittleEndian.PutUint32(r[12:], uint32(count))
}

// layOutMBR adds a record for the seed; without a seed nothing changes.
func layOutMBR(head []byte, g geometry, seed bool) (change, error) {
	c := change{check: sound}
	free, taken := record(nil), int64(0)
	sector := bytes.Clone(head[:g.sector])
	for i, r := range records(sector) {
		if r.empty() {
			free = firstOf(free, r)
			continue
		}
		p := part{fmt.Sprintf("partition %d", i+1), r.first() * g.sector, r.count() * g.sector}
		if err := fits(p.off+p.len, g.size); err != nil {
			return change{}, err
		}
		taken = max(taken, p.off+p.len)
		if r.kind() == mbrEFI && seed {
			return change{}, errors.New("the image's partition table is protected as a GPT, but there is none; no seed can be added")
		}
		if r.kind() != mbrExtended && r.kind() != mbrExtended2 {
			c.parts = append(c.parts, p)
		}
	}
	if !seed {
		return c, nil
	}
	if free == nil {
		return change{}, errors.New("all four records of the image's partition table are taken, so there is no place for a seed; use an image with a GPT")
	}
	at, err := room(taken, min(g.size, maxMBR*g.sector))
	if err != nil {
		return change{}, err
	}
	free.set(mbrFAT16, at/g.sector, seedSize/g.sector)
	c.seed = at
	c.patches = []patch{{what: "partition table", off: 0, data: sector}}
	return c, nil
}

// firstOf keeps a free record once one was found.
func firstOf(found, next record) record {
	if found != nil {
		return found
	}
	return next
}
