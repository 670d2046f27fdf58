package redfish

import (
	"crypto/sha256"
	"sync"
)

// Guard remembers which passwords were refused, so that nobody locks an account
// by connecting again: a password is tried once, until it is changed in
// [Target]. It keeps hashes only, in memory; what is to outlast that its caller
// keeps. The zero value works; it may be used concurrently.
type Guard struct {
	mu      sync.Mutex
	refused map[[sha256.Size]byte]*Fault
}

// maxRefused bounds a guard. Beyond it old entries are forgotten at random.
const maxRefused = 10000

// key names one password of one account; the parts cannot run into each other.
func (t Target) key() [sha256.Size]byte {
	h := sha256.New()
	for _, part := range []string{t.Address, t.User, string(t.Password)} {
		sum := sha256.Sum256([]byte(part))
		h.Write(sum[:])
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// Check returns the fault of a password that was refused before. [Connect] asks
// it; who speaks to BMCs in another way does so itself.
func (g *Guard) Check(t Target) error {
	if g == nil {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if f := g.refused[t.key()]; f != nil {
		return f
	}
	return nil
}

// Forget allows one more try of a target's passwords: a person says that they are
// right now.
func (g *Guard) Forget(t Target) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.refused, t.key())
	delete(g.refused, t.renewed().key())
}

// Note keeps a refusal; a fault of another cause is no refusal.
func (g *Guard) Note(t Target, f *Fault) {
	if g == nil || f == nil || f.Cause != WrongPassword {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.refused == nil {
		g.refused = map[[sha256.Size]byte]*Fault{}
	}
	for k := range g.refused {
		if len(g.refused) < maxRefused {
			break
		}
		delete(g.refused, k)
	}
	g.refused[t.key()] = f
}
