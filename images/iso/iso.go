// Package iso finds where files lie inside an ISO 9660 image, so that they can
// be served out of it without unpacking.
//
// It only reads, and only structure: it mounts nothing, copies nothing and
// writes nothing. It reads names by Rock Ridge, else Joliet, else the plain
// ones, and files of several extents (over 4 GiB). It refuses pure UDF discs,
// interleaved and compressed files, and says when an image is cut short. Any
// bytes may be given to it: every loop and every read is bounded. Start at
// [Open], then [Volume.Lookup]; [Volume.Trees] is for those who change images.
//
// Clause numbers are those of ECMA-119, 4th edition; SUSP and RRIP are the
// System Use Sharing Protocol 1.12 and the Rock Ridge Interchange Protocol 1.12.
package iso

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"unicode/utf16"

	"github.com/dustin/go-humanize"
)

// Errors that callers tell apart.
var (
	// ErrNotISO says that there is no ISO 9660 volume in the data.
	ErrNotISO = errors.New("not an ISO 9660 image")
	// ErrTruncated says that the image ends before its content does.
	ErrTruncated = errors.New("the image is cut short")
	// ErrDamaged says that the structure contradicts itself.
	ErrDamaged = errors.New("the image is damaged")
)

// Extent is a run of bytes in the image.
type Extent struct {
	Offset, Length int64
}

// File is a file, directory or symbolic link in the image.
type File struct {
	Path    string // absolute, clean
	Size    int64
	Extents []Extent // in order; none for an empty file
	Dir     bool
	Target  string // of a symbolic link; Lookup follows them, Walk does not
}

// Volume is an opened image. It is safe for concurrent use if its reader is.
type Volume struct {
	r     io.ReaderAt
	size  int64
	label string
	root  entry
	names naming
	skip  int // bytes before the system use entries of a record, SUSP §5.3
}

// naming is where names are read from.
type naming int

const (
	plain naming = iota
	joliet
	rockRidge
)

// sectorSize is the logical sector (§6.1.2), and the only logical block size
// (§8.4.12) in use on discs made for computers.
const sectorSize = 2048

// Bounds on what is read of an image that nobody vouches for.
const (
	maxDescriptors = 64
	maxDirBytes    = 32 << 20
	maxEntries     = 1 << 20
	maxDepth       = 64
	maxLinks       = 16 // symbolic links followed in one look-up
	maxAreas       = 32 // continuation areas of one record
)

// Open reads the volume descriptors of an image of size bytes. It fails with
// [ErrNotISO], [ErrTruncated] or [ErrDamaged], or with the reader's error.
func Open(r io.ReaderAt, size int64) (*Volume, error) {
	v := &Volume{r: r, size: size}
	primary, supplementary, err := v.descriptors()
	if err != nil {
		return nil, err
	}
	if block := binary.LittleEndian.Uint16(primary.data[128:]); block != sectorSize { // §8.4.12
		return nil, fmt.Errorf("%w: its logical blocks have %d bytes, not %d", ErrDamaged, block, sectorSize)
	}
	v.label = strings.TrimRight(string(primary.data[40:72]), " \x00")                             // §8.4.6
	if whole := int64(binary.LittleEndian.Uint32(primary.data[80:])) * sectorSize; whole > size { // §8.4.8
		return nil, fmt.Errorf("%w: it should have %s, %s are missing; fetch it again",
			ErrTruncated, humanize.Bytes(uint64(whole)), humanize.Bytes(uint64(whole-size)))
	}
	return v, v.chooseTree(primary.data, supplementary.data)
}

// Label is the volume identifier, without its padding.
func (v *Volume) Label() string { return v.label }

// descriptor is one volume descriptor; without data there is none.
type descriptor struct {
	data []byte
	at   int64
}

