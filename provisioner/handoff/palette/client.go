package palette

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Bounds of what muster asks. Palette counts 10 requests a second, 50 at once,
// for each source address, and a site has one address for muster and all hosts.
const (
	perSecond   = 2
	atOnce      = 4
	callTime    = 20 * time.Second
	maxAnswer   = 8 << 20 // bytes: a page of 50 records is well below
	maxKey      = 4 << 10
	limitedWait = 30 * time.Second // where a 429 does not say how long
	longestWait = 10 * time.Minute
)

// client makes requests: one at a time within the limit, none of which is
// repeated.
type client struct {
	settings Settings
	base     string
	http     *http.Client
	limit    *rate.Limiter
	now      func() time.Time
	sleep    func(context.Context, time.Duration) error

	mu    sync.Mutex
	quiet time.Time     // until then Palette wants to hear nothing
	ahead time.Duration // how far Palette's clock is before ours
}

func newClient(s Settings, o Options) (*client, error) {
	t := &http.Transport{
		TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true,
		TLSHandshakeTimeout: callTime, MaxIdleConns: 2, IdleConnTimeout: time.Minute,
	}
	if s.CAFile != "" {
		pem, err := os.ReadFile(s.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read the certificates that Palette is checked with: %w", err)
		}
		t.TLSClientConfig.RootCAs = x509.NewCertPool()
		if !t.TLSClientConfig.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s has no certificate in PEM", s.CAFile)
		}
	}
	if s.Proxy != "" {
		proxy, err := url.Parse(s.Proxy)
		if err != nil {
			return nil, fmt.Errorf("read the proxy's URL: %w", err)
		}
		t.Proxy = http.ProxyURL(proxy)
	}
	return &client{
		settings: s, base: "https://" + s.Endpoint, limit: rate.NewLimiter(perSecond, atOnce), now: o.Now, sleep: o.Sleep,
		// A redirect would carry the key to somebody else.
		http: &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}, nil
}

// refusal is an answer that is not the wanted one.
type refusal struct {
	status  int
	code    string
	message string
}

func (r *refusal) Error() string {
	text := fmt.Sprintf("answered %d", r.status)
	if r.message != "" {
		text += " (" + clip(r.message) + ")"
	}
	return text
}

// Errors that say why there is no answer at all, in words that stay the same.
var (
	errSilent    = errors.New("does not answer")
	errGarbled   = errors.New("answers what muster cannot read; is a proxy or a portal in between?")
	errLimited   = errors.New("wants fewer requests from this site's address (429)")
	errUntrusted = errors.New("has a certificate that muster does not trust: name its authority in handoff.palette.ca of the configuration file")
)

// away tells errors that are over some time by themselves.
func away(err error) bool {
	var r *refusal
	if errors.As(err, &r) {
		return r.status >= 500 || r.status == http.StatusRequestTimeout
	}
	return errors.Is(err, errSilent) || errors.Is(err, errGarbled) || errors.Is(err, errLimited) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

// is tells whether err is an answer with one of these statuses.
func is(err error, statuses ...int) bool {
	var r *refusal
	if !errors.As(err, &r) {
		return false
	}
	for _, s := range statuses {
		if r.status == s {
			return true
		}
	}
	return false
}

// denied tells answers to a key that is worth nothing, or not enough.
func denied(err error) bool { return is(err, http.StatusUnauthorized, http.StatusForbidden) }

// call makes one request about a project, or about the tenant where it is
// empty, and decodes the answer into what into points to, unless it is nil.
func (c *client) call(ctx context.Context, method, path, project string, body, into any) error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	if err := c.wait(ctx); err != nil {
		return err
	}
	req, err := c.request(ctx, method, path, project, body)
	if err != nil {
		return err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return unreached(err)
	}
	defer resp.Body.Close()
	c.note(resp)
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", errSilent, err)
	case resp.StatusCode == http.StatusTooManyRequests:
		return errLimited
	case resp.StatusCode < 200 || resp.StatusCode > 299:
		return refused(resp.StatusCode, data)
	case len(data) > maxAnswer:
		return errGarbled
	}
	return decode(data, into)
}

