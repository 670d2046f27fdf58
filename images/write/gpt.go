package write

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"
	"unicode/utf16"
)

// The GPT of UEFI 2.11 §5.3: a header in the second sector, an array of
// entries, and copies of both at the end of the disk.
const (
	gptMark      = "EFI PART" // §5.3.2, table 5.5; offsets below are from there
	gptLength    = 12         // of the header
	gptSum       = 16         // of the header, with this field as zero
	gptMine      = 24
	gptOther     = 32
	gptFirst     = 40 // usable sector
	gptLast      = 48
	gptArray     = 72 // first sector of the entries
	gptCount     = 80
	gptEntrySize = 84
	gptArraySum  = 88
	gptMinLength = 92

	entryID    = 16 // §5.3.3, table 5.6
	entryFirst = 32
	entryLast  = 40
	entryName  = 56

	maxArray = 1 << 20 // bytes; usual are 16 KiB
)

// basicData is the type of a partition with a FAT file system, EBD0A0A2-B9E5-
// 4433-87C0-68B6B72699C7, in the byte order of UEFI 2.11 appendix A.
const basicData = "\xa2\xa0\xd0\xeb\xe5\xb9\x33\x44\x87\xc0\x68\xb6\xb7\x26\x99\xc7"

// gpt is a partition table in memory.
type gpt struct {
	sector    int64
	header    []byte // its whole sector
	entries   []byte
	entrySize int
}

func isGPT(head []byte, sector int64) bool {
	return int64(len(head)) >= 2*sector && string(head[sector:][:len(gptMark)]) == gptMark
}

// parseGPT reads the header at the beginning of b, and its entries with read.
func parseGPT(b []byte, sector int64, read func(off, n int64) ([]byte, error)) (*gpt, error) {
	t := &gpt{sector: sector, header: bytes.Clone(b[:sector])}
	length := int64(binary.LittleEndian.Uint32(b[gptLength:]))
	if string(b[:len(gptMark)]) != gptMark || length < gptMinLength || length > sector {
		return nil, errors.New("the header of the partition table is damaged")
	}
	if t.headerSum() != binary.LittleEndian.Uint32(b[gptSum:]) {
		return nil, errors.New("the header of the partition table does not have its checksum")
	}
	count, size := int64(binary.LittleEndian.Uint32(b[gptCount:])), int64(binary.LittleEndian.Uint32(b[gptEntrySize:]))
	if size < 128 || size > 4096 || size&(size-1) != 0 || count < 1 || count > maxArray/size {
		return nil, fmt.Errorf("the partition table has %d entries of %d bytes, which nothing makes", count, size)
	}
	t.entrySize = int(size)
	at := t.u64(gptArray)
	if at < 2 || at > 1<<50 {
		return nil, fmt.Errorf("the entries of the partition table lie at sector %d", at)
	}
	all, err := read(at*sector, roundUp(count*size, sector))
	if err != nil {
		return nil, err
	}
	t.entries = bytes.Clone(all[:count*size])
	if crc32.ChecksumIEEE(t.entries) != binary.LittleEndian.Uint32(b[gptArraySum:]) {
		return nil, errors.New("the entries of the partition table do not have their checksum")
	}
	return t, nil
}

func roundUp(n, unit int64) int64 { return (n + unit - 1) / unit * unit }

// u64 is a field of the header; what no disk can count to becomes negative.
func (t *gpt) u64(at int) int64 { return int64(binary.LittleEndian.Uint64(t.header[at:])) }

func (t *gpt) put64(at int, v int64) { binary.LittleEndian.PutUint64(t.header[at:], uint64(v)) }

func (t *gpt) headerSum() uint32 {
	h := bytes.Clone(t.header[:binary.LittleEndian.Uint32(t.header[gptLength:])])
	clear(h[gptSum : gptSum+4])
	return crc32.ChecksumIEEE(h)
}

// arraySectors is how many sectors the entries take.
func (t *gpt) arraySectors() int64 { return roundUp(int64(len(t.entries)), t.sector) / t.sector }

// each goes over the entries in use, whose type is not zero.
func (t *gpt) each(visit func(i int, e []byte) error) error {
	for i := range len(t.entries) / t.entrySize {
		e := t.entries[i*t.entrySize : (i+1)*t.entrySize]
		if allZero(e[:entryID]) {
			continue
		}
		if err := visit(i, e); err != nil {
			return err
		}
	}
	return nil
}

// parts is the partitions, which must lie where the header allows.
func (t *gpt) parts() (list []part, err error) {
	err = t.each(func(i int, e []byte) error {
		first, last := int64(binary.LittleEndian.Uint64(e[entryFirst:])), int64(binary.LittleEndian.Uint64(e[entryLast:]))
		if first < t.u64(gptFirst) || last < first-1 || last > t.u64(gptLast) {
			return fmt.Errorf("partition %d of the image lies at sectors %d to %d, outside its own table's bounds", i+1, first, last)
		}
		p := part{fmt.Sprintf("partition %d", i+1), first * t.sector, (last - first + 1) * t.sector}
		list = append(list, p)
		return nil
	})
	return list, err
}

func nameOf(e []byte) string {
	var units []uint16
	for at := entryName; at+1 < 128; at += 2 {
		u := binary.LittleEndian.Uint16(e[at:])
		if u == 0 {
			break
		}
		units = append(units, u)
	}
	return string(utf16.Decode(units))
}

// layOutGPT moves the copy of the table to the end of the disk, and adds an
// entry for the seed. It reports whether the image has a GPT.
func layOutGPT(head []byte, g geometry, seed bool) (change, bool, error) {
	if !isGPT(head, g.sector) {
		return change{}, false, nil
	}
	t, err := parseGPT(head[g.sector:], g.sector, within(head))
	if err != nil {
		return change{}, true, fmt.Errorf("the image's partition table cannot be used: %w; make the image again, and check it with sgdisk --verify", err)
	}
	c := change{check: sound}
	other, end := t.u64(gptOther), g.size/g.sector-1
	if t.u64(gptMine) != 1 || other > 1<<50 || t.u64(gptFirst) < 2 || t.u64(gptLast) < t.u64(gptFirst) || other <= t.u64(gptLast) {
		return change{}, true, fmt.Errorf("the image's partition table says that it lies at sector %d, its copy at %d, and partitions at %d to %d; make the image again, and check it with sgdisk --verify", t.u64(gptMine), other, t.u64(gptFirst), t.u64(gptLast))
	}
	if err := fits((other+1)*g.sector, g.size); err != nil {
		return change{}, true, err
	}
	if c.parts, err = t.parts(); err != nil {
		return change{}, true, err
	}
	if other == end && !seed {
		return c, true, nil
	}
	c.patches = t.stretch(head, other, end)
	if err := t.apart(c.parts); err != nil {
		return change{}, true, err
	}
	if seed {
		if c.seed, err = t.addSeed(c.parts); err != nil {
			return change{}, true, err
		}
	}
	c.patches = append(c.patches, t.patches(end)...)
	c.check = checkGPT
	return c, true, nil
}

// within reads from the beginning of an image that is in memory.
func within(head []byte) func(off, n int64) ([]byte, error) {
	return func(off, n int64) ([]byte, error) {
		if off < 0 || off+n > int64(len(head)) {
			return nil, fmt.Errorf("its entries lie at byte %d, too far from its header", off)
		}
		return head[off : off+n], nil
	}
}

// stretch lets the table reach to the end of the disk. It returns what else
// changes: the old copy goes, and the record that protects the table (UEFI
// 2.11 §5.2.3) grows to the disk's size.
func (t *gpt) stretch(head []byte, other, end int64) []patch {
	var list []patch
	if old := other - t.arraySectors(); other < end && old > t.u64(gptLast) {
		list = append(list, patch{"old copy of the partition table", old * t.sector, make([]byte, (t.arraySectors()+1)*t.sector), true})
	}
	t.put64(gptOther, end)
	t.put64(gptLast, end-t.arraySectors()-1)
	mbr := bytes.Clone(head[:t.sector])
	for _, r := range records(mbr) {
		if r.kind() == mbrEFI && r.first() == 1 {
			binary.LittleEndian.PutUint32(r[12:], uint32(min(end, maxMBR)))
		}
	}
	return append(list, patch{what: "protective record", off: 0, data: mbr})
}

