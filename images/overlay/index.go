package overlay

import (
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/muster-boot/muster/images/iso"
)

// ErrCannot is in the error for an image or a change that this package refuses.
var ErrCannot = errors.New("the image cannot be changed for a host")

// Format is that of the indexes made here. One of another format is made anew
// from its image.
const Format = 1

// Index is what [Build] must know of an image beyond what it looks up: a few
// hundred bytes for each directory. It is plain data, for JSON or gob; treat it
// as opaque.
type Index struct {
	Format    int          `json:"format"`
	Size      int64        `json:"size"` // of the image, in bytes
	Trees     []Tree       `json:"trees"`
	Untouched []iso.Extent `json:"untouched"` // boot catalogue and boot images
	Configs   []Config     `json:"configs"`   // of boot loaders
	// Lacks are sentences on what changing this image breaks or does not reach.
	Lacks []string `json:"lacks,omitempty"`
}

// Tree is one directory hierarchy.
type Tree struct {
	Descriptor int64 `json:"descriptor"` // offset of its volume descriptor
	Joliet     bool  `json:"joliet,omitempty"`
	RockRidge  bool  `json:"rock_ridge,omitempty"`
	Skip       int   `json:"skip,omitempty"`    // SUSP §5.3
	Version    bool  `json:"version,omitempty"` // file identifiers end in ";1", §7.5.1
	Dirs       []Dir `json:"dirs"`              // the root first
}

// Dir is one directory.
type Dir struct {
	Path   string     `json:"path"`
	Extent iso.Extent `json:"extent"`
	Twin   int        `json:"twin"` // its place in the other tree, -1 for none
	Refs   []Ref      `json:"refs"` // all that must change when it moves
}

// Ref is a place in the image that says where a directory lies.
type Ref struct {
	At   int64   `json:"at"`
	Kind RefKind `json:"kind"`
}

// RefKind is how a place says it.
type RefKind int

// The kinds.
const (
	InRecord RefKind = iota + 1 // a directory record: location and length, §9.1.3 and §9.1.4
	InUse                       // a location in both byte orders: CL and PL, RRIP §4.1.5
	InLittle                    // a path table of type L, §9.4.3
	InBig                       // a path table of type M
)

// Config is a boot loader's configuration that has kernel arguments.
type Config struct {
	Path   string `json:"path"` // in the tree that people see, or in the FAT image
	Syntax Syntax `json:"syntax"`
	// FAT is set for a file inside the FAT image that UEFI firmware boots.
	FAT *FATFile `json:"fat,omitempty"`
}

// Scan makes the index of an image of size bytes. It reads directories and boot
// structures, not files. For an image that can never be changed, such as a UDF
// bridge, the error is [ErrCannot] in words; other errors are those of
// [iso.Open].
func Scan(r io.ReaderAt, size int64) (Index, error) {
	v, err := iso.Open(r, size)
	if err != nil {
		return Index{}, err
	}
	trees, err := v.Trees()
	if err != nil {
		return Index{}, err
	}
	x := Index{Format: Format, Size: size}
	d, err := readDescriptors(r, size)
	if err != nil {
		return Index{}, err
	}
	var marks [][]int64
	for _, t := range trees {
		tree, m, err := scanTree(r, size, t)
		if err != nil {
			return Index{}, err
		}
		x.Trees, marks = append(x.Trees, tree), append(marks, m)
	}
	if len(x.Trees) == 2 {
		pairing{x.Trees[0].Dirs, x.Trees[1].Dirs, marks[0], marks[1]}.pair()
	}
	images, err := d.bootImages(r, size)
	if err != nil {
		return Index{}, err
	}
	for _, i := range images {
		x.Untouched = append(x.Untouched, i.Extent)
	}
	if x.Configs, err = scanConfigs(r, v); err != nil {
		return Index{}, err
	}
	x.Configs = append(x.Configs, fatConfigs(r, size, images)...)
	x.Lacks = lacks(d, v, x.Configs)
	return x, nil
}

// view is the tree whose names people see: the one that Linux mounts.
func (x *Index) view() int {
	if len(x.Trees) == 2 && !x.Trees[0].RockRidge {
		return 1
	}
	return 0
}

// find returns the place of a directory in a tree, -1 for none.
func (t *Tree) find(name string) int {
	for i := range t.Dirs {
		if t.Dirs[i].Path == name || !t.Joliet && !t.RockRidge && strings.EqualFold(t.Dirs[i].Path, name) {
			return i
		}
	}
	return -1
}

// check refuses an index that [Scan] of this version cannot have made.
func (x *Index) check() error {
	if x.Format != Format {
		return fmt.Errorf("the index has format %d, not %d: scan the image again", x.Format, Format)
	}
	if len(x.Trees) == 0 || len(x.Trees) > 2 {
		return errors.New("the index is damaged: scan the image again")
	}
	for i, t := range x.Trees {
		other := 0
		if len(x.Trees) == 2 {
			other = len(x.Trees[1-i].Dirs)
		}
		for _, d := range t.Dirs {
			if d.Twin < -1 || d.Twin >= other || d.Extent.Offset < 0 || d.Extent.Length < 0 || d.Extent.Offset > x.Size-d.Extent.Length {
				return errors.New("the index is damaged: scan the image again")
			}
		}
	}
	return nil
}

// lacks says what a changed image of this kind cannot do.
func lacks(d descriptors, v *iso.Volume, configs []Config) []string {
	var out []string
	if d.implanted {
		out = append(out, "it carries an isomd5sum checksum, which no changed image matches: boot without the media check (rd.live.check=0)")
	}
	if d.libisofs {
		out = append(out, "it carries libisofs checksums, which no changed image matches: xorriso -check_media will say so, booting will not")
	}
	if d.enhanced {
		out = append(out, "it has a third tree (ISO 9660:1999), which keeps the image's own files; Linux and the usual boot loaders do not read it")
	}
	if d.apple {
		out = append(out, "it has an Apple partition map; a Mac that boots from its HFS tree sees the image's own files")
	}
	for _, name := range []string{"/md5sum.txt", "/sha256sum.txt", "/SHA256SUMS"} {
		if _, err := v.Lookup(name); err == nil {
			out = append(out, "its "+path.Base(name)+" lists checksums; an installer that checks the medium will name the files that were replaced")
		}
	}
	if len(configs) == 0 {
		out = append(out, "it has no boot loader configuration in which kernel arguments can be changed")
	}
	return out
}
