package overlay

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"unicode/utf16"

	"github.com/muster-boot/muster/images/iso"
)

// FATFile is a file inside a FAT image inside an ISO.
type FATFile struct {
	Image int64        `json:"image"` // offset of the FAT image
	Entry int64        `json:"entry"` // offset of its directory entry in the ISO
	Size  int64        `json:"size"`
	Runs  []iso.Extent `json:"runs"` // of its clusters, in order, in the ISO
}

// Bounds on a FAT image: a boot image has tens of files.
const (
	maxFATBytes   = 16 << 20
	maxFATEntries = 1 << 16
	maxFATDepth   = 16
)

var errNotFAT = errors.New("not a FAT file system")

// fat is a FAT12, FAT16 or FAT32 file system inside an image. Clauses are those
// of Microsoft's FAT specification of 2000, version 1.03.
type fat struct {
	r       io.ReaderAt
	offset  int64
	table   []byte
	copies  []int64 // offsets of the table and its copies
	free    int64   // offset of FAT32's count of free clusters, 0 for none
	bits    int
	cluster int64      // bytes
	data    int64      // offset of cluster 2
	count   uint32     // of clusters
	root    iso.Extent // of FAT12 and FAT16
	first   uint32     // cluster of FAT32's root
}

// openFAT reads the parameters of the file system at an offset, and its table.
// It must end before limit.
func openFAT(r io.ReaderAt, offset, limit int64) (*fat, error) {
	b := make([]byte, 512)
	if offset < 0 || offset > limit-int64(len(b)) {
		return nil, errNotFAT
	}
	if err := readFull(r, b, offset); err != nil {
		return nil, err
	}
	u16 := func(at int) int64 { return int64(binary.LittleEndian.Uint16(b[at:])) }
	u32 := func(at int) int64 { return int64(binary.LittleEndian.Uint32(b[at:])) }
	sector, perCluster, reserved, tables, entries := u16(11), int64(b[13]), u16(14), int64(b[16]), u16(17) // page 9
	sectors, tableSectors := u16(19), u16(22)
	if sectors == 0 {
		sectors = u32(32)
	}
	is32 := tableSectors == 0
	if is32 {
		tableSectors = u32(36)
	}
	if u16(510) != 0xaa55 || sector < 512 || sector > 4096 || sector&(sector-1) != 0 || perCluster == 0 || perCluster&(perCluster-1) != 0 ||
		reserved == 0 || tables == 0 || tables > 4 || tableSectors == 0 || tableSectors*sector > maxFATBytes {
		return nil, errNotFAT
	}
	rootBytes := (entries*32 + sector - 1) / sector * sector
	f := &fat{r: r, offset: offset, cluster: sector * perCluster, root: iso.Extent{Offset: offset + (reserved+tables*tableSectors)*sector, Length: rootBytes}}
	f.data = f.root.Offset + rootBytes
	clusters := (sectors - reserved - tables*tableSectors - rootBytes/sector) / perCluster // page 14
	if clusters <= 0 || clusters > 1<<28 || f.data+clusters*f.cluster > limit {
		return nil, errNotFAT
	}
	f.count = uint32(clusters)
	switch { // page 14: the count alone decides, except that nobody reads FAT12 with FAT32's fields
	case is32:
		f.bits, f.first = 32, uint32(u32(44))
		if info := u16(48); info > 0 && info < reserved {
			f.free = offset + info*sector + 488 // page 22
		}
	case clusters < 4085:
		f.bits = 12
	default:
		f.bits = 16
	}
	if (clusters+2)*int64(f.bits) > tableSectors*sector*8 {
		return nil, errNotFAT
	}
	for i := range tables {
		f.copies = append(f.copies, offset+(reserved+i*tableSectors)*sector)
	}
	f.table = make([]byte, tableSectors*sector)
	return f, readFull(r, f.table, f.copies[0])
}

// next is the cluster after one in its chain (pages 15 to 18).
func (f *fat) next(cluster uint32) (next uint32, last bool) {
	switch f.bits {
	case 12:
		pair := uint32(binary.LittleEndian.Uint16(f.table[cluster+cluster/2:]))
		next = pair >> (cluster % 2 * 4) & 0xfff
		return next, next >= 0xff8
	case 16:
		next = uint32(binary.LittleEndian.Uint16(f.table[2*cluster:]))
		return next, next >= 0xfff8
	}
	next = binary.LittleEndian.Uint32(f.table[4*cluster:]) & 0x0fffffff
	return next, next >= 0x0ffffff8
}

// chain gives the runs of the clusters from one on; those that follow each
// other are one run.
func (f *fat) chain(cluster uint32, atMost int64) ([]iso.Extent, error) {
	var runs []iso.Extent
	for n := int64(0); ; n++ {
		if cluster < 2 || cluster >= f.count+2 || n*f.cluster > atMost {
			return nil, fmt.Errorf("%w: a chain of clusters in its FAT image does not end", iso.ErrDamaged)
		}
		at := f.data + int64(cluster-2)*f.cluster
		if i := len(runs) - 1; i >= 0 && runs[i].Offset+runs[i].Length == at {
			runs[i].Length += f.cluster
		} else {
			runs = append(runs, iso.Extent{Offset: at, Length: f.cluster})
		}
		next, last := f.next(cluster)
		if last {
			return runs, nil
		}
		cluster = next
	}
}

