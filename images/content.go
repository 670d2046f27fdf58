package images

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/muster-boot/muster/images/recipe"
)

// Content is one file of an image, open for reading. It is for one reader at a
// time; close it.
type Content struct {
	io.ReadSeeker
	Size    int64
	ModTime time.Time // when the image was added

	file   *os.File
	offset int64
	whole  bool // all of it lies at offset in file
}

// Close ends reading.
func (c *Content) Close() error { return c.file.Close() }

// Run returns the file on disk and the offset at which all of the content lies
// in one run, so that a server can hand it to the kernel; ok is false when it
// lies in several. The file is the content's own: it is closed with it.
func (c *Content) Run() (f *os.File, offset int64, ok bool) {
	return c.file, c.offset, c.whole
}

// Content opens a file of an image, by the image's whole digest. Only files
// that the image's recipe boots from are given; for all else the error is
// [ErrNotFound].
func (c *Catalog) Content(digest, name string) (*Content, error) {
	i, err := c.byDigest(digest)
	if err != nil {
		return nil, err
	}
	r, ok := recipe.Find(i.Family)
	if !ok || !slices.Contains(append([]string{r.Kernel, r.Rootfs}, r.Initrds...), name) {
		return nil, fmt.Errorf("%s of image %s: %w", name, i.title(), ErrNotFound)
	}
	if i.Form == recipe.Set {
		return c.setContent(i, name)
	}
	return c.isoContent(i, name)
}

// Whole opens all of an ISO, as virtual media serve it.
func (c *Catalog) Whole(digest string) (*Content, error) {
	i, err := c.byDigest(digest)
	if err != nil {
		return nil, err
	}
	if i.Form != recipe.ISO {
		return nil, fmt.Errorf("image %s is a set of files, not one medium: %w", i.title(), ErrNotFound)
	}
	return c.openBlob(i, i.Digest)
}

func (c *Catalog) byDigest(digest string) (Image, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i, ok := c.images[digest]
	if !ok {
		return Image{}, fmt.Errorf("image %q: %w", digest, ErrNotFound)
	}
	return i, nil
}

func (c *Catalog) setContent(i Image, name string) (*Content, error) {
	for _, f := range i.Files {
		if f.Path == name {
			return c.openBlob(i, f.Digest)
		}
	}
	return nil, fmt.Errorf("%s of image %s: %w", name, i.title(), ErrNotFound)
}

func (c *Catalog) openBlob(i Image, digest string) (*Content, error) {
	f, err := os.Open(c.blob(digest))
	if err != nil {
		return nil, fmt.Errorf("open image %s: %w", i.title(), err)
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open image %s: %w", i.title(), err), f.Close())
	}
	return &Content{ReadSeeker: io.NewSectionReader(f, 0, info.Size()), Size: info.Size(), ModTime: i.Added, file: f, whole: true}, nil
}

func (c *Catalog) isoContent(i Image, name string) (*Content, error) {
	f, err := os.Open(c.blob(i.Digest))
	if err != nil {
		return nil, fmt.Errorf("open image %s: %w", i.title(), err)
	}
	content, err := contentOf(f, name)
	if errors.Is(err, fs.ErrNotExist) {
		err = ErrNotFound
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open %s of image %s: %w", name, i.title(), err), f.Close())
	}
	content.ModTime = i.Added
	return content, nil
}

func contentOf(f *os.File, name string) (*Content, error) {
	v, err := openVolume(f)
	if err != nil {
		return nil, err
	}
	found, err := v.Lookup(name)
	if err != nil {
		return nil, err
	}
	if found.Dir {
		return nil, fs.ErrNotExist
	}
	c := &Content{ReadSeeker: found.Content(f), Size: found.Size, file: f}
	if len(found.Extents) == 1 {
		c.offset, c.whole = found.Extents[0].Offset, true
	}
	return c, nil
}
