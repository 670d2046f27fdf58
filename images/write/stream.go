package write

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

// Bounds on how long a server is waited for.
const (
	idleTimeout = 30 * time.Second // without a byte
	maxInVain   = 9                // tries in a row that brought nothing
	firstWait   = time.Second      // then twice as long each time that brought nothing
	longestWait = 20 * time.Second
)

// errFinal marks an answer that another try would not change.
var errFinal = errors.New("asking again would not help")

// remote is a file behind a URL, whose size is known. Its methods are for one
// goroutine at a time.
type remote struct {
	ctx    context.Context
	client *http.Client
	wait   func(ctx context.Context, d time.Duration) error
	url    string
	size   int64
	etag   string // of the first answer that had a strong one (RFC 9110 §8.8.3)
}

// get asks for the bytes from off up to, not including, end.
func (r *remote) get(ctx context.Context, off, end int64) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errFinal, err)
	}
	req.Header.Set("Accept-Encoding", "identity") // ranges are of the file as it is
	part := off > 0 || end < r.size
	if part {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", off, end-1))
		if r.etag != "" {
			req.Header.Set("If-Range", r.etag) // RFC 9110 §13.1.5
		}
	}
	resp, err := r.client.Do(req)
	if err != nil {
		return nil, bare(err)
	}
	if err := r.accept(resp, off, end, part); err != nil {
		return nil, errors.Join(err, resp.Body.Close())
	}
	if tag := resp.Header.Get("ETag"); r.etag == "" && strings.HasPrefix(tag, `"`) {
		r.etag = tag
	}
	return resp.Body, nil
}

// bare takes the URL out of an error: it may hold a token.
func bare(err error) error {
	var outer *url.Error
	if errors.As(err, &outer) {
		return outer.Err
	}
	return err
}

// accept judges an answer.
func (r *remote) accept(resp *http.Response, off, end int64, part bool) error {
	whole := fmt.Sprintf("/%d", r.size)
	switch code := resp.StatusCode; {
	case part && code == http.StatusOK && r.etag != "" && resp.Header.Get("ETag") != r.etag:
		return fmt.Errorf("%w: the image changed while it was fetched", errFinal)
	case part && code == http.StatusOK:
		return fmt.Errorf("%w: the server gives no parts of the image, so a broken fetch cannot be resumed", errFinal)
	case part && code == http.StatusPartialContent:
		want := fmt.Sprintf("bytes %d-%d", off, end-1) + whole
		if got := resp.Header.Get("Content-Range"); got != want {
			return fmt.Errorf("%w: asked for %s, the server gives %q", errFinal, want, got)
		}
		return nil
	case code == http.StatusOK && resp.ContentLength >= 0 && resp.ContentLength != r.size:
		return fmt.Errorf("%w: the image has %d bytes and %d were announced", errFinal, resp.ContentLength, r.size)
	case code == http.StatusOK:
		return nil
	case code >= 500 || code == http.StatusTooManyRequests || code == http.StatusRequestTimeout:
		return fmt.Errorf("the server answers %s", resp.Status)
	default:
		return fmt.Errorf("%w: the server answers %s", errFinal, resp.Status)
	}
}

// persist calls try until it succeeds or its failure is final, with growing
// waits; one that brought something starts the count anew.
func (r *remote) persist(try func() (came int64, err error)) error {
	pause := firstWait
	for vain := 0; ; {
		came, err := try()
		if err == nil {
			return nil
		}
		if r.ctx.Err() != nil {
			return context.Cause(r.ctx)
		}
		if vain++; came > 0 {
			vain, pause = 1, firstWait
		}
		if errors.Is(err, errFinal) || vain == maxInVain {
			return fmt.Errorf("fetch the image: %w", err)
		}
		if err := r.wait(r.ctx, pause); err != nil {
			return context.Cause(r.ctx)
		}
		pause = min(2*pause, longestWait)
	}
}

// guarded ends a request that brings nothing for a while.
func guarded(ctx context.Context) (context.Context, *time.Timer, context.CancelCauseFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	idle := time.AfterFunc(idleTimeout, func() { cancel(fmt.Errorf("nothing came for %s", idleTimeout)) })
	return ctx, idle, cancel
}

// stream is a remote from its first byte to its last, over as many connections
// as it takes.
type stream struct {
	remote *remote
	at     atomic.Int64 // bytes read; read by others too
	body   io.ReadCloser
	ctx    context.Context // of the request
	idle   *time.Timer
	cancel context.CancelCauseFunc
}

func (s *stream) Read(p []byte) (n int, err error) {
	if s.at.Load() == s.remote.size {
		return 0, io.EOF
	}
	err = s.remote.persist(func() (int64, error) {
		n, err = s.try(p)
		return int64(n), err
	})
	return n, err
}

// try reads something, on a new connection if need be.
func (s *stream) try(p []byte) (int, error) {
	at := s.at.Load()
	if s.body == nil {
		s.ctx, s.idle, s.cancel = guarded(s.remote.ctx)
		body, err := s.remote.get(s.ctx, at, s.remote.size)
		if err != nil {
			return 0, s.drop(err)
		}
		s.body = body
	}
	s.idle.Reset(idleTimeout)
	n, err := s.body.Read(p[:min(int64(len(p)), s.remote.size-at)])
	s.at.Add(int64(n))
	if n > 0 {
		return n, nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = fmt.Errorf("it ended after %d of %d bytes", at, s.remote.size)
	}
	return 0, s.drop(err)
}

// drop ends the request; the next try makes another. The error says why it
// ended, if that was the guard.
func (s *stream) drop(err error) error {
	if s.cancel == nil {
		return err
	}
	if cause := context.Cause(s.ctx); cause != nil {
		err = cause
	}
	s.idle.Stop()
	s.cancel(nil)
	if s.body != nil {
		_ = s.body.Close() // nothing more is wanted of it
	}
	s.body, s.cancel = nil, nil
	return err
}

func (s *stream) close() { _ = s.drop(nil) }
