package iso

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// use is what the system use entries of one record say.
type use struct {
	name       string
	target     string
	child      uint32 // first block of the directory that was moved from here, 0 for none
	relocated  bool   // stands here only because it was moved; it belongs elsewhere
	compressed bool
}

// rockRidgeSkip looks for the entries that every Rock Ridge tree begins with
// in the root's own record: SP (SUSP §5.3), which also says how many bytes to
// skip in the other records.
func (v *Volume) rockRidgeSkip(root entry) (skip int, ok bool, err error) {
	head := root
	head.size = min(head.size, sectorSize)
	head.extents = []Extent{{root.extents[0].Offset, head.size}}
	records, err := v.records(head)
	if err != nil {
		return 0, false, err
	}
	if len(records) == 0 {
		return 0, false, fmt.Errorf("%w: its root directory is empty", ErrDamaged)
	}
	su := records[0].systemUse
	if len(su) < 7 || string(su[:2]) != "SP" || su[4] != 0xbe || su[5] != 0xef {
		return 0, false, nil
	}
	return int(su[6]), true, nil
}

// systemUse reads the record's entries, also those that did not fit into the
// record and lie in continuation areas (CE, SUSP §5.1).
func (v *Volume) systemUse(r record) (use, error) {
	var u use
	var link linkTarget
	area := r.systemUse[min(v.skip, len(r.systemUse)):]
	for range maxAreas {
		next, err := u.take(area, &link)
		if err != nil {
			return use{}, err
		}
		if next.Length == 0 {
			u.target = link.String()
			return u, nil
		}
		area = make([]byte, next.Length)
		if err := v.read(area, next.Offset); err != nil {
			return use{}, err
		}
	}
	return use{}, fmt.Errorf("%w: a name has too many parts", ErrDamaged)
}

// take reads one area and returns where the next one lies; of length 0 where
// this was the last.
func (u *use) take(area []byte, link *linkTarget) (next Extent, err error) {
	for len(area) >= 4 {
		length := int(area[2])
		if length < 4 || length > len(area) {
			break // padding
		}
		signature, data := string(area[:2]), area[4:length]
		area = area[length:]
		switch signature {
		case "NM": // RRIP §4.1.4: flags, then a part of the name
			if len(data) > 1 && data[0]&^1 == 0 {
				u.name += string(data[1:])
			}
		case "SL": // RRIP §4.1.3
			if len(data) > 1 {
				link.take(data[1:])
			}
		case "CL": // RRIP §4.1.5.1
			if len(data) >= 4 {
				u.child = binary.LittleEndian.Uint32(data)
			}
		case "RE": // RRIP §4.1.5.3
			u.relocated = true
		case "ZF": // zisofs
			u.compressed = true
		case "CE":
			if next, err = continuation(data); err != nil {
				return Extent{}, err
			}
		case "ST": // SUSP §5.4
			return next, nil
		}
	}
	return next, nil
}

// continuation reads a CE entry: block, offset and length, each in both byte
// orders. An area does not leave its sector.
func continuation(data []byte) (Extent, error) {
	if len(data) < 24 {
		return Extent{}, fmt.Errorf("%w: a continuation entry is too short", ErrDamaged)
	}
	block, offset, length := binary.LittleEndian.Uint32(data), binary.LittleEndian.Uint32(data[8:]), binary.LittleEndian.Uint32(data[16:])
	if offset > sectorSize || length > sectorSize {
		return Extent{}, fmt.Errorf("%w: a continuation area is too large", ErrDamaged)
	}
	return Extent{int64(block)*sectorSize + int64(offset), int64(length)}, nil
}

// linkTarget puts the components of SL entries together; one may go on in the
// next component or the next entry.
type linkTarget struct {
	parts []string
	open  bool // the last part goes on
}

// Component flags, RRIP §4.1.3.1.
const (
	componentContinues = 1 << 0
	componentCurrent   = 1 << 1
	componentParent    = 1 << 2
	componentRoot      = 1 << 3
)

func (l *linkTarget) take(components []byte) {
	for len(components) >= 2 && 2+int(components[1]) <= len(components) {
		flags, text := components[0], string(components[2:2+int(components[1])])
		components = components[2+int(components[1]):]
		switch {
		case flags&componentRoot != 0:
			text = ""
		case flags&componentParent != 0:
			text = ".."
		case flags&componentCurrent != 0:
			text = "."
		}
		if l.open {
			l.parts[len(l.parts)-1] += text
		} else {
			l.parts = append(l.parts, text)
		}
		l.open = flags&componentContinues != 0
	}
}

func (l *linkTarget) String() string {
	if len(l.parts) == 1 && l.parts[0] == "" {
		return "/"
	}
	return strings.Join(l.parts, "/")
}
