package overlay

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/muster-boot/muster/images/iso"
)

// Bounds on what is read of an image that nobody vouches for.
const (
	maxDirs      = 1 << 16
	maxRecords   = 1 << 20
	maxPathTable = 8 << 20
	maxDepth     = 64
)

// rootRecord is where a volume descriptor holds the record of its root, §8.4.18.
const rootRecord = 156

// treeScan walks one tree as its directories lie, each once: one that Rock
// Ridge moved is met at its new place, and named after its old one.
type treeScan struct {
	tree    *iso.Tree
	dirs    []scanned
	byBlock map[int64]int  // directories by offset
	moved   map[int64]move // by the offset of the directory that was moved
	records int
	version bool // a file's identifier ends in its version
}

type scanned struct {
	Dir
	child
	up   []iso.Use // PL entries
	mark int64     // the lowest offset of a file's content in it, 0 for none
}

// child is what names a directory.
type child struct {
	parent int
	name   string
}

// move is a CL entry (RRIP §4.1.5.1), which stands where a directory was moved
// from.
type move struct {
	child
	at int64
}

// scanTree lists the directories of a tree, and all places that say where each
// lies. marks has the first content in each, by which twins are known.
func scanTree(r io.ReaderAt, size int64, t *iso.Tree) (tree Tree, marks []int64, err error) {
	s := treeScan{tree: t, byBlock: map[int64]int{}, moved: map[int64]move{}}
	if err := s.add(t.Root, child{-1, ""}, t.Descriptor+rootRecord); err != nil {
		return Tree{}, nil, err
	}
	for i := 0; i < len(s.dirs); i++ { // dirs grows by what each holds
		if err := s.dir(i); err != nil {
			return Tree{}, nil, fmt.Errorf("scan directory %q: %w", s.dirs[i].name, err)
		}
	}
	s.link()
	if err := s.pathTables(r, size); err != nil {
		return Tree{}, nil, err
	}
	tree = Tree{Descriptor: t.Descriptor, Joliet: t.Joliet, RockRidge: t.RockRidge, Skip: t.Skip, Version: s.version}
	for i, d := range s.dirs {
		if d.Path, err = s.path(i); err != nil {
			return Tree{}, nil, err
		}
		d.Twin = -1
		tree.Dirs = append(tree.Dirs, d.Dir)
		marks = append(marks, d.mark)
	}
	return tree, marks, nil
}

func (s *treeScan) add(x iso.Extent, c child, record int64) error {
	if _, twice := s.byBlock[x.Offset]; twice || len(s.dirs) == maxDirs {
		return fmt.Errorf("%w: its directories form a loop, or are too many", iso.ErrDamaged)
	}
	s.byBlock[x.Offset] = len(s.dirs)
	s.dirs = append(s.dirs, scanned{Dir: Dir{Extent: x, Refs: []Ref{{record, InRecord}}}, child: c})
	return nil
}

// dir notes what directory i says of itself, its parent and its children.
func (s *treeScan) dir(i int) error {
	records, err := s.tree.Records(s.dirs[i].Extent)
	if err != nil {
		return err
	}
	if s.records += len(records); s.records > maxRecords {
		return fmt.Errorf("%w: it has more than %d files", iso.ErrDamaged, maxRecords)
	}
	self, parent := records[0], records[1]
	s.refer(i, Ref{self.At, InRecord})
	s.refer(max(0, s.dirs[i].parent), Ref{parent.At, InRecord}) // §6.8.2.2: the root's parent is the root
	for _, u := range parent.SystemUse {
		if u.Signature == "PL" { // RRIP §4.1.5.2
			s.dirs[i].up = append(s.dirs[i].up, u)
		}
	}
	for _, r := range records[2:] {
		if r.Dir {
			if err := s.add(r.Extent, child{i, r.Name}, r.At); err != nil {
				return err
			}
			continue
		}
		s.version = s.version || bytes.HasSuffix(r.Identifier, []byte(version(s.tree.Joliet)))
		if d := &s.dirs[i]; r.Extent.Length > 0 && (d.mark == 0 || r.Extent.Offset < d.mark) {
			d.mark = r.Extent.Offset
		}
		for _, u := range r.SystemUse {
			if u.Signature == "CL" && len(u.Data) >= 8 { // RRIP §4.1.5.1
				at := int64(binary.LittleEndian.Uint32(u.Data)) * sectorSize
				s.moved[at] = move{child{i, r.Name}, u.At}
			}
		}
	}
	return nil
}

