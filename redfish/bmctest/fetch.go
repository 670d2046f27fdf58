package bmctest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Medium is an image in a virtual drive: the BMC reads it by ranges, as the
// machine asks for it, and never as a whole. It is safe for concurrent use.
type Medium struct {
	URL string

	bmc    *Emulator
	client *http.Client

	mu   sync.Mutex
	size int64  // -1 until it is known
	tag  string // the ETag of the first answer

	gone atomic.Bool // it was ejected; set under the BMC's lock, so not under mu
}

// remove ends all reading: the drive is empty.
func (m *Medium) remove() { m.gone.Store(true) }

func (m *Medium) present() error {
	if m.gone.Load() {
		return errors.New("the medium was ejected")
	}
	return nil
}

// mediumTimeout bounds one read of an image.
const mediumTimeout = time.Minute

func (e *Emulator) newMedium(image string, s *slot) *Medium {
	return &Medium{URL: image, bmc: e, size: -1, client: &http.Client{
		Timeout: mediumTimeout,
		// What is fetched elsewhere than it was said to lie is not fetched.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext:     e.opts.Dial,
			TLSClientConfig: &tls.Config{InsecureSkipVerify: !s.verify, RootCAs: e.opts.Roots},
		},
	}}
}

// probe opens the image as a personality does inside the insert.
func (m *Medium) probe(ctx context.Context, how string) error {
	switch how {
	case "none":
		return nil
	case "head":
		_, err := m.open(ctx)
		return err
	case "range":
		if _, err := m.open(ctx); err != nil {
			return err
		}
		_, err := m.readRange(ctx, make([]byte, 1), 0)
		return err
	}
	return m.fetchAll(ctx)
}

// open asks once for the image's size.
func (m *Medium) open(ctx context.Context) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.size >= 0 {
		return m.size, nil
	}
	resp, err := m.ask(ctx, http.MethodHead, "")
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	m.bmc.fetched(m.fetch(resp, "", 0))
	switch {
	case resp.StatusCode != http.StatusOK:
		return 0, fmt.Errorf("HEAD %s: %s", m.URL, resp.Status)
	case resp.ContentLength < 0:
		return 0, fmt.Errorf("HEAD %s: no Content-Length", m.URL)
	}
	m.size, m.tag = resp.ContentLength, resp.Header.Get("ETag")
	return m.size, nil
}

func (m *Medium) ask(ctx context.Context, method, span string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, m.URL, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("User-Agent", m.bmc.rules.Media.Agent)
	if span != "" {
		r.Header.Set("Range", span)
	}
	if err := m.bmc.hold(ctx); err != nil {
		return nil, err
	}
	resp, err := m.client.Do(r)
	if err != nil {
		m.bmc.fetched(Fetch{URL: m.URL, Method: method, Range: span, Error: err.Error()})
	}
	return resp, err
}

// readRange reads len(p) bytes at off. An image that changes meanwhile is an
// error, as it is for the file systems on it.
func (m *Medium) readRange(ctx context.Context, p []byte, off int64) (int, error) {
	span := fmt.Sprintf("bytes=%d-%d", off, off+int64(len(p))-1)
	resp, err := m.ask(ctx, http.MethodGet, span)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusPartialContent {
		m.bmc.fetched(m.fetch(resp, span, 0))
		return 0, fmt.Errorf("GET %s of %s: %s; the server must answer ranges", span, m.URL, resp.Status)
	}
	n, err := io.ReadFull(resp.Body, p)
	m.bmc.fetched(m.fetch(resp, span, n))
	if err != nil {
		return n, fmt.Errorf("GET %s of %s: %w", span, m.URL, err)
	}
	return n, m.same(resp.Header.Get("ETag"))
}

func (m *Medium) same(tag string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.tag != "" && tag != m.tag {
		return fmt.Errorf("the image at %s changed while it was read: ETag %s was %s", m.URL, tag, m.tag)
	}
	return nil
}

func (m *Medium) fetchAll(ctx context.Context) error {
	resp, err := m.ask(ctx, http.MethodGet, "")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	n, err := io.Copy(io.Discard, resp.Body)
	m.bmc.fetched(m.fetch(resp, "", int(n)))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %s", m.URL, resp.Status)
	}
	return err
}

func (m *Medium) fetch(resp *http.Response, span string, n int) Fetch {
	return Fetch{URL: m.URL, Method: resp.Request.Method, Range: span, Status: resp.StatusCode, Bytes: n, ETag: resp.Header.Get("ETag")}
}

// Size is the image's length in bytes; it asks for it if nobody has yet.
func (m *Medium) Size() (int64, error) { return m.open(m.bmc.ctx) }

// ReadAt implements [io.ReaderAt] by reads of the personality's size.
func (m *Medium) ReadAt(p []byte, off int64) (int, error) { return m.readAt(m.bmc.ctx, p, off) }

// In is the medium as read for as long as ctx lasts.
func (m *Medium) In(ctx context.Context) io.ReaderAt { return mediumIn{m, ctx} }

type mediumIn struct {
	m   *Medium
	ctx context.Context
}

func (m mediumIn) ReadAt(p []byte, off int64) (int, error) { return m.m.readAt(m.ctx, p, off) }

func (m *Medium) readAt(ctx context.Context, p []byte, off int64) (int, error) {
	if err := m.present(); err != nil {
		return 0, err
	}
	size, err := m.open(ctx)
	if err != nil {
		return 0, err
	}
	if off >= size {
		return 0, io.EOF
	}
	short := int64(len(p)) > size-off
	if short {
		p = p[:size-off]
	}
	n := 0
	for n < len(p) {
		end := min(n+m.bmc.rules.Media.chunk(), len(p))
		got, err := m.readRange(ctx, p[n:end], off+int64(n))
		n += got
		err = errors.Join(err, m.present())
		if err != nil {
			return n, err
		}
	}
	if short {
		return n, io.EOF
	}
	return n, nil
}

func (r mediaRules) chunk() int {
	if r.Chunk == 0 {
		return 64 << 10
	}
	return r.Chunk
}

// ServeHTTP serves the medium to a machine that reads its drive over HTTP, as
// QEMU does: every read goes through the BMC, its rules and its faults.
func (m *Medium) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	size, err := m.Size()
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, r, "", time.Time{}, io.NewSectionReader(m, 0, size))
}

// hold keeps a read back as the faults say.
func (e *Emulator) hold(ctx context.Context) error {
	e.mu.Lock()
	slow, isSlow := e.fault(FaultMediaSlow)
	_, never := e.fault(FaultMediaNever)
	e.mu.Unlock()
	switch {
	case never:
		return errors.New("the BMC does not reach the image")
	case isSlow:
		wait(ctx, e.opts.seconds(slow.Seconds))
	}
	return ctx.Err()
}

// fetched notes a read of an image.
func (e *Emulator) fetched(f Fetch) {
	f.At = e.opts.Now()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.record.fetched(f)
}
