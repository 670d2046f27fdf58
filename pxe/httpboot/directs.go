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
	ended  atomic.Bool
	mu     sync.Mutex
	visits map[*visit]struct{}
	gone   sync.WaitGroup // one for each visit; none is added once ended
}

// visit is the time that a line is direct. It can be so again before the visit
// before is over to the last line of code.
type visit struct{ line *line }

// enter begins a visit; false if lines are to end.
func (d *directs) enter(l *line) (*visit, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ended.Load() {
		return nil, false
	}
	if d.visits == nil {
		d.visits = map[*visit]struct{}{}
	}
	v := &visit{l}
	d.visits[v] = struct{}{}
	d.gone.Add(1)
	return v, true
}

func (d *directs) leave(v *visit) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.visits, v)
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
	for v := range d.visits {
		_ = v.line.SetReadDeadline(time.Unix(1, 0)) // fails on a closed one only
	}
}

// await returns when all have left. Those that have not when ctx ends are cut.
func (d *directs) await(ctx context.Context) {
	stop := context.AfterFunc(ctx, d.cut)
	defer stop()
	d.gone.Wait()
}

// cut closes what is open.
func (d *directs) cut() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for v := range d.visits {
		_ = v.line.Close() // its answer says that it failed
	}
}
