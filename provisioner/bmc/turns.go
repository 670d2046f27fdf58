package bmc

import (
	"context"
	"strings"
	"sync"
)

// turns lets one call at a time to each BMC. The zero value works.
type turns struct {
	mu   sync.Mutex
	gate map[string]*gate
}

// gate is of one BMC; it is dropped with its last user.
type gate struct {
	free  chan struct{} // holds one while nobody is in
	users int
}

// enter waits for the turn at an address, and tells so if it must.
func (t *turns) enter(ctx context.Context, address string, waiting func()) (leave func(), err error) {
	key := sameBMC(address)
	t.mu.Lock()
	g := t.gate[key]
	if g == nil {
		g = &gate{free: make(chan struct{}, 1)}
		g.free <- struct{}{}
		if t.gate == nil {
			t.gate = map[string]*gate{}
		}
		t.gate[key] = g
	}
	g.users++
	t.mu.Unlock()
	select {
	case <-g.free:
	default:
		waiting()
		select {
		case <-g.free:
		case <-ctx.Done():
			t.drop(key, g)
			return nil, ctx.Err()
		}
	}
	return func() {
		g.free <- struct{}{}
		t.drop(key, g)
	}, nil
}

func (t *turns) drop(key string, g *gate) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if g.users--; g.users == 0 {
		delete(t.gate, key)
	}
}

// sameBMC makes addresses that differ in spelling the same.
func sameBMC(address string) string {
	key := strings.TrimSuffix(strings.ToLower(strings.TrimSpace(address)), "/")
	key = strings.TrimPrefix(strings.TrimPrefix(key, "https://"), "http://")
	if strings.Count(key, ":") == 1 || strings.Contains(key, "]:") {
		key = strings.TrimSuffix(strings.TrimSuffix(key, ":443"), ":623")
	}
	return strings.Trim(key, "[]")
}
