package iso

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// Tree is one of the directory hierarchies of an image, by its records as they
// lie: what somebody needs who changes them. Reading files needs only [Volume].
// A Tree is safe for concurrent use if the volume's reader is.
type Tree struct {
	Descriptor int64 // offset of its volume descriptor
	Joliet     bool  // else it is the primary tree
	RockRidge  bool
	Skip       int // bytes before the system use entries of a record, SUSP §5.3
	Root       Extent

	volume Volume // reads names as this tree spells them
}

// PathTable is one copy of a tree's path table (§6.9).
type PathTable struct {
	Extent
	Order binary.ByteOrder // big endian in a type M table
}

// Record is a directory record where it lies. The first two of a directory are
// the directory itself and its parent.
type Record struct {
	At         int64  // offset of its first byte in the image
	Bytes      []byte // the caller's own
	Identifier []byte
	Name       string // as people see it; empty for the first two
	Extent     Extent
	Dir        bool
	More       bool // the file's next extent follows
	SystemUse  []Use
}

// Use is one system use entry. Its bytes may lie in a continuation area.
type Use struct {
	Signature string
	At        int64 // offset of Data in the image
	Data      []byte
}

// Trees returns the primary tree and, where there is one, Joliet's.
func (v *Volume) Trees() ([]*Tree, error) {
	primary, supplementary, err := v.descriptors()
	if err != nil {
		return nil, err
	}
	first, err := v.tree(primary)
	if err != nil {
		return nil, err
	}
	if first.Skip, first.RockRidge, err = v.rockRidgeSkip(first.volume.root); err != nil {
		return nil, err
	}
	if first.RockRidge {
		first.volume.names = rockRidge
	}
	if supplementary.data == nil {
		return []*Tree{first}, nil
	}
	second, err := v.tree(supplementary)
	if err != nil {
		return nil, err
	}
	second.Joliet, second.volume.names = true, joliet
	return []*Tree{first, second}, nil
}

func (v *Volume) tree(d descriptor) (*Tree, error) {
	root, err := v.rootEntry(d.data)
	if err != nil {
		return nil, err
	}
	return &Tree{Descriptor: d.at, Root: root.extents[0], volume: Volume{r: v.r, size: v.size, root: root}}, nil
}

// PathTables returns the copies that the descriptor names, at most four.
func (t *Tree) PathTables() ([]PathTable, error) {
	d := make([]byte, sectorSize)
	if err := t.volume.read(d, t.Descriptor); err != nil {
		return nil, err
	}
	size := int64(binary.LittleEndian.Uint32(d[132:])) // §8.4.13
	var tables []PathTable
	for _, field := range []struct {
		at    int
		order binary.ByteOrder
	}{{140, binary.LittleEndian}, {144, binary.LittleEndian}, {148, binary.BigEndian}, {152, binary.BigEndian}} { // §8.4.14 to §8.4.17
		if block := field.order.Uint32(d[field.at:]); block != 0 {
			tables = append(tables, PathTable{Extent{int64(block) * sectorSize, size}, field.order})
		}
	}
	return tables, nil
}

// Records reads a directory. It reads nothing of what lies below.
func (t *Tree) Records(dir Extent) ([]Record, error) {
	if dir.Length > maxDirBytes {
		return nil, fmt.Errorf("%w: a directory has %d bytes", ErrDamaged, dir.Length)
	}
	if dir.Offset < 0 || dir.Offset+dir.Length > t.volume.size {
		return nil, fmt.Errorf("%w: a directory lies beyond its end", ErrTruncated)
	}
	data := make([]byte, dir.Length)
	if err := t.volume.read(data, dir.Offset); err != nil {
		return nil, err
	}
	var out []Record
	err := eachRecord(data, func(at int, raw []byte) error {
		r, err := t.record(raw, dir.Offset+int64(at))
		out = append(out, r)
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(out) < 2 || !bytes.Equal(out[0].Identifier, []byte{0}) || !bytes.Equal(out[1].Identifier, []byte{1}) {
		return nil, fmt.Errorf("%w: a directory does not begin with itself and its parent", ErrDamaged)
	}
	return out, nil
}

func (t *Tree) record(b []byte, at int64) (Record, error) {
	raw, err := parseRecord(b)
	if err != nil {
		return Record{}, err
	}
	r := Record{
		At: at, Bytes: b, Identifier: raw.id, Extent: raw.extent,
		Dir: raw.flags&flagDirectory != 0, More: raw.flags&flagMore != 0,
	}
	if r.SystemUse, err = t.uses(raw.systemUse, at+int64(len(b)-len(raw.systemUse))); err != nil {
		return Record{}, err
	}
	if len(raw.id) == 1 && raw.id[0] <= 1 {
		return r, nil
	}
	r.Name = t.volume.name(raw.id)
	if name := alternateName(r.SystemUse); name != "" {
		r.Name = name
	}
	return r, nil
}

// alternateName joins the parts of a Rock Ridge name (RRIP §4.1.4).
func alternateName(uses []Use) string {
	var name []byte
	for _, u := range uses {
		if u.Signature == "NM" && len(u.Data) > 1 && u.Data[0]&^1 == 0 {
			name = append(name, u.Data[1:]...)
		}
	}
	return string(name)
}

// uses lists system use entries, through continuation areas.
func (t *Tree) uses(area []byte, at int64) ([]Use, error) {
	if !t.RockRidge || len(area) <= t.Skip {
		return nil, nil
	}
	area, at = area[t.Skip:], at+int64(t.Skip)
	uses := make([]Use, 0, 5)
	for range maxAreas {
		var next Extent
		for len(area) >= 4 {
			length := int(area[2])
			if length < 4 || length > len(area) {
				break // padding
			}
			u := Use{string(area[:2]), at + 4, area[4:length]}
			if u.Signature == "ST" { // SUSP §5.4
				break
			}
			if u.Signature == "CE" {
				var err error
				if next, err = continuation(u.Data); err != nil {
					return nil, err
				}
			}
			uses = append(uses, u)
			area, at = area[length:], at+int64(length)
		}
		if next.Length == 0 {
			return uses, nil
		}
		area, at = make([]byte, next.Length), next.Offset
		if err := t.volume.read(area, at); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%w: a name has too many parts", ErrDamaged)
}
