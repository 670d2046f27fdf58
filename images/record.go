package images

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/muster-boot/muster/images/iso"
	"github.com/muster-boot/muster/images/recipe"
)

// The catalog's directory: contents by digest, one record an image, and what
// is being received. A record is written when all its contents are in place,
// so that a content without record is what an interruption left.
const (
	blobDir   = "blobs"
	recordDir = "records"
	indexDir  = "indexes" // of ISOs; what is missing is made anew
	tmpDir    = "tmp"
	partDir   = "parts"     // what was fetched in part, by the sha256 of its URL
	tagFile   = "tags.json" // of all images
)

// load reads the records and sweeps away what belongs to none.
func (c *Catalog) load() error {
	if err := emptyDir(filepath.Join(c.dir, tmpDir)); err != nil {
		return err
	}
	entries, err := os.ReadDir(filepath.Join(c.dir, recordDir))
	if err != nil {
		return err
	}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(c.dir, recordDir, e.Name()))
		if err != nil {
			return err
		}
		var i Image
		if err := json.Unmarshal(data, &i); err != nil || e.Name() != i.Digest+".json" {
			return fmt.Errorf("record %s is damaged; remove it and add the image again", e.Name())
		}
		c.images[i.Digest] = c.recognised(i)
	}
	if err := c.loadTags(); err != nil {
		return err
	}
	return c.sweepBlobs()
}

func emptyDir(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// sweepBlobs deletes contents and indexes that no image has. The caller holds
// the lock, or is alone.
func (c *Catalog) sweepBlobs() error {
	blobs, indexes := map[string]bool{}, map[string]bool{}
	for _, i := range c.images {
		for _, digest := range i.blobs() {
			blobs[digest] = true
		}
		indexes[indexName(i.Digest)] = i.Form == recipe.ISO
	}
	return errors.Join(c.sweep(blobDir, blobs), c.sweep(indexDir, indexes))
}

// sweep deletes what is not to be kept in a directory of the catalog.
func (c *Catalog) sweep(sub string, kept map[string]bool) error {
	entries, err := os.ReadDir(filepath.Join(c.dir, sub))
	if err != nil {
		return err
	}
	for _, e := range entries {
		if kept[e.Name()] {
			continue
		}
		if err := os.Remove(filepath.Join(c.dir, sub, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// recognised looks at an image's content again.
func (c *Catalog) recognised(i Image) Image {
	known, err := c.recognise(i)
	if err != nil {
		i.Family, i.Why = "", nil
		i.Lacks = []string{fmt.Sprintf("its content cannot be read (%v); add it again", err)}
		return i
	}
	return known
}

func (c *Catalog) recognise(i Image) (Image, error) {
	listing, err := c.listing(i)
	if err != nil {
		return Image{}, err
	}
	i = c.told(i, listing)
	if i.Form != recipe.ISO {
		return i, nil
	}
	x, err := c.indexOf(i)
	if err != nil {
		return Image{}, err
	}
	f, err := os.Open(c.blob(i.Digest))
	if err != nil {
		return Image{}, err
	}
	defer f.Close()
	return c.tells(f, x.tell(i)), nil
}

// told fills in what an image is.
func (c *Catalog) told(i Image, l recipe.Listing) Image {
	r, why, lacks := c.recipes.Recognise(l)
	i.Family, i.Why, i.Lacks, i.Left = r.Family, why, lacks, r.Needed(l)
	if d, isDisk := l.(diskListing); isDisk {
		i.Coding = d.coding
		i.Why = append([]string{d.why()}, i.Why...)
	}
	return i
}

func (c *Catalog) listing(i Image) (recipe.Listing, error) {
	for _, digest := range i.blobs() {
		if _, err := os.Stat(c.blob(digest)); err != nil {
			return nil, err
		}
	}
	if i.Form == recipe.Set {
		return setListing(i.Files), nil
	}
	f, err := os.Open(c.blob(i.Digest))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if i.Form == recipe.Disk {
		return readDisk(f)
	}
	return c.readISO(f)
}

// isoListing is what an ISO holds of the paths that any recipe asks for. It is
// gathered at once, so that it outlives the open file.
type isoListing struct {
	label string
	paths []string
}

func (l isoListing) Form() recipe.Form    { return recipe.ISO }
func (l isoListing) Label() string        { return l.label }
func (l isoListing) Has(path string) bool { return slices.Contains(l.paths, path) }

func (c *Catalog) readISO(f *os.File) (isoListing, error) {
	v, err := openVolume(f)
	if err != nil {
		return isoListing{}, err
	}
	l := isoListing{label: v.Label()}
	for _, path := range c.recipePaths() {
		_, err := v.Lookup(path)
		if err == nil {
			l.paths = append(l.paths, path)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return isoListing{}, err
		}
	}
	return l, nil
}

func openVolume(f *os.File) (*iso.Volume, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return iso.Open(f, info.Size())
}

// recipePaths are all paths that recipes for ISOs look for.
func (c *Catalog) recipePaths() []string {
	var paths []string
	for _, r := range c.recipes.Recipes() {
		if r.Form == recipe.ISO {
			paths = append(paths, r.Paths()...)
		}
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}

type setListing []SetFile

func (l setListing) Form() recipe.Form { return recipe.Set }
func (l setListing) Label() string     { return "" }
func (l setListing) Has(path string) bool {
	return slices.ContainsFunc(l, func(f SetFile) bool { return f.Path == path })
}

// record writes an image's record; when it returns nil the image outlives a
// power cut.
func (c *Catalog) record(i Image) error {
	return c.writeJSON(i, recordDir, i.Digest+".json")
}

// writeJSON replaces a file of the catalog whole, or leaves it as it is.
func (c *Catalog) writeJSON(v any, sub, name string) error {
	data, err := encodeJSON(v)
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Join(c.dir, tmpDir), "record-")
	if err != nil {
		return err
	}
	_, err = tmp.Write(data)
	err = errors.Join(err, tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), filepath.Join(c.dir, sub, name))
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	return c.syncDir(sub)
}

func encodeJSON(v any) ([]byte, error) { return json.MarshalIndent(v, "", "  ") }

func (c *Catalog) dropRecord(digest string) error {
	if err := os.Remove(filepath.Join(c.dir, recordDir, digest+".json")); err != nil {
		return err
	}
	return c.syncDir(recordDir)
}

func (c *Catalog) blob(digest string) string {
	return filepath.Join(c.dir, blobDir, digest)
}

// syncDir makes renames in a directory of the catalog durable.
func (c *Catalog) syncDir(sub string) error {
	d, err := os.Open(filepath.Join(c.dir, sub))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