// decode reads an answer. Also where nothing is wanted of it, a page of somebody
// in between must not be taken for a yes.
func decode(data []byte, into any) error {
	if into == nil {
		if len(data) > 0 && !json.Valid(data) {
			return errGarbled
		}
		return nil
	}
	if json.Unmarshal(data, into) != nil {
		return errGarbled
	}
	return nil
}

// unreached is why no answer came. The library's text quotes addresses and ports
// that differ each time, so only its kind is said.
func unreached(err error) error {
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	if errors.As(err, &unknown) || errors.As(err, &name) || errors.As(err, &invalid) {
		return errUntrusted
	}
	return fmt.Errorf("%w: %w", errSilent, err)
}

// wait comes back when the next request may go. While Palette wants to hear
// nothing, and where the limit would take longer than ctx, it says so at once.
func (c *client) wait(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c.mu.Lock()
	quiet := c.quiet
	c.mu.Unlock()
	now := c.now()
	if now.Before(quiet) {
		return errLimited
	}
	turn := c.limit.ReserveN(now, 1)
	d := turn.DelayFrom(now)
	if d == 0 {
		return nil
	}
	err := c.sleep(ctx, d)
	if err != nil {
		turn.CancelAt(now)
	}
	return err
}

func (c *client) request(ctx context.Context, method, path, project string, body any) (*http.Request, error) {
	key, err := secretIn(c.settings.KeyFile, apiKeyIn)
	if err != nil {
		return nil, err
	}
	var text io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		text = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, text)
	if err != nil {
		return nil, fmt.Errorf("ask Palette: %w", err)
	}
	req.Header.Set("ApiKey", key)
	req.Header.Set("Accept", "application/json")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if project != "" {
		req.Header.Set("ProjectUid", project)
	}
	return req, nil
}

// errFile is a file of secrets that cannot be used; a person must mend it.
type errFile struct{ text string }

func (e *errFile) Error() string { return e.text }

// What files of secrets hold, and which key names them.
const (
	apiKeyIn = "the API key (handoff.palette.api_key of the configuration file)"
	tokenIn  = "the registration token (handoff.token.file of the order)"
)

// secretIn reads a secret of one line. It is read each time, so that a new one
// needs no restart.
func secretIn(file, what string) (string, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return "", &errFile{fmt.Sprintf("the file with %s cannot be read (%v): put it there, for muster to read", what, err)}
	}
	text := strings.TrimSpace(string(data))
	if text == "" || len(text) > maxKey || strings.ContainsAny(text, "\r\n\x00") {
		return "", &errFile{fmt.Sprintf("%s is to have one line with %s and nothing else", file, what)}
	}
	return text, nil
}

// note takes from an answer what it says of time: until when to be quiet, and
// what Palette's clock shows.
func (c *client) note(resp *http.Response) {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if at, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		c.ahead = at.Sub(now)
	}
	if resp.StatusCode == http.StatusTooManyRequests {
		c.quiet = now.Add(retryAfter(resp.Header.Get("Retry-After"), now))
	}
}

// retryAfter reads RFC 9110 §10.2.3: seconds, or a date.
func retryAfter(text string, now time.Time) time.Duration {
	d := limitedWait
	if seconds, err := strconv.Atoi(text); err == nil && seconds >= 0 {
		d = time.Duration(seconds) * time.Second
	} else if at, err := http.ParseTime(text); err == nil {
		d = at.Sub(now)
	}
	return min(max(d, time.Second), longestWait)
}

// ours is a time of Palette's clock by ours; zero stays zero. A difference that
// the second in which an answer travels explains is none.
func (c *client) ours(t time.Time) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t.IsZero() || c.ahead.Abs() < 3*time.Second {
		return t
	}
	return t.Add(-c.ahead)
}

func refused(status int, data []byte) error {
	var body struct{ Code, Message string }
	_ = json.Unmarshal(data, &body) // what does not read says nothing more than its status
	return &refusal{status, body.Code, body.Message}
}

// clip is a text of somebody else as a sentence may quote it.
func clip(text string) string {
	const most = 200 // bytes
	text = strings.Join(strings.Fields(strings.ToValidUTF8(text, "?")), " ")
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "..."
	}
	return text
}
