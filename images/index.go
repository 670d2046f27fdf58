package images

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/muster-boot/muster/images/overlay"
	"github.com/muster-boot/muster/images/recipe"
)

// indexRecord is kept beside an ISO: what [overlay.Build] must know of it, or
// why it can never be changed for a host.
type indexRecord struct {
	Format  int           `json:"format"`            // [overlay.Format] of when it was made
	Refuses string        `json:"refuses,omitempty"` // a sentence; then there is no index
	Index   overlay.Index `json:"index,omitzero"`
}

func indexName(digest string) string { return digest + ".json" }

// scan makes the record of an ISO.
func scan(f *os.File) (*indexRecord, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	x, err := overlay.Scan(f, info.Size())
	if errors.Is(err, overlay.ErrCannot) {
		return &indexRecord{Format: overlay.Format, Refuses: err.Error()}, nil
	}
	return &indexRecord{Format: overlay.Format, Index: x}, err
}

// tell adds to what an image lacks what its index does. An image of no known
// family lacks more than that.
func (x *indexRecord) tell(i Image) Image {
	if i.Family == "" {
		return i
	}
	if x.Refuses != "" {
		i.Lacks = append(i.Lacks, x.Refuses)
	}
	i.Lacks = append(i.Lacks, x.Index.Lacks...)
	return i
}

// Index is what [overlay.Build] must know of an ISO, by its whole digest. For
// one that can never be changed for a host the error is [overlay.ErrCannot] in
// words.
func (c *Catalog) Index(digest string) (overlay.Index, error) {
	i, err := c.byDigest(digest)
	if err != nil {
		return overlay.Index{}, err
	}
	if i.Form != recipe.ISO {
		return overlay.Index{}, fmt.Errorf("image %s is no ISO: %w", i.title(), ErrNotFound)
	}
	x, err := c.indexOf(i)
	if err != nil {
		return overlay.Index{}, fmt.Errorf("read the index of image %s: %w", i.title(), err)
	}
	if x.Refuses != "" {
		return overlay.Index{}, &refusal{x.Refuses}
	}
	return x.Index, nil
}

// refusal is an [overlay.ErrCannot] that was written down.
type refusal struct{ text string }

func (r *refusal) Error() string { return r.text }
func (r *refusal) Unwrap() error { return overlay.ErrCannot }

// indexOf reads the record beside an ISO, or makes it anew where there is none
// that this muster understands.
func (c *Catalog) indexOf(i Image) (*indexRecord, error) {
	var x indexRecord
	data, err := os.ReadFile(filepath.Join(c.dir, indexDir, indexName(i.Digest)))
	if err == nil && json.Unmarshal(data, &x) == nil && x.Format == overlay.Format && (x.Refuses != "" || x.Index.Size == i.Size) {
		return &x, nil
	}
	f, err := os.Open(c.blob(i.Digest))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	made, err := scan(f)
	if err != nil {
		return nil, err
	}
	return made, c.writeJSON(made, indexDir, indexName(i.Digest))
}

// mendIndexes makes the indexes of ISOs anew that are whole: no digest tells that
// a bit of one has flipped.
func (c *Catalog) mendIndexes(ctx context.Context, isos []Image) error {
	for _, i := range isos {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := c.mendIndex(i); err != nil && !errors.Is(err, fs.ErrNotExist) { // else it was removed meanwhile
			return fmt.Errorf("check the index of image %s: %w", i.title(), c.explain(err))
		}
	}
	return nil
}

func (c *Catalog) mendIndex(i Image) error {
	f, err := os.Open(c.blob(i.Digest))
	if err != nil {
		return err
	}
	defer f.Close()
	made, err := scan(f)
	if err != nil {
		return err
	}
	want, err := encodeJSON(made)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	kept, err := os.ReadFile(filepath.Join(c.dir, indexDir, indexName(i.Digest)))
	if _, there := c.images[i.Digest]; !there || err == nil && bytes.Equal(kept, want) {
		return nil
	}
	return c.writeJSON(made, indexDir, indexName(i.Digest))
}