func (s *treeScan) refer(i int, r Ref) { s.dirs[i].Refs = append(s.dirs[i].Refs, r) }

// link gives the moved directories the places they were moved from.
func (s *treeScan) link() {
	for i := range s.dirs {
		m, ok := s.moved[s.dirs[i].Extent.Offset]
		if !ok {
			continue
		}
		s.dirs[i].child = m.child
		s.refer(i, Ref{m.at, InUse})
		for _, u := range s.dirs[i].up {
			s.refer(m.parent, Ref{u.At, InUse})
		}
	}
}

// path is the directory's from the root, as people see it.
func (s *treeScan) path(i int) (string, error) {
	var parts []string
	for ; i > 0; i = s.dirs[i].parent {
		if len(parts) == maxDepth {
			return "", fmt.Errorf("%w: its directories form a loop or lie too deep", iso.ErrDamaged)
		}
		parts = append([]string{s.dirs[i].name}, parts...)
	}
	return path.Join("/", path.Join(parts...)), nil
}

// pathTables notes where each copy of the path table names each directory.
func (s *treeScan) pathTables(r io.ReaderAt, size int64) error {
	tables, err := s.tree.PathTables()
	if err != nil {
		return err
	}
	for _, t := range tables {
		if t.Length > maxPathTable || t.Offset > size-t.Length {
			return fmt.Errorf("%w: its path table lies beyond its end", iso.ErrDamaged)
		}
		data := make([]byte, t.Length)
		if err := readFull(r, data, t.Offset); err != nil {
			return err
		}
		kind := InLittle
		if t.Order == binary.BigEndian {
			kind = InBig
		}
		for at := 0; at+8 < len(data) && data[at] != 0; { // §9.4: length, attributes, location, parent, name
			dir, ok := s.byBlock[int64(t.Order.Uint32(data[at+2:]))*sectorSize]
			if ok {
				s.refer(dir, Ref{t.Offset + int64(at) + 2, kind})
			}
			at += 8 + (int(data[at])+1)&^1
		}
	}
	return nil
}

// pairing finds for each directory its twin in the other tree: among the
// children of its parent's twin, by the first content in it, by its name where
// the trees spell it alike, or by the beginning of it where one shortens.
type pairing struct {
	primary, joliet           []Dir
	primaryMarks, jolietMarks []int64
}

func (p pairing) pair() {
	below := make(map[string][]int, len(p.joliet)) // Joliet's directories by parent
	for i, d := range p.joliet[1:] {
		below[path.Dir(d.Path)] = append(below[path.Dir(d.Path)], i+1)
	}
	at := make(map[string]int, len(p.primary)) // primary directories by path
	for i, d := range p.primary {
		at[d.Path] = i
	}
	p.primary[0].Twin, p.joliet[0].Twin = 0, 0
	for progress := true; progress; { // moved directories may come before their parents
		progress = false
		for i := 1; i < len(p.primary); i++ {
			d := &p.primary[i]
			up, ok := at[path.Dir(d.Path)]
			if d.Twin >= 0 || !ok || p.primary[up].Twin < 0 {
				continue
			}
			if j := p.pick(i, below[p.joliet[p.primary[up].Twin].Path]); j >= 0 {
				d.Twin, p.joliet[j].Twin, progress = j, i, true
			}
		}
	}
}

// pick chooses the twin of primary directory i; where only the beginnings of
// names agree, there must be no other.
func (p pairing) pick(i int, among []int) int {
	name, near, several := path.Base(p.primary[i].Path), -1, false
	for _, j := range among {
		if p.joliet[j].Twin >= 0 {
			continue
		}
		other := path.Base(p.joliet[j].Path)
		if fold(other) == fold(name) || p.primaryMarks[i] > 0 && p.primaryMarks[i] == p.jolietMarks[j] {
			return j
		}
		if shortened(name, other) {
			near, several = j, near >= 0
		}
	}
	if several {
		return -1
	}
	return near
}

// fold makes names comparable that differ only in what one tree cannot spell.
func fold(name string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case 'a' <= c && c <= 'z':
			return c - 'a' + 'A'
		case 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
			return c
		}
		return '_'
	}, name)
}

// shortest is the length that no tree shortens names to less than: that of an
// ISO 9660 level 1 name, §10.1.
const shortest = 8

func shortened(a, b string) bool {
	a, b = fold(a), fold(b)
	return min(len(a), len(b)) >= shortest && (strings.HasPrefix(a, b) || strings.HasPrefix(b, a))
}
