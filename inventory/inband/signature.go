package inband

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/siderolabs/go-blockdevice/v2/blkid"
	"golang.org/x/sys/unix"
)

// BlockDevices reads disks below Dir, normally /dev. Nothing is written, and
// no disk is locked: whoever holds one shows in its holders.
type BlockDevices struct{ Dir string }

// Signatures looks at the whole disk and at what a known partition table
// points to. It errs towards finding: a mark that is there counts, though the
// rest of what it stands for may be damaged.
func (b BlockDevices) Signatures(disk string) ([]string, error) {
	f, err := os.OpenFile(filepath.Join(b.Dir, disk), os.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, fmt.Errorf("ask the size of %s: %w", disk, err)
	}
	found, err := marks(f, size)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", disk, err)
	}
	info, err := blkid.Probe(f, blkid.WithSkipLocking(true))
	if err != nil && len(found) > 0 {
		return found, nil // a table that points outside the disk is enough to know
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", disk, err)
	}
	for _, s := range probed(info) {
		if !slices.Contains(found, s) {
			found = append(found, s)
		}
	}
	return found, nil
}

// probed is the library's answer in our words. It knows more of what lies
// inside partitions, we more of what makers leave on whole disks.
func probed(info *blkid.Info) []string {
	found := []string{}
	if info.Name != "" {
		found = append(found, info.Name)
	}
	for _, p := range info.Parts {
		name := p.Name
		if name == "" {
			name = "partition"
		}
		found = append(found, fmt.Sprintf("%s at %d", name, p.PartitionOffset))
	}
	return found
}

// mark is a run of bytes at a fixed place that a program leaves on a disk which
// it uses. A negative offset counts from the end, after rounding the size down
// to a multiple of align where that is set.
type mark struct {
	name  string
	off   int64
	align int64
	bytes string
}

// knownMarks is the marks that make a disk "not empty". Offsets and values are
// those of each format's own description.
func knownMarks() []mark {
	const kib = 1024
	return []mark{
		{"dos", 510, 0, "\x55\xaa"},
		{"gpt", 512, 0, "EFI PART"}, {"gpt", 4096, 0, "EFI PART"}, // by sector size
		{"gpt backup", -512, 0, "EFI PART"}, {"gpt backup", -4096, 0, "EFI PART"},
		{"apple partition map", 512, 0, "PM\x00\x00"},
		{"bsd disklabel", 512, 0, "WEV\x82"}, {"bsd disklabel", 64, 0, "WEV\x82"},
		{"lvm2", 512, 0, "LABELONE"}, {"lvm2", 0, 0, "LABELONE"}, {"lvm2", 1024, 0, "LABELONE"}, {"lvm2", 1536, 0, "LABELONE"},
		{"luks", 0, 0, "LUKS\xba\xbe"}, {"luks", 0x4000, 0, "SKUL\xba\xbe"},
		{"md raid", 0, 0, "\xfc\x4e\x2b\xa9"}, {"md raid", 4 * kib, 0, "\xfc\x4e\x2b\xa9"}, // 1.1, 1.2
		{"md raid", -8 * kib, 4 * kib, "\xfc\x4e\x2b\xa9"},   // 1.0
		{"md raid", -64 * kib, 64 * kib, "\xfc\x4e\x2b\xa9"}, // 0.90
		{"intel raid", -1024, 0, "Intel Raid ISM Cfg Sig. "},
		{"ddf raid", -512, 0, "\xde\x11\xde\x11"}, {"ddf raid", -4096, 0, "\xde\x11\xde\x11"},
		{"lsi raid", -512, 0, "$XIDE$"}, {"nvidia raid", -1024, 0, "NVIDIA"},
		{"promise raid", -63 * 512, 0, "Promise Technology, Inc."},
		{"ext", 0x438, 0, "\x53\xef"},
		{"xfs", 0, 0, "XFSB"},
		{"btrfs", 0x10040, 0, "_BHRfS_M"},
		{"f2fs", 1024, 0, "\x10\x20\xf5\xf2"},
		{"ntfs", 3, 0, "NTFS    "}, {"exfat", 3, 0, "EXFAT   "},
		{"vfat", 54, 0, "FAT1"}, {"vfat", 82, 0, "FAT32"},
		{"jfs", 0x8000, 0, "JFS1"}, {"reiserfs", 0x10034, 0, "ReIsEr"},
		{"iso9660", 0x8001, 0, "CD001"}, {"udf", 0x8001, 0, "BEA01"},
		{"oracle asm", 32, 0, "ORCLDISK"}, {"gfs2", 0x10000, 0, "\x01\x16\x19\x70"},
		{"apfs", 32, 0, "NXSB"}, {"hfs+", 1024, 0, "H+"}, {"bitlocker", 3, 0, "-FVE-FS-"}, {"refs", 3, 0, "ReFS"},
		{"squashfs", 0, 0, "hsqs"}, {"erofs", 1024, 0, "\xe2\xe1\xf5\xe0"},
		{"swap", 4086, 0, "SWAPSPACE2"}, {"swap", 4086, 0, "SWAP-SPACE"},
		{"bcache", 0x1018, 0, "\xc6\x85\x73\xf6\x4e\x1a\x45\xca\x82\x65\xf5\x7f\x48\xba\x6d\x81"},
		{"bluestore", 0, 0, "bluestore block device"},
		{"vmfs", 0x100000, 0, "\x0d\xd0\x01\xc0"}, {"vmfs", 0x200000, 0, "\x5e\xf1\xab\x2f"},
		{"drbd", -4*kib + 60, 4 * kib, "\x83\x74\x02\x6b"},
	}
}

