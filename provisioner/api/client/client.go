// Package client speaks muster's HTTP interface: [Client] the people's API,
// [Scout] the few routes of the discovery ramdisk.
//
// It prints nothing, retries nothing and keeps no state: whoever calls decides
// whether to ask again. A refusal of the server is a *v1.Problem; a server that
// does not answer is an [Unreachable]. It imports the JSON shapes and the
// hardware words only, so that the scout stays small. Start at [New].
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	v1 "github.com/muster-boot/muster/provisioner/api/v1"
)

// continueTimeout is how long an upload waits for the server to say go on.
const continueTimeout = 2 * time.Second

// answerLimit bounds an answer that is read whole, in bytes.
const answerLimit = 64 << 20

// Client is a client of the people's API. It is safe for concurrent use.
type Client struct{ caller caller }

// New returns a client of the server at address: the path of a unix socket,
// with or without "unix:" before it, or the URL of an HTTP server.
func New(address string) (*Client, error) {
	if strings.HasPrefix(address, "http://") || strings.HasPrefix(address, "https://") {
		if _, err := url.Parse(address); err != nil {
			return nil, fmt.Errorf("server address: %w", err)
		}
		return &Client{caller{base: strings.TrimRight(address, "/"), http: &http.Client{}, server: address}}, nil
	}
	path := strings.TrimPrefix(address, "unix:")
	if path == "" || strings.Contains(path, "://") {
		return nil, fmt.Errorf("server address %q: give the path of a unix socket or an http URL", address)
	}
	return &Client{caller{base: "http://muster", http: &http.Client{Transport: socketTransport(path)}, server: path}}, nil
}

func socketTransport(path string) *http.Transport {
	dialer := net.Dialer{}
	return &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", path)
		},
		// Uploads ask first, so that a refused image is not sent.
		ExpectContinueTimeout: continueTimeout,
	}
}

// Unreachable says that no server answered.
type Unreachable struct {
	Server string // the address that was tried
	Err    error
}

func (u *Unreachable) Error() string {
	if errors.Is(u.Err, fs.ErrPermission) {
		return fmt.Sprintf("permission denied at %s: only who runs muster may open it; ask as that user, for example with sudo", u.Server)
	}
	return fmt.Sprintf("no muster answers at %s (%v): start one with muster serve, or name another with --server", u.Server, u.Err)
}

func (u *Unreachable) Unwrap() error { return u.Err }

// caller makes requests below one base URL.
type caller struct {
	base   string
	http   *http.Client
	server string // as people name it, without a token
}

func (c caller) get(ctx context.Context, path string, reply any) error {
	return c.do(ctx, http.MethodGet, path, nil, reply)
}

func (c caller) post(ctx context.Context, path string, body, reply any) error {
	return c.do(ctx, http.MethodPost, path, body, reply)
}

func (c caller) do(ctx context.Context, method, path string, body, reply any) error {
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return fmt.Errorf("encode request: %w", err)
		}
		content = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, content)
	if err != nil {
		return fmt.Errorf("make request: %w", err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return c.send(req, reply)
}

// send makes the request and reads the whole answer into reply, where it is
// not nil.
func (c caller) send(req *http.Request, reply any) error {
	resp, err := c.open(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, answerLimit))
	if err != nil {
		return c.unreachable(req, err)
	}
	if reply == nil {
		return nil
	}
	if err := json.Unmarshal(text, reply); err != nil {
		return fmt.Errorf("read the answer to %s %s: %w", req.Method, req.URL.Path, err)
	}
	return nil
}

// open makes the request and returns an answer that is a success; its body is
// the caller's to close.
func (c caller) open(req *http.Request) (*http.Response, error) {
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(req, err)
	}
	if resp.StatusCode/100 == 2 {
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, problem(resp)
}

func (c caller) unreachable(req *http.Request, err error) error {
	if ctx := req.Context().Err(); ctx != nil {
		return ctx
	}
	var outer *url.Error
	if errors.As(err, &outer) {
		err = outer.Err // its text repeats the URL, token and all
	}
	return &Unreachable{Server: c.server, Err: err}
}

// problem reads a refusal; one that is not muster's own still says what came.
func problem(resp *http.Response) error {
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return fmt.Errorf("read the refusal: %w", err)
	}
	p := &v1.Problem{}
	if err := json.Unmarshal(text, p); err == nil && p.Detail != "" {
		return p
	}
	return &v1.Problem{
		Type: "about:blank", Title: http.StatusText(resp.StatusCode), Status: resp.StatusCode,
		Detail: "the server answered " + resp.Status + ": " + strings.TrimSpace(string(text)),
	}
}
