package palette

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/muster-boot/muster/inventory"
)

// How old what muster knows of a project may be. One look serves all hosts that
// wait, however many they are.
const (
	lookEvery  = 20 * time.Second
	lookAgain  = 30 * time.Second // after a look that did not work
	lookBehind = 2 * time.Second  // while another looks
	staleAge   = 2 * time.Minute  // until another has looked, what was seen so long ago will do
)

// errLooking says that somebody looks just now.
var errLooking = errors.New("is being asked")

// lookout remembers what Palette has in each project.
type lookout struct {
	client *client
	now    func() time.Time

	mu    sync.Mutex
	views map[string]*view // by project

	all      []meta // projects
	allAt    time.Time
	allErr   error
	allTried time.Time
}

// view is a project as it was last seen.
type view struct {
	hosts   []edgeHost
	at      time.Time // of the last look that worked
	tried   time.Time
	err     error // of the last look
	looking bool
}

func newLookout(c *client, now func() time.Time) *lookout {
	return &lookout{client: c, now: now, views: map[string]*view{}}
}

// hosts are the Edge hosts of a project as they were at most maxAge ago. Only
// one caller at a time asks for them; the others are given what was known before,
// or told errLooking.
func (l *lookout) hosts(ctx context.Context, project string, maxAge time.Duration) ([]edgeHost, error) {
	hosts, err, known := l.known(project, maxAge)
	if known {
		return hosts, err
	}
	hosts, err = l.client.hosts(ctx, project)
	l.mu.Lock()
	defer l.mu.Unlock()
	v := l.views[project]
	v.looking = false
	if errors.Is(ctx.Err(), context.Canceled) { // muster stops: that says nothing of Palette
		return nil, errors.Join(errSilent, err)
	}
	v.err, v.tried = err, l.now()
	if err == nil {
		v.hosts, v.at = hosts, v.tried
	}
	return hosts, err
}

// projects are those that the key may see, as they were at most maxAge ago.
func (l *lookout) projects(ctx context.Context, maxAge time.Duration) ([]meta, error) {
	l.mu.Lock()
	all, at, err, tried, now := l.all, l.allAt, l.allErr, l.allTried, l.now()
	l.mu.Unlock()
	switch {
	case !at.IsZero() && now.Sub(at) < maxAge:
		return all, nil
	case maxAge > 0 && away(err) && now.Sub(tried) < lookAgain:
		return nil, err
	}
	all, err = l.client.projects(ctx)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.allErr, l.allTried = err, l.now()
	if err == nil {
		l.all, l.allAt = all, l.allTried
	}
	return all, err
}

// fresh tells whether a project need not be asked about.
func (l *lookout) fresh(project string, maxAge time.Duration) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	v := l.views[project]
	return v != nil && v.err == nil && !v.at.IsZero() && l.now().Sub(v.at) < maxAge
}

// known is what need not be asked; where it must be, the caller is the one to.
func (l *lookout) known(project string, maxAge time.Duration) (hosts []edgeHost, err error, known bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	v := l.views[project]
	if v == nil {
		v = &view{}
		l.views[project] = v
	}
	now := l.now()
	switch {
	case !v.at.IsZero() && v.err == nil && now.Sub(v.at) < maxAge:
		return v.hosts, nil, true
	case v.looking && v.err != nil: // still so, for all that is known
		return nil, v.err, true
	case v.looking && !v.at.IsZero() && now.Sub(v.at) < staleAge:
		return v.hosts, nil, true
	case v.looking:
		return nil, errLooking, true
	case away(v.err) && now.Sub(v.tried) < lookAgain:
		return nil, v.err, true
	}
	v.looking = true
	return nil, nil, false
}

// next is how long a host may wait until there is something new to see.
func (l *lookout) next(project string) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	v, now := l.views[project], l.now()
	switch {
	case v == nil, v.looking:
		return lookBehind
	case v.err != nil:
		return max(lookAgain-now.Sub(v.tried), time.Second)
	}
	return max(lookEvery-now.Sub(v.at), time.Second)
}

// forget has the project asked for anew: it was changed.
func (l *lookout) forget(project string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if v := l.views[project]; v != nil {
		v.at = time.Time{}
	}
}

// normal are addresses as they are compared; junk is left out.
func normal(macs []string) []string {
	var list []string
	for _, mac := range macs {
		if m, genuine := inventory.NormalMAC(mac); genuine && !slices.Contains(list, m) {
			list = append(list, m)
		}
	}
	return list
}

func overlap(a, b []string) bool {
	return slices.ContainsFunc(a, func(s string) bool { return slices.Contains(b, s) })
}
