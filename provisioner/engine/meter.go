package engine

import (
	"slices"
	"sync"
	"time"

	"github.com/muster-boot/muster/provisioner"
)

// Bounds of counting.
const (
	countEvery = 5 * time.Second // between two writes of one host's counts
	maxCounted = 16              // stages of one attempt
)

// meter has the counts of one attempt that is at work, newer than the store's.
type meter struct {
	host    provisioner.HostID
	attempt provisioner.AttemptID

	mu      sync.Mutex
	by      string                 // who counted last
	stages  []provisioner.Progress // never changed in place: facts share it
	version int                    // of stages
	saved   int                    // the version that the store has
	wrote   time.Time              // when it was last written, or began to be
	ended   []string               // stages whose first end was written at once
}

// count takes a count, with anew of a stage that begins again. first says that
// it is the first one that is not saved, now that it should be saved at once;
// the caller then does.
func (m *meter) count(p provisioner.Progress, by string, anew bool) (first, now bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	stages, changed := counted(m.stages, p, anew)
	if !changed {
		return false, false
	}
	first = m.version == m.saved
	m.stages, m.version, m.by = stages, m.version+1, by
	ends := p.Total > 0 && p.Bytes >= p.Total && !slices.Contains(m.ended, p.Stage)
	if ends {
		m.ended = append(m.ended, p.Stage)
	}
	if now = ends || !m.next(p.At).After(p.At); now {
		m.wrote = p.At
	}
	return first, now
}

// next is when counts may be written down again; at once where the clock was
// set back. Whoever calls has the lock.
func (m *meter) next(now time.Time) time.Time {
	if now.Before(m.wrote) {
		return now
	}
	return m.wrote.Add(countEvery)
}

func (m *meter) counts(stage string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.ContainsFunc(m.stages, func(p provisioner.Progress) bool { return p.Stage == stage })
}

// counted returns stages with p in them, and whether that is news.
func counted(stages []provisioner.Progress, p provisioner.Progress, anew bool) ([]provisioner.Progress, bool) {
	i := slices.IndexFunc(stages, func(s provisioner.Progress) bool { return s.Stage == p.Stage })
	if i < 0 {
		p.Began = p.At
		return append(slices.Clone(stages), p), len(stages) < maxCounted
	}
	was := stages[i]
	switch {
	case anew && was.Bytes > p.Bytes:
		p.Began = p.At
	case p.Bytes > was.Bytes:
		p.Began = was.Began
	default:
		return stages, false
	}
	if p.Total == 0 {
		p.Total = was.Total
	}
	stages = slices.Clone(stages)
	stages[i] = p
	return stages, true
}

// due is when what is counted should be saved; zero where it is.
func (m *meter) due(now time.Time) time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.version == m.saved {
		return time.Time{}
	}
	return m.next(now)
}

// begin says at now what is to be saved.
func (m *meter) begin(now time.Time) ([]provisioner.Progress, int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.wrote = now
	return m.stages, m.version
}

func (m *meter) who() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.by
}

func (m *meter) done(version int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.saved = max(m.saved, version)
}
