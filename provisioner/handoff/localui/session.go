package localui

import (
	"encoding/json"
	"sync"
	"time"

	"github.com/muster-boot/muster/provisioner"
)

// maxSessions bounds the hosts that are spoken to at once; a session that is
// dropped costs its host one more log-in, with a password that it took before.
const maxSessions = 4096

// session is a conversation with the host of one attempt. Whoever uses it has
// its lock, save for the uploads, which only use the edge.
type session struct {
	mu      sync.Mutex
	address string
	edge    *edge
	begun   int       // the try that this process said it would make
	sent    bool      // it was made
	in      time.Time // when it was logged in; zero: it is not
	ready   time.Time // when the host was first found to be ready
}

// session is that of h's present attempt.
func (d *Driver) session(h provisioner.Host) *session {
	d.mu.Lock()
	defer d.mu.Unlock()
	attempt := h.Status.Attempt.ID
	if s, there := d.sessions[attempt]; there {
		return s
	}
	for old := range d.sessions {
		if len(d.sessions) < maxSessions {
			break
		}
		delete(d.sessions, old)
	}
	s := &session{}
	d.sessions[attempt] = s
	return s
}

// forget ends the conversation. Whoever calls has the lock.
func (s *session) forget() { s.address, s.begun, s.sent, s.in = "", 0, false, time.Time{} }

// at has the session go to the address that the host has now; pin is that of
// its certificate, where it is known. Whoever calls has the lock.
func (s *session) at(address, pin string) {
	if s.address != address {
		s.address, s.edge, s.in = address, newEdge(address, pin), time.Time{}
	}
}

// kept is what is told again of an attempt, after a restart too. The engine
// writes it down before it asks again.
type kept struct {
	Pin        string `json:"pin,omitempty"`        // SHA-256 of the host's certificate
	Credential string `json:"credential,omitempty"` // mark of that which was tried last
	Tries      int    `json:"tries,omitempty"`      // log-ins with it whose end nobody knows
	Refused    string `json:"refused,omitempty"`    // what a person was told when the host refused it
	Definition string `json:"definition,omitempty"` // SHA-256 of the cluster definition that it took
	Released   int    `json:"released,omitempty"`   // how often the host was released when this was kept
}

// keptOf is what was kept of h's present attempt.
func keptOf(h provisioner.Host) (k kept) {
	if f := h.Facts.Kept; f != nil && f.Attempt == h.Status.Attempt.ID {
		_ = json.Unmarshal([]byte(f.Text), &k) // what cannot be read is as good as nothing
	}
	return k
}

// released is what is left of k when a person has held and released the host
// since: the password may be tried again, and another certificate be taken.
func (k kept) released(times int) (kept, bool) {
	if k.Released == times {
		return k, false
	}
	return kept{Definition: k.Definition, Released: times}, true
}

func (k kept) text() string {
	text, err := json.Marshal(k)
	if err != nil || string(text) == "{}" {
		return ""
	}
	return string(text)
}
