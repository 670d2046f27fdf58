package apitest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/api"
	v1 "github.com/muster-boot/muster/provisioner/api/v1"
)

// Shelf is a Catalog in memory: it takes anything, calls a single file kairos
// and a set a scout, and knows images by content.
type Shelf struct {
	mu     sync.Mutex
	images []v1.Image
	files  map[string]string
}

// List implements [api.Catalog].
func (s *Shelf) List(context.Context) ([]v1.Image, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]v1.Image{}, s.images...), nil
}

// Get implements [api.Catalog].
func (s *Shelf) Get(_ context.Context, ref string) (v1.Image, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, i := range s.images {
		if i.Name == ref || strings.HasPrefix(i.Digest, ref) {
			return i, nil
		}
	}
	return v1.Image{}, &provisioner.Fault{Kind: provisioner.NotFound, Err: fmt.Errorf("there is no image %q", ref)}
}

// Add implements [api.Catalog].
func (s *Shelf) Add(_ context.Context, name string, size int64, content io.Reader) (v1.Image, error) {
	text, err := io.ReadAll(content)
	if err != nil {
		return v1.Image{}, &provisioner.Fault{Kind: provisioner.Invalid, Err: err}
	}
	if size >= 0 && size != int64(len(text)) {
		return v1.Image{}, errors.New("the size is not that of the content")
	}
	return s.keep(v1.Image{Name: name, Size: size, Family: "kairos", Digest: fmt.Sprintf("sha256:%x", sha256.Sum256(text))}), nil
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
	return s.keep(v1.Image{Name: name, Family: "scout", Version: version, Digest: "sha256:set"}), nil
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

func (s *Shelf) keep(i v1.Image) v1.Image {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.images = append(s.images, i)
	return i
}

// Remove implements [api.Catalog].
func (s *Shelf) Remove(_ context.Context, digest string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n, i := range s.images {
		if i.Digest == digest {
			s.images = append(s.images[:n], s.images[n+1:]...)
			return nil
		}
	}
	return errors.New("removed twice")
}
