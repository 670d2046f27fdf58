package main

import (
	"context"
	"errors"

	"github.com/muster-boot/muster/images/write"
	"github.com/muster-boot/muster/inventory"
	"github.com/muster-boot/muster/inventory/scout"
)

// writeDisk joins the scout's instruction to the library that writes. It is a
// [scout.WriteFunc].
func writeDisk(ctx context.Context, disk string, w inventory.Write, progress func(stage string, bytes, total int64)) (err error) {
	d, err := write.Open(disk)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	img := write.Image{URL: w.URL, Coding: write.Coding(w.Coding), Digest: w.Digest, Size: w.Size}
	o := write.Options{Progress: progress}
	for _, f := range w.Seed {
		o.Seed = append(o.Seed, write.File{Name: f.Name, Content: f.Content})
	}
	_, err = write.New(scout.HTTPClient()).Write(ctx, d, img, o)
	return err
}