// marks finds the known marks on a disk of that size.
func marks(r io.ReaderAt, size int64) ([]string, error) {
	found := []string{}
	add := func(name string, at int64) {
		if s := at0(name, at); !slices.Contains(found, s) {
			found = append(found, s)
		}
	}
	for _, m := range knownMarks() {
		at, ok := m.place(size)
		if !ok {
			continue
		}
		b := make([]byte, len(m.bytes))
		if _, err := r.ReadAt(b, at); err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		if string(b) == m.bytes {
			add(m.name, at)
		}
	}
	at, err := zfsAt(r, size)
	if err != nil {
		return nil, err
	}
	if at >= 0 {
		add("zfs", at)
	}
	if len(found) == 0 {
		if at, err = contentAt(r, size); at >= 0 {
			add("unknown content", at)
		}
	}
	return found, err
}

// beginning is how much of a disk must be blank for it to count as empty when no
// known mark is on it: there are more formats than anybody can list.
const beginning = 1 << 20

// contentAt is where the beginning of a disk first differs from a blank one,
// which repeats one byte: zero, or what an erased flash shows. -1 is nowhere.
func contentAt(r io.ReaderAt, size int64) (int64, error) {
	b := make([]byte, min(beginning, size))
	if n, err := r.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
		return -1, err
	} else {
		b = b[:n]
	}
	for i := range b {
		if b[i] != b[0] {
			return int64(i), nil
		}
	}
	return -1, nil
}

// at0 words a mark: where it lies tells which of several disks' lives it is from.
func at0(name string, at int64) string { return fmt.Sprintf("%s at %d", name, at) }

// place is where a mark would lie, if the disk is large enough.
func (m mark) place(size int64) (int64, bool) {
	at := m.off
	if at < 0 {
		if m.align > 0 {
			size = size / m.align * m.align
		}
		at += size
	}
	return at, at >= 0 && at+int64(len(m.bytes)) <= size
}

// zfsAt looks for an uberblock in the four labels that ZFS keeps, two at each
// end, of 256 KiB each: 128 KiB into a label is a ring of blocks that begin
// with a number in the byte order of the host that wrote them. -1 is none.
func zfsAt(r io.ReaderAt, size int64) (int64, error) {
	const (
		label, ring, step = 256 << 10, 128 << 10, 1 << 10
		magic             = 0x00bab10c
	)
	end := size / label * label
	for _, start := range []int64{0, label, end - 2*label, end - label} {
		if start < 0 || start+label > size {
			continue
		}
		b := make([]byte, label-ring)
		if _, err := r.ReadAt(b, start+ring); err != nil && !errors.Is(err, io.EOF) {
			return -1, err
		}
		little, big := make([]byte, 8), make([]byte, 8)
		binary.LittleEndian.PutUint64(little, magic)
		binary.BigEndian.PutUint64(big, magic)
		for off := 0; off < len(b); off += step {
			if bytes.HasPrefix(b[off:], little) || bytes.HasPrefix(b[off:], big) {
				return start + ring + int64(off), nil
			}
		}
	}
	return -1, nil
}
