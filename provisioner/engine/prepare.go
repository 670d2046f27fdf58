package engine

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/lifecycle"
	"github.com/muster-boot/muster/provisioner/store"
)

// Box seals what must not lie on disk in clear; seal.Box is one.
type Box interface {
	Seal(plain []byte, context string) []byte
	Open(sealed []byte, context string) ([]byte, error)
}

// Bounds of preparing.
const (
	renderTime   = 30 * time.Second // of hand-off driver and installer together
	firstRetry   = 5 * time.Second
	lastRetry    = time.Minute
	maxSealed    = 896 << 10 // bytes; leaves room in the transaction for the host
	maxRendering = 16 << 20  // bytes, before it is packed
	openedKept   = 64        // opened renderings kept in memory
)

// prepare is the duty of an installing host: to render, once, all that the
// attempt gives it. Rendering and fact are one commit, so that there is either
// both or neither, and never a second rendering of one attempt.
func (e *Engine) prepare(ctx context.Context, h provisioner.Host) (moved bool, again time.Time, err error) {
	if at := retryAt(h, e.at(h)); !at.IsZero() {
		return false, soonest(at, lifecycle.Due(h)), nil
	}
	r, err := e.render(ctx, h)
	if err == nil {
		err = e.commitRendering(ctx, h, r)
	}
	switch {
	case err == nil:
		return true, time.Time{}, nil
	case ctx.Err() != nil, errors.Is(err, store.ErrConflict), errors.Is(err, store.ErrDeposed):
		return false, time.Time{}, err
	}
	return e.unprepared(ctx, h, err)
}

// retryAt is when an attempt that could not be prepared is tried again: each
// time after as long as it was tried before, within bounds. Zero means now,
// also where the clock was set back.
func retryAt(h provisioner.Host, now time.Time) time.Time {
	p := h.Facts.Prepared
	if p == nil || p.Attempt != h.Status.Attempt.ID || now.Before(p.At) {
		return time.Time{}
	}
	at := p.At.Add(min(max(p.At.Sub(h.Status.Attempt.Began), firstRetry), lastRetry))
	if !now.Before(at) {
		return time.Time{}
	}
	return at
}

func (e *Engine) render(ctx context.Context, h provisioner.Host) (provisioner.Rendering, error) {
	ctx, cancel := context.WithTimeout(ctx, renderTime)
	defer cancel()
	d, ok := e.drivers[h.Intent.Handoff]
	if !ok {
		return provisioner.Rendering{}, &provisioner.Fault{Kind: provisioner.Operator,
			Err: fmt.Errorf("order %s names the hand-off %q, which this muster does not have", h.Intent.Order, h.Intent.Handoff)}
	}
	carry, err := d.Prepare(ctx, h, e.Installer.Base(h))
	if err != nil {
		return provisioner.Rendering{}, fmt.Errorf("prepare hand-off %s: %w", d.Name(), err)
	}
	r, err := e.Installer.Render(ctx, h, carry)
	if err != nil {
		return provisioner.Rendering{}, fmt.Errorf("render what %s gets: %w", h.ID, err)
	}
	r.Attempt, r.Image, r.Made = h.Status.Attempt.ID, h.Intent.Image, e.at(h).UTC()
	return r, nil
}

func (e *Engine) commitRendering(ctx context.Context, h provisioner.Host, r provisioner.Rendering) error {
	sealed, err := e.seal(r)
	if err != nil {
		return err
	}
	guard, err := e.guard()
	if err != nil {
		return err
	}
	drop := renderedBefore(h)
	h.Facts.Prepared = &provisioner.Prepared{Attempt: r.Attempt, At: r.Made, Way: r.Way}
	return e.Store.Commit(ctx, store.Change{
		Put:            []provisioner.Host{h},
		PutRenderings:  []store.Rendering{{Attempt: r.Attempt, Sealed: sealed}},
		DropRenderings: drop,
		Entries:        []provisioner.Entry{e.entry(h, provisioner.EntryFact, "engine", "Prepared what the host gets, by "+string(r.Way)+".")},
		Guard:          guard,
	})
}

