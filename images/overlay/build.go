package overlay

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"time"

	"github.com/muster-boot/muster/images/iso"
)

// Build makes the overlay of one host from the image that the index is of. The
// same changes of the same image give the same bytes. It reads the directories
// and configurations that change, and keeps base for [Overlay.ReadAt]. A change
// that cannot be made gives [ErrCannot] in words. Of several changes of one
// file the last counts; kernel arguments are changed in what the others put.
func Build(base io.ReaderAt, x Index, changes []Change) (*Overlay, error) {
	if err := x.check(); err != nil {
		return nil, err
	}
	b, err := newBuilder(base, &x)
	if err != nil {
		return nil, err
	}
	if len(changes) > maxChanges {
		return nil, fmt.Errorf("%w: there are %d changes, more than %d", ErrCannot, len(changes), maxChanges)
	}
	for _, c := range changes {
		if err := c.check(); err != nil {
			return nil, err
		}
		if c.Path != "" {
			if err := b.file(c.Path, file{c.Content, c.Time}); err != nil {
				return nil, fmt.Errorf("put %s into the image: %w", c.Path, err)
			}
		}
	}
	if err := b.arguments(changes); err != nil {
		return nil, err
	}
	for _, name := range b.order {
		if err := b.put(name, b.files[name]); err != nil {
			return nil, fmt.Errorf("put %s into the image: %w", name, err)
		}
	}
	return b.finish()
}

// builder gathers the changes of one image.
type builder struct {
	base    io.ReaderAt
	index   *Index
	volume  *iso.Volume
	trees   []editedTree
	files   map[string]file      // to be put, by the path that links lead to
	order   []string             // of files
	fats    map[int64]*fatChange // those whose tables change, by offset
	patches []patch
	next    int64 // where the tail ends
}

// file is what is put in a place.
type file struct {
	content []byte
	time    time.Time
}

// editedTree is a tree with those of its directories that change.
type editedTree struct {
	*Tree
	records *iso.Tree
	edited  map[int]*directory
	order   []int // of edited
}

func newBuilder(base io.ReaderAt, x *Index) (*builder, error) {
	v, err := iso.Open(base, x.Size)
	if err != nil {
		return nil, err
	}
	trees, err := v.Trees()
	if err != nil {
		return nil, err
	}
	if len(trees) != len(x.Trees) {
		return nil, errors.New("the image is not the one of the index")
	}
	b := &builder{base: base, index: x, volume: v, files: map[string]file{}, fats: map[int64]*fatChange{}, next: roundUp(x.Size)}
	for i, t := range trees {
		if len(x.Trees[i].Dirs) == 0 || x.Trees[i].Dirs[0].Extent != t.Root {
			return nil, errors.New("the image is not the one of the index")
		}
		b.trees = append(b.trees, editedTree{Tree: &x.Trees[i], records: t, edited: map[int]*directory{}})
	}
	return b, nil
}

func roundUp(n int64) int64 { return (n + sectorSize - 1) / sectorSize * sectorSize }

// file notes a file to be put, under the path that links lead to.
func (b *builder) file(name string, f file) error {
	real, err := b.resolve(name)
	if err != nil {
		return err
	}
	if _, ok := b.files[real]; !ok {
		b.order = append(b.order, real)
	}
	b.files[real] = f
	return nil
}

// resolve follows links, of a name that is there and of the directory of one
// that is not.
func (b *builder) resolve(name string) (string, error) {
	found, err := b.volume.Lookup(name)
	switch {
	case err == nil && found.Dir:
		return "", fmt.Errorf("%w: it is a directory there", ErrCannot)
	case err == nil:
		return found.Path, b.mayReplace(found)
	case !errors.Is(err, fs.ErrNotExist):
		return "", err
	}
	dir, err := b.volume.Lookup(path.Dir(name))
	if errors.Is(err, fs.ErrNotExist) || err == nil && !dir.Dir {
		return "", fmt.Errorf("%w: there is no directory %s in it; put the file into one that is there", ErrCannot, path.Dir(name))
	}
	return path.Join(dir.Path, path.Base(name)), err
}

// mayReplace refuses files that the firmware finds without their directory.
func (b *builder) mayReplace(f iso.File) error {
	for _, x := range f.Extents {
		for _, boot := range b.index.Untouched {
			if x.Offset < boot.Offset+boot.Length && boot.Offset < x.Offset+x.Length {
				return fmt.Errorf("%w: the firmware boots from that file, and a changed one would not be the one it boots", ErrCannot)
			}
		}
	}
	return nil
}

