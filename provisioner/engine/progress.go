package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/lifecycle"
)

// maxMeters bounds the attempts counted at once; the count of one that is pushed
// out goes on from its fact.
const maxMeters = 4096

// Counted notes that so many bytes of a stage of the attempt are done, of total
// where that is above 0. It may be called for every chunk: counts are kept in
// memory and written down every few seconds, and when a stage is complete. A
// count of 0 begins the stage anew; any other that is below the last is late
// and changes nothing. After a Gone fault there is nothing more to count.
func (e *Engine) Counted(ctx context.Context, attempt provisioner.AttemptID, stage string, bytes, total int64) error {
	return e.counted(ctx, provisioner.Progress{Attempt: attempt, Stage: stage, Bytes: bytes, Total: total}, "boot plane", bytes == 0)
}

func (e *Engine) counted(ctx context.Context, p provisioner.Progress, by string, anew bool) error {
	if p.Stage == "" || p.Bytes < 0 || p.Total < 0 {
		return &provisioner.Fault{Kind: provisioner.Invalid, Err: fmt.Errorf("%d of %d bytes of stage %q cannot be", p.Bytes, p.Total, p.Stage)}
	}
	m, err := e.meterOf(ctx, p.Attempt)
	if err != nil {
		return err
	}
	p.At = e.Now()
	first, now := m.count(p, by, anew)
	if now {
		return e.save(ctx, m)
	}
	if first {
		e.queue.add(m.host, m.due(p.At))
	}
	return nil
}

// recount begins those stages anew that were counted before.
func (e *Engine) recount(ctx context.Context, attempt provisioner.AttemptID, stages ...string) error {
	m, err := e.meterOf(ctx, attempt)
	if err != nil {
		return err
	}
	for _, stage := range stages {
		if !m.counts(stage) {
			continue
		}
		if err := e.counted(ctx, provisioner.Progress{Attempt: attempt, Stage: stage}, "scout", true); err != nil {
			return err
		}
	}
	return nil
}

// meterOf is the meter of a present attempt; a new one goes on from its fact.
func (e *Engine) meterOf(ctx context.Context, attempt provisioner.AttemptID) (*meter, error) {
	if m, ok := e.meter(attempt); ok {
		return m, nil
	}
	id, err := e.hostOf(ctx, attempt)
	if err != nil {
		return nil, err
	}
	h, err := e.Store.Host(ctx, id)
	if err == nil {
		err = current(h, attempt)
	}
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if m, ok := e.meters.get(attempt); ok {
		return m, nil
	}
	m := &meter{host: id, attempt: attempt, stages: progressOf(h)}
	e.meters.put(attempt, m)
	return m, nil
}

func (e *Engine) meter(attempt provisioner.AttemptID) (*meter, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.meters.get(attempt)
}

func (e *Engine) dropMeter(attempt provisioner.AttemptID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.meters.drop(attempt)
}

// progressOf are the counts of h's present attempt.
func progressOf(h provisioner.Host) []provisioner.Progress {
	return slices.DeleteFunc(slices.Clone(h.Facts.Progress), func(p provisioner.Progress) bool {
		return p.Attempt != h.Status.Attempt.ID
	})
}

// save writes down what m counted. A meter of an attempt that is over is
// dropped, and what it counted with it.
func (e *Engine) save(ctx context.Context, m *meter) error {
	var version int
	_, err := e.observe(ctx, m.host, m.who(), func(h *provisioner.Host) (string, error) {
		if err := current(*h, m.attempt); err != nil {
			return "", err
		}
		was := progressOf(*h)
		h.Facts.Progress, version = m.begin(e.Now())
		return progressLine(*h, was), nil
	})
	switch {
	case err == nil:
		m.done(version)
	case over(err):
		e.dropMeter(m.attempt)
	}
	return err
}

// over tells that an attempt, or its host, is there no more.
func over(err error) bool {
	kind := provisioner.KindOf(err)
	return kind == provisioner.Gone || kind == provisioner.NotFound
}

// saveCounts writes down what is counted of h if that is due, and says when it
// will be.
func (e *Engine) saveCounts(ctx context.Context, h provisioner.Host) (time.Time, error) {
	m, ok := e.meter(h.Status.Attempt.ID)
	if !ok {
		return time.Time{}, nil
	}
	due := m.due(e.Now())
	if due.IsZero() || due.After(e.Now()) {
		return due, nil
	}
	if err := e.save(ctx, m); err != nil && !over(err) {
		return time.Time{}, err
	}
	return time.Time{}, nil
}

// progressLine tells the journal of stages that began, unless a step has told
// it, and of those that are complete.
func progressLine(h provisioner.Host, was []provisioner.Progress) string {
	var lines []string
	for _, p := range h.Facts.Progress {
		i := slices.IndexFunc(was, func(w provisioner.Progress) bool { return w.Stage == p.Stage })
		switch {
		case complete(p) && (i < 0 || !complete(was[i])):
			lines = append(lines, fmt.Sprintf("Stage %s: all of %s in %s.", p.Stage, megabytes(p.Bytes), p.At.Sub(p.Began).Round(time.Second)))
		case i < 0 && !lifecycle.Reached(h, p.Stage):
			lines = append(lines, fmt.Sprintf("Stage %s began.", p.Stage))
		}
	}
	return strings.Join(lines, " ")
}

func complete(p provisioner.Progress) bool { return p.Total > 0 && p.Bytes >= p.Total }

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }
