package app

import (
	"context"
	"errors"
	"io"
	"os"

	"github.com/muster-boot/muster/images"
	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/api"
	v1 "github.com/muster-boot/muster/provisioner/api/v1"
)

// catalog shows the images to the people's API: in its shapes, and with errors
// that say who must act. It implements [api.Catalog].
type catalog struct{ images *images.Catalog }

func (c catalog) List(context.Context) ([]v1.Image, error) {
	list := c.images.List()
	shapes := make([]v1.Image, len(list))
	for n, i := range list {
		shapes[n] = imageShape(i)
	}
	return shapes, nil
}

func (c catalog) Get(_ context.Context, ref string) (v1.Image, error) {
	i, err := c.images.Get(ref)
	return imageShape(i), refFault(err)
}

func (c catalog) Add(ctx context.Context, name string, size int64, content io.Reader) (v1.Image, error) {
	i, err := c.images.Add(ctx, content, images.AddOptions{Name: name, Size: max(size, 0)})
	return imageShape(i), addFault(err)
}

func (c catalog) AddSet(ctx context.Context, name string, version map[string]string, files []api.File) (v1.Image, error) {
	parts := make([]images.SetPart, len(files))
	for n, f := range files {
		parts[n] = images.SetPart{Path: "/" + f.Path, Content: f.Content}
	}
	i, err := c.images.AddSet(ctx, parts, images.AddOptions{Name: name, Meta: version})
	return imageShape(i), addFault(err)
}

// Remove need not ask who uses the image: the API did, and lets nobody name it
// meanwhile.
func (c catalog) Remove(_ context.Context, digest string) error {
	_, err := c.images.Remove(digest, true, func(images.Image) error { return nil })
	return refFault(err)
}

func imageShape(i images.Image) v1.Image {
	return v1.Image{
		Digest: i.Digest, Name: i.Name, Size: i.Size, Family: i.Family, Label: i.Label,
		Added: i.Added, Why: i.Why, Lacks: i.Lacks, Version: i.Meta,
	}
}

// refFault is about a reference that names no image, or several.
func refFault(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, images.ErrNotFound):
		return &provisioner.Fault{Kind: provisioner.NotFound, Err: err}
	}
	return &provisioner.Fault{Kind: provisioner.Conflict, Err: err}
}

// addFault tells a content that cannot be kept from a disk that cannot keep it.
func addFault(err error) error {
	var disk *os.PathError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &disk):
		return &provisioner.Fault{Kind: provisioner.Operator, Err: err}
	}
	return &provisioner.Fault{Kind: provisioner.Invalid, Err: err}
}
