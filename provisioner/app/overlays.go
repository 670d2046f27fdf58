package app

import (
	"slices"
	"sync"

	"github.com/muster-boot/muster/images/overlay"
	"github.com/muster-boot/muster/provisioner"
)

// Bounds of the overlays kept between two requests of a host: a boot asks for
// thousands of ranges. One is made again in a millisecond.
const (
	keptOverlays = 64
	keptBytes    = 16 << 20
)

// overlays keeps those that were used last.
type overlays struct {
	make func(provisioner.Rendering) (*overlay.Overlay, error)

	mu   sync.Mutex
	kept []kept // the one used last at the end
	held int64
}

type kept struct {
	attempt provisioner.AttemptID
	overlay *overlay.Overlay
	etag    string
}

// of is the overlay of a rendering, and the ETag of the host's ISO: both
// digests, since nothing else decides on its bytes.
func (o *overlays) of(r provisioner.Rendering) (kept, error) {
	if k, ok := o.find(r.Attempt); ok {
		return k, nil
	}
	made, err := o.make(r)
	if err != nil {
		return kept{}, err
	}
	k := kept{r.Attempt, made, `"` + r.Image + "-" + made.Digest() + `"`}
	o.keep(k)
	return k, nil
}

func (o *overlays) find(attempt provisioner.AttemptID) (kept, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	i := o.index(attempt)
	if i < 0 {
		return kept{}, false
	}
	k := o.kept[i]
	o.kept = append(slices.Delete(o.kept, i, i+1), k)
	return k, true
}

func (o *overlays) index(attempt provisioner.AttemptID) int {
	return slices.IndexFunc(o.kept, func(k kept) bool { return k.attempt == attempt })
}

// keep takes one in, unless somebody was faster, and lets go of the oldest.
func (o *overlays) keep(k kept) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.index(k.attempt) >= 0 {
		return
	}
	o.kept = append(o.kept, k)
	o.held += k.overlay.Held()
	for len(o.kept) > keptOverlays || o.held > keptBytes && len(o.kept) > 1 {
		o.held -= o.kept[0].overlay.Held()
		o.kept = slices.Delete(o.kept, 0, 1)
	}
}
