package ramdisk

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
)

// An ISO 9660 image (ECMA-119, 3rd edition) with Rock Ridge names (RRIP 1.12 on
// SUSP 1.12) and an El Torito boot image, written in one go. Its bytes depend on
// its files alone: it has no times, and everything is root's.
const (
	sector     = 2048
	firstPlace = 16 // sectors before are the system area, §6.2.1
	lastName   = 30 // letters of a directory's identifier, §7.6.3
)

// isoFile is one file; content must give exactly size bytes.
type isoFile struct {
	path    string // absolute; the directories above it come with it
	size    int64
	content io.Reader
}

// place is a file or directory of an image.
type place struct {
	isoFile
	id       string   // §7.5, §7.6
	dir      bool     // and then:
	children []*place // in the order of their identifiers, §9.3
	parent   *place   // of the root: itself
	number   int      // in the path table, §9.4.4
	first    int64    // sector
}

// isoImage is where everything lies.
type isoImage struct {
	label   string
	dirs    []*place // in the order of the path table, §6.9.1
	files   []*place
	boot    *place // what UEFI firmware loads
	catalog int64  // sector of the boot catalogue
	end     int64  // sectors of the image
}

// layout puts files behind directories, as mastering programs do; boot is the
// path of the one that firmware loads.
func layout(label, boot string, files []isoFile) (*isoImage, error) {
	root := &place{isoFile: isoFile{path: "/"}, id: "\x00", dir: true}
	root.parent = root
	i := &isoImage{label: label, dirs: []*place{root}}
	for _, f := range files {
		p, err := i.enter(f)
		if err != nil {
			return nil, err
		}
		i.files = append(i.files, p)
		if f.path == boot {
			i.boot = p
		}
	}
	if i.boot == nil {
		return nil, fmt.Errorf("there is no %s to boot", boot)
	}
	i.order()
	i.end = firstPlace + 3 + 2 // descriptors, path tables
	for _, d := range i.dirs {
		d.first, d.size = i.end, sector
		i.end++
		if len(d.records()) > sector {
			return nil, fmt.Errorf("%s has more files than fit into a sector", d.path)
		}
	}
	i.catalog = i.end
	i.end++
	for _, f := range i.files {
		f.first = i.end
		i.end += (f.size + sector - 1) / sector
	}
	return i, nil
}

// enter makes a place in the tree, and the directories above it.
func (i *isoImage) enter(f isoFile) (*place, error) {
	dir, err := i.directory(path.Dir(f.path))
	if err != nil {
		return nil, err
	}
	p := &place{isoFile: f, parent: dir, id: fileID(path.Base(f.path))}
	if slices.ContainsFunc(dir.children, func(c *place) bool { return c.id == p.id }) {
		return nil, fmt.Errorf("two files of %s would be called %s", dir.path, p.id)
	}
	dir.children = append(dir.children, p)
	return p, nil
}

func (i *isoImage) directory(name string) (*place, error) {
	at := slices.IndexFunc(i.dirs, func(d *place) bool { return d.path == name })
	if at >= 0 {
		return i.dirs[at], nil
	}
	parent, err := i.directory(path.Dir(name))
	if err != nil {
		return nil, err
	}
	d := &place{isoFile: isoFile{path: name}, id: plainID(path.Base(name)), dir: true, parent: parent}
	if len(d.id) > lastName {
		return nil, fmt.Errorf("the name of directory %s is too long", name)
	}
	parent.children = append(parent.children, d)
	i.dirs = append(i.dirs, d)
	return d, nil
}

// order sorts directories by level, then parent, then name, and numbers them.
func (i *isoImage) order() {
	level := func(d *place) int { return strings.Count(strings.TrimSuffix(d.path, "/"), "/") }
	slices.SortStableFunc(i.dirs, func(a, b *place) int {
		return cmp.Or(level(a)-level(b), strings.Compare(a.parent.path, b.parent.path), strings.Compare(a.id, b.id))
	})
	for n, d := range i.dirs {
		d.number = n + 1
		slices.SortFunc(d.children, func(a, b *place) int { return strings.Compare(a.id, b.id) })
	}
}

// plainID spells a name in the letters that identifiers have, §7.4.1.
func plainID(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, strings.ToUpper(name))
}

// fileID is NAME.EXTENSION;1, §7.5.1.
func fileID(name string) string {
	ext := path.Ext(name)
	return plainID(strings.TrimSuffix(name, ext)) + "." + plainID(strings.TrimPrefix(ext, ".")) + ";1"
}

// write writes the whole image.
func (i *isoImage) write(w io.Writer) error {
	head := make([]byte, firstPlace*sector)
	head = append(head, i.primary()...)
	head = append(head, i.bootRecord()...)
	head = append(head, padded([]byte("\xffCD001\x01"))...) // §8.3
	head = append(head, padded(i.pathTable(binary.LittleEndian))...)
	head = append(head, padded(i.pathTable(binary.BigEndian))...)
	for _, d := range i.dirs {
		head = append(head, padded(d.records())...)
	}
	head = append(head, i.catalogue()...)
	if _, err := w.Write(head); err != nil {
		return err
	}
	for _, f := range i.files {
		n, err := io.Copy(w, f.content)
		if err == nil && n != f.size {
			err = errors.New("it changed while it was read")
		}
		if err == nil {
			_, err = w.Write(make([]byte, -n&(sector-1)))
		}
		if err != nil {
			return fmt.Errorf("write %s: %w", f.path, err)
		}
	}
	return nil
}

