package images

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/muster-boot/muster/images/fetch"
)

// ErrTagged says that an image has tags besides the one by which it was called.
var ErrTagged = errors.New("it has other tags")

// Remove takes an image out of the catalog and deletes what no other image
// shares. One that tags name besides ref stays, unless forceUntag. inUse gives
// the reason why the image must stay, or nil; it must not call the catalog.
func (c *Catalog) Remove(ref string, forceUntag bool, inUse func(Image) error) (Image, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i, err := c.find(ref)
	if err != nil {
		return Image{}, err
	}
	if err := inUse(i); err != nil {
		return Image{}, fmt.Errorf("remove image %s: %w", i.title(), err)
	}
	others := slices.DeleteFunc(slices.Clone(i.Tags), func(tag string) bool { return tag == ref })
	if len(others) > 0 && !forceUntag {
		return Image{}, fmt.Errorf("remove image %s: %w: %s; move them first, or say --force-untag", i.title(), ErrTagged, strings.Join(others, ", "))
	}
	if err := c.drop(i); err != nil {
		return Image{}, fmt.Errorf("remove image %s: %w", i.title(), err)
	}
	return i, nil
}

// drop forgets an image: its tags, its record, then what nobody else has.
func (c *Catalog) drop(i Image) error {
	if len(i.Tags) > 0 {
		if err := c.dropTags(i.Digest); err != nil {
			return err
		}
	}
	if err := c.dropRecord(i.Digest); err != nil {
		return err
	}
	delete(c.images, i.Digest)
	return c.sweepBlobs()
}

// Garbage is what [Catalog.Collect] removed.
type Garbage struct {
	Images []Image
	Parts  int   // fetched in part, and not being fetched
	Freed  int64 // bytes; less where images share files
}

// Collect removes the images that no tag names and that inUse has no objection
// to, and what was fetched in part; with dryRun it only says which. inUse must
// not call the catalog.
func (c *Catalog) Collect(dryRun bool, inUse func(Image) error) (Garbage, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var g Garbage
	for _, i := range c.list() {
		if len(i.Tags) > 0 || inUse(i) != nil {
			continue
		}
		if !dryRun {
			if err := c.drop(i); err != nil {
				return g, fmt.Errorf("remove image %s: %w", i.title(), err)
			}
		}
		g.Images = append(g.Images, i)
		g.Freed += i.Size
	}
	return g, c.collectParts(&g, dryRun)
}

func (c *Catalog) collectParts(g *Garbage, dryRun bool) error {
	busy := map[string]bool{}
	for url := range c.fetching {
		part := filepath.Base(c.part(url))
		busy[part], busy[fetch.NoteOf(part)] = true, true
	}
	entries, err := os.ReadDir(filepath.Join(c.dir, partDir))
	if err != nil {
		return fmt.Errorf("remove what was fetched in part: %w", err)
	}
	for _, e := range entries {
		if busy[e.Name()] {
			continue
		}
		if info, err := e.Info(); err == nil && filepath.Ext(e.Name()) != filepath.Ext(fetch.NoteOf("")) {
			g.Parts++
			g.Freed += info.Size()
		}
		if dryRun {
			continue
		}
		if err := os.Remove(filepath.Join(c.dir, partDir, e.Name())); err != nil {
			return fmt.Errorf("remove what was fetched in part: %w", err)
		}
	}
	return nil
}
