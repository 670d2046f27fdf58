// Package images keeps the images that hosts are installed from: a catalog by
// digest, whose files are served straight out of what was added.
//
// An image is visible only when all of it is on disk and has been looked at; a
// file that stops half-way leaves nothing. The catalog unpacks nothing, knows
// no host, and serves only the files that the image's recipe names, because an
// installer image may carry secrets of its builder. It deletes nothing that it
// was not told to delete, damaged or not. Start at [Open] and [Catalog.Add];
// recipe has the families, iso finds files in an ISO, fetch follows URLs.
package images

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/muster-boot/muster/images/fetch"
	"github.com/muster-boot/muster/images/recipe"
)

// ErrNotFound says that no image, or no file of an image, has that name.
var ErrNotFound = errors.New("not in the catalog")

// ErrDamaged says that the content of an image is not what was added.
var ErrDamaged = errors.New("its content is damaged: add it again")

// Image is one image of the catalog.
type Image struct {
	Digest string            `json:"digest"` // sha256 in hexadecimal: of an ISO or disk its bytes, of a set its list of files
	Form   recipe.Form       `json:"form"`
	Size   int64             `json:"size"` // bytes
	Family string            `json:"family,omitempty"`
	Label  string            `json:"label,omitempty"`  // volume label
	Coding string            `json:"coding,omitempty"` // of a disk: raw, gzip, xz, zstd or qcow2
	Added  time.Time         `json:"added"`
	Why    []string          `json:"why,omitempty"`    // what the family was told by
	Lacks  []string          `json:"lacks,omitempty"`  // what is missing, or what it cannot do
	Meta   map[string]string `json:"meta,omitempty"`   // versions, said by who added it
	Traits []string          `json:"traits,omitempty"` // of its recipe, said by who added it
	Files  []SetFile         `json:"files,omitempty"`  // of a set
	Damage []Damage          `json:"damage,omitempty"` // that [Catalog.Scrub] found last

	Own  recipe.Told   `json:"-"` // what its root file system says
	Left []recipe.Left `json:"-"` // what it has, netboot leaves behind and its hosts need
	Name string        `json:"-"` // the tag that it was given last
	Tags []string      `json:"-"` // all that name it, in alphabetical order
}

// SetFile is one file of a set.
type SetFile struct {
	Path   string `json:"path"` // absolute within the set
	Digest string `json:"digest"`
	Size   int64  `json:"size"`
}

// Catalog is the images of one directory. Its methods may be called
// concurrently. One process has it open at a time.
type Catalog struct {
	dir     string
	now     func() time.Time
	recipes recipe.Book
	fetcher *fetch.Fetcher
	lock    *os.File

	keepFree int64 // [Options.KeepFree]

	mu       sync.Mutex
	images   map[string]Image // by digest
	tags     tags
	fetching map[string]bool // URLs
}

// Options of a catalog. The zero value knows the families that muster brings.
type Options struct {
	Recipes recipe.Book // none: [recipe.Builtin]
	Guard   fetch.Guard // where images may be fetched from
	// KeepFree is how much of the disk an import leaves free, in bytes; 0 is
	// 256 MiB or one hundredth of the disk, whichever is more; negative: nothing.
	KeepFree int64
}

// Open opens the catalog in dir, which is made if it is not there, and removes
// what an interrupted [Catalog.Add] left; what was fetched in part is kept.
// Images are recognised anew, since a newer muster may know more families. An
// image whose content has gone is listed and says so.
func Open(dir string, now func() time.Time, o Options) (*Catalog, error) {
	c := &Catalog{
		dir: dir, now: now, recipes: o.Recipes, fetcher: fetch.New(o.Guard), keepFree: o.KeepFree,
		images: map[string]Image{}, fetching: map[string]bool{},
	}
	if len(c.recipes.Recipes()) == 0 {
		c.recipes = recipe.Builtin()
	}
	for _, sub := range []string{blobDir, recordDir, indexDir, tmpDir, partDir} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return nil, fmt.Errorf("open images: %w", err)
		}
	}
	if err := c.acquire(); err != nil {
		return nil, fmt.Errorf("open images: %w", err)
	}
	if err := c.load(); err != nil {
		return nil, errors.Join(fmt.Errorf("open images: %w", err), c.Close())
	}
	return c, nil
}

