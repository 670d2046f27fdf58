package overlay

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/muster-boot/muster/images/iso"
)

// fatChange is a FAT file system some of whose files need more clusters.
type fatChange struct {
	*fat
	before []byte // the table as it was
	taken  uint32 // clusters
}

func newFATChange(f *fat) *fatChange {
	return &fatChange{fat: f, before: bytes.Clone(f.table)}
}

// grow gives a file as many clusters as size bytes need, the lowest free ones.
func (f *fatChange) grow(file FATFile, size int64) (FATFile, error) {
	file.Runs = slices.Clone(file.Runs)
	end := file.Runs[len(file.Runs)-1]
	last := uint32((end.Offset+end.Length-f.data)/f.cluster) + 1
	if last < 2 || last >= f.count+2 {
		return FATFile{}, fmt.Errorf("%w: a file lies outside its FAT image", iso.ErrDamaged)
	}
	for c := uint32(2); file.capacity() < size; c++ {
		if c >= f.count+2 {
			return FATFile{}, fmt.Errorf("%w: the FAT image is full; use fewer or shorter kernel arguments", ErrCannot)
		}
		if next, _ := f.next(c); next != 0 {
			continue
		}
		f.set(last, c)
		f.set(c, 0x0fffffff) // page 18: end of the chain
		last = c
		f.taken++
		file.Runs = append(file.Runs, iso.Extent{Offset: f.data + int64(c-2)*f.cluster, Length: f.cluster})
	}
	return file, nil
}

// set links a cluster to the next (pages 16 to 18).
func (f *fatChange) set(cluster, next uint32) {
	switch f.bits {
	case 12:
		at := f.table[cluster+cluster/2:]
		shift := cluster % 2 * 4
		pair := binary.LittleEndian.Uint16(at)&^(0xfff<<shift) | uint16(next&0xfff)<<shift
		binary.LittleEndian.PutUint16(at, pair)
	case 16:
		binary.LittleEndian.PutUint16(f.table[2*cluster:], uint16(next))
	default: // the highest four bits are nobody's
		at := f.table[4*cluster:]
		binary.LittleEndian.PutUint32(at, binary.LittleEndian.Uint32(at)&0xf0000000|next&0x0fffffff)
	}
}

// patches are what changed in every copy of the table, and in FAT32's count of
// free clusters (page 22).
func (f *fatChange) patches() ([]patch, error) {
	var out []patch
	for _, at := range f.copies {
		for i := 0; i < len(f.table); i++ {
			from := i
			for i < len(f.table) && f.table[i] != f.before[i] {
				i++
			}
			if i > from {
				out = append(out, patch{at: at + int64(from), data: bytes.Clone(f.table[from:i])})
			}
		}
	}
	const unknown = 0xffffffff
	if f.free == 0 || f.taken == 0 {
		return out, nil
	}
	count := make([]byte, 4)
	if err := readFull(f.r, count, f.free); err != nil {
		return nil, err
	}
	if n := binary.LittleEndian.Uint32(count); n != unknown && n >= f.taken {
		out = append(out, patch{at: f.free, data: binary.LittleEndian.AppendUint32(nil, n-f.taken)})
	}
	return out, nil
}
