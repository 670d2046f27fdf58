package store

import (
	"context"
	"errors"
	"net/url"

	"github.com/muster-boot/muster/provisioner"
)

// Rendering is what one install attempt gives its host, sealed by whoever made
// it: the store cannot read it.
type Rendering struct {
	Attempt provisioner.AttemptID
	Sealed  []byte // at most MaxValue bytes
}

func renderingKey(a provisioner.AttemptID) string {
	return renderingPrefix + url.PathEscape(string(a))
}

// rendered is the attempt of which h has a rendering.
func rendered(h provisioner.Host) (provisioner.AttemptID, bool) {
	p := h.Facts.Prepared
	if p == nil || p.Way == "" {
		return "", false
	}
	return p.Attempt, true
}

// Rendering returns the sealed rendering of an attempt.
func (s *Store) Rendering(ctx context.Context, a provisioner.AttemptID) ([]byte, error) {
	item, err := s.engine.Get(ctx, renderingKey(a))
	if err != nil && !errors.Is(err, ErrBounds) {
		return nil, fault("read the rendering of attempt "+string(a), err)
	}
	if item.Revision == 0 {
		return nil, notFound("attempt %q has no rendering", a)
	}
	return item.Value, nil
}

func planRenderings(c Change) []unit {
	var units []unit
	for _, r := range c.PutRenderings {
		u := unit{}
		u.need(renderingKey(r.Attempt), 0)
		u.do(Put(renderingKey(r.Attempt), r.Sealed))
		units = append(units, u)
	}
	for _, a := range c.DropRenderings {
		u := unit{}
		u.do(Delete(renderingKey(a)))
		units = append(units, u)
	}
	return units
}
