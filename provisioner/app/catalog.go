package app

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net/url"
	"os"

	"github.com/muster-boot/muster/images"
	"github.com/muster-boot/muster/images/fetch"
	"github.com/muster-boot/muster/images/recipe"
	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/api"
	v1 "github.com/muster-boot/muster/provisioner/api/v1"
)

// catalog shows the images to the people's API: in its shapes, and with errors
// that say who must act. It implements [api.Catalog].
type catalog struct{ images *images.Catalog }

func (c catalog) List(context.Context) ([]v1.Image, error) {
	return imageShapes(c.images.List()), nil
}

func (c catalog) Get(_ context.Context, ref string) (v1.Image, error) {
	i, err := c.images.Get(ref)
	if err != nil {
		return v1.Image{}, refFault(err)
	}
	shape := imageShape(i)
	for _, s := range c.images.History(i.Digest) {
		shape.History = append(shape.History, v1.TagStep{Tag: s.Tag, Digest: s.Digest, At: s.At})
	}
	if r, known := c.images.Recipe(i); known {
		shape.Recipe = recipeShape(r)
		for _, w := range r.Ways(i.Told().Traits...) {
			shape.Recipe.Ways = append(shape.Recipe.Ways, v1.Way{Transport: string(w.Transport), WhyNot: barred(c.images, i, r, w.Transport)})
		}
	}
	return shape, nil
}

func (c catalog) Add(ctx context.Context, in v1.NewImage, size int64, content io.Reader) (v1.Image, error) {
	proof, err := c.proof(ctx, in)
	if err != nil {
		return v1.Image{}, addFault(err)
	}
	i, err := c.images.Add(ctx, content, images.AddOptions{Name: in.Name, Size: max(size, 0), Proof: proof, Traits: in.Traits, Meta: in.Version})
	return imageShape(i), addFault(err)
}

func (c catalog) Fetch(ctx context.Context, in v1.NewImage, progress func(done, total int64)) (v1.Image, error) {
	proof, err := c.proof(ctx, in)
	if err != nil {
		return v1.Image{}, addFault(err)
	}
	i, err := c.images.AddURL(ctx, in.URL, images.AddOptions{Name: in.Name, Proof: proof, Progress: progress, Traits: in.Traits, Meta: in.Version})
	return imageShape(i), addFault(err)
}

// proof finds the image's digest in a list of checksums, where one was given.
func (c catalog) proof(ctx context.Context, in v1.NewImage) (images.Proof, error) {
	p := images.Proof{SHA256: in.SHA256, Key: in.Key, Signature: in.Signature}
	if in.Sums == "" && in.SumsURL == "" {
		return p, nil
	}
	if in.SHA256 != "" || in.Sums != "" && in.SumsURL != "" {
		return images.Proof{}, errors.New("give a sha256 or one list of checksums, not both")
	}
	list := in.Sums
	if in.SumsURL != "" {
		text, err := c.images.Text(ctx, in.SumsURL)
		if err != nil {
			return images.Proof{}, err
		}
		list = text // which may be empty, and is then no proof
	}
	file := in.File
	if u, err := url.Parse(in.URL); err == nil {
		file = cmp.Or(file, u.Path)
	}
	sum, err := images.Sum(list, file)
	p.SHA256 = sum
	return p, err
}

func (c catalog) AddSet(ctx context.Context, name string, version map[string]string, files []api.File) (v1.Image, error) {
	parts := make([]images.SetPart, len(files))
	for n, f := range files {
		parts[n] = images.SetPart{Path: "/" + f.Path, Content: f.Content}
	}
	i, err := c.images.AddSet(ctx, parts, images.AddOptions{Name: name, Meta: version})
	return imageShape(i), addFault(err)
}

func (c catalog) Tag(ctx context.Context, ref, tag string) (v1.Image, error) {
	i, err := c.images.Tag(ref, tag)
	switch {
	case err == nil:
		return c.Get(ctx, i.Digest)
	case errors.Is(err, images.ErrNotFound):
		return v1.Image{}, refFault(err)
	}
	return v1.Image{}, addFault(err)
}

func (c catalog) Untag(_ context.Context, tag string) error { return refFault(c.images.Untag(tag)) }

func (c catalog) Remove(_ context.Context, ref string, forceUntag bool, inUse func(digest string) error) error {
	_, err := c.images.Remove(ref, forceUntag, func(i images.Image) error { return inUse(i.Digest) })
	return refFault(err)
}

// Collect spares the discovery ramdisk that hosts boot now, whatever its name.
func (c catalog) Collect(_ context.Context, dryRun bool, inUse func(digest string) error) (v1.Garbage, error) {
	newest, _ := newestScout(c.images)
	g, err := c.images.Collect(dryRun, func(i images.Image) error {
		if i.Digest == newest.Digest {
			return errors.New("hosts boot it to be looked at")
		}
		return inUse(i.Digest)
	})
	return v1.Garbage{Images: imageShapes(g.Images), Parts: g.Parts, Freed: g.Freed}, diskFault(err)
}

func (c catalog) Scrub(ctx context.Context, progress func(done, total int64)) ([]v1.Image, error) {
	damaged, err := c.images.Scrub(ctx, progress)
	return imageShapes(damaged), diskFault(err)
}

func imageShapes(list []images.Image) []v1.Image {
	shapes := make([]v1.Image, len(list))
	for n, i := range list {
		shapes[n] = imageShape(i)
	}
	return shapes
}

func imageShape(i images.Image) v1.Image {
	told := i.Told()
	shape := v1.Image{
		Digest: i.Digest, Name: i.Name, Tags: i.Tags, Form: string(i.Form), Size: i.Size, Family: i.Family, Label: i.Label,
		Added: i.Added, Why: i.Why, Lacks: i.Lacks, Version: told.Version, Coding: i.Coding, Traits: told.Traits,
	}
	for _, d := range i.Damage {
		shape.Damage = append(shape.Damage, v1.Damage{File: d.File, Expected: d.Expected, Seen: d.Seen, Why: d.Why})
	}
	return shape
}

func recipeShape(r recipe.Recipe) *v1.Recipe {
	shape := &v1.Recipe{
		About: r.About, Netboot: []string{}, Media: append([]string{}, r.Media.Cmdline...), File: r.Media.File,
		Format: string(r.Config.Format), Ends: r.Ends, Proven: []string{}, Ways: []v1.Way{},
	}
	if r.Kernel != "" {
		shape.Netboot = append(shape.Netboot, r.Cmdline...)
	}
	if err := r.Installs(); err != nil {
		shape.Refuses = err.Error()
	}
	for _, t := range r.Proven {
		shape.Proven = append(shape.Proven, string(t))
	}
	return shape
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

// addFault tells a content that cannot be kept from a disk that cannot keep it,
// and from a call that another one is in the way of.
func addFault(err error) error {
	var disk *os.PathError
	var refused *fetch.Refused
	switch {
	case err == nil:
		return nil
	case errors.As(err, &disk), errors.Is(err, images.ErrNoSpace):
		return diskFault(err)
	case errors.As(err, &refused):
		return &provisioner.Fault{Kind: provisioner.Denied, Err: err}
	case errors.Is(err, images.ErrBusy):
		return &provisioner.Fault{Kind: provisioner.Conflict, Err: err}
	}
	return &provisioner.Fault{Kind: provisioner.Invalid, Err: err}
}

// diskFault is about a disk that a person has to look at.
func diskFault(err error) error {
	if err == nil {
		return nil
	}
	return &provisioner.Fault{Kind: provisioner.Operator, Err: err}
}
