// Package overlay makes a host's own ISO out of a shared one: the base file plus
// patches computed in memory, in kilobytes, never a copy. It replaces files,
// adds files to any directory that is there, with no placeholder, in the Rock
// Ridge (or plain) tree and in Joliet's, and changes kernel arguments in boot
// loader configurations, also inside the FAT image that El Torito boots.
//
// What is new lies behind the base, in a tail; in the base itself change only
// directory records, path tables, the volume size, and in a FAT image the
// clusters and the length of an edited configuration, and the table only if it
// needs more clusters. Boot catalogue, loaders, partition tables and the backup
// GPT, which stays where the base ends, keep every byte: firmware that reads a
// CD ignores partitions, and on a stick the backup GPT of an image is never at
// the end anyway.
//
// It makes no directories, removes nothing, and refuses what it could change
// only for some readers: media with a UDF tree, compressed files, files that are
// boot images. What else a change breaks, such as a checksum inside the image,
// Lacks of [Index] says in words. Two kinds of reader do not find what is in the
// tail: a system that mounts partition 1 of a stick instead of the medium, since
// the tail lies behind every partition; and one that never goes back
// (libarchive), once a directory was so full that it moved there.
//
// Start at [Scan], once for each image, then [Build], once for each host.
//
// Clause numbers are those of ECMA-119, 4th edition; SUSP and RRIP are the
// System Use Sharing Protocol 1.12 and IEEE P1282, the Rock Ridge Interchange
// Protocol 1.12.
package overlay

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"sort"
)

// sectorSize is the logical sector and block of every image read here; the iso
// package refuses others.
const sectorSize = 2048

// Overlay is a host's image: a base, and what differs from it. It is immutable
// and safe for concurrent use if its base is.
type Overlay struct {
	base     io.ReaderAt
	baseSize int64
	size     int64
	patches  []patch // by offset, without overlap; between them the base shows through
}

// patch takes the place of a run of the image: bytes in memory, or bytes of the
// base from another place.
type patch struct {
	at   int64
	data []byte // nil for a run of the base
	from int64  // where in the base the run begins
	size int64  // of the run
}

func (p patch) length() int64 {
	if p.data != nil {
		return int64(len(p.data))
	}
	return p.size
}

// Segment is a run of an image: bytes in memory, or a range of the base.
type Segment struct {
	Data   []byte // not to be changed; nil for a range of the base
	Offset int64  // in the base
	Length int64  // in bytes, also of Data
}

// newOverlay orders patches and holds them against each other. Everything
// behind the base must be covered.
func newOverlay(base io.ReaderAt, baseSize int64, patches []patch) (*Overlay, error) {
	slices.SortFunc(patches, func(a, b patch) int { return int(min(1, max(-1, a.at-b.at))) })
	o := &Overlay{base: base, baseSize: baseSize, size: baseSize, patches: patches}
	var end int64
	for _, p := range patches {
		if p.at < end || p.at > o.size {
			return nil, fmt.Errorf("two changes touch byte %d of the image", p.at)
		}
		end = p.at + p.length()
		o.size = max(o.size, end)
	}
	return o, nil
}

// Size is that of the whole image, in bytes.
func (o *Overlay) Size() int64 { return o.size }

// Held is how many bytes the overlay keeps in memory beside the base.
func (o *Overlay) Held() int64 {
	const each = 64 // of the patch itself
	held := int64(len(o.patches)) * each
	for _, p := range o.patches {
		held += int64(len(p.data))
	}
	return held
}

// On is the same overlay over another handle of the same base.
func (o *Overlay) On(base io.ReaderAt) *Overlay {
	other := *o
	other.base = base
	return &other
}

// Digest names what the overlay makes of its base, in hex: two overlays of one
// base have the same digest only if they have the same bytes.
func (o *Overlay) Digest() string {
	h := sha256.New()
	var head [33]byte
	for _, p := range o.patches {
		binary.BigEndian.PutUint64(head[1:], uint64(p.at))
		binary.BigEndian.PutUint64(head[9:], uint64(p.length()))
		binary.BigEndian.PutUint64(head[17:], uint64(p.from))
		binary.BigEndian.PutUint64(head[25:], uint64(o.baseSize))
		head[0] = 0
		if p.data != nil {
			head[0] = 1
		}
		h.Write(head[:])
		h.Write(p.data)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Segments lists what the n bytes from off on are made of, in order. It gives
// fewer where the image ends.
func (o *Overlay) Segments(off, n int64) []Segment {
	if off < 0 || n <= 0 || off >= o.size {
		return nil
	}
	end := off + min(n, o.size-off)
	var out []Segment
	i := sort.Search(len(o.patches), func(i int) bool { return o.patches[i].at+o.patches[i].length() > off })
	for off < end {
		if i == len(o.patches) || o.patches[i].at >= end {
			return append(out, Segment{Offset: off, Length: end - off})
		}
		p := o.patches[i]
		if off < p.at {
			out = append(out, Segment{Offset: off, Length: p.at - off})
			off = p.at
		}
		out = append(out, p.segment(off-p.at, end-off))
		off = p.at + p.length()
		i++
	}
	return out
}

// segment is the part of a patch from skip on, at most n bytes.
func (p patch) segment(skip, n int64) Segment {
	n = min(n, p.length()-skip)
	if p.data != nil {
		return Segment{Data: p.data[skip : skip+n : skip+n], Length: n}
	}
	return Segment{Offset: p.from + skip, Length: n}
}

// ReadAt implements [io.ReaderAt].
func (o *Overlay) ReadAt(b []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, errors.New("read an image before its beginning")
	}
	for _, s := range o.Segments(off, int64(len(b))) {
		part := b[n : n+int(s.Length)]
		if s.Data != nil {
			n += copy(part, s.Data)
			continue
		}
		m, err := o.base.ReadAt(part, s.Offset)
		n += m
		if m < len(part) {
			return n, fmt.Errorf("read base image at byte %d: %w", s.Offset, noEOF(err))
		}
	}
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// noEOF tells a base that was cut short from the end of the image.
func noEOF(err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