// descriptors reads the volume descriptor set (§6.7.1, from sector 16) and
// returns the primary descriptor and, where there is one, Joliet's.
func (v *Volume) descriptors() (primary, supplementary descriptor, err error) {
	for i := range int64(maxDescriptors) {
		d := make([]byte, sectorSize)
		if err := v.read(d, (16+i)*sectorSize); err != nil {
			return descriptor{}, descriptor{}, v.headerError(i, primary.data, err)
		}
		if string(d[1:6]) != "CD001" {
			return descriptor{}, descriptor{}, v.headerError(i, primary.data, v.notISO())
		}
		switch d[0] { // §8.1.1
		case 1:
			if primary.data == nil {
				primary = descriptor{d, (16 + i) * sectorSize}
			}
		case 2:
			if jolietEscape(d[88:120]) {
				supplementary = descriptor{d, (16 + i) * sectorSize}
			}
		case 255:
			if primary.data == nil {
				return descriptor{}, descriptor{}, fmt.Errorf("%w: it has no primary volume descriptor", ErrDamaged)
			}
			return primary, supplementary, nil
		}
	}
	return descriptor{}, descriptor{}, fmt.Errorf("%w: its volume descriptors do not end", ErrDamaged)
}

// headerError says what a missing descriptor means: before the first, that
// this is no ISO; after it, that the set is broken.
func (v *Volume) headerError(index int64, primary []byte, err error) error {
	if index > 0 && primary != nil && errors.Is(err, ErrNotISO) {
		return fmt.Errorf("%w: its volume descriptors do not end", ErrDamaged)
	}
	if index == 0 && errors.Is(err, ErrTruncated) {
		return fmt.Errorf("%w: it has only %d bytes", ErrNotISO, v.size)
	}
	return err
}

func (v *Volume) notISO() error {
	d := make([]byte, 6)
	for i := range int64(4) { // ECMA-167 2/9.1: the volume recognition sequence
		if v.read(d, (16+i)*sectorSize) == nil && strings.HasPrefix(string(d[1:]), "NSR0") {
			return fmt.Errorf("%w: it is a UDF disc, which no image family known here uses", ErrNotISO)
		}
	}
	return ErrNotISO
}

// jolietEscape recognises the escape sequences of UCS-2 levels 1 to 3 (Joliet
// specification, "SVD Escape Sequences Field").
func jolietEscape(field []byte) bool {
	switch string(field[:3]) {
	case "%/@", "%/C", "%/E":
		return true
	}
	return false
}

// chooseTree prefers Rock Ridge, which keeps names as they were.
func (v *Volume) chooseTree(primary, supplementary []byte) error {
	root, err := v.rootEntry(primary)
	if err != nil {
		return err
	}
	skip, ok, err := v.rockRidgeSkip(root)
	switch {
	case err != nil:
		return err
	case ok:
		v.root, v.names, v.skip = root, rockRidge, skip
		return nil
	case supplementary == nil:
		v.root = root
		return nil
	}
	v.names = joliet
	v.root, err = v.rootEntry(supplementary)
	return err
}

func (v *Volume) rootEntry(descriptor []byte) (entry, error) {
	record, err := parseRecord(descriptor[156:190]) // §8.4.18
	if err != nil {
		return entry{}, err
	}
	return entry{dir: true, size: record.size, extents: []Extent{record.extent}}, nil
}

// Lookup finds a file by its path, following symbolic links inside the image.
// A path that is not there gives an error that is [fs.ErrNotExist].
func (v *Volume) Lookup(name string) (File, error) {
	f, err := v.find(path.Clean("/"+name), maxLinks)
	if err != nil {
		return File{}, &fs.PathError{Op: "look up", Path: name, Err: err}
	}
	return f, nil
}

