package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/lifecycle"
	"github.com/muster-boot/muster/provisioner/store"
)

// Bounds of preparing.
const (
	renderTime = 30 * time.Second // of hand-off driver and installer together
	firstRetry = 5 * time.Second
	lastRetry  = time.Minute
	maxProblem = 1000 // bytes of why it did not work
)

// prepare is the duty of an installing host: to render, once, all that the
// attempt gives it. Rendering and fact are one commit, so that there is either
// both or neither, and never a second rendering of one attempt.
func (e *Engine) prepare(ctx context.Context, h provisioner.Host) (moved bool, again time.Time, err error) {
	if at := retryAt(h, e.at(h)); !at.IsZero() {
		return false, soonest(at, lifecycle.Due(h)), nil
	}
	r, note, err := e.render(ctx, h)
	if err == nil {
		err = e.commitRendering(ctx, h, r, note)
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

// render makes the rendering and says what of the hand-off is worth a line.
func (e *Engine) render(ctx context.Context, h provisioner.Host) (r provisioner.Rendering, note string, err error) {
	ctx, cancel := context.WithTimeout(ctx, renderTime)
	defer cancel()
	carry, err := e.carry(ctx, h)
	if err != nil {
		return r, "", err
	}
	r, err = e.Installer.Render(ctx, h, carry)
	if err != nil {
		return r, "", late(err) // sentence says what it is of
	}
	r.Attempt, r.Image, r.Made = h.Status.Attempt.ID, h.Intent.Image, e.at(h).UTC()
	r.Hidden = append(r.Hidden, carry.Hidden...)
	return r, carry.Note, nil
}

// late is err in words for people where it is that the time was over.
func late(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("it took longer than %s and is tried again: %w", renderTime, err)
	}
	return err
}

func (e *Engine) commitRendering(ctx context.Context, h provisioner.Host, r provisioner.Rendering, note string) error {
	sealed, err := e.seal(r)
	if err != nil {
		return err
	}
	guard, err := e.guard()
	if err != nil {
		return err
	}
	drop := renderedBefore(h)
	h.Facts.Prepared = &provisioner.Prepared{Attempt: r.Attempt, At: r.Made, Way: r.Way, Because: r.Because, Image: r.Image}
	entries := []provisioner.Entry{e.entry(h, provisioner.EntryFact, "engine", preparedLine(r))}
	if note != "" {
		entries = append(entries, e.entry(h, provisioner.EntryFact, h.Intent.Handoff, note))
	}
	return e.Store.Commit(ctx, store.Change{
		Put:            []provisioner.Host{h},
		PutRenderings:  []store.Rendering{{Attempt: r.Attempt, Sealed: sealed}},
		DropRenderings: drop,
		Entries:        entries,
		Guard:          guard,
	})
}

func preparedLine(r provisioner.Rendering) string {
	if r.Because == "" {
		return fmt.Sprintf("Prepared what the host gets, by %s.", r.Way)
	}
	return fmt.Sprintf("Prepared what the host gets, by %s, %s.", r.Way, r.Because)
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

// sentence is an error as people read it, on one line that is not too long for
// a journal.
func sentence(err error) string {
	return "What the host gets could not be prepared: " + words(err.Error()) + "."
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
