package overlay

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"unicode/utf16"

	"github.com/muster-boot/muster/images/iso"
)

// Lengths of identifiers, in characters.
const (
	maxPlain  = 30 // §7.5.1: name and extension together
	maxJoliet = 64 // Joliet specification, "Joliet Directory Record"
)

// identifiers are those that a directory has already, without their version.
type identifiers struct {
	taken  map[string]bool
	suffix string // of new ones
}

func identifiersOf(t *Tree, records []iso.Record) identifiers {
	ids := identifiers{taken: make(map[string]bool, len(records))}
	if t.Version {
		ids.suffix = version(t.Joliet)
	}
	for _, r := range records {
		ids.taken[strings.TrimSuffix(string(r.Identifier), version(t.Joliet))] = true
	}
	return ids
}

// version is the version number of every file (§7.5.1), as a tree spells it.
func version(wide bool) string {
	if wide {
		return "\x00;\x001"
	}
	return ";1"
}

// plain makes an identifier of the primary tree for a name: letters that it
// cannot have become "_", what does not fit is cut, and a number tells it from
// others. exact says that the name reads back as it was, but for its case.
func (ids identifiers) plain(name string) (id []byte, exact bool) {
	base, ext := name, ""
	if i := strings.LastIndexByte(name, '.'); i > 0 {
		base, ext = name[:i], name[i+1:]
	}
	ext = fold(ext)
	ext = ext[:min(len(ext), maxPlain-shortest)]
	base = fold(base)
	base = base[:min(len(base), maxPlain-len(ext))]
	exact = strings.EqualFold(strings.TrimSuffix(base+"."+ext, "."), name)
	for n, try := 0, base; ; n++ {
		if id := try + "." + ext; !ids.taken[id] {
			return []byte(id + ids.suffix), exact && n == 0
		}
		number := fmt.Sprintf("%03d", n)
		try = base[:min(len(base), maxPlain-len(ext)-len(number))] + number
	}
}

// wide makes an identifier of Joliet's tree: UCS-2, big endian, without the
// characters that Joliet forbids. A longer name is cut before its extension.
// exact says that the name reads back as it was.
func (ids identifiers) wide(name string) (id []byte, exact bool) {
	spelt := strings.Map(func(c rune) rune {
		if c < ' ' || strings.ContainsRune(`*/:;?\`, c) || c > 0xffff {
			return '_'
		}
		return c
	}, name)
	units := utf16.Encode([]rune(spelt))
	exact = spelt == name && len(units) <= maxJoliet
	ext := []uint16(nil)
	if i := lastDot(units); i > 0 && len(units)-i <= shortest {
		units, ext = units[:i], units[i:]
	}
	for n := 0; ; n++ {
		number := []uint16(nil)
		if n > 0 {
			number = utf16.Encode([]rune(fmt.Sprintf("%03d", n)))
		}
		id = nil
		for _, part := range [][]uint16{units[:min(len(units), maxJoliet-len(ext)-len(number))], number, ext} {
			for _, u := range part {
				id = binary.BigEndian.AppendUint16(id, u)
			}
		}
		if !ids.taken[string(id)] {
			return append(id, ids.suffix...), exact && n == 0
		}
	}
}

func lastDot(units []uint16) int {
	for i := len(units) - 1; i >= 0; i-- {
		if units[i] == '.' {
			return i
		}
	}
	return -1
}

// before is the order of records in a directory (§9.3): by name, then by
// extension, the shorter filled up with spaces. Joliet orders by code.
func before(a, b []byte, wide bool) bool {
	if wide {
		return bytes.Compare(a, b) < 0
	}
	aName, aExt, _ := bytes.Cut(bytes.TrimSuffix(a, []byte(";1")), []byte("."))
	bName, bExt, _ := bytes.Cut(bytes.TrimSuffix(b, []byte(";1")), []byte("."))
	if c := comparePadded(aName, bName); c != 0 {
		return c < 0
	}
	return comparePadded(aExt, bExt) < 0
}

func comparePadded(a, b []byte) int {
	for i := range max(len(a), len(b)) {
		x, y := byte(' '), byte(' ')
		if i < len(a) {
			x = a[i]
		}
		if i < len(b) {
			y = b[i]
		}
		if x != y {
			return int(x) - int(y)
		}
	}
	return 0
}