func (v *Volume) find(name string, links int) (File, error) {
	here, at := v.root, "/"
	parts := strings.Split(strings.Trim(name, "/"), "/")
	for i, part := range parts {
		if part == "" {
			continue
		}
		if !here.dir {
			return File{}, fs.ErrNotExist
		}
		entries, err := v.readDir(here)
		if err != nil {
			return File{}, err
		}
		var ok bool
		if here, ok = v.pick(entries, part); !ok {
			return File{}, fs.ErrNotExist
		}
		if here.target != "" {
			if links == 0 {
				return File{}, errors.New("too many symbolic links")
			}
			return v.find(resolve(at, here.target, parts[i+1:]), links-1)
		}
		at = path.Join(at, part)
	}
	return v.file(at, here)
}

// resolve gives the path that a link in dir with the target leads to, and on
// from there by rest. It cannot leave the image: "/.." is "/".
func resolve(dir, target string, rest []string) string {
	if !strings.HasPrefix(target, "/") {
		target = path.Join(dir, target)
	}
	return path.Clean("/" + path.Join(append([]string{target}, rest...)...))
}

func (v *Volume) pick(entries []entry, name string) (entry, bool) {
	for _, e := range entries {
		if e.name == name || v.names == plain && strings.EqualFold(e.name, name) {
			return e, true
		}
	}
	return entry{}, false
}

// Walk calls fn for every file, directory and symbolic link below the root, a
// directory before what is in it, and stops at fn's first error.
func (v *Volume) Walk(fn func(File) error) error {
	w := walker{volume: v, fn: fn, seen: map[int64]bool{}}
	return w.dir("/", v.root, 0)
}

type walker struct {
	volume  *Volume
	fn      func(File) error
	seen    map[int64]bool // directories by offset, against loops
	entries int
}

func (w *walker) dir(at string, dir entry, depth int) error {
	offset := dir.extents[0].Offset
	if w.seen[offset] || depth > maxDepth {
		return fmt.Errorf("walk %s: %w: its directories form a loop or lie too deep", at, ErrDamaged)
	}
	w.seen[offset] = true
	entries, err := w.volume.readDir(dir)
	if err != nil {
		return fmt.Errorf("walk %s: %w", at, err)
	}
	if w.entries += len(entries); w.entries > maxEntries {
		return fmt.Errorf("walk %s: %w: it has more than %d entries", at, ErrDamaged, maxEntries)
	}
	for _, e := range entries {
		if err := w.entry(path.Join(at, e.name), e, depth); err != nil {
			return err
		}
	}
	return nil
}

func (w *walker) entry(at string, e entry, depth int) error {
	f, err := w.volume.file(at, e)
	if err != nil {
		return fmt.Errorf("walk %s: %w", at, err)
	}
	if err := w.fn(f); err != nil || !f.Dir {
		return err
	}
	return w.dir(at, e, depth+1)
}

// file checks that the content can be served as it lies, and where it lies.
func (v *Volume) file(at string, e entry) (File, error) {
	if e.odd != "" {
		return File{}, errors.New(e.odd)
	}
	for _, x := range e.extents {
		if x.Offset+x.Length > v.size {
			return File{}, fmt.Errorf("%w: the file ends %s beyond its end; fetch the image again",
				ErrTruncated, humanize.Bytes(uint64(x.Offset+x.Length-v.size)))
		}
	}
	return File{Path: at, Size: e.size, Extents: e.extents, Dir: e.dir, Target: e.target}, nil
}

// read fills b from the image at offset.
func (v *Volume) read(b []byte, offset int64) error {
	if offset < 0 || offset+int64(len(b)) > v.size {
		return fmt.Errorf("%w: it has %s and more was to be read", ErrTruncated, humanize.Bytes(uint64(v.size)))
	}
	n, err := v.r.ReadAt(b, offset)
	if n == len(b) {
		return nil
	}
	return fmt.Errorf("read image at byte %d: %w", offset, err)
}

func decodeUCS2(b []byte) string {
	units := make([]uint16, len(b)/2)
	for i := range units {
		units[i] = binary.BigEndian.Uint16(b[2*i:])
	}
	return string(utf16.Decode(units))
}
