package images

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/muster-boot/muster/images/iso"
	"github.com/muster-boot/muster/images/recipe"
	"github.com/muster-boot/muster/images/write"
)

// AddOptions go with an image that is added. The zero value is an image
// without a name, of a size nobody told, that need not prove anything.
type AddOptions struct {
	Name     string                  // a tag, which moves here from the image that has it
	Size     int64                   // bytes that will come, 0 if not known; fewer or more are refused
	Proof    Proof                   // that the content must stand up to
	Progress func(done, total int64) // called as bytes arrive; total is Size
	// Meta and Traits are said of it beside what it says itself; where they are
	// nil those count that were said before. A trait that its family does not have
	// is refused.
	Meta   map[string]string
	Traits []string
}

// SetPart is one file to be added as part of a set.
type SetPart struct {
	Path    string // absolute within the set, e.g. "/kernel"
	Content io.Reader
}

// Add receives an ISO or disk image. An ISO of no known layout is kept and
// says what it lacks; one that is cut short, or content that is neither, is
// refused, and so is a disk image that needs another file or visibly lacks its end.
// Whatever goes wrong, the catalog is as it was. The same content again
// is the same image, under the new name if one is given. ctx is looked at
// between reads.
func (c *Catalog) Add(ctx context.Context, r io.Reader, o AddOptions) (Image, error) {
	proof, err := o.Proof.parse()
	if err := errors.Join(err, checkTag(o.Name), c.checkSpace(o.Size)); err != nil {
		return Image{}, fmt.Errorf("add image: %w", err)
	}
	r, proven := proof.watch(r)
	got, err := c.receive(ctx, r, o)
	if err != nil {
		return Image{}, fmt.Errorf("add image: %w", err)
	}
	defer got.discard()
	if o.Size > 0 && got.size != o.Size {
		return Image{}, fmt.Errorf("add image: %d bytes came where %d were announced; send it again", got.size, o.Size)
	}
	if err := proven(got.digest); err != nil {
		return Image{}, fmt.Errorf("add image: %w", err)
	}
	return c.keep(got, o)
}

// keep makes an image of a content that is on disk.
func (c *Catalog) keep(got *received, o AddOptions) (Image, error) {
	i, err := c.inspect(c.said(Image{Digest: got.digest, Form: recipe.ISO, Size: got.size}, o), got)
	if err != nil {
		return Image{}, fmt.Errorf("add image: %w", err)
	}
	if err := c.checkTraits(i); err != nil {
		return Image{}, fmt.Errorf("add image: %w", err)
	}
	return c.commit(i, o.Name, []*received{got})
}

// said gives an image what is said of it now, or was before.
func (c *Catalog) said(i Image, o AddOptions) Image {
	c.mu.Lock()
	defer c.mu.Unlock()
	before := c.images[i.Digest]
	i.Meta, i.Traits = before.Meta, before.Traits
	if o.Meta != nil {
		i.Meta = o.Meta
	}
	if o.Traits != nil {
		i.Traits = o.Traits
	}
	return i
}

// AddSet receives an image of several plain files. Its digest is that of the
// list of its files, so the same files are the same image. o.Size and o.Proof
// are ignored.
func (c *Catalog) AddSet(ctx context.Context, parts []SetPart, o AddOptions) (Image, error) {
	o.Size = 0
	if err := errors.Join(checkTag(o.Name), checkParts(parts)); err != nil {
		return Image{}, fmt.Errorf("add set: %w", err)
	}
	i := Image{Form: recipe.Set}
	var all []*received
	for _, p := range parts {
		got, err := c.receive(ctx, p.Content, o)
		if err != nil {
			return Image{}, fmt.Errorf("add set: %s: %w", p.Path, err)
		}
		defer got.discard()
		all = append(all, got)
		i.Files = append(i.Files, SetFile{Path: p.Path, Digest: got.digest, Size: got.size})
		i.Size += got.size
	}
	slices.SortFunc(i.Files, func(a, b SetFile) int { return strings.Compare(a.Path, b.Path) })
	i.Digest = setDigest(i.Files)
	return c.commit(c.told(c.said(i, o), setListing(i.Files)), o.Name, all)
}

func checkParts(parts []SetPart) error {
	seen := map[string]bool{}
	for _, p := range parts {
		if p.Path == "/" || path.Clean("/"+p.Path) != p.Path || strings.ContainsAny(p.Path, " \n") {
			return fmt.Errorf("%q is not a clean absolute path", p.Path)
		}
		if seen[p.Path] {
			return fmt.Errorf("%s comes twice", p.Path)
		}
		seen[p.Path] = true
	}
	if len(parts) == 0 {
		return errors.New("a set has at least one file")
	}
	return nil
}

