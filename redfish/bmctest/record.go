package bmctest

import (
	"net/http"
	"slices"
	"time"
)

// Request is one request that the BMC got.
type Request struct {
	At     time.Time `json:"at"`
	Method string    `json:"method"`
	Path   string    `json:"path"`
	Agent  string    `json:"agent"`
	Status int       `json:"status"` // 0: the connection was reset
}

// Fetch is one read of an image by the BMC.
type Fetch struct {
	At     time.Time `json:"at"`
	URL    string    `json:"url"`
	Method string    `json:"method"`
	Range  string    `json:"range,omitempty"`
	Status int       `json:"status"`
	Bytes  int       `json:"bytes"`
	ETag   string    `json:"etag,omitempty"`
	Error  string    `json:"error,omitempty"`
}

// record is what happened. Its lists are bounded; the newest stay.
type record struct {
	requests  []Request
	total     int
	inFlight  int
	peak      int
	fetches   []Fetch
	boots     []Boot
	problems  []string
	peakMedia int
}

// maxRecord bounds each list.
const maxRecord = 4096

func (r *record) fetched(f Fetch) { r.fetches = bounded(append(r.fetches, f)) }

// mounted notes how many media are in at once.
func (r *record) mounted(slots []*slot) {
	n := 0
	for _, s := range slots {
		if s.inserted {
			n++
		}
	}
	r.peakMedia = max(r.peakMedia, n)
}

func bounded[T any](list []T) []T {
	if len(list) > maxRecord {
		return slices.Delete(list, 0, maxRecord/2)
	}
	return list
}

// begin notes a request; what it returns notes its end.
func (e *Emulator) begin(r *http.Request) func(status int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := Request{At: e.opts.Now(), Method: r.Method, Path: r.URL.Path, Agent: r.UserAgent()}
	e.record.total++
	e.record.inFlight++
	e.record.peak = max(e.record.peak, e.record.inFlight)
	return func(status int) {
		e.mu.Lock()
		defer e.mu.Unlock()
		now.Status = status
		e.record.inFlight--
		e.record.requests = bounded(append(e.record.requests, now))
	}
}

// Requests lists the requests that were answered, oldest first; of very many,
// the newest. The caller owns the list.
func (e *Emulator) Requests() []Request {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.record.requests)
}

// Peak is how many requests, and how many media, there ever were at once.
func (e *Emulator) Peak() (requests, media int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.record.peak, e.record.peakMedia
}

// Fetches lists the BMC's reads of images, oldest first; of very many, the
// newest. The caller owns the list.
func (e *Emulator) Fetches() []Fetch {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.record.fetches)
}

// Boots lists what the machine's firmware was told at each boot.
func (e *Emulator) Boots() []Boot {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.record.boots)
}

// Problems lists what went wrong behind answers that said nothing of it.
func (e *Emulator) Problems() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.record.problems)
}
