package api_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/api"
	"github.com/muster-boot/muster/provisioner/api/client"
	v1 "github.com/muster-boot/muster/provisioner/api/v1"
)

// shelf is a Catalog in memory.
type shelf struct {
	mu     sync.Mutex
	images []v1.Image
	files  map[string]string
}

func (s *shelf) List(context.Context) ([]v1.Image, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]v1.Image{}, s.images...), nil
}

func (s *shelf) Get(_ context.Context, ref string) (v1.Image, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, i := range s.images {
		if i.Name == ref || strings.HasPrefix(i.Digest, ref) {
			return i, nil
		}
	}
	return v1.Image{}, &provisioner.Fault{Kind: provisioner.NotFound, Err: fmt.Errorf("there is no image %q", ref)}
}

func (s *shelf) Add(_ context.Context, name string, size int64, content io.Reader) (v1.Image, error) {
	text, err := io.ReadAll(content)
	if err != nil {
		return v1.Image{}, &provisioner.Fault{Kind: provisioner.Invalid, Err: err}
	}
	if size >= 0 && size != int64(len(text)) {
		return v1.Image{}, errors.New("the size is not that of the content")
	}
	return s.keep(v1.Image{Name: name, Size: size, Family: "kairos", Digest: fmt.Sprintf("sha256:%x", sha256.Sum256(text))}), nil
}

func (s *shelf) AddSet(_ context.Context, name string, version map[string]string, files []api.File) (v1.Image, error) {
	for _, f := range files {
		text, err := io.ReadAll(f.Content)
		if err != nil || int64(len(text)) != f.Size {
			return v1.Image{}, fmt.Errorf("%s: %d bytes, %w", f.Path, len(text), err)
		}
		s.mu.Lock()
		if s.files == nil {
			s.files = map[string]string{}
		}
		s.files[f.Path] = string(text)
		s.mu.Unlock()
	}
	return s.keep(v1.Image{Name: name, Family: "scout", Version: version, Digest: "sha256:set"}), nil
}

func (s *shelf) keep(i v1.Image) v1.Image {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.images = append(s.images, i)
	return i
}

func (s *shelf) Remove(_ context.Context, digest string) error {
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

func TestAnImageStaysWhileAnOrderNamesIt(t *testing.T) {
	s := newSite(t)
	content := strings.Repeat("iso", 100_000)
	added, err := s.AddImage(t.Context(), "demo 1", int64(len(content)), strings.NewReader(content))
	if err != nil || added.Family != "kairos" || added.Orders == nil || added.Why == nil || added.Lacks == nil {
		t.Fatalf("added %+v, %v", added, err)
	}
	const named = "name: p\nprofile: edge-minimum\nimage: demo 1\nhandoff: {driver: callhome}\n"
	if _, err := s.Import(t.Context(), v1.Import{Order: named, Manifest: "serial\nS1\n"}); err != nil {
		t.Fatal(err)
	}
	if h, err := s.Host(t.Context(), "S1"); err != nil || h.Image != added.Digest {
		t.Errorf("image %s, %v", h.Image, err)
	}
	if shown, err := s.Image(t.Context(), added.Digest[:20]); err != nil || !cmp.Equal(shown.Orders, []string{"p"}) {
		t.Errorf("shown %+v, %v", shown, err)
	}
	refused(t, s.RemoveImage(t.Context(), "demo 1"), 409, "named by p")
	const verifyOnly = "name: p\nprofile: edge-minimum\n"
	if _, err := s.Import(t.Context(), v1.Import{Order: verifyOnly, Manifest: "serial\nS1\n"}); err != nil {
		t.Fatal(err)
	}
	if err := s.RemoveImage(t.Context(), "demo 1"); err != nil {
		t.Fatal(err)
	}
	refused(t, s.RemoveImage(t.Context(), "demo 1"), 404, "no image")
}

func TestAnUploadWithoutANameIsRefusedBeforeItsContent(t *testing.T) {
	s := newSite(t)
	unread := &counter{}
	_, err := s.AddImage(t.Context(), "", 1<<40, unread)
	refused(t, err, 422, "give the image a name")
	if unread.n > 1<<20 {
		t.Errorf("%d bytes were sent", unread.n)
	}
}

// counter is an endless content that counts what was read of it.
type counter struct{ n int }

func (c *counter) Read(p []byte) (int, error) {
	c.n += len(p)
	return len(p), nil
}

func TestARamdiskComesWholeWithItsVersion(t *testing.T) {
	catalog := &shelf{}
	s := newSite(t, func(o *api.Options) { o.Images = catalog })
	kernel, initrd := bytes.Repeat([]byte("k"), 3<<20), []byte("initrd")
	i, err := s.AddRamdisk(t.Context(), client.Ramdisk{
		Name: "ramdisk", Version: map[string]string{"kernel": "6.1"},
		Kernel: bytes.NewReader(kernel), KernelSize: int64(len(kernel)),
		Initrd: bytes.NewReader(initrd), InitrdSize: int64(len(initrd)),
	})
	if err != nil || i.Family != "scout" || i.Version["kernel"] != "6.1" {
		t.Fatalf("image %+v, %v", i, err)
	}
	if catalog.files["kernel"] != string(kernel) || catalog.files["initrd"] != "initrd" {
		t.Error("the files are not those that were sent")
	}
}
