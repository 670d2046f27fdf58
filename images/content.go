package images

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/muster-boot/muster/images/recipe"
)

// Content is one file of an image, open for reading. It is for one reader at a
// time; close it. Served by [net/http.ServeContent] it goes from the page cache
// to the network by sendfile where it lies in one run on disk.
type Content struct {
	io.ReadSeeker
	Size    int64
	ModTime time.Time // when the image was added
	file    *os.File
}

// Close ends reading.
func (c *Content) Close() error { return c.file.Close() }

// SyscallConn implements [syscall.Conn], by which the net package finds files
// that the kernel can send. It fails for a content of several runs, and the
// bytes are then copied.
func (c *Content) SyscallConn() (syscall.RawConn, error) {
	if _, ok := c.ReadSeeker.(*run); !ok {
		return nil, errors.ErrUnsupported
	}
	return c.file.SyscallConn()
}

// WriteTo implements [io.WriterTo]. It bounds the copy: without it, a copy of
// everything "to the end" by sendfile would go on to the end of the ISO.
func (c *Content) WriteTo(w io.Writer) (int64, error) {
	at, err := c.Seek(0, io.SeekCurrent)
	if err != nil {
		return 0, err
	}
	return io.Copy(w, &io.LimitedReader{R: c.bounded(), N: c.Size - at})
}

// bounded is the content without its WriteTo.
func (c *Content) bounded() io.Reader {
	return struct {
		io.Reader
		syscall.Conn
	}{c.ReadSeeker, c}
}

// run is a part of a file. Its position is the file's own, so that sendfile,
// which moves that, and Read can take turns.
type run struct {
	file         *os.File
	offset, size int64
}

func newRun(f *os.File, offset, size int64) (*run, error) {
	r := &run{f, offset, size}
	_, err := r.Seek(0, io.SeekStart)
	return r, err
}

// Read implements [io.Reader].
func (r *run) Read(b []byte) (int, error) {
	at, err := r.Seek(0, io.SeekCurrent)
	if err != nil {
		return 0, err
	}
	if at >= r.size {
		return 0, io.EOF
	}
	return r.file.Read(b[:min(int64(len(b)), r.size-at)])
}

// Seek implements [io.Seeker].
func (r *run) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekStart:
		offset += r.offset
	case io.SeekEnd:
		offset, whence = offset+r.offset+r.size, io.SeekStart
	}
	at, err := r.file.Seek(offset, whence)
	if err == nil && at < r.offset {
		_, err = r.file.Seek(r.offset, io.SeekStart)
		err = errors.Join(errors.New("seek before the beginning"), err)
	}
	return at - r.offset, err
}

// Content opens a file of an image, by the image's whole digest. Only files
// that the image's recipe boots from are given; for all else the error is
// [ErrNotFound]. Of an image that is known to be damaged nothing is given; the
// error is [ErrDamaged].
func (c *Catalog) Content(digest, name string) (*Content, error) {
	i, err := c.byDigest(digest)
	if err != nil {
		return nil, err
	}
	r, ok := c.recipes.Find(i.Family)
	if !ok || !slices.Contains(append([]string{r.Kernel, r.Rootfs}, r.Initrds...), name) {
		return nil, fmt.Errorf("%s of image %s: %w", name, i.title(), ErrNotFound)
	}
	if i.Form == recipe.Set {
		return c.setContent(i, name)
	}
	return c.isoContent(i, name)
}

// Whole opens all of an ISO or disk image, by its whole digest.
func (c *Catalog) Whole(digest string) (*Content, error) {
	i, err := c.byDigest(digest)
	if err != nil {
		return nil, err
	}
	if i.Form == recipe.Set {
		return nil, fmt.Errorf("image %s is a set of files, not one medium: %w", i.title(), ErrNotFound)
	}
	return c.openBlob(i, i.Digest)
}

// Base opens the file of an ISO or disk image, by its whole digest, for serving
// it with [overlay.Overlay] patches. The caller closes it.
func (c *Catalog) Base(digest string) (*os.File, error) {
	whole, err := c.Whole(digest)
	if err != nil {
		return nil, err
	}
	return whole.file, nil
}

func (c *Catalog) byDigest(digest string) (Image, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i, ok := c.images[digest]
	if !ok {
		return Image{}, fmt.Errorf("image %q: %w", digest, ErrNotFound)
	}
	i = c.tagged(i)
	if len(i.Damage) > 0 {
		return Image{}, fmt.Errorf("image %s: %w", i.title(), ErrDamaged)
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
	return &Content{ReadSeeker: &run{f, 0, info.Size()}, Size: info.Size(), ModTime: i.Added, file: f}, nil
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
		c.ReadSeeker, err = newRun(f, found.Extents[0].Offset, found.Size)
	}
	return c, err
}
