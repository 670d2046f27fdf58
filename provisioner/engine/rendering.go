package engine

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/lifecycle"
)

// Box seals what must not lie on disk in clear; seal.Box is one.
type Box interface {
	Seal(plain []byte, context string) []byte
	Open(sealed []byte, context string) ([]byte, error)
}

// Bounds of renderings.
const (
	maxSealed    = 896 << 10 // bytes; leaves room in the transaction for the host
	maxRendering = 16 << 20  // bytes, before it is packed
	openedKept   = 64        // opened renderings kept in memory
)

func (e *Engine) seal(r provisioner.Rendering) ([]byte, error) {
	ways := []provisioner.Way{provisioner.WayNetboot, provisioner.WayMedia, provisioner.WayUEFIHTTP, provisioner.WayWrite}
	if !slices.Contains(ways, r.Way) {
		return nil, fmt.Errorf("the rendering goes by %q, which is no way", r.Way)
	}
	packed, err := pack(r)
	if err != nil {
		return nil, err
	}
	sealed := e.Box.Seal(packed, string(r.Attempt))
	if len(sealed) > maxSealed {
		return nil, tooLarge(len(sealed), maxSealed)
	}
	return sealed, nil
}

func tooLarge(size, limit int) error {
	return &provisioner.Fault{Kind: provisioner.Operator, Err: fmt.Errorf(
		"it takes %d KiB, and %d KiB are kept for a host; make the template or the configuration of its order smaller and import it again",
		size>>10, limit>>10)}
}

func pack(r provisioner.Rendering) ([]byte, error) {
	plain, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("pack the rendering of %s: %w", r.Attempt, err)
	}
	if len(plain) > maxRendering {
		return nil, tooLarge(len(plain), maxRendering)
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(plain); err != nil {
		return nil, fmt.Errorf("pack the rendering of %s: %w", r.Attempt, err)
	}
	if err := z.Close(); err != nil {
		return nil, fmt.Errorf("pack the rendering of %s: %w", r.Attempt, err)
	}
	return b.Bytes(), nil
}

func unpack(packed []byte) (r provisioner.Rendering, err error) {
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return r, fmt.Errorf("unpack a rendering: %w", err)
	}
	if err := json.NewDecoder(io.LimitReader(z, maxRendering)).Decode(&r); err != nil {
		return r, fmt.Errorf("unpack a rendering: %w", err)
	}
	return r, nil
}

// Rendering is what the attempt gives its host: the same bytes for its whole
// life, whatever becomes of order, template and clock. The error is a Gone
// fault when the attempt is over and a Retry fault while nothing is prepared.
// What is returned is shared: nobody may change what its slices lead to.
func (e *Engine) Rendering(ctx context.Context, attempt provisioner.AttemptID) (provisioner.Host, provisioner.Rendering, error) {
	h, err := e.prepared(ctx, attempt)
	if err != nil {
		return h, provisioner.Rendering{}, err
	}
	r, err := e.open(ctx, h)
	return h, r, err
}

// prepared is the host of an attempt that has its rendering. The mirror may be
// behind, so a no is believed only when it has caught up.
func (e *Engine) prepared(ctx context.Context, attempt provisioner.AttemptID) (provisioner.Host, error) {
	if h, ok := e.Mirror.ByAttempt(attempt); ok && mayRead(h, attempt) == nil {
		return h, nil
	}
	if err := e.Mirror.Sync(ctx); err != nil {
		return provisioner.Host{}, err
	}
	h, ok := e.Mirror.ByAttempt(attempt)
	if !ok {
		return h, &provisioner.Fault{Kind: provisioner.Gone, Err: fmt.Errorf("no host is at attempt %s", attempt)}
	}
	return h, mayRead(h, attempt)
}

// mayRead says whether an attempt of h is given what was prepared for it.
func mayRead(h provisioner.Host, attempt provisioner.AttemptID) error {
	_, prepared := lifecycle.Way(h)
	switch {
	case !configOpen(h, attempt), !prepared && h.Status.Phase != provisioner.Installing:
		return &provisioner.Fault{Kind: provisioner.Gone,
			Err: fmt.Errorf("attempt %s of host %s needs its configuration no more", attempt, h.ID)}
	case !prepared:
		return &provisioner.Fault{Kind: provisioner.Retry, Err: errors.New(lifecycle.Unprepared(h))}
	}
	return nil
}