// apart refuses an image with a partition where the table's own sectors lie, or
// come to lie.
func (t *gpt) apart(parts []part) error {
	array := t.u64(gptArray) * t.sector
	for _, p := range parts {
		if p.off < array+int64(len(t.entries)) && array < p.off+p.len || p.off+p.len > (t.u64(gptLast)+1)*t.sector {
			return fmt.Errorf("%s of the image lies where its partition table belongs; make the image again with another tool", p.name)
		}
	}
	return nil
}

// addSeed enters the partition of the seed.
func (t *gpt) addSeed(parts []part) (int64, error) {
	err := t.each(func(i int, e []byte) error {
		if strings.EqualFold(nameOf(e), seedLabel) {
			return ownSeed(fmt.Sprintf("partition %d", i+1))
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	taken := t.u64(gptFirst) * t.sector
	for _, p := range parts {
		taken = max(taken, p.off+p.len)
	}
	at, err := room(taken, (t.u64(gptLast)+1)*t.sector)
	if err != nil {
		return 0, err
	}
	for i := range len(t.entries) / t.entrySize {
		if e := t.entries[i*t.entrySize:][:t.entrySize]; allZero(e[:entryID]) {
			t.enter(e, i, at)
			return at, nil
		}
	}
	return 0, errors.New("all entries of the image's partition table are taken, so there is no place for a seed")
}

// enter fills an entry in. Its GUID is made from the disk's, so that the same
// image with a seed is the same on every disk of one size.
func (t *gpt) enter(e []byte, i int, at int64) {
	clear(e)
	copy(e, basicData)
	id := e[entryID:entryFirst]
	copy(id, t.header[56:72]) // the disk's own, table 5.5
	id[15] ^= byte(i + 1)
	id[14] ^= 0x5e
	id[7] = id[7]&0x0f | 0x40 // version 4 (RFC 9562 §5.4), in UEFI 2.11 appendix A's order of bytes
	binary.LittleEndian.PutUint64(e[entryFirst:], uint64(at/t.sector))
	binary.LittleEndian.PutUint64(e[entryLast:], uint64((at+seedSize)/t.sector-1))
	for k, u := range utf16.Encode([]rune(seedLabel)) {
		binary.LittleEndian.PutUint16(e[entryName+2*k:], u)
	}
}

// patches is both headers and both arrays, with their checksums.
func (t *gpt) patches(end int64) []patch {
	array := make([]byte, t.arraySectors()*t.sector)
	copy(array, t.entries)
	binary.LittleEndian.PutUint32(t.header[gptArraySum:], crc32.ChecksumIEEE(t.entries))
	first := t.u64(gptArray)
	primary := t.headerAt(1, end, first)
	backup := t.headerAt(end, 1, end-t.arraySectors())
	return []patch{
		{what: "entries of the partition table", off: first * t.sector, data: array},
		{what: "header of the partition table", off: t.sector, data: primary},
		{what: "copy of the partition table", off: (end - t.arraySectors()) * t.sector, data: append(array, backup...)},
	}
}

// headerAt is the header for one of the two places.
func (t *gpt) headerAt(mine, other, array int64) []byte {
	h := &gpt{header: bytes.Clone(t.header)}
	h.put64(gptMine, mine)
	h.put64(gptOther, other)
	h.put64(gptArray, array)
	binary.LittleEndian.PutUint32(h.header[gptSum:], h.headerSum())
	return h.header
}

// checkGPT reads both tables of a disk and holds them against each other.
func checkGPT(d Disk) error {
	sector := int64(d.Sector())
	end := d.Size()/sector - 1
	read := func(off, n int64) ([]byte, error) {
		b := aligned(int(n))
		_, err := d.ReadAt(b, off)
		return b, err
	}
	var tables []*gpt
	for _, at := range []int64{1, end} {
		b, err := read(at*sector, sector)
		if err != nil {
			return fmt.Errorf("read the partition table at sector %d: %w", at, err)
		}
		t, err := parseGPT(b, sector, read)
		if err != nil {
			return fmt.Errorf("the partition table at sector %d: %w", at, err)
		}
		if t.u64(gptMine) != at || t.u64(gptOther) != 1+end-at {
			return fmt.Errorf("the partition table at sector %d points to %d", at, t.u64(gptOther))
		}
		tables = append(tables, t)
	}
	if !bytes.Equal(tables[0].entries, tables[1].entries) {
		return errors.New("the partition table and its copy differ")
	}
	_, err := tables[0].parts()
	return err
}
