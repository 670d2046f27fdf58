package bmctest

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
)

// anyCertificate is a client of a system that knows no roots.
func anyCertificate() *http.Client {
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
}

// fetch downloads files and drops them.
func (p *Paper) fetch(ctx context.Context, urls ...string) error {
	for _, u := range urls {
		if _, _, err := p.call(ctx, http.MethodGet, u, nil, "", io.Discard); err != nil {
			return err
		}
	}
	return nil
}

// maxAnswer bounds what is kept of an answer.
const maxAnswer = 1 << 20

func (p *Paper) get(ctx context.Context, u string) ([]byte, error) {
	var b bytes.Buffer
	_, _, err := p.call(ctx, http.MethodGet, u, nil, "", &b)
	return b.Bytes(), err
}

// post tells the attempt's route; a system without one tells nobody.
func (p *Paper) post(ctx context.Context, base, route string) error {
	if base == "" {
		return nil
	}
	_, err := p.insist(ctx, http.MethodPost, base+route, nil, "")
	return err
}

// refusals are answers that no repetition changes.
var refusals = []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusConflict, http.StatusGone}

// insist repeats a call until it is answered for good.
func (p *Paper) insist(ctx context.Context, method, u string, body object, token string) ([]byte, error) {
	for {
		var b bytes.Buffer
		status, answered, err := p.call(ctx, method, u, body, token, &b)
		if err == nil || ctx.Err() != nil || answered && slices.Contains(refusals, status) {
			return b.Bytes(), err
		}
		wait(ctx, p.opts.Second)
	}
}

// call makes one request; an answer that is none of 2xx is an error.
func (p *Paper) call(ctx context.Context, method, u string, body object, token string, to io.Writer) (status int, answered bool, err error) {
	var data io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return 0, false, err
		}
		data = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(ctx, method, u, data)
	if err != nil {
		return 0, false, err
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := p.opts.Client.Do(r)
	if err != nil {
		return 0, false, err
	}
	defer resp.Body.Close()
	from := io.Reader(resp.Body)
	if to != io.Discard {
		from = io.LimitReader(from, maxAnswer)
	}
	if _, err := io.Copy(to, from); err != nil {
		return resp.StatusCode, false, err
	}
	if resp.StatusCode/100 != 2 {
		return resp.StatusCode, true, fmt.Errorf("%s %s: %s", method, u, resp.Status)
	}
	return resp.StatusCode, true, nil
}