// setDigest is over one line a file, in the form of sha256sum, sorted by path.
func setDigest(files []SetFile) string {
	h := sha256.New()
	for _, f := range files {
		fmt.Fprintf(h, "%s  %s\n", f.Digest, f.Path)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// received is a content that is complete on disk but not yet anybody's.
type received struct {
	file   *os.File
	digest string
	size   int64
	index  *indexRecord // of an ISO
}

func (r *received) discard() {
	_ = r.file.Close()
	_ = os.Remove(r.file.Name()) // moved away when it was taken over
}

// receive writes a content to a temporary file while it is hashed.
func (c *Catalog) receive(ctx context.Context, r io.Reader, o AddOptions) (*received, error) {
	f, err := os.CreateTemp(filepath.Join(c.dir, tmpDir), "content-")
	if err != nil {
		return nil, c.explain(err)
	}
	got := &received{file: f}
	in := &watchedReader{ctx: ctx, r: r, total: o.Size, progress: o.Progress}
	if got.digest, got.size, err = c.copyHashed(f, in); err == nil {
		err = f.Sync()
	}
	if err != nil {
		got.discard()
		return nil, c.explain(err)
	}
	return got, nil
}

// digestOf reads a content to its end.
func digestOf(r io.Reader) (digest string, size int64, err error) {
	h := sha256.New()
	size, err = io.CopyBuffer(h, r, make([]byte, 1<<20))
	return hex.EncodeToString(h.Sum(nil)), size, err
}

// watchedReader tells progress, and ends when its context does.
type watchedReader struct {
	ctx         context.Context
	r           io.Reader
	done, total int64
	progress    func(done, total int64)
}

func (w *watchedReader) Read(b []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := w.r.Read(b)
	w.done += int64(n)
	if w.progress != nil && n > 0 {
		w.progress(w.done, w.total)
	}
	return n, err
}

// inspect looks at what came. Of an ISO it reads the whole structure, so that
// none that is cut short enters the catalog.
func (c *Catalog) inspect(i Image, got *received) (Image, error) {
	v, err := openVolume(got.file)
	if errors.Is(err, iso.ErrNotISO) {
		return c.inspectDisk(i, got, err)
	}
	if err == nil {
		err = v.Walk(func(iso.File) error { return nil })
	}
	if err != nil {
		return Image{}, err
	}
	listing, err := c.readISO(got.file)
	if err != nil {
		return Image{}, err
	}
	if got.index, err = scan(got.file); err != nil {
		return Image{}, err
	}
	i.Label = listing.label
	return c.tells(got.file, got.index.tell(c.told(i, listing))), nil
}

func (c *Catalog) inspectDisk(i Image, got *received, noISO error) (Image, error) {
	listing, err := readDisk(got.file)
	if errors.Is(err, errNoDisk) {
		return Image{}, fmt.Errorf("%w, and no disk image (%w); muster image add takes installer ISOs, and disks as raw, gzip, xz, zstd or qcow2", noISO, err)
	}
	if err == nil {
		err = checkDisk(got.file, write.Coding(listing.coding), got.size)
	}
	i.Form = recipe.Disk
	return c.told(i, listing), err
}

// commit makes an image visible: contents first, then its record, then its tag.
func (c *Catalog) commit(i Image, tag string, contents []*received) (Image, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i.Added = c.now().UTC()
	err := c.place(contents)
	if err == nil {
		err = c.record(i)
	}
	if err != nil {
		return Image{}, errors.Join(fmt.Errorf("add image: %w", c.explain(err)), c.sweepBlobs())
	}
	c.images[i.Digest] = i
	if tag == "" {
		return c.tagged(i), nil
	}
	if err := c.moveTag(tag, i.Digest); err != nil {
		return Image{}, fmt.Errorf("add image: it is kept as %s, but not named %s: %w", i.title(), tag, c.explain(err))
	}
	return c.tagged(i), nil
}

// place moves contents to where records look for them.
func (c *Catalog) place(contents []*received) error {
	for _, got := range contents {
		if got.index != nil {
			if err := c.writeJSON(got.index, indexDir, indexName(got.digest)); err != nil {
				return err
			}
		}
		if err := os.Rename(got.file.Name(), c.blob(got.digest)); err != nil {
			return err
		}
	}
	return c.syncDir(blobDir)
}