// acquire keeps a second process from sweeping away what this one receives.
func (c *Catalog) acquire() error {
	f, err := os.OpenFile(filepath.Join(c.dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return fmt.Errorf("%s is in use by another muster; stop that one first", c.dir)
	}
	c.lock = f
	return nil
}

// Close lets another process open the directory. Open contents stay readable.
func (c *Catalog) Close() error { return c.lock.Close() }

// List returns all images, the latest first.
func (c *Catalog) List() []Image {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.list()
}

// list gives the images their tags.
func (c *Catalog) list() []Image {
	all := slices.SortedFunc(maps.Values(c.images), func(a, b Image) int {
		if order := b.Added.Compare(a.Added); order != 0 {
			return order
		}
		return strings.Compare(a.Digest, b.Digest)
	})
	for n := range all {
		all[n] = c.tagged(all[n])
	}
	return all
}

// Get finds an image by a tag or by the beginning of its digest, of which six
// digits are the least. The error is [ErrNotFound] or says what is ambiguous.
func (c *Catalog) Get(ref string) (Image, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.find(ref)
}

// leastDigits are the fewest of a digest that call an image.
const leastDigits = 6

func (c *Catalog) find(ref string) (Image, error) {
	if digest := c.tags.names(ref); digest != "" {
		return c.tagged(c.images[digest]), nil
	}
	prefix := strings.ToLower(strings.TrimPrefix(ref, "sha256:"))
	var found []Image
	for _, i := range c.images {
		if len(prefix) >= leastDigits && strings.HasPrefix(i.Digest, prefix) {
			found = append(found, i)
		}
	}
	switch len(found) {
	case 0:
		if digits := strings.Trim(prefix, "0123456789abcdef"); digits == "" && prefix != "" && len(prefix) < leastDigits {
			return Image{}, fmt.Errorf("image %q: %w under that name; of a digest give %d digits or more", ref, ErrNotFound, leastDigits)
		}
		return Image{}, fmt.Errorf("image %q: %w; muster image list shows what is", ref, ErrNotFound)
	case 1:
		return c.tagged(found[0]), nil
	}
	return Image{}, fmt.Errorf("image %q: the digests of %d images begin so; give more digits", ref, len(found))
}

// Newest returns the image of any of the families that was added last.
func (c *Catalog) Newest(families ...string) (Image, bool) {
	for _, i := range c.List() {
		if slices.Contains(families, i.Family) {
			return i, true
		}
	}
	return Image{}, false
}

// Recipe is that of the image's family.
func (c *Catalog) Recipe(i Image) (recipe.Recipe, bool) { return c.recipes.Find(i.Family) }

// checkTraits refuses what the family has nothing to say about.
func (c *Catalog) checkTraits(i Image) error {
	r, _ := c.Recipe(i)
	var known []string
	for _, t := range r.Traits {
		known = append(known, t.Name)
	}
	for _, trait := range i.Traits {
		if !slices.Contains(known, trait) {
			return fmt.Errorf("an image of family %q has no trait %q; it can have: %s", i.Family, trait, cmp.Or(strings.Join(known, ", "), "none"))
		}
	}
	return nil
}

// title is how a sentence names an image.
func (i Image) title() string {
	if i.Name != "" {
		return i.Name
	}
	return i.Digest[:12]
}

// blobs are the digests of the files that hold the image.
func (i Image) blobs() []string {
	if i.Form != recipe.Set {
		return []string{i.Digest}
	}
	digests := make([]string, len(i.Files))
	for n, f := range i.Files {
		digests[n] = f.Digest
	}
	return digests
}
