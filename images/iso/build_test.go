package iso

import (
	"encoding/binary"
)

// node is a file or directory of a hand-made image. It lets tests have what
// xorriso does not make: small files of several extents, and damage.
type node struct {
	id       string
	content  []string // one part an extent
	children []node   // of a directory; nil for a file
	use      string   // system use bytes
	flags    byte
}

// build lays a hand-made image out: descriptors, then each directory in one
// sector, then file extents, one sector each.
func build(label string, root node) []byte {
	b := &builder{image: make([]byte, 18*sectorSize)}
	extent := b.directory(root)
	pvd := b.image[16*sectorSize:]
	copy(pvd, "\x01CD001\x01")
	copy(pvd[40:72], label+"                                ")
	binary.LittleEndian.PutUint32(pvd[80:], uint32(len(b.image)/sectorSize))
	binary.LittleEndian.PutUint16(pvd[128:], sectorSize)
	copy(pvd[156:190], record34(extent, sectorSize, flagDirectory, "\x00", ""))
	copy(b.image[17*sectorSize:], "\xffCD001\x01")
	return b.image
}

type builder struct {
	image []byte
}

func (b *builder) sector() (number uint32, data []byte) {
	number = uint32(len(b.image) / sectorSize)
	b.image = append(b.image, make([]byte, sectorSize)...)
	return number, b.image[len(b.image)-sectorSize:]
}

func (b *builder) directory(dir node) uint32 {
	number, _ := b.sector()
	records := record34(number, sectorSize, flagDirectory, "\x00", dir.use)
	records = append(records, record34(number, sectorSize, flagDirectory, "\x01", "")...)
	for _, child := range dir.children {
		if child.children != nil {
			records = append(records, record34(b.directory(child), sectorSize, flagDirectory, child.id, child.use)...)
			continue
		}
		records = append(records, b.file(child)...)
	}
	copy(b.image[int(number)*sectorSize:][:sectorSize], records)
	return number
}

func (b *builder) file(f node) []byte {
	var records []byte
	for i, part := range f.content {
		number, data := b.sector()
		copy(data, part)
		flags := f.flags
		if i < len(f.content)-1 {
			flags |= flagMore
		}
		records = append(records, record34(number, uint32(len(part)), flags, f.id, f.use)...)
	}
	return records
}

func record34(block, size uint32, flags byte, id, use string) []byte {
	r := make([]byte, 33, 255)
	binary.LittleEndian.PutUint32(r[2:], block)
	binary.LittleEndian.PutUint32(r[10:], size)
	r[25], r[32] = flags, byte(len(id))
	r = append(r, id...)
	if len(r)%2 == 1 {
		r = append(r, 0)
	}
	r = append(r, use...)
	if len(r)%2 == 1 {
		r = append(r, 0)
	}
	r[0] = byte(len(r))
	return r
}

// nm, sl and sp make system use entries.
func nm(name string) string { return su("NM", "\x00"+name) }

func sl(components string) string { return su("SL", "\x00"+components) }

func sp() string { return su("SP", "\xbe\xef\x00") }

func su(signature, data string) string {
	return signature + string([]byte{byte(4 + len(data)), 1}) + data
}