// padded fills the last sector up.
func padded(b []byte) []byte { return append(b, make([]byte, -len(b)&(sector-1))...) }

// primary is the primary volume descriptor, §8.4.
func (i *isoImage) primary() []byte {
	b := make([]byte, sector)
	copy(b, "\x01CD001\x01")
	for _, field := range [][2]int{{8, 72}, {190, 813}} { // identifiers are filled with spaces
		copy(b[field[0]:field[1]], strings.Repeat(" ", field[1]-field[0]))
	}
	copy(b[40:], i.label)
	copy(b[446:], "MUSTER")
	both32(b[80:], i.end)
	both16(b[120:], 1) // volumes in the set, and which this is
	both16(b[124:], 1)
	both16(b[128:], sector)
	both32(b[132:], int64(len(i.pathTable(binary.LittleEndian))))
	binary.LittleEndian.PutUint32(b[140:], firstPlace+3)
	binary.BigEndian.PutUint32(b[148:], firstPlace+4)
	copy(b[156:], i.dirs[0].record("\x00", ""))
	copy(b[813:], strings.Repeat("0000000000000000\x00", 4)) // §8.4.26.1: no time is given
	b[881] = 1
	return b
}

// bootRecord points to the boot catalogue (El Torito 1.0, figure 7).
func (i *isoImage) bootRecord() []byte {
	b := make([]byte, sector)
	copy(b, "\x00CD001\x01EL TORITO SPECIFICATION")
	binary.LittleEndian.PutUint32(b[71:], uint32(i.catalog))
	return b
}

// catalogue has one boot image, for UEFI (El Torito 1.0, figures 2 and 3; the
// platform is that of UEFI 2.10, §13.3.2.1).
func (i *isoImage) catalogue() []byte {
	b := make([]byte, sector)
	b[0], b[1], b[30], b[31] = 1, 0xef, 0x55, 0xaa
	copy(b[4:], "MUSTER")
	var sum uint16
	for n := 0; n < 32; n += 2 {
		sum += binary.LittleEndian.Uint16(b[n:])
	}
	binary.LittleEndian.PutUint16(b[28:], -sum)
	entry := b[32:]
	entry[0] = 0x88 // bootable, no emulation
	binary.LittleEndian.PutUint16(entry[6:], uint16(i.boot.size/512))
	binary.LittleEndian.PutUint32(entry[8:], uint32(i.boot.first))
	return b
}

// pathTable is every directory in short, §9.4.
func (i *isoImage) pathTable(order binary.AppendByteOrder) []byte {
	var b []byte
	for _, d := range i.dirs {
		b = append(b, byte(len(d.id)), 0)
		b = order.AppendUint32(b, uint32(d.first))
		b = order.AppendUint16(b, uint16(d.parent.number))
		b = append(b, d.id...)
		b = append(b, make([]byte, len(d.id)%2)...)
	}
	return b
}

// records is the content of a directory, §6.8.
func (p *place) records() []byte {
	self := ""
	if p.parent == p {
		// SUSP §5.3: the mark by which Rock Ridge is told. §5.5: by which name.
		self = "SP\x07\x01\xbe\xef\x00" + "ER\x12\x01\x0a\x00\x00\x01RRIP_1991A"
	}
	b := p.record("\x00", self+p.posix())
	b = append(b, p.parent.record("\x01", p.parent.posix())...)
	for _, c := range p.children {
		name := path.Base(c.path)
		b = append(b, c.record(c.id, "NM"+string([]byte{byte(5 + len(name)), 1, 0})+name+c.posix())...) // RRIP §4.1.4
	}
	return b
}

// posix are a file's attributes, RRIP §4.1.1.
func (p *place) posix() string {
	mode, links := int64(modeFile|0o444), int64(1)
	if p.dir {
		mode, links = modeDir|0o555, 2
	}
	b := make([]byte, 36)
	copy(b, "PX\x24\x01")
	both32(b[4:], mode)
	both32(b[12:], links)
	return string(b)
}

// record is a directory record, §9.1.
func (p *place) record(id, use string) []byte {
	b := make([]byte, 33, 256)
	both32(b[2:], p.first)
	both32(b[10:], p.size)
	if p.dir {
		b[25] = 2 // §9.1.6
	}
	both16(b[28:], 1)
	b[32] = byte(len(id))
	b = append(b, id...)
	b = append(b, make([]byte, len(b)%2)...)
	b = append(b, use...)
	b = append(b, make([]byte, len(b)%2)...)
	b[0] = byte(len(b))
	return b
}

// Numbers in both byte orders, §7.2.3 and §7.3.3.

func both16(b []byte, v uint16) {
	binary.LittleEndian.PutUint16(b, v)
	binary.BigEndian.PutUint16(b[2:], v)
}

func both32(b []byte, v int64) {
	binary.LittleEndian.PutUint32(b, uint32(v))
	binary.BigEndian.PutUint32(b[4:], uint32(v))
}
