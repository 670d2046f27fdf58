package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/muster-boot/muster/images"
	"github.com/muster-boot/muster/provisioner"
	v1 "github.com/muster-boot/muster/provisioner/api/v1"
	"github.com/muster-boot/muster/provisioner/evidence"
	"github.com/muster-boot/muster/provisioner/lifecycle"
	"github.com/muster-boot/muster/provisioner/store"
)

// recorder makes the records of hosts. It implements [engine.Recorder] and
// [api.Reporter].
type recorder struct {
	store   *store.Store
	catalog *images.Catalog
	shelf   *evidence.Shelf
	key     evidence.Key
	site    string
	version string
	// given is what the present attempt gives a host, masked.
	given func(ctx context.Context, h provisioner.Host) (v1.Preview, error)
}

// Record implements [engine.Recorder].
func (r *recorder) Record(ctx context.Context, h provisioner.Host) (provisioner.Record, error) {
	now := time.Now()
	text, err := r.text(ctx, h, now)
	if err != nil {
		return provisioner.Record{}, err
	}
	name, digest, err := r.shelf.Put(h.ID, h.Status.Attempt.ID, text)
	if err != nil {
		return provisioner.Record{}, err
	}
	return provisioner.Record{Attempt: h.Status.Attempt.ID, At: now.UTC(), File: name, Digest: digest}, nil
}

// Report implements [api.Reporter]: of a host that was shipped the record as it
// was written then, of any other what muster holds now.
func (r *recorder) Report(ctx context.Context, h provisioner.Host) ([]byte, error) {
	if written := h.Facts.Record; written != nil && h.Status.Phase == provisioner.Shipped {
		return r.shelf.Get(written.File, written.Digest)
	}
	return r.text(ctx, h, time.Now())
}

// text is the signed record of h as it is now.
func (r *recorder) text(ctx context.Context, h provisioner.Host, now time.Time) ([]byte, error) {
	in := evidence.Input{Made: now, Muster: r.version, Site: r.site, Host: h}
	var err error
	if in.Order, err = r.store.Order(ctx, h.Intent.Order); err != nil && provisioner.KindOf(err) != provisioner.NotFound {
		return nil, err
	}
	if in.Journal, err = r.store.History(ctx, h, 0); err != nil {
		return nil, err
	}
	if in.Images, err = r.images(h); err != nil {
		return nil, err
	}
	in.Given, err = r.documents(ctx, h)
	if err != nil {
		in.Problem = err.Error() // of an order or a rendering that is gone: the rest is worth as much
	}
	return r.key.Sign(evidence.Build(in))
}

// images are those that h was given, by digest; one that is not in the catalog
// any more has no more than that.
func (r *recorder) images(h provisioner.Host) ([]evidence.Image, error) {
	if h.Intent.Image == "" {
		return nil, nil
	}
	image, err := r.catalog.Get(h.Intent.Image)
	if errors.Is(err, images.ErrNotFound) {
		return []evidence.Image{{Digest: h.Intent.Image, Names: []string{}}}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look up the image: %w", err)
	}
	return []evidence.Image{{Digest: image.Digest, Names: append([]string{}, image.Tags...), Family: image.Family, Size: image.Size}}, nil
}

// documents are those of h's present attempt, masked.
func (r *recorder) documents(ctx context.Context, h provisioner.Host) ([]evidence.Document, error) {
	if _, prepared := lifecycle.Way(h); !prepared {
		return nil, nil
	}
	p, err := r.given(ctx, h)
	if err != nil {
		return nil, err
	}
	var list []evidence.Document
	for _, d := range append(p.Documents, p.Seed...) {
		list = append(list, evidence.Document{Name: d.Name, Content: d.Content})
	}
	for _, c := range p.Medium {
		if c.Path != "" {
			list = append(list, evidence.Document{Name: "medium:" + c.Path, Content: c.Content})
		}
	}
	return list, nil
}
