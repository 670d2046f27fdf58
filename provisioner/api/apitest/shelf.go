package apitest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/api"
	v1 "github.com/muster-boot/muster/provisioner/api/v1"
)

// Shelf is a Catalog in memory: it takes anything, calls a single file kairos
// and a set a scout, and knows images by content. It proves nothing, and of
// checksums it looks only whether they name the file.
type Shelf struct {
	mu     sync.Mutex
	images []v1.Image
	tags   map[string]string // digests
	files  map[string]string

	// Web is what Fetch gets, by URL. Half-way it calls Hold, if there is one.
	Web  map[string]string
	Hold func(context.Context) error
	// Damaged are the names of images that a scrub found damaged.
	Damaged []string
}

// List implements [api.Catalog].
func (s *Shelf) List(context.Context) ([]v1.Image, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []v1.Image{}
	for _, i := range s.images {
		list = append(list, s.tagged(i))
	}
	return list, nil
}

func (s *Shelf) tagged(i v1.Image) v1.Image {
	for tag, digest := range s.tags {
		if digest == i.Digest {
			i.Tags = append(i.Tags, tag)
		}
	}
	slices.Sort(i.Tags)
	i.Name = strings.Join(i.Tags[:min(1, len(i.Tags))], "")
	if slices.Contains(s.Damaged, i.Name) {
		i.Damage = []v1.Damage{{Expected: i.Digest, Seen: strings.Repeat("0", 64)}}
	}
	return i
}

// Get implements [api.Catalog].
func (s *Shelf) Get(_ context.Context, ref string) (v1.Image, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.find(ref)
}

func (s *Shelf) find(ref string) (v1.Image, error) {
	for _, i := range s.images {
		if s.tags[ref] == i.Digest || strings.HasPrefix(i.Digest, ref) {
			return s.tagged(i), nil
		}
	}
	return v1.Image{}, &provisioner.Fault{Kind: provisioner.NotFound, Err: fmt.Errorf("there is no image %q", ref)}
}

// Add implements [api.Catalog].
func (s *Shelf) Add(_ context.Context, in v1.NewImage, size int64, content io.Reader) (v1.Image, error) {
	if in.Sums != "" && !strings.Contains(in.Sums, in.File) {
		return v1.Image{}, &provisioner.Fault{Kind: provisioner.Invalid, Err: fmt.Errorf("the checksums do not name %s", in.File)}
	}
	text, err := io.ReadAll(content)
	if err != nil {
		return v1.Image{}, &provisioner.Fault{Kind: provisioner.Invalid, Err: err}
	}
	if size >= 0 && size != int64(len(text)) {
		return v1.Image{}, errors.New("the size is not that of the content")
	}
	digest := fmt.Sprintf("%x", sha256.Sum256(text))
	if in.SHA256 != "" && in.SHA256 != digest {
		return v1.Image{}, &provisioner.Fault{Kind: provisioner.Invalid, Err: fmt.Errorf("its sha256 is %s", digest)}
	}
	return s.keep(v1.Image{Form: "iso", Size: int64(len(text)), Family: "kairos", Digest: digest, Traits: in.Traits, Version: in.Version}, in.Name), nil
}

// Fetch implements [api.Catalog].
func (s *Shelf) Fetch(ctx context.Context, in v1.NewImage, progress func(done, total int64)) (v1.Image, error) {
	text, there := s.Web[in.URL]
	if !there {
		return v1.Image{}, &provisioner.Fault{Kind: provisioner.Invalid, Err: fmt.Errorf("fetch %s: the server answers 404 Not Found", in.URL)}
	}
	progress(int64(len(text)/2), int64(len(text)))
	if s.Hold != nil {
		if err := s.Hold(ctx); err != nil {
			return v1.Image{}, err
		}
	}
	return s.Add(ctx, in, -1, strings.NewReader(text))
}

// AddSet implements [api.Catalog].
func (s *Shelf) AddSet(_ context.Context, name string, version map[string]string, files []api.File) (v1.Image, error) {
	for _, f := range files {
		text, err := io.ReadAll(f.Content)
		if err != nil || int64(len(text)) != f.Size {
			return v1.Image{}, fmt.Errorf("%s: %d bytes, %w", f.Path, len(text), err)
		}
		s.put(f.Path, string(text))
	}
	return s.keep(v1.Image{Form: "set", Family: "scout", Version: version, Digest: "5e7"}, name), nil
}

func (s *Shelf) put(path, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.files == nil {
		s.files = map[string]string{}
	}
	s.files[path] = text
}

// File is the content of a file of the last set.
func (s *Shelf) File(path string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.files[path]
}

func (s *Shelf) keep(i v1.Image, tag string) v1.Image {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tags == nil {
		s.tags = map[string]string{}
	}
	s.tags[tag] = i.Digest
	if _, err := s.find(i.Digest); err != nil {
		s.images = append(s.images, i)
	}
	return s.tagged(i)
}

// Tag implements [api.Catalog].
func (s *Shelf) Tag(_ context.Context, ref, tag string) (v1.Image, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, err := s.find(ref)
	if err != nil {
		return v1.Image{}, err
	}
	s.tags[tag] = i.Digest
	return s.find(i.Digest)
}

// Untag implements [api.Catalog].
func (s *Shelf) Untag(_ context.Context, tag string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, there := s.tags[tag]; !there {
		return &provisioner.Fault{Kind: provisioner.NotFound, Err: fmt.Errorf("there is no tag %q", tag)}
	}
	delete(s.tags, tag)
	return nil
}

// Remove implements [api.Catalog].
func (s *Shelf) Remove(_ context.Context, ref string, forceUntag bool, inUse func(digest string) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, err := s.find(ref)
	if err != nil {
		return err
	}
	if err := inUse(i.Digest); err != nil {
		return fmt.Errorf("remove image %s: %w", i.Name, err)
	}
	if len(i.Tags) > 1 && !forceUntag {
		return &provisioner.Fault{Kind: provisioner.Conflict, Err: fmt.Errorf("image %s has other tags: %s", ref, strings.Join(i.Tags, ", "))}
	}
	s.drop(i)
	return nil
}

func (s *Shelf) drop(i v1.Image) {
	for _, tag := range i.Tags {
		delete(s.tags, tag)
	}
	s.images = slices.DeleteFunc(s.images, func(other v1.Image) bool { return other.Digest == i.Digest })
}

// Collect implements [api.Catalog].
func (s *Shelf) Collect(_ context.Context, dryRun bool, inUse func(digest string) error) (v1.Garbage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var g v1.Garbage
	for _, i := range slices.Clone(s.images) {
		if i = s.tagged(i); len(i.Tags) > 0 || inUse(i.Digest) != nil {
			continue
		}
		g.Images, g.Freed = append(g.Images, i), g.Freed+i.Size
		if !dryRun {
			s.drop(i)
		}
	}
	return g, nil
}

// Scrub implements [api.Catalog].
func (s *Shelf) Scrub(_ context.Context, progress func(done, total int64)) ([]v1.Image, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var damaged []v1.Image
	for n, i := range s.images {
		progress(int64(n), int64(len(s.images)))
		if i = s.tagged(i); len(i.Damage) > 0 {
			damaged = append(damaged, i)
		}
	}
	return damaged, nil
}
