package app

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/muster-boot/muster/provisioner"
)

// Bounds of what is remembered of those who read media.
const (
	maxReadAttempts = 1024
	maxReaders      = 8 // of one attempt; a BMC, firmware and a person are three
	maxSpans        = 512
)

// reader is somebody who fetched of a host's medium.
type reader struct {
	address     string
	first, last time.Time
	spans       spans
}

// reads remembers who fetched how much of each attempt's medium: whether a BMC
// never asked, or asked and stopped, is what a person wants to know first. It is
// forgotten when muster restarts; the journal has who came.
type reads struct {
	mu       sync.Mutex
	attempts map[provisioner.AttemptID]*reading
}

// reading is all that was fetched of one medium.
type reading struct {
	last    time.Time
	all     spans
	readers []reader
}

func newReads() *reads { return &reads{attempts: map[provisioner.AttemptID]*reading{}} }

// asked notes that somebody asks for a medium; news says that it is the first
// time.
func (r *reads) asked(attempt provisioner.AttemptID, address string, now time.Time) (news bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, news = r.of(attempt, now).reader(address, now)
	return news
}

// fetched notes a run of bytes that went to somebody, and returns how many
// different ones of the medium have gone to anybody.
func (r *reads) fetched(attempt provisioner.AttemptID, address string, offset, length int64, now time.Time) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.of(attempt, now)
	if who, _ := m.reader(address, now); who != nil {
		who.last = now
		who.spans.add(offset, length)
	}
	m.all.add(offset, length)
	return m.all.bytes
}

// readers are those who fetched of an attempt's medium, the first one first.
func (r *reads) readers(attempt provisioner.AttemptID) []reader {
	r.mu.Lock()
	defer r.mu.Unlock()
	m, ok := r.attempts[attempt]
	if !ok {
		return nil
	}
	out := slices.Clone(m.readers)
	for i := range out {
		out[i].spans.list = slices.Clone(out[i].spans.list)
	}
	return out
}

// of is what is known of an attempt; a new one takes the place of the one that
// was not heard of for longest.
func (r *reads) of(attempt provisioner.AttemptID, now time.Time) *reading {
	if m, ok := r.attempts[attempt]; ok {
		m.last = now
		return m
	}
	if len(r.attempts) >= maxReadAttempts {
		oldest := attempt
		for id, m := range r.attempts {
			if oldest == attempt || m.last.Before(r.attempts[oldest].last) {
				oldest = id
			}
		}
		delete(r.attempts, oldest)
	}
	m := &reading{last: now}
	r.attempts[attempt] = m
	return m
}

// reader finds somebody; nil where there are too many of them to tell apart.
func (m *reading) reader(address string, now time.Time) (who *reader, news bool) {
	i := slices.IndexFunc(m.readers, func(r reader) bool { return r.address == address })
	if i < 0 && len(m.readers) == maxReaders {
		return nil, false
	}
	if i < 0 {
		i, news = len(m.readers), true
		m.readers = append(m.readers, reader{address: address, first: now, last: now})
	}
	return &m.readers[i], news
}

// spans are the parts of a file that were read, by offset and apart from each
// other. Where they become too many, near ones are joined, and what lies between
// them is then never counted.
type spans struct {
	list  []span
	bytes int64 // read at least once
}

type span struct{ from, to int64 }

// add notes that a run was read.
func (s *spans) add(offset, length int64) {
	add := span{offset, offset + length}
	at, _ := slices.BinarySearchFunc(s.list, add.from, func(e span, from int64) int { return cmp.Compare(e.to, from) })
	end := at
	fresh := length
	for end < len(s.list) && s.list[end].from <= add.to {
		fresh -= max(0, min(s.list[end].to, offset+length)-max(s.list[end].from, offset))
		add = span{min(add.from, s.list[end].from), max(add.to, s.list[end].to)}
		end++
	}
	s.bytes += fresh
	s.list = slices.Replace(s.list, at, end, add)
	if len(s.list) > maxSpans {
		s.join()
	}
}

// join makes one of the two neighbours that are nearest to each other.
func (s *spans) join() {
	nearest := 0
	for i := range len(s.list) - 1 {
		if s.list[i+1].from-s.list[i].to < s.list[nearest+1].from-s.list[nearest].to {
			nearest = i
		}
	}
	s.list[nearest].to = s.list[nearest+1].to
	s.list = slices.Delete(s.list, nearest+1, nearest+2)
}
