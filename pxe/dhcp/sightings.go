package dhcp

import (
	"sync"
	"time"

	"github.com/muster-boot/muster/pxe"
)

// A client that repeats itself is told of once in tellAgain; one that changed
// its mind, or that we changed our mind about, at once. A flood of made-up MACs
// costs at most rememberMACs entries.
const (
	tellAgain    = 10 * time.Second
	rememberMACs = 4096
)

// sightings remembers what was last told of each client.
type sightings struct {
	mu   sync.Mutex
	last map[string]told
}

type told struct {
	loader pxe.Loader
	served bool
	bound  bool
	boot   string
	note   string
	at     time.Time
}

func newSightings() *sightings { return &sightings{last: map[string]told{}} }

// news reports whether s is worth telling, and remembers it if so.
func (t *sightings) news(s Sighting) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	key := s.Client.Network + string(s.Client.MAC)
	now := told{s.Client.Loader, s.Served, s.Bound, s.Boot, s.Note, s.At}
	before, ok := t.last[key]
	before.at, now.at = time.Time{}, time.Time{}
	if ok && before == now && s.At.Sub(t.last[key].at) < tellAgain {
		return false
	}
	now.at = s.At
	if len(t.last) >= rememberMACs {
		clear(t.last)
	}
	t.last[key] = now
	return true
}
