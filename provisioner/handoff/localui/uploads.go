package localui

import (
	"context"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/muster-boot/muster/provisioner"
)

// Bounds of uploads.
const (
	uploaders  = 4    // at one time, over all hosts: they share the site's network
	maxWaiting = 4096 // that wait for their turn
)

// upload is one bundle for one host.
type upload struct {
	attempt provisioner.AttemptID
	edge    *edge
	what    string // for people
	stage   string
	path    string
	bundle  bundle
	skip    string // SHA-256 of what the host has; the same is not sent again
}

// done is an upload that was made, or was not wanted.
type done struct {
	sum     string // SHA-256 of what was sent
	skipped bool   // the host had it
}

// state is how far an upload is.
type state struct {
	running bool
	done    done
	failed  error // of the last try
	lost    error // the file cannot be read
}

// errand names an upload.
type errand struct {
	attempt provisioner.AttemptID
	stage   string
}

// uploads makes uploads, a few at a time, in the order in which they were
// wanted. Safe for concurrent use.
type uploads struct {
	files   *bundles
	counted func(ctx context.Context, attempt provisioner.AttemptID, stage string, bytes, total int64)
	queue   chan upload

	mu     sync.Mutex
	states map[errand]state
}

func newUploads(files *bundles, counted func(context.Context, provisioner.AttemptID, string, int64, int64)) *uploads {
	return &uploads{files: files, counted: counted, queue: make(chan upload, maxWaiting), states: map[errand]state{}}
}

// want says how far u is, and has it made unless it is on its way. The end of
// an upload is told once: whoever still wants it then has it made again.
func (q *uploads) want(u upload) state {
	q.mu.Lock()
	defer q.mu.Unlock()
	key := errand{u.attempt, u.stage}
	s, there := q.states[key]
	if there && s.failed == nil && s.lost == nil && s.done.sum == "" {
		return s
	}
	if there && s.done.sum != "" {
		delete(q.states, key)
		return s
	}
	select {
	case q.queue <- u:
		q.states[key] = state{}
	default: // full: it is wanted again later
	}
	return s
}

// busy tells whether an upload is on its way; the end of one that was made is
// told with it.
func (q *uploads) busy(attempt provisioner.AttemptID, stage string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	key := errand{attempt, stage}
	s := q.states[key]
	if s.done.sum != "" {
		delete(q.states, key)
	}
	return s.running
}

func (q *uploads) set(u upload, s state) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.states[errand{u.attempt, u.stage}] = s
}

// run makes what is wanted until ctx ends.
func (q *uploads) run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for range uploaders {
		g.Go(func() error {
			for {
				select {
				case <-ctx.Done():
					return nil
				case u := <-q.queue:
					q.set(u, state{running: true})
					q.set(u, q.make(ctx, u))
				}
			}
		})
	}
	return g.Wait()
}

// make makes one upload.
func (q *uploads) make(ctx context.Context, u upload) state {
	sum, err := q.files.digest(ctx, u.bundle.File)
	if err != nil {
		return state{lost: err}
	}
	if digits(u.skip) == sum {
		return state{done: done{sum: sum, skipped: true}}
	}
	body, info, err := q.files.open(u.bundle.File)
	if err != nil {
		return state{lost: err}
	}
	defer body.Close()
	files := []file{{"uploadFile", u.bundle.File, info.Size(), body}}
	if u.bundle.Signature != "" {
		signature, about, err := q.files.open(u.bundle.Signature)
		if err != nil {
			return state{lost: err}
		}
		defer signature.Close()
		files = append(files, file{"signature", u.bundle.Signature, about.Size(), signature})
	}
	total := info.Size()
	q.counted(ctx, u.attempt, u.stage, 0, total)
	err = u.edge.upload(ctx, u.path, func(sent int64) { q.counted(ctx, u.attempt, u.stage, min(sent, total-1), total) }, files...)
	if err != nil {
		return state{failed: err}
	}
	q.counted(ctx, u.attempt, u.stage, total, total)
	return state{done: done{sum: sum}}
}