// unprepared notes why there is no rendering yet; the same reason is told the
// journal once.
func (e *Engine) unprepared(ctx context.Context, h provisioner.Host, why error) (moved bool, again time.Time, err error) {
	guard, err := e.guard()
	if err != nil {
		return false, time.Time{}, err
	}
	was, drop := h.Facts.Prepared, renderedBefore(h)
	p := &provisioner.Prepared{Attempt: h.Status.Attempt.ID, At: e.at(h), Problem: sentence(why)}
	h.Facts.Prepared = p
	c := store.Change{Put: []provisioner.Host{h}, DropRenderings: drop, Guard: guard}
	if was == nil || was.Attempt != p.Attempt || was.Problem != p.Problem {
		c.Entries = []provisioner.Entry{e.entry(h, provisioner.EntryFact, "engine", p.Problem)}
		e.Log.Warn().Err(why).Str("host", string(h.ID)).Str("attempt", string(p.Attempt)).Msg("attempt not prepared; trying again")
	}
	err = e.Store.Commit(ctx, c)
	return err == nil, time.Time{}, err
}

// sentence is an error as people read it.
func sentence(err error) string {
	text := strings.TrimRight(strings.TrimSpace(err.Error()), ".")
	return "What the host gets could not be prepared: " + text + "."
}

// renderedBefore is the attempt whose rendering the present one takes the place
// of.
func renderedBefore(h provisioner.Host) []provisioner.AttemptID {
	p := h.Facts.Prepared
	if p == nil || p.Way == "" || p.Attempt == h.Status.Attempt.ID {
		return nil
	}
	return []provisioner.AttemptID{p.Attempt}
}

func (e *Engine) seal(r provisioner.Rendering) ([]byte, error) {
	ways := []provisioner.Way{provisioner.WayNetboot, provisioner.WayMedia, provisioner.WayUEFIHTTP, provisioner.WayWrite}
	if !slices.Contains(ways, r.Way) {
		return nil, fmt.Errorf("the rendering goes by %q, which is no way", r.Way)
	}
	plain, err := pack(r)
	if err != nil {
		return nil, err
	}
	sealed := e.Box.Seal(plain, string(r.Attempt))
	if len(sealed) > maxSealed {
		return nil, &provisioner.Fault{Kind: provisioner.Operator, Err: fmt.Errorf(
			"it takes %d KiB, and %d KiB are kept for a host; make the template or the configuration of its order smaller and import it again",
			len(sealed)>>10, maxSealed>>10)}
	}
	return sealed, nil
}

func pack(r provisioner.Rendering) ([]byte, error) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if err := errors.Join(json.NewEncoder(z).Encode(r), z.Close()); err != nil {
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

// configOpen is the window in which an attempt's configuration is given out:
// from its start until the host is registered or tries something else.
func configOpen(h provisioner.Host, attempt provisioner.AttemptID) bool {
	if h.Status.Attempt.ID != attempt {
		return false
	}
	switch h.Status.Phase {
	case provisioner.Installing, provisioner.Installed:
		return true
	case provisioner.Failed:
		return lifecycle.SystemOnDisk(h)
	case provisioner.Unknown, provisioner.Expected, provisioner.Discovered, provisioner.Verifying,
		provisioner.Ready, provisioner.Registered, provisioner.Quarantined:
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
		return r, &provisioner.Fault{Kind: provisioner.Operator, Err: fmt.Errorf(
			"what attempt %s gives host %s is lost (%w); begin a new attempt with: muster host retry %s", attempt, h.ID, err, h.ID)}
	}
	e.mu.Lock()
	e.opened.put(attempt, r)
	e.mu.Unlock()
	return r, nil
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