// configOpen is the window in which is given out what an attempt was prepared
// for: from its start until the host is registered or tries something else.
func configOpen(h provisioner.Host, attempt provisioner.AttemptID) bool {
	if h.Status.Attempt.ID != attempt {
		return false
	}
	switch h.Status.Phase {
	case provisioner.Installing, provisioner.Installed,
		provisioner.Discovered, provisioner.Verifying: // these two have a medium with the scout, or nothing
		return true
	case provisioner.Failed:
		return lifecycle.SystemOnDisk(h)
	case provisioner.Unknown, provisioner.Expected, provisioner.Ready, provisioner.Registered, provisioner.Shipped, provisioner.Quarantined:
	}
	return false
}

// open returns the rendering of h's present attempt, which has one.
func (e *Engine) open(ctx context.Context, h provisioner.Host) (provisioner.Rendering, error) {
	attempt := h.Status.Attempt.ID
	e.mu.Lock()
	r, ok := e.opened.get(attempt)
	e.mu.Unlock()
	if ok {
		return r, nil
	}
	sealed, err := e.Store.Rendering(ctx, attempt)
	if err != nil && provisioner.KindOf(err) != provisioner.NotFound {
		return r, err
	}
	var plain []byte
	if err == nil {
		plain, err = e.Box.Open(sealed, string(attempt))
	}
	if err == nil {
		r, err = unpack(plain)
	}
	if err != nil {
		return r, e.lost(ctx, h, err)
	}
	e.mu.Lock()
	e.opened.put(attempt, r)
	e.mu.Unlock()
	e.noteLoss(ctx, h, "")
	return r, nil
}

// lost is the fault of a rendering that does not open, and has the host say so.
func (e *Engine) lost(ctx context.Context, h provisioner.Host, why error) error {
	err := fmt.Errorf("what attempt %s gives host %s is lost (%w); put back what was there and restart muster, or begin a new attempt with: muster host retry %s",
		h.Status.Attempt.ID, h.ID, why, h.ID)
	e.noteLoss(ctx, h, err.Error())
	return &provisioner.Fault{Kind: provisioner.Operator, Err: err}
}

// noteLoss writes down why the present attempt's rendering is lost; empty: it
// is not. A failure costs the sentence only.
func (e *Engine) noteLoss(ctx context.Context, h provisioner.Host, why string) {
	if p := h.Facts.Prepared; p == nil || p.Problem == why {
		return
	}
	_, err := e.observe(ctx, h.ID, "engine", func(now *provisioner.Host) (string, error) {
		p := now.Facts.Prepared
		if _, prepared := lifecycle.Way(*now); !prepared || p.Attempt != h.Status.Attempt.ID || p.Problem == why {
			return "", nil
		}
		noted := *p
		noted.Problem = why
		now.Facts.Prepared = &noted
		return cmp.Or(why, "What the attempt gives the host can be read again."), nil
	})
	if err != nil && ctx.Err() == nil {
		e.Log.Warn().Err(err).Str("host", string(h.ID)).Msg("whether a rendering is lost is not noted")
	}
}

// Document is a text of the attempt's configuration. It may be asked for
// several times a boot. Beside the errors of [Engine.Rendering] there is the
// NotFound fault for a name that the rendering does not have.
func (e *Engine) Document(ctx context.Context, attempt provisioner.AttemptID, name string) (provisioner.Document, error) {
	h, r, err := e.Rendering(ctx, attempt)
	if err != nil {
		return provisioner.Document{}, err
	}
	d, ok := r.Document(name)
	if !ok {
		return d, &provisioner.Fault{Kind: provisioner.NotFound, Err: fmt.Errorf("host %s has no document %q", h.ID, name)}
	}
	if err := e.Fetched(ctx, attempt, provisioner.StageConfig); err != nil {
		e.Log.Warn().Err(err).Str("host", string(h.ID)).Msg("a fetched configuration is not noted")
	}
	return d, nil
}
