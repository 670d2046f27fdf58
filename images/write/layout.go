package write

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
)

// geometry is what a partition table depends on.
type geometry struct{ size, sector int64 } // bytes

// patch is a run of whole sectors that is written after the image was verified.
type patch struct {
	what    string
	off     int64
	data    []byte
	passing bool // a later patch may go over it
}

// part is a partition, in bytes.
type part struct {
	name     string // as a person would name it, e.g. "partition 3"
	off, len int64
}

// change is what becomes of a partition table, and where the seed goes.
type change struct {
	patches []patch
	seed    int64 // offset of the new partition; 0 where none was asked for
	parts   []part
	check   func(Disk) error // whether the table on the disk is sound
}

func sound(Disk) error { return nil }

// layOut decides from the beginning of an image how its partition table is
// fitted to the disk. An error means that the image does not go on this disk.
func layOut(head []byte, g geometry, seed bool) (change, error) {
	if int64(len(head)) < g.sector { // a table takes a whole one
		head = append(bytes.Clone(head), make([]byte, g.sector-int64(len(head)))...)
	}
	if c, found, err := layOutGPT(head, g, seed); found || err != nil {
		return c, err
	}
	if other := 512 + 4096 - g.sector; isGPT(head, other) {
		return change{}, fmt.Errorf("the image is made for disks with sectors of %d bytes and this one has sectors of %d bytes; no firmware would find its partitions; take an image that is made for such disks, or another disk", other, g.sector)
	}
	if isMBR(head) {
		return layOutMBR(head, g, seed)
	}
	if seed {
		return change{}, errors.New("the image has no partition table, so there is no place for a seed; use an image with a partition table")
	}
	return change{check: sound}, nil
}

const (
	seedSize  = 24 << 20 // bytes; enough for FAT16 with clusters of 4 KiB
	seedAlign = 1 << 20  // what partitioning tools begin partitions at
	seedLabel = "cidata" // what cloud-init looks for, in either case (NoCloud)
)

// room finds a place for the seed: as far behind as it goes, so that the
// image's last partition can still grow up to it. It lies before end and
// behind all that is taken; all are bytes.
func room(taken, end int64) (int64, error) {
	at := (end - seedSize) / seedAlign * seedAlign
	if at < taken || at <= 0 {
		return 0, fmt.Errorf("the disk has no room for a seed of %s behind the image's partitions, which end at %s; choose a larger disk", gigabytes(seedSize), gigabytes(taken))
	}
	return at, nil
}

// noSeedYet refuses an image that brings a volume which cloud-init would take
// as well as ours: which of two it believes is not certain.
func (c change) noSeedYet(d Disk) error {
	for _, p := range c.parts {
		label, err := labelOf(d, p)
		if err != nil {
			return fmt.Errorf("look for a seed in %s: %w", p.name, err)
		}
		if strings.EqualFold(label, seedLabel) {
			return ownSeed(p.name)
		}
	}
	return nil
}

func ownSeed(where string) error {
	return fmt.Errorf("the image has a volume %s of its own (%s), and cloud-init would take either that or muster's; take it out of the image", seedLabel, where)
}

// labelOf is the label of a FAT or ISO 9660 file system, which are those that
// cloud-init reads a seed from; "" for others.
func labelOf(d Disk, p part) (string, error) {
	const volume = 16 * 2048 // ECMA-119 §6.2.1: after 16 sectors for the system's own use
	b := aligned(volume + 4096)
	if p.len < int64(len(b)) {
		return "", nil
	}
	if _, err := d.ReadAt(b, p.off); err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	label := ""
	switch v := b[volume:]; {
	case string(v[1:6]) == "CD001": // ECMA-119 §8.4.2
		label = string(v[40:72]) // ECMA-119 §8.4.6
	case binary.LittleEndian.Uint16(b[510:]) != mbrMark:
	case b[66] == fatExtended: // FAT32
		label = string(b[71:82])
	case b[38] == fatExtended:
		label = string(b[43:54])
	}
	return strings.TrimRight(label, " \x00"), nil
}