// arguments changes kernel arguments in every configuration.
func (b *builder) arguments(changes []Change) error {
	for _, c := range changes {
		if c.Path != "" {
			continue
		}
		if len(b.index.Configs) == 0 {
			return fmt.Errorf("%w: it has no boot loader configuration in which kernel arguments can be changed", ErrCannot)
		}
	}
	for _, config := range b.index.Configs {
		if err := b.config(config, changes); err != nil {
			return fmt.Errorf("change kernel arguments in %s: %w", config.Path, err)
		}
	}
	return nil
}

func (b *builder) config(config Config, changes []Change) error {
	old, err := b.readConfig(config)
	if err != nil {
		return err
	}
	text, at := string(old), b.files[config.Path].time
	for _, c := range changes {
		if c.Path == "" {
			if !c.Time.IsZero() {
				at = c.Time
			}
			text, _ = arguments{c.Args, c.Drop}.edit(config.Syntax, text)
		}
	}
	switch {
	case text == string(old):
		return nil
	case config.FAT == nil:
		return b.file(config.Path, file{[]byte(text), at})
	}
	place := *config.FAT
	if int64(len(text)) > place.capacity() {
		fat, err := b.fat(place.Image)
		if err != nil {
			return err
		}
		if place, err = fat.grow(place, int64(len(text))); err != nil {
			return err
		}
	}
	b.patches = append(b.patches, place.write([]byte(text))...)
	return nil
}

// fat opens the FAT image at an offset for changes.
func (b *builder) fat(offset int64) (*fatChange, error) {
	if f, ok := b.fats[offset]; ok {
		return f, nil
	}
	f, err := openFAT(b.base, offset, b.index.Size)
	if err != nil {
		return nil, err
	}
	b.fats[offset] = newFATChange(f)
	return b.fats[offset], nil
}

// readConfig reads what a configuration holds by now.
func (b *builder) readConfig(config Config) ([]byte, error) {
	if config.FAT != nil {
		return config.FAT.read(b.base)
	}
	if f, ok := b.files[config.Path]; ok {
		return f.content, nil
	}
	f, err := b.volume.Lookup(config.Path)
	if err != nil {
		return nil, err
	}
	if f.Size > maxConfig {
		return nil, errors.New("the image is not the one of the index")
	}
	text := make([]byte, f.Size)
	return text, readFull(f.Content(b.base), text, 0)
}

// put gives a file its place in the tail and its records in every tree.
func (b *builder) put(name string, f file) error {
	x := stamped{iso.Extent{Offset: b.next, Length: int64(len(f.content))}, f.time}
	b.append(f.content)
	view := b.index.view()
	i := b.trees[view].find(path.Dir(name))
	if i < 0 {
		return fmt.Errorf("its directory is not in the index: %w", fs.ErrNotExist)
	}
	old, err := b.record(view, i, path.Base(name), nil, x)
	if err != nil || len(b.trees) == 1 {
		return err
	}
	if twin := b.trees[view].Dirs[i].Twin; twin >= 0 {
		_, err = b.record(1-view, twin, path.Base(name), old, x)
	}
	return err
}

// append lays bytes at the end of the tail, in whole sectors, at least one: each
// file has a block of its own.
func (b *builder) append(content []byte) {
	padded := make([]byte, max(sectorSize, roundUp(int64(len(content)))))
	copy(padded, content)
	b.patches = append(b.patches, patch{at: b.next, data: padded})
	b.next += int64(len(padded))
}

// record makes a directory lead to a file's new content. There the file is
// called name, or, in the second tree, nearly so and leads to what old does.
// Where it is missing it is added, but for a file that the second tree hides.
func (b *builder) record(tree, dir int, name string, old *iso.Record, x stamped) (*iso.Record, error) {
	t := &b.trees[tree]
	d, err := t.edit(dir)
	if err != nil {
		return nil, err
	}
	view := b.index.view() == tree
	if r, ok := t.match(d.records[2:], name, old); ok {
		if err := replaceable(r); err != nil {
			return nil, err
		}
		d.point(r.Identifier, x)
		return &r, nil
	}
	if !view && old != nil {
		return nil, nil
	}
	record, err := t.newFile(d, name, view, x)
	if err != nil {
		return nil, err
	}
	d.add(record, t.Joliet)
	d.records = append(d.records, record)
	return nil, nil
}

// match finds a file among records: by its name, else by a name that this tree
// spells otherwise, if it leads to the content that old does.
func (t *Tree) match(records []iso.Record, name string, old *iso.Record) (iso.Record, bool) {
	for _, r := range records {
		if r.Name == name || !t.Joliet && !t.RockRidge && strings.EqualFold(r.Name, name) {
			return r, true
		}
	}
	if old == nil {
		return iso.Record{}, false
	}
	for _, r := range records {
		if !r.Dir && r.Extent == old.Extent && (fold(r.Name) == fold(name) || shortened(r.Name, name)) {
			return r, true
		}
	}
	return iso.Record{}, false
}

// replaceable refuses records whose content is not simply what they lead to.
func replaceable(r iso.Record) error {
	for _, u := range r.SystemUse {
		switch {
		case r.Dir || u.Signature == "CL":
			return fmt.Errorf("%w: it is a directory there", ErrCannot)
		case u.Signature == "SL":
			return fmt.Errorf("%w: it is a link there, to nothing", ErrCannot)
		case u.Signature == "ZF":
			return fmt.Errorf("%w: the file is compressed in it (zisofs)", ErrCannot)
		}
	}
	return nil
}

// newFile makes the record of a file that a directory does not have.
func (t *editedTree) newFile(d *directory, name string, view bool, x stamped) (iso.Record, error) {
	ids := identifiersOf(t.Tree, d.records)
	id, exact := ids.plain(name)
	if t.Joliet {
		id, exact = ids.wide(name)
	}
	if view && !t.RockRidge && !exact {
		return iso.Record{}, fmt.Errorf("%w: it has no Rock Ridge names, and its others cannot spell %q", ErrCannot, name)
	}
	return newRecord(t.Tree, d.records[0], id, name, x)
}

// edit opens a directory for changes.
func (t *editedTree) edit(dir int) (*directory, error) {
	if d, ok := t.edited[dir]; ok {
		return d, nil
	}
	records, err := t.records.Records(t.Dirs[dir].Extent)
	if err != nil {
		return nil, err
	}
	if records[0].Extent.Offset != t.Dirs[dir].Extent.Offset {
		return nil, errors.New("the image is not the one of the index")
	}
	d := newDirectory(&t.Dirs[dir], records)
	t.edited[dir] = d
	t.order = append(t.order, dir)
	return d, nil
}

// readUnit is how much GRUB reads at once, from places that are multiples of it.
// On BIOS its reading of a CD gives rubbish where the medium ends within one, so
// the tail is filled up.
const readUnit = 32 << 10

// finish lays out the directories and joins everything.
func (b *builder) finish() (*Overlay, error) {
	for i := range b.trees {
		if err := b.move(&b.trees[i]); err != nil {
			return nil, err
		}
	}
	for _, f := range b.fats { // newOverlay orders patches
		patches, err := f.patches()
		if err != nil {
			return nil, err
		}
		b.patches = append(b.patches, patches...)
	}
	end := roundUp(b.index.Size)
	if b.next > end {
		if short := b.next % readUnit; short > 0 {
			b.append(make([]byte, readUnit-short))
		}
		if end > b.index.Size {
			b.patches = append(b.patches, patch{at: b.index.Size, data: make([]byte, end-b.index.Size)})
		}
		for _, t := range b.trees {
			const spaceSize = 80 // §8.4.8
			b.patches = append(b.patches, patch{at: t.Descriptor + spaceSize, data: both32(uint32(b.next / sectorSize))})
		}
	}
	return newOverlay(b.base, b.index.Size, b.patches)
}

// move gives the directories that grew their places in the tail, tells all that
// refer to them, and then lays all changed directories out: one that moves may
// be a parent of another.
func (b *builder) move(t *editedTree) error {
	places := map[int]int64{}
	for _, i := range t.order {
		d := t.edited[i]
		places[i] = d.Extent.Offset
		if !d.grown {
			continue
		}
		places[i] = b.next
		b.next += d.size()
		for _, ref := range d.Refs {
			if err := b.refer(t, ref, iso.Extent{Offset: places[i], Length: d.size()}); err != nil {
				return err
			}
		}
	}
	for _, i := range t.order {
		b.patches = append(b.patches, t.edited[i].patches(places[i])...)
	}
	return nil
}

// refer makes one reference lead to a directory's new place.
func (b *builder) refer(t *editedTree, ref Ref, x iso.Extent) error {
	block := uint32(x.Offset / sectorSize)
	switch ref.Kind {
	case InRecord:
		location, length := both32(block), both32(uint32(x.Length))
		return errors.Join(b.set(t, ref.At+2, location), b.set(t, ref.At+10, length))
	case InUse:
		return b.set(t, ref.At, both32(block))
	case InLittle:
		return b.set(t, ref.At, binary.LittleEndian.AppendUint32(nil, block))
	case InBig:
		return b.set(t, ref.At, binary.BigEndian.AppendUint32(nil, block))
	}
	return errors.New("the index is damaged: scan the image again")
}

// set changes bytes of the base: in the directory that holds them, if that one
// changes too, else in place.
func (b *builder) set(t *editedTree, at int64, data []byte) error {
	for _, i := range t.order {
		d := t.edited[i]
		if x := d.Extent; x.Offset <= at && at < x.Offset+x.Length {
			return d.edit(at, data)
		}
	}
	b.patches = append(b.patches, patch{at: at, data: data})
	return nil
}
