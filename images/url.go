package images

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/muster-boot/muster/images/fetch"
)

// ErrBusy says that a URL is being fetched already.
var ErrBusy = errors.New("it is being fetched already")

// maxFetched is beyond any installer and below any disk, in bytes.
const maxFetched = 128 << 30

// AddURL fetches an ISO or disk image and adds it as [Catalog.Add] does. Over
// broken connections it goes on where it stopped, and so does a later call,
// also of a later process. Of an image that is there already, by the digest
// that o.Proof asks for, and of which the same was said before, nothing is
// fetched.
func (c *Catalog) AddURL(ctx context.Context, url string, o AddOptions) (Image, error) {
	proof, err := o.Proof.parse()
	if err := errors.Join(err, checkTag(o.Name)); err != nil {
		return Image{}, fmt.Errorf("add image: %w", err)
	}
	i, there := c.have(proof)
	there = there && (o.Traits == nil || slices.Equal(i.Traits, o.Traits)) && (o.Meta == nil || maps.Equal(i.Meta, o.Meta)) // else it is added again, with those
	if there && o.Name != "" {
		return c.Tag(i.Digest, o.Name)
	} else if there {
		return i, nil
	}
	if err := c.reserve(url); err != nil {
		return Image{}, fmt.Errorf("add image: %s: %w", url, err)
	}
	defer c.release(url)
	part := c.part(url)
	before := fileSize(part)
	err = c.fetcher.File(ctx, url, part, fetch.Options{
		Max: maxFetched, Progress: o.Progress,
		Space: func(total int64) error { return c.checkSpace(total - fileSize(part)) },
	})
	switch {
	case err == nil:
	case full(err), errors.Is(err, ErrNoSpace) && (before == 0 || fileSize(part) > before): // it would keep the disk full
		err = errors.Join(err, removeAll(part, fetch.NoteOf(part)))
	case fileSize(part) == 0: // there is nothing to go on with
		err = errors.Join(err, removeAll(part, fetch.NoteOf(part)))
	}
	if err != nil {
		return Image{}, fmt.Errorf("add image: %w", c.explain(err))
	}
	return c.takeOver(ctx, part, proof, o)
}

// have finds the image that a proof asks for. A signature is over content, so
// that must come.
func (c *Catalog) have(p proof) (Image, bool) {
	if p.sha256 == "" || len(p.signature) > 0 {
		return Image{}, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	i, there := c.images[p.sha256]
	return c.tagged(i), there && len(i.Damage) == 0
}

// reserve keeps two calls from writing to one part.
func (c *Catalog) reserve(url string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fetching[url] {
		return ErrBusy
	}
	c.fetching[url] = true
	return nil
}

func (c *Catalog) release(url string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.fetching, url)
}

// part is where a URL is fetched to.
func (c *Catalog) part(url string) string {
	sum := sha256.Sum256([]byte(url))
	return filepath.Join(c.dir, partDir, hex.EncodeToString(sum[:])+".part")
}

func fileSize(name string) int64 {
	info, err := os.Stat(name)
	if err != nil {
		return 0
	}
	return info.Size()
}

// takeOver makes an image of a file that is whole, without copying it. A file
// that cannot be kept is deleted, because fetching on would not mend it.
func (c *Catalog) takeOver(ctx context.Context, part string, p proof, o AddOptions) (Image, error) {
	got, err := c.adopt(ctx, part, p)
	if err != nil && ctx.Err() != nil {
		return Image{}, fmt.Errorf("add image: %w", err)
	}
	if err == nil {
		defer got.discard()
		var i Image
		if i, err = c.keep(got, o); err == nil {
			return i, os.Remove(fetch.NoteOf(part))
		}
	}
	return Image{}, errors.Join(err, removeAll(part, fetch.NoteOf(part)))
}

// adopt reads a file that is in the catalog's directory already.
func (c *Catalog) adopt(ctx context.Context, part string, p proof) (*received, error) {
	f, err := os.Open(part)
	if err != nil {
		return nil, fmt.Errorf("add image: %w", err)
	}
	r, proven := p.watch(&watchedReader{ctx: ctx, r: f})
	got := &received{file: f}
	if got.digest, got.size, err = digestOf(r); err == nil {
		err = proven(got.digest)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("add image: %w", err), f.Close())
	}
	return got, nil
}

// Text fetches a small text, such as a list of checksums.
func (c *Catalog) Text(ctx context.Context, url string) (string, error) {
	text, err := c.fetcher.Text(ctx, url)
	return string(text), err
}

func removeAll(names ...string) error {
	var errs []error
	for _, name := range names {
		if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
