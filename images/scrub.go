package images

import (
	"context"
	"fmt"
	"os"
	"slices"

	"github.com/muster-boot/muster/images/recipe"
)

// Damage is one file of an image whose content is not what was added.
type Damage struct {
	File     string `json:"file,omitempty"` // of a set; empty: the image itself
	Expected string `json:"expected"`       // sha256
	Seen     string `json:"seen,omitempty"` // sha256; empty: it could not be read
	Why      string `json:"why,omitempty"`  // it could not be read
}

// Scrub reads every content again and returns the images that are damaged. A
// damaged image is not served any more, until it is added again or a later scrub
// finds it whole. Indexes of whole ISOs are made anew where they changed; nothing
// is deleted. An error is of the scrub itself. progress may be nil. ctx is looked
// at between reads.
func (c *Catalog) Scrub(ctx context.Context, progress func(done, total int64)) ([]Image, error) {
	all := c.List()
	expected := map[string]bool{}
	var total int64
	for _, i := range all {
		for _, digest := range i.blobs() {
			if !expected[digest] {
				total += c.sizeOf(digest)
			}
			expected[digest] = true
		}
	}
	s := scrub{ctx: ctx, total: total, progress: progress}
	seen := map[string]Damage{}
	for digest := range expected {
		d, err := s.read(c.blob(digest), digest)
		if err != nil {
			return nil, fmt.Errorf("scrub images: %w", err)
		}
		seen[digest] = d
	}
	damaged, err := c.noteDamage(all, seen)
	if err != nil {
		return nil, err
	}
	return damaged, c.mendIndexes(ctx, slices.DeleteFunc(all, func(i Image) bool {
		return i.Form != recipe.ISO || len(i.damage(seen)) > 0
	}))
}

// sizeOf is the size of a content, or 0 where there is none.
func (c *Catalog) sizeOf(digest string) int64 {
	info, err := os.Stat(c.blob(digest))
	if err != nil {
		return 0 // reading it will say why
	}
	return info.Size()
}

// scrub is one reading of everything.
type scrub struct {
	ctx         context.Context
	done, total int64
	progress    func(done, total int64)
}

// read returns what is wrong with a content: nothing where Seen is Expected.
func (s *scrub) read(name, digest string) (Damage, error) {
	f, err := os.Open(name)
	if err != nil {
		return Damage{Expected: digest, Why: err.Error()}, s.ctx.Err()
	}
	defer f.Close()
	before := s.done
	r := &watchedReader{ctx: s.ctx, r: f, total: s.total, progress: func(done, total int64) {
		s.done = before + done
		if s.progress != nil {
			s.progress(s.done, total)
		}
	}}
	seen, _, err := digestOf(r)
	if err != nil {
		return Damage{Expected: digest, Why: err.Error()}, s.ctx.Err()
	}
	return Damage{Expected: digest, Seen: seen}, nil
}

// noteDamage writes down what was found of the images that are still there.
func (c *Catalog) noteDamage(all []Image, seen map[string]Damage) ([]Image, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var damaged []Image
	for _, before := range all {
		i, there := c.images[before.Digest]
		if !there || !i.Added.Equal(before.Added) { // removed, or added again, meanwhile
			continue
		}
		found := i.damage(seen)
		if !slices.Equal(found, i.Damage) {
			i.Damage = found
			if err := c.record(i); err != nil {
				return nil, fmt.Errorf("note the damage of image %s: %w", i.title(), c.explain(err))
			}
			c.images[i.Digest] = i
		}
		if len(found) > 0 {
			damaged = append(damaged, c.tagged(i))
		}
	}
	return damaged, nil
}

// damage picks what is wrong with one image.
func (i Image) damage(seen map[string]Damage) []Damage {
	var damage []Damage
	for n, digest := range i.blobs() {
		d := seen[digest]
		if d.Seen == d.Expected {
			continue
		}
		if i.Form == recipe.Set {
			d.File = i.Files[n].Path
		}
		damage = append(damage, d)
	}
	return damage
}
