package ramdisk

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// The FAT16 file system that UEFI firmware boots from a CD, with two programs
// in \EFI\BOOT. Pages are those of Microsoft's FAT specification of 2000, version
// 1.03.
const (
	fatBytes   = 8 << 20
	fatSector  = 512
	fatCluster = 1024 // some 8000 of them: between 4085 and 65524, which makes it FAT16 (page 14)
	fatTable   = 33   // sectors of one allocation table
	fatRoot    = 512  // entries of the root directory
	fatEntry   = 32   // bytes
	fatData    = (1+2*fatTable)*fatSector + fatRoot*fatEntry
	fatDate    = 0x21 // 1 January 1980, page 25
	fatDir     = 0x10 // attributes, page 23
	fatVolume  = 0x08
	fatEnd     = 0xffff
)

// Clusters of the two directories, and the first of the files.
const (
	efiCluster = iota + 2
	bootCluster
	fileCluster
)

// program is one file of \EFI\BOOT, named as firmware and shim look for it.
type program struct {
	name    string
	content []byte
}

// fatImage is the file system with those programs.
func fatImage(programs []program) ([]byte, error) {
	b := make([]byte, fatBytes)
	fatBoot(b)
	table := make([]byte, fatTable*fatSector)
	binary.LittleEndian.PutUint16(table, 0xff00|uint16(b[21])) // page 18: the medium
	binary.LittleEndian.PutUint16(table[2:], fatEnd)
	cluster := func(n int) []byte { return b[fatData+(n-efiCluster)*fatCluster:] }
	link := func(first, n int) {
		for i := range n - 1 {
			binary.LittleEndian.PutUint16(table[2*(first+i):], uint16(first+i+1))
		}
		binary.LittleEndian.PutUint16(table[2*(first+n-1):], fatEnd)
	}
	enter(b[fatData-fatRoot*fatEntry:], 0, "MUSTERSCOUT", fatVolume, 0, 0)
	enter(b[fatData-fatRoot*fatEntry:], 1, "EFI", fatDir, efiCluster, 0)
	link(efiCluster, 1)
	dots(cluster(efiCluster), efiCluster, 0) // page 25: 0 is the root
	enter(cluster(efiCluster), 2, "BOOT", fatDir, bootCluster, 0)
	link(bootCluster, 1)
	dots(cluster(bootCluster), bootCluster, efiCluster)
	next := fileCluster
	for i, p := range programs {
		n := (len(p.content) + fatCluster - 1) / fatCluster
		if len(p.content) == 0 || fatData+(next-efiCluster+n)*fatCluster > fatBytes {
			return nil, fmt.Errorf("%s has %d bytes, for which there is no room; is it the signed loader for a CD?", p.name, len(p.content))
		}
		copy(cluster(next), p.content)
		link(next, n)
		enter(cluster(bootCluster), 2+i, p.name, 0, next, len(p.content))
		next += n
	}
	copy(b[fatSector:], table)
	copy(b[fatSector*(1+fatTable):], table)
	return b, nil
}

// fatBoot fills the boot sector in (pages 9 to 11).
func fatBoot(b []byte) {
	copy(b, "\xeb\x3c\x90MUSTER  ")
	put16 := func(at, v int) { binary.LittleEndian.PutUint16(b[at:], uint16(v)) }
	put16(11, fatSector)
	b[13] = fatCluster / fatSector
	put16(14, 1) // reserved: this sector
	b[16] = 2    // tables
	put16(17, fatRoot)
	put16(19, fatBytes/fatSector)
	b[21] = 0xf8 // not removable
	put16(22, fatTable)
	put16(24, 32) // sectors per track
	put16(26, 2)  // heads
	b[38] = 0x29  // what follows is there
	copy(b[43:], "MUSTERSCOUTFAT16   ")
	put16(510, 0xaa55)
}

// dots are the first two entries of a directory below the root.
func dots(dir []byte, self, parent int) {
	enter(dir, 0, ".", fatDir, self, 0)
	enter(dir, 1, "..", fatDir, parent, 0)
}

// enter writes an entry under a short name (page 22).
func enter(dir []byte, n int, name string, attributes byte, cluster, size int) {
	e := dir[n*fatEntry:][:fatEntry]
	base, ext, dotted := strings.Cut(strings.ToUpper(name), ".")
	if !dotted || base == "" { // a directory, the label, or dots
		base, ext = strings.ToUpper(name), ""
	}
	copy(e, fmt.Sprintf("%-8s", base))
	copy(e[len(fmt.Sprintf("%-8s", base)):11], fmt.Sprintf("%-3s", ext))
	e[11] = attributes
	for _, at := range []int{16, 18, 24} { // made, read, written
		binary.LittleEndian.PutUint16(e[at:], fatDate)
	}
	binary.LittleEndian.PutUint16(e[26:], uint16(cluster))
	binary.LittleEndian.PutUint32(e[28:], uint32(size))
}
