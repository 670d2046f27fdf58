package app

import (
	"fmt"
	"os"
	"testing"

	"github.com/muster-boot/muster/images/overlay"
	"github.com/muster-boot/muster/provisioner"
)

func TestOverlaysAreMadeOnceAndLetGoOf(t *testing.T) {
	r := newRig(t)
	image := r.kairos(t)
	made := 0
	o := &overlays{make: func(rendering provisioner.Rendering) (*overlay.Overlay, error) {
		made++
		return r.boots.overlay(rendering)
	}}
	rendering := func(n int) provisioner.Rendering {
		return provisioner.Rendering{Attempt: provisioner.AttemptID(fmt.Sprint("a-", n)), Image: image.Digest,
			Medium: []provisioner.Change{{Path: "/x", Content: fmt.Append(nil, n)}}}
	}
	tags := map[string]bool{}
	for range 2 {
		for n := range keptOverlays {
			k, err := o.of(rendering(n))
			if err != nil {
				t.Fatal(err)
			}
			tags[k.etag] = true
		}
	}
	if made != keptOverlays || len(tags) != keptOverlays {
		t.Errorf("%d were made, with %d ETags; want %d", made, len(tags), keptOverlays)
	}
	for n := range 10 {
		if _, err := o.of(rendering(1000 + n)); err != nil {
			t.Fatal(err)
		}
	}
	if len(o.kept) != keptOverlays || o.held > keptBytes {
		t.Errorf("%d are kept, with %d bytes", len(o.kept), o.held)
	}
	large := rendering(2000)
	large.Medium[0].Content = make([]byte, keptBytes)
	if _, err := o.of(large); err != nil || len(o.kept) != 1 {
		t.Errorf("beside one of %d bytes %d are kept: %v", keptBytes, len(o.kept)-1, err)
	}
	if _, err := o.of(provisioner.Rendering{Attempt: "a-x", Image: "gone"}); err == nil || os.IsExist(err) {
		t.Errorf("of an image that is gone: %v", err)
	}
}
