// Package fetch gets a file from a URL that a person gave, over as many broken
// connections as it takes, and never from where it must not go.
//
// It follows few redirects, takes no more than it is told to, and goes through
// no proxy, because a proxy would dial for it; it knows no catalog and believes
// no content: who asked for the file checks it. Start at [Fetcher.File]; the
// addresses that are refused are in [Guard].
package fetch

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/dustin/go-humanize"
)

// Bounds on what a server may do to us.
const (
	maxRedirects  = 5
	maxText       = 1 << 20 // bytes of a list of checksums
	dialTimeout   = 30 * time.Second
	headerTimeout = 60 * time.Second
	idleTimeout   = 60 * time.Second // without a byte of the body
	maxTries      = 100              // of one call, with progress or without
	maxInVain     = 6                // tries in a row that brought nothing
	firstWait     = time.Second      // then twice as long each time that brought nothing
)

// Fetcher fetches files. Its methods may be called concurrently; two calls must
// not have the same part.
type Fetcher struct {
	client *http.Client
	wait   func(ctx context.Context, d time.Duration) error
}

// New returns a fetcher that goes where the guard lets it.
func New(g Guard) *Fetcher {
	dialer := net.Dialer{Timeout: dialTimeout, ControlContext: g.admit}
	return &Fetcher{
		wait: wait,
		client: &http.Client{
			CheckRedirect: checkRedirect,
			Transport: &http.Transport{
				DialContext:            dialer.DialContext,
				TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
				TLSHandshakeTimeout:    dialTimeout,
				ResponseHeaderTimeout:  headerTimeout,
				MaxResponseHeaderBytes: 64 << 10,
				DisableCompression:     true, // ranges are of the file as it is
				DisableKeepAlives:      true, // each hop is dialled, and so judged
			},
		},
	}
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// CheckURL refuses what is no URL to fetch from.
func CheckURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, fmt.Errorf("read the URL: %w", err)
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("%q is not an http or https URL", text)
	case u.Hostname() == "":
		return nil, fmt.Errorf("%q names no host", text)
	case u.User != nil:
		return nil, errors.New("the URL holds a user name; fetch the file yourself and add it from there")
	}
	return u, nil
}

func checkRedirect(r *http.Request, via []*http.Request) error {
	if _, err := CheckURL(r.URL.String()); err != nil {
		return &final{fmt.Errorf("redirected: %w", err)}
	}
	if r.URL.Scheme == "http" && via[len(via)-1].URL.Scheme == "https" {
		return &final{fmt.Errorf("redirected from https to %s, which anybody on the way can change", r.URL.Redacted())}
	}
	if len(via) > maxRedirects {
		return &final{fmt.Errorf("redirected more than %d times", maxRedirects)}
	}
	return nil
}

// final is an error that another try would not mend.
type final struct{ error }

func (f *final) Unwrap() error { return f.error }

// mends tells whether another try may go better.
func mends(ctx context.Context, err error) bool {
	var last *final
	var refused *Refused
	var disk *fs.PathError
	return ctx.Err() == nil && !errors.As(err, &last) && !errors.As(err, &refused) && !errors.As(err, &disk)
}

// Options of one file. The zero value takes any size.
type Options struct {
	Max      int64                   // bytes; 0 is no bound
	Space    func(total int64) error // asked before content is taken and while it comes, with the size that is announced
	Progress func(done, total int64) // called as bytes come; total is 0 where it is not known
}

// File fetches the URL into the file named part. Where an earlier call has left
// a beginning there, it goes on behind it if the server still has the same
// content, and else begins anew. An error leaves what has come, for the next
// call; ctx ends the fetch.
func (f *Fetcher) File(ctx context.Context, from, part string, o Options) error {
	if _, err := CheckURL(from); err != nil {
		return err
	}
	ctx = context.WithValue(ctx, trailKey{}, &trail{})
	pause, vain := firstWait, 0
	for try := 1; ; try++ {
		came, err := f.try(ctx, from, part, o)
		if err == nil {
			return nil
		}
		if vain++; came > 0 {
			pause, vain = firstWait, 0
		}
		if try == maxTries || vain == maxInVain || !mends(ctx, err) {
			return fmt.Errorf("fetch %s: %w", from, err)
		}
		if err := f.wait(ctx, pause); err != nil {
			return fmt.Errorf("fetch %s: %w", from, err)
		}
		pause *= 2
	}
}

// try makes one request and takes what comes of it.
func (f *Fetcher) try(ctx context.Context, from, name string, o Options) (came int64, err error) {
	p, err := openPart(name, from)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	resp, err := f.get(ctx, from, p.conditions())
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if done, err := p.begin(resp); done || err != nil {
		return 0, err
	}
	if err := o.fits(p.total); err != nil {
		return 0, err
	}
	idle := time.AfterFunc(idleTimeout, func() { cancel(fmt.Errorf("nothing came for %s", idleTimeout)) })
	defer idle.Stop()
	body := readerFunc(func(b []byte) (int, error) {
		n, err := resp.Body.Read(b)
		idle.Reset(idleTimeout)
		return n, err
	})
	came, err = p.take(body, o)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause
	}
	return came, err
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

func (o Options) fits(total int64) error {
	if o.Max > 0 && total > o.Max {
		return &final{fmt.Errorf("it has %s, more than the %s that are taken", humanize.Bytes(uint64(total)), humanize.Bytes(uint64(o.Max)))}
	}
	if o.Space == nil {
		return nil
	}
	if err := o.Space(total); err != nil {
		return &final{err}
	}
	return nil
}

func (f *Fetcher) get(ctx context.Context, from string, header http.Header) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return nil, &final{err}
	}
	req.Header = header
	resp, err := f.client.Do(req)
	if err != nil {
		var outer *url.Error
		if errors.As(err, &outer) {
			err = outer.Err // its text repeats the URL
		}
		return nil, err
	}
	return resp, nil
}

// Text fetches a small text, such as a list of checksums.
func (f *Fetcher) Text(ctx context.Context, from string) ([]byte, error) {
	if _, err := CheckURL(from); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.WithValue(ctx, trailKey{}, &trail{}), headerTimeout)
	defer cancel()
	resp, err := f.get(ctx, from, http.Header{})
	if err != nil {
		return nil, fmt.Errorf("fetch %s: %w", from, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("fetch %s: the server answers %s", from, resp.Status)
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxText+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("fetch %s: %w", from, err)
	case len(text) > maxText:
		return nil, fmt.Errorf("fetch %s: it has more than %s", from, humanize.Bytes(maxText))
	}
	return text, nil
}
