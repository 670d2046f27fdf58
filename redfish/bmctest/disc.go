package bmctest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strings"
)

// disc is what a paper host finds on a medium.
type disc struct {
	volume  string
	cmdline string   // of the first kernel in a boot loader's configuration
	configs [][]byte // the *.yaml files of the root, in lexical order
}

// Geometry of an ISO 9660 image (ECMA-119, clauses 7.1 and 8.4).
const (
	sector        = 2048
	firstSector   = 16 // of the volume descriptors
	primary       = 1  // type of the primary volume descriptor
	rootRecord    = 156
	recordHeader  = 33
	flagDirectory = 2
	maxEntries    = 4096
	maxDepth      = 8
	maxText       = 1 << 20
)

// entry is one file or directory.
type entry struct {
	path string
	at   int64
	size int64
	dir  bool
}

var kernelLine = regexp.MustCompile(`(?m)^\s*linux(?:efi)?\s+\S+\s*(.*)$`)

// readDisc reads a medium: its descriptor, its tree, the texts that a boot
// needs, and the ends of its largest file.
func readDisc(r io.ReaderAt, size int64) (disc, error) {
	var d disc
	descriptor := make([]byte, sector)
	if _, err := r.ReadAt(descriptor, firstSector*sector); err != nil {
		return d, err
	}
	if descriptor[0] != primary || string(descriptor[1:6]) != "CD001" {
		return d, errors.New("no ISO 9660 file system")
	}
	d.volume = strings.TrimSpace(string(descriptor[40:72]))
	files, err := walk(r, directoryRecord(descriptor[rootRecord:rootRecord+34]))
	if err != nil {
		return d, err
	}
	slices.SortFunc(files, func(a, b entry) int { return strings.Compare(a.path, b.path) })
	for _, f := range files {
		if err := d.take(r, f); err != nil {
			return d, fmt.Errorf("%s: %w", f.path, err)
		}
	}
	return d, readEnds(r, files, size)
}

// take keeps what a boot needs of a file.
func (d *disc) take(r io.ReaderAt, f entry) error {
	config := path.Dir(f.path) == "/" && path.Ext(f.path) == ".yaml"
	if !config && path.Ext(f.path) != ".cfg" || f.size > maxText {
		return nil
	}
	text := make([]byte, f.size)
	if _, err := r.ReadAt(text, f.at); err != nil && err != io.EOF {
		return err
	}
	if config {
		d.configs = append(d.configs, text)
	} else if m := kernelLine.FindSubmatch(text); m != nil && d.cmdline == "" {
		d.cmdline = string(m[1])
	}
	return nil
}

// readEnds reads the first and the last sector of the largest file, as far as
// they are there.
func readEnds(r io.ReaderAt, files []entry, size int64) error {
	if len(files) == 0 {
		return nil
	}
	largest := slices.MaxFunc(files, func(a, b entry) int { return int(min(1, max(-1, a.size-b.size))) })
	if largest.at+largest.size > size {
		return fmt.Errorf("%s ends behind the medium", largest.path)
	}
	for _, at := range []int64{largest.at, largest.at + largest.size - min(sector, largest.size)} {
		part := make([]byte, min(sector, largest.size))
		if _, err := r.ReadAt(part, at); err != nil && err != io.EOF {
			return fmt.Errorf("%s: %w", largest.path, err)
		}
	}
	return nil
}

// walk lists the files below a directory.
func walk(r io.ReaderAt, root entry) ([]entry, error) {
	root.path = "/"
	dirs, files, seen := []entry{root}, []entry(nil), 0
	for len(dirs) > 0 {
		d := dirs[0]
		dirs = dirs[1:]
		if d.size > maxText || strings.Count(d.path, "/") > maxDepth {
			return nil, fmt.Errorf("%s: a directory of that size or depth is not read", d.path)
		}
		data := make([]byte, d.size)
		if _, err := r.ReadAt(data, d.at); err != nil && err != io.EOF {
			return nil, err
		}
		for _, e := range entries(data) {
			e.path = path.Join(d.path, e.path)
			if seen++; seen > maxEntries {
				return nil, errors.New("too many files")
			}
			if e.dir {
				dirs = append(dirs, e)
			} else {
				files = append(files, e)
			}
		}
	}
	return files, nil
}

// entries reads the records of a directory, without itself and its parent.
func entries(data []byte) []entry {
	var out []entry
	for at := 0; at+recordHeader < len(data); {
		n := int(data[at])
		if n == 0 { // records do not cross sectors (6.8.1.1)
			at = (at/sector + 1) * sector
			continue
		}
		if n <= recordHeader || at+n > len(data) {
			break
		}
		if e := directoryRecord(data[at : at+n]); e.path != "\x00" && e.path != "\x01" {
			out = append(out, e)
		}
		at += n
	}
	return out
}

// directoryRecord reads a directory record (9.1), with its Rock Ridge name if it has one.
func directoryRecord(b []byte) entry {
	e := entry{
		at:   int64(binary.LittleEndian.Uint32(b[2:])) * sector,
		size: int64(binary.LittleEndian.Uint32(b[10:])),
		dir:  b[25]&flagDirectory != 0,
	}
	length := int(b[32])
	if recordHeader+length > len(b) {
		return e
	}
	name := string(b[recordHeader : recordHeader+length])
	e.path = name
	if length > 1 {
		base, _, _ := strings.Cut(name, ";")
		e.path = strings.ToLower(strings.TrimSuffix(base, "."))
	}
	if rr := rockRidge(b[min(len(b), recordHeader+length+(length+1)%2):]); rr != "" {
		e.path = rr
	}
	return e
}

// rockRidge is the name in an NM field (IEEE P1282, 4.1.4).
func rockRidge(use []byte) string {
	var name bytes.Buffer
	for len(use) >= 4 {
		n := int(use[2])
		if n < 4 || n > len(use) {
			break
		}
		if string(use[:2]) == "NM" && n > 5 {
			name.Write(use[5:n])
		}
		use = use[n:]
	}
	return name.String()
}
