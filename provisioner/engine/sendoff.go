package engine

import (
	"context"
	"time"

	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/lifecycle"
)

// Recorder writes down all that muster holds of a host. Asked again for the same
// attempt it writes the same file anew.
type Recorder interface {
	Record(ctx context.Context, h provisioner.Host) (provisioner.Record, error)
}

// Dismiss says whether the installed system of an attempt, which has called and
// heeds the answer, is to power off because its host ships. That it is told so
// is written down before.
func (e *Engine) Dismiss(ctx context.Context, attempt provisioner.AttemptID, remote string) (off bool, err error) {
	id, err := e.hostOf(ctx, attempt)
	if err != nil {
		return false, err
	}
	_, err = e.observe(ctx, id, "engine", func(h *provisioner.Host) (string, error) {
		if err := current(*h, attempt); err != nil {
			return "", err
		}
		return e.dismiss(h, remote), nil
	})
	if err != nil {
		return false, err
	}
	h, err := e.settle(ctx, id)
	return lifecycle.Parts(h), err
}

// dismiss notes that the installed system of h, whose call is being answered, is
// told to power off, where it is. It returns the journal's sentence: of the
// first time only.
func (e *Engine) dismiss(h *provisioner.Host, remote string) string {
	if !lifecycle.MayPart(*h) {
		return ""
	}
	now, attempt := e.at(*h), h.Status.Attempt.ID
	f := provisioner.Farewell{Attempt: attempt, First: now, Last: now, Address: remote}
	if was := h.Facts.Farewell; was != nil && was.Attempt == attempt {
		if now.Sub(was.Last) < contactEvery && !was.Last.Before(h.Status.Since) {
			return ""
		}
		f.First = was.First
		h.Facts.Farewell = &f
		return ""
	}
	h.Facts.Farewell = &f
	return "The installed system is told to power off: its order ships the host."
}

// recordRetry is how soon a record that could not be written is tried again.
const recordRetry = 10 * time.Second

// sendOff is the duty of an installed host that ships: to find the proof that it
// is off, then to write its record. Each is a commit of its own; a record whose
// commit was lost is written again, over itself.
func (e *Engine) sendOff(ctx context.Context, h provisioner.Host) (moved bool, again time.Time, err error) {
	if _, off := lifecycle.Departed(h); off {
		return e.record(ctx, h)
	}
	d, again, off := lifecycle.Departs(h, e.at(h), e.listening())
	if !off {
		return false, soonest(again, h.Status.Deadline), nil
	}
	_, err = e.observe(ctx, h.ID, "engine", func(now *provisioner.Host) (string, error) {
		if _, still, off := lifecycle.Departs(*now, d.At, e.listening()); !off || !still.Equal(again) {
			return "", nil // it was heard meanwhile
		}
		now.Facts.Departure = &d
		return d.Proof, nil
	})
	return err == nil, time.Time{}, err
}

func (e *Engine) record(ctx context.Context, h provisioner.Host) (moved bool, again time.Time, err error) {
	if r := h.Facts.Record; r != nil && r.Attempt == h.Status.Attempt.ID {
		return false, time.Time{}, nil
	}
	r, err := e.Recorder.Record(ctx, h)
	if err != nil {
		return false, e.Now().Add(recordRetry), e.unrecorded(ctx, h, err)
	}
	_, err = e.observe(ctx, h.ID, "engine", func(now *provisioner.Host) (string, error) {
		now.Facts.Record = &r
		return "Its record is written: " + r.File + " (" + r.Digest + ").", nil
	})
	return err == nil, time.Time{}, err
}

// unrecorded notes, once, why the record of h could not be written.
func (e *Engine) unrecorded(ctx context.Context, h provisioner.Host, why error) error {
	_, err := e.observe(ctx, h.ID, "engine", func(now *provisioner.Host) (string, error) {
		d, off := lifecycle.Departed(*now)
		if !off || d.Problem == why.Error() {
			return "", nil
		}
		d.Problem = why.Error()
		now.Facts.Departure = &d
		return "The host is off and its record could not be written: " + d.Problem + ".", nil
	})
	return err
}
