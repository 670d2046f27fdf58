package httpboot

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// directs are the direct connections of an endpoint.
type directs struct {
	ended    atomic.Bool
	blocking atomic.Int32 // lines whose threads wait in the kernel
	mu       sync.Mutex
	lines    map[*line]struct{}
	gone     sync.WaitGroup // one for each line; none is added once ended
}

// enter takes a line in; false if lines are to end.
func (d *directs) enter(l *line) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ended.Load() {
		return false
	}
	if d.lines == nil {
		d.lines = map[*line]struct{}{}
	}
	d.lines[l] = struct{}{}
	d.gone.Add(1)
	return true
}

func (d *directs) leave(l *line) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.lines, l)
	d.gone.Done()
}

// wait sets until when a line has to have something to read: for t, or an eighth
// less, as to set it costs a request more than to look at it. The order of its
// two steps and of those of end leaves no line waiting behind the end.
func (d *directs) wait(l *line, t time.Duration) error {
	now := time.Now()
	if left := l.until.Sub(now); left < t-t/8 || left > t {
		l.until = now.Add(t)
		if err := l.SetReadDeadline(l.until); err != nil {
			return err
		}
	}
	if d.ended.Load() {
		return net.ErrClosed
	}
	return nil
}

// end lets lines finish the answer they are at, and take no further request.
func (d *directs) end() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ended.Store(true)
	for l := range d.lines {
		l.hurry()
	}
}

// await returns when all have left. Those that have not when ctx ends are cut.
func (d *directs) await(ctx context.Context) {
	stop := context.AfterFunc(ctx, d.cut)
	defer stop()
	d.gone.Wait()
}

// cut ends what is open.
func (d *directs) cut() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for l := range d.lines {
		l.cut()
	}
}