// walk calls fn for each file.
func (f *fat) walk(fn func(name string, file FATFile) error) error {
	w := fatWalk{fat: f, fn: fn}
	if f.bits != 32 {
		return w.dir("/", []iso.Extent{f.root}, 0)
	}
	runs, err := f.chain(f.first, maxFATBytes)
	if err != nil {
		return err
	}
	return w.dir("/", runs, 0)
}

type fatWalk struct {
	*fat
	fn      func(string, FATFile) error
	entries int
}

// Attributes, page 23.
const (
	attrVolume    = 0x08
	attrDirectory = 0x10
	attrLongName  = 0x0f
)

func (w *fatWalk) dir(at string, runs []iso.Extent, depth int) error {
	if depth > maxFATDepth {
		return fmt.Errorf("%w: the directories in its FAT image lie too deep", iso.ErrDamaged)
	}
	var long longName
	for _, run := range runs {
		data := make([]byte, run.Length)
		if err := readFull(w.r, data, run.Offset); err != nil {
			return err
		}
		for i := 0; i+32 <= len(data); i += 32 {
			if w.entries++; w.entries > maxFATEntries {
				return fmt.Errorf("%w: its FAT image has more than %d entries", iso.ErrDamaged, maxFATEntries)
			}
			e := data[i : i+32]
			switch {
			case e[0] == 0: // page 24: none follows
				return nil
			case e[0] == 0xe5: // deleted
				long = longName{}
			case e[11]&0x3f == attrLongName:
				long.take(e)
			default:
				if err := w.entry(at, e, run.Offset+int64(i), long.name(e), depth); err != nil {
					return err
				}
				long = longName{}
			}
		}
	}
	return nil
}

func (w *fatWalk) entry(at string, e []byte, offset int64, name string, depth int) error {
	if e[11]&attrVolume != 0 || name == "." || name == ".." || name == "" {
		return nil
	}
	cluster := uint32(binary.LittleEndian.Uint16(e[26:]))
	if w.bits == 32 {
		cluster |= uint32(binary.LittleEndian.Uint16(e[20:])) << 16
	}
	name = path.Join(at, name)
	if e[11]&attrDirectory != 0 {
		runs, err := w.chain(cluster, maxFATBytes)
		if err != nil {
			return err
		}
		return w.dir(name, runs, depth+1)
	}
	file := FATFile{Image: w.offset, Entry: offset, Size: int64(binary.LittleEndian.Uint32(e[28:]))}
	if file.Size == 0 || file.Size > maxConfig {
		return nil // of no interest
	}
	var err error
	if file.Runs, err = w.chain(cluster, maxConfig); err != nil {
		return err
	}
	return w.fn(name, file)
}

// longName gathers the entries of a long name, which stand last part first
// before the short one (page 28).
type longName struct {
	units []uint16
	sum   byte
}

func (l *longName) take(e []byte) {
	if e[0]&0x40 != 0 || e[13] != l.sum { // the last part comes first
		*l = longName{sum: e[13]}
	}
	part := make([]uint16, 0, 13+len(l.units))
	for _, at := range []int{1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30} {
		part = append(part, binary.LittleEndian.Uint16(e[at:]))
	}
	if len(l.units) < 260 {
		l.units = append(part, l.units...)
	}
}

// name is the long one if it belongs to the short entry, else the short one.
func (l *longName) name(e []byte) string {
	var sum byte
	for _, c := range e[:11] {
		sum = sum<<7 | sum>>1
		sum += c
	}
	if len(l.units) > 0 && sum == l.sum {
		name, _, _ := strings.Cut(string(utf16.Decode(l.units)), "\x00")
		return strings.ReplaceAll(name, "/", "_")
	}
	base, ext := strings.TrimRight(string(e[:8]), " "), strings.TrimRight(string(e[8:11]), " ")
	if ext != "" {
		base += "." + ext
	}
	return strings.ReplaceAll(base, "/", "_")
}

// capacity is how much the clusters hold.
func (f *FATFile) capacity() int64 {
	var sum int64
	for _, run := range f.Runs {
		sum += run.Length
	}
	return sum
}

// read returns the file's content.
func (f *FATFile) read(r io.ReaderAt) ([]byte, error) {
	if f.Size < 0 || f.Size > maxConfig || f.Size > f.capacity() {
		return nil, fmt.Errorf("%w: a file in its FAT image is longer than its clusters", iso.ErrDamaged)
	}
	content := iso.File{Size: f.Size, Extents: f.Runs}.Content(r)
	data := make([]byte, f.Size)
	return data, readFull(content, data, 0)
}

// write puts new text in, which the clusters must hold. Shorter text is filled up with newlines, so that the
// directory entry stays; of longer text the entry's length changes (page 23).
func (f *FATFile) write(text []byte) []patch {
	for int64(len(text)) < f.Size {
		text = append(text, '\n')
	}
	var patches []patch
	if int64(len(text)) != f.Size {
		patches = append(patches, patch{at: f.Entry + 28, data: binary.LittleEndian.AppendUint32(nil, uint32(len(text)))})
	}
	for _, run := range f.Runs {
		n := min(run.Length, int64(len(text)))
		if n == 0 {
			break
		}
		patches = append(patches, patch{at: run.Offset, data: text[:n:n]})
		text = text[n:]
	}
	return patches
}
