package main

import (
	"context"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/muster-boot/muster/provisioner/api"
	"github.com/muster-boot/muster/provisioner/api/apitest"
)

// TestAFetchGoesOnWhenTheServerIsBack stops the server half-way and starts
// another in its place.
func TestAFetchGoesOnWhenTheServerIsBack(t *testing.T) {
	const url = "https://mirror.example/noble.iso"
	dir := t.TempDir()
	first, err := apitest.Start(dir, func(*api.Options) {})
	if err != nil {
		t.Fatal(err)
	}
	halfway := make(chan struct{})
	first.Shelf.Web = map[string]string{url: "content"}
	first.Shelf.Hold = func(ctx context.Context) error {
		close(halfway)
		<-ctx.Done()
		return ctx.Err()
	}
	var out, complaints strings.Builder
	var code int
	var g errgroup.Group
	g.Go(func() error {
		s := &session{out: &out, err: &complaints}
		code = s.run(t.Context(), []string{"image", "add", url, "--server", first.Socket})
		return nil
	})
	<-halfway
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	second, err := apitest.Start(dir, func(o *api.Options) { o.Images.(*apitest.Shelf).Web = map[string]string{url: "content"} })
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := second.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err := g.Wait(); err != nil {
		t.Error(err)
	}
	if code != exitDone || !strings.Contains(out.String(), "noble") || complaints.String() != "" {
		t.Errorf("exit code %d, printed %q, said %q", code, out.String(), complaints.String())
	}
}
