package write

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"unicode/utf16"
)

// A FAT16 file system with one directory, as small as the format goes on
// sectors of 512 and of 4096 bytes alike. Pages are those of Microsoft's FAT
// specification of 2000, version 1.03.
const (
	fatCluster  = 4096 // bytes; 6000 of them are between 4085 and 65524, which makes it FAT16 (page 14)
	fatRoot     = 512  // entries of the directory
	fatEntry    = 32   // bytes
	fatExtended = 0x29 // page 11: serial, label and type follow
	fatPerName  = 13   // UTF-16 units that one entry of a long name holds (page 28)
	fatDate     = 0x21 // 1 January 1980, page 25
	fatLongName = 0x0f // attributes, page 23
	fatVolume   = 0x08
	fatArchive  = 0x20

	maxName     = 64
	maxFiles    = 16
	maxSeedData = 16 << 20 // bytes of all files
)

// seed is the files of a NoCloud volume.
type seed struct {
	files  []File
	sector int64
}

// newSeed checks what cloud-init would not take. No files are no seed, nil.
func newSeed(files []File, sector int) (*seed, error) {
	if len(files) == 0 {
		return nil, nil
	}
	if len(files) > maxFiles {
		return nil, fmt.Errorf("the seed has %d files, more than %d", len(files), maxFiles)
	}
	data, names := 0, []string(nil)
	for _, f := range files {
		if err := checkName(f.Name); err != nil {
			return nil, err
		}
		if slices.Contains(names, f.Name) {
			return nil, fmt.Errorf("the seed has two files %s", f.Name)
		}
		names, data = append(names, f.Name), data+len(f.Content)
	}
	if data > maxSeedData {
		return nil, fmt.Errorf("the seed has %d bytes, more than %d", data, maxSeedData)
	}
	for _, name := range []string{"user-data", "meta-data"} {
		if !slices.Contains(names, name) {
			return nil, fmt.Errorf("the seed has no %s, without which cloud-init does not take it", name)
		}
	}
	return &seed{files, int64(sector)}, nil
}

// checkName takes lower-case names only: two that differ in case would be one
// to FAT.
func checkName(name string) error {
	for _, r := range name {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_' && r != '.' {
			return fmt.Errorf("the seed has a file %q; names are made of a-z, 0-9, dot, dash and underscore", name)
		}
	}
	if name == "" || len(name) > maxName || name[0] == '.' || name[len(name)-1] == '.' {
		return errors.New("the seed has a file whose name is empty, too long, or begins or ends with a dot")
	}
	return nil
}

// at is the file system for a partition at that offset, up to its last cluster
// in use; what lies behind is free and may hold anything.
func (s *seed) at(off int64) patch {
	table := s.tableSize()
	b := make([]byte, s.sector+2*table+fatRoot*fatEntry) // up to cluster 2
	s.boot(b, off)
	fat, dir := b[s.sector:][:table], b[s.sector+2*table:]
	binary.LittleEndian.PutUint16(fat, 0xfff8)     // page 18: the medium, and bits that are set
	binary.LittleEndian.PutUint16(fat[2:], 0xffff) // cleanly unmounted, no errors
	copy(dir, "CIDATA     ")
	dir[11] = fatVolume
	binary.LittleEndian.PutUint16(dir[24:], fatDate)
	var data []byte
	used, next := fatEntry, 2
	for i, f := range s.files {
		n := (len(f.Content) + fatCluster - 1) / fatCluster
		chain(fat, next, n)
		used += enter(dir[used:], f, i, next)
		data = append(data, f.Content...)
		data = append(data, make([]byte, n*fatCluster-len(f.Content))...)
		next += n
	}
	copy(b[s.sector+table:], fat)
	return patch{what: "seed", off: off, data: append(b, data...)}
}

// tableSize is the bytes of one allocation table, in whole sectors.
func (s *seed) tableSize() int64 { return roundUp(2*(seedSize/fatCluster+2), s.sector) }

// boot fills the boot sector in (pages 9 to 11).
func (s *seed) boot(b []byte, off int64) {
	copy(b, "\xeb\x3c\x90MUSTER  ")
	put16 := func(at int, v int64) { binary.LittleEndian.PutUint16(b[at:], uint16(v)) }
	put32 := func(at int, v uint32) { binary.LittleEndian.PutUint32(b[at:], v) }
	put16(11, s.sector)
	b[13] = byte(fatCluster / s.sector)
	put16(14, 1) // reserved: this sector
	b[16] = 2    // tables
	put16(17, fatRoot)
	put16(19, seedSize/s.sector) // below 65536 on both sizes of sector
	b[21] = 0xf8                 // fixed disk
	put16(22, s.tableSize()/s.sector)
	put16(24, 63)  // sectors per track
	put16(26, 255) // heads
	put32(28, uint32(off/s.sector))
	b[36], b[38] = 0x80, fatExtended
	put32(39, s.serial())
	copy(b[43:], "CIDATA     FAT16   ")
	put16(510, mbrMark)
}

// serial tells one seed from another, and is the same for the same files.
func (s *seed) serial() uint32 {
	sum := crc32.NewIEEE()
	for _, f := range s.files {
		fmt.Fprintf(sum, "%s\x00%s\x00", f.Name, f.Content)
	}
	return sum.Sum32()
}

// chain enters n clusters one behind the other.
func chain(fat []byte, first, n int) {
	for i := range n {
		v := uint16(first + i + 1)
		if i == n-1 {
			v = 0xffff
		}
		binary.LittleEndian.PutUint16(fat[2*(first+i):], v)
	}
}

// enter writes the entries of a file: its long name, last part first (page
// 27), then the entry itself under a short name that is only a number.
func enter(dir []byte, f File, i, cluster int) int {
	short := fmt.Sprintf("SEED~%-6d", i+1)
	units := utf16.Encode([]rune(f.Name))
	parts := (len(units) + fatPerName - 1) / fatPerName
	for k := range parts {
		e := dir[k*fatEntry:][:fatEntry]
		n := parts - k
		longName(e, units[(n-1)*fatPerName:min(n*fatPerName, len(units))], byte(n), checksum(short))
		if k == 0 {
			e[0] |= 0x40
		}
	}
	e := dir[parts*fatEntry:][:fatEntry]
	copy(e, short)
	e[11] = fatArchive
	for _, at := range []int{16, 18, 24} { // made, read, written
		binary.LittleEndian.PutUint16(e[at:], fatDate)
	}
	if len(f.Content) > 0 {
		binary.LittleEndian.PutUint16(e[26:], uint16(cluster))
	}
	binary.LittleEndian.PutUint32(e[28:], uint32(len(f.Content)))
	return (parts + 1) * fatEntry
}

// longName fills one entry: units at three places, a zero behind the last, and
// ones behind that (page 28).
func longName(e []byte, units []uint16, n, sum byte) {
	e[0], e[11], e[13] = n, fatLongName, sum
	for i := range fatPerName {
		v := uint16(0xffff)
		if i < len(units) {
			v = units[i]
		}
		if i == len(units) {
			v = 0
		}
		binary.LittleEndian.PutUint16(e[placeOf(i):], v)
	}
}

// placeOf is where a unit of a long name lies in its entry.
func placeOf(i int) int {
	switch {
	case i < 5:
		return 1 + 2*i
	case i < 11:
		return 14 + 2*(i-5)
	}
	return 28 + 2*(i-11)
}

// checksum binds a long name to its short one (page 28).
func checksum(short string) byte {
	var sum byte
	for i := range len(short) {
		sum = sum<<7 + sum>>1 + short[i]
	}
	return sum
}
