package tftp

import (
	"net/netip"
	"sync"
)

// gate counts transfers, so that neither all clients together nor a single one
// that asks again and again can hold more than its share.
type gate struct {
	all, each int

	mu    sync.Mutex
	total int
	by    map[netip.Addr]int
}

func newGate(all, each int) *gate {
	return &gate{all: all, each: each, by: map[netip.Addr]int{}}
}

// enter reports whether client may start one more transfer; if so it must leave.
func (g *gate) enter(client netip.Addr) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.total >= g.all || g.by[client] >= g.each {
		return false
	}
	g.total++
	g.by[client]++
	return true
}

func (g *gate) leave(client netip.Addr) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.total--
	g.by[client]--
	if g.by[client] == 0 {
		delete(g.by, client)
	}
}
