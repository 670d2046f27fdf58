package overlay

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/muster-boot/muster/images/iso"
)

// descriptors is what the start of an image tells beside its trees.
type descriptors struct {
	catalogue int64 // offset of the boot catalogue, 0 for none
	implanted bool  // an isomd5sum checksum
	libisofs  bool  // checksums of libisofs
	enhanced  bool  // a tree of ISO 9660:1999
	apple     bool  // an Apple partition map
}

// lastDescriptor bounds the search: no writer comes near it.
const lastDescriptor = 64

// readDescriptors looks at every sector in which a volume descriptor, or a UDF
// recognition structure behind them, may stand.
func readDescriptors(r io.ReaderAt, size int64) (descriptors, error) {
	var d descriptors
	sector := make([]byte, sectorSize)
	for n := int64(16); n < lastDescriptor && (n+1)*sectorSize <= size; n++ {
		if err := readFull(r, sector, n*sectorSize); err != nil {
			return d, err
		}
		switch string(sector[1:6]) {
		case "CD001":
			d.take(sector)
		case "NSR02", "NSR03": // ECMA-167 3/9.1
			return d, fmt.Errorf("%w: it is a UDF bridge, and Linux reads its UDF tree, which muster does not change; make the image without UDF", ErrCannot)
		}
		if bytes.HasPrefix(sector, []byte("libisofs_")) {
			d.libisofs = true
		}
	}
	mark := make([]byte, 2)
	for _, block := range []int64{512, sectorSize} { // Inside Macintosh: Devices, 3-26: the map begins at block 1
		if err := readFull(r, mark, block); err != nil {
			return d, err
		}
		d.apple = d.apple || string(mark) == "PM"
	}
	return d, nil
}

func (d *descriptors) take(sector []byte) {
	switch {
	case sector[0] == 0 && bytes.HasPrefix(sector[7:], []byte("EL TORITO SPECIFICATION")): // El Torito 1.0, figure 7
		d.catalogue = int64(binary.LittleEndian.Uint32(sector[71:])) * sectorSize
	case sector[0] == 1 && bytes.Contains(sector[883:1395], []byte("ISO MD5SUM = ")): // application use, §8.4.32
		d.implanted = true
	case sector[0] == 2 && sector[6] == 2: // §8.5.2: an enhanced volume descriptor
		d.enhanced = true
	}
}

// bootImage is what an entry of the boot catalogue loads, or the catalogue.
type bootImage struct {
	iso.Extent
	efi bool
}

// El Torito 1.0, figures 2 to 5.
const (
	entrySize     = 32
	headerMore    = 0x90
	headerLast    = 0x91
	entryBootable = 0x88
	platformEFI   = 0xef
	virtualSector = 512
)

// bootImages reads the boot catalogue, and returns it first.
func (d descriptors) bootImages(r io.ReaderAt, size int64) ([]bootImage, error) {
	if d.catalogue == 0 || d.catalogue > size-sectorSize {
		return nil, nil
	}
	catalogue := make([]byte, sectorSize)
	if err := readFull(r, catalogue, d.catalogue); err != nil {
		return nil, err
	}
	out := []bootImage{{Extent: iso.Extent{Offset: d.catalogue, Length: sectorSize}}}
	efi := catalogue[1] == platformEFI // of the validation entry, figure 2
	for at := entrySize; at < sectorSize; at += entrySize {
		entry := catalogue[at : at+entrySize]
		switch entry[0] {
		case headerMore, headerLast:
			efi = entry[1] == platformEFI
		case entryBootable:
			offset := int64(binary.LittleEndian.Uint32(entry[8:])) * sectorSize
			length := max(sectorSize, int64(binary.LittleEndian.Uint16(entry[6:]))*virtualSector)
			if offset > 0 && offset < size {
				out = append(out, bootImage{iso.Extent{Offset: offset, Length: min(length, size-offset)}, efi})
			}
		}
	}
	return out, nil
}

// readFull fills b from offset.
func readFull(r io.ReaderAt, b []byte, offset int64) error {
	if n, err := r.ReadAt(b, offset); n < len(b) {
		return fmt.Errorf("read image at byte %d: %w", offset, noEOF(err))
	}
	return nil
}
