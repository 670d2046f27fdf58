package iso

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
)

// entry is one name in a directory, with the directory records of all its
// extents joined.
type entry struct {
	name    string
	size    int64
	extents []Extent
	dir     bool
	target  string
	odd     string // why its content cannot be served as it lies
}

// record is one directory record (§9.1).
type record struct {
	extent     Extent
	size       int64
	flags      byte
	interleave bool
	id         []byte
	systemUse  []byte
}

// File flags, §9.1.6.
const (
	flagDirectory  = 1 << 1
	flagAssociated = 1 << 2
	flagMore       = 1 << 7 // not the final record of this file
)

// parseRecord takes the bytes of one record.
func parseRecord(b []byte) (record, error) {
	if len(b) < 34 || int(b[0]) != len(b) || 33+int(b[32]) > len(b) {
		return record{}, fmt.Errorf("%w: a directory record is too short", ErrDamaged)
	}
	size := int64(binary.LittleEndian.Uint32(b[10:])) // §9.1.4
	block := int64(binary.LittleEndian.Uint32(b[2:])) // §9.1.3
	if size > 0 {
		block += int64(b[1]) // §9.1.2: attributes lie before the content
	}
	r := record{
		extent:     Extent{Offset: block * sectorSize, Length: size},
		size:       size,
		flags:      b[25],
		interleave: b[26] != 0 || b[27] != 0, // §9.1.7, §9.1.8
		id:         b[33 : 33+int(b[32])],
	}
	if su := (34 + int(b[32])) &^ 1; su < len(b) { // §9.1.12: a padding byte after a name of even length
		r.systemUse = b[su:]
	}
	return r, nil
}

// records reads the directory's records in order, the first two of which are
// the directory itself and its parent (§6.8.2.2).
func (v *Volume) records(dir entry) ([]record, error) {
	if dir.size > maxDirBytes {
		return nil, fmt.Errorf("%w: a directory has %d bytes", ErrDamaged, dir.size)
	}
	data := make([]byte, 0, dir.size)
	for _, x := range dir.extents {
		part := data[len(data) : len(data)+int(x.Length)]
		if err := v.read(part, x.Offset); err != nil {
			return nil, err
		}
		data = data[:len(data)+len(part)]
	}
	var records []record
	err := eachRecord(data, func(_ int, raw []byte) error {
		r, err := parseRecord(raw)
		records = append(records, r)
		return err
	})
	if err != nil {
		return nil, err
	}
	return records, nil
}

// eachRecord calls each with the records of a directory and where in it they
// begin.
func eachRecord(data []byte, each func(at int, raw []byte) error) error {
	for at := 0; at < len(data); {
		length := int(data[at])
		if length == 0 { // §6.8.1.1: records do not cross sectors
			at = (at/sectorSize + 1) * sectorSize
			continue
		}
		if at+length > len(data) {
			return fmt.Errorf("%w: a directory record crosses the directory's end", ErrDamaged)
		}
		if err := each(at, data[at:at+length:at+length]); err != nil {
			return err
		}
		at += length
	}
	return nil
}

// readDir lists a directory, without itself and its parent. Records of one
// file that follow each other (§6.5.1) become one entry.
func (v *Volume) readDir(dir entry) ([]entry, error) {
	records, err := v.records(dir)
	if err != nil {
		return nil, err
	}
	var entries []entry
	var open []byte // identifier of the file whose next extent must follow
	for _, r := range records {
		if len(r.id) == 1 && r.id[0] <= 1 || r.flags&flagAssociated != 0 {
			continue
		}
		if open != nil {
			if !bytes.Equal(open, r.id) {
				return nil, fmt.Errorf("%w: the last extent of a file is missing", ErrDamaged)
			}
			last := &entries[len(entries)-1]
			last.size += r.size
			last.extents = append(last.extents, r.extent)
			open = r.unfinished()
			continue
		}
		e, hidden, err := v.newEntry(r)
		if err != nil {
			return nil, err
		}
		if hidden || e.name == "" || e.name == "." || e.name == ".." || strings.ContainsAny(e.name, "/\x00") {
			continue
		}
		entries = append(entries, e)
		open = r.unfinished()
	}
	return entries, nil
}

// unfinished is the identifier of a file that has further extents, else nil.
func (r record) unfinished() []byte {
	if r.flags&flagMore == 0 {
		return nil
	}
	return r.id
}

func (v *Volume) newEntry(r record) (e entry, hidden bool, err error) {
	e = entry{name: v.name(r.id), size: r.size, dir: r.flags&flagDirectory != 0}
	if r.size > 0 || e.dir {
		e.extents = []Extent{r.extent}
	}
	if r.interleave {
		e.odd = "the file is interleaved with another, which muster does not read"
	}
	if v.names != rockRidge {
		return e, false, nil
	}
	use, err := v.systemUse(r)
	if err != nil {
		return entry{}, false, err
	}
	if use.name != "" {
		e.name = use.name
	}
	e.target = use.target
	if use.compressed {
		e.odd = "the file is compressed inside the image (zisofs), which muster does not read"
	}
	if use.child > 0 { // RRIP §4.1.5.1: a directory that was moved stands here as a file
		moved, err := v.movedDir(use.child)
		if err != nil {
			return entry{}, false, err
		}
		moved.name = e.name
		return moved, false, nil
	}
	return e, use.relocated, nil
}

// movedDir reads the size of a directory from its own first record.
func (v *Volume) movedDir(block uint32) (entry, error) {
	head := make([]byte, sectorSize)
	at := int64(block) * sectorSize
	if err := v.read(head, at); err != nil {
		return entry{}, err
	}
	r, err := parseRecord(head[:head[0]])
	if err != nil {
		return entry{}, err
	}
	return entry{dir: true, size: r.size, extents: []Extent{{at, r.size}}}, nil
}

// name reads an identifier as its tree spells it. Plain names lose version
// and trailing dot and become lower case, as mount shows them.
func (v *Volume) name(id []byte) string {
	if v.names == joliet {
		name, _, _ := strings.Cut(decodeUCS2(id), ";")
		return name
	}
	name, _, _ := strings.Cut(string(id), ";") // §7.5.1
	return strings.ToLower(strings.TrimSuffix(name, "."))
}
