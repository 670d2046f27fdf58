package bmctest

import (
	"context"
	"encoding/json"
	"io"
	"log"
	"mime"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// maxBody bounds what a client sends.
const maxBody = 1 << 20

// request is one request as the rules look at it.
type request struct {
	*http.Request
	path string // without a slash at the end
	body object // nil if there was none
	json bool   // there was a JSON body
}

// answer is what a rule says to a request.
type answer struct {
	status int
	body   object
	header http.Header
	// then goes on without the lock and gives the real answer.
	then func() answer
}

// ServeHTTP implements [http.Handler].
func (e *Emulator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if e.opts.Control && strings.HasPrefix(r.URL.Path, controlRoot) {
		e.Control().ServeHTTP(w, r)
		return
	}
	done := e.begin(r)
	disturbed, a := e.disturb(r)
	switch disturbed {
	case resetConnection:
		done(0) // before the client can know of it and ask again
		reset(w)
	case refusal:
		done(e.write(w, r, a))
	case nothing:
		done(e.handle(w, r))
	}
}

// handle answers by the rules and returns the status.
func (e *Emulator) handle(w http.ResponseWriter, r *http.Request) int {
	in, bad := read(r)
	if bad != nil {
		return e.write(w, r, *bad)
	}
	e.mu.Lock()
	a := e.answer(in)
	e.mu.Unlock()
	if a.then != nil {
		a = a.then()
	}
	return e.write(w, r, a)
}

// read takes a request in; bad is the answer to one that cannot be read.
func read(r *http.Request) (in *request, bad *answer) {
	in = &request{Request: r, path: strings.TrimRight(r.URL.Path, "/")}
	data, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil {
		return nil, &answer{status: http.StatusBadRequest}
	}
	if len(data) == 0 {
		return in, nil
	}
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	in.json = kind == "application/json"
	if err := json.Unmarshal(data, &in.body); err != nil {
		return nil, &answer{status: http.StatusBadRequest, body: errorBody(refuse{Message: "Base.1.8.MalformedJSON", Text: "The request body is not a JSON object."})}
	}
	return in, nil
}

// write sends an answer and returns its status.
func (e *Emulator) write(w http.ResponseWriter, r *http.Request, a answer) int {
	h := w.Header()
	for k, v := range a.header {
		h[k] = v
	}
	h.Set("OData-Version", "4.0")
	h.Set("Cache-Control", "no-cache")
	if a.body == nil {
		w.WriteHeader(a.status)
		return a.status
	}
	data, err := json.Marshal(a.body)
	if err != nil {
		panic(err) // bodies are made of plain values
	}
	h.Set("Content-Type", "application/json; charset=utf-8")
	if tag := e.rules.HTTP.etag(data, r.Header.Get("Accept-Encoding")); tag != "" && r.Method != http.MethodPost && a.status == http.StatusOK {
		h.Set("ETag", tag)
	}
	w.WriteHeader(a.status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(data) // a client that went away is no news
	}
	return a.status
}

// reset ends the connection as a crash of the BMC's web server would.
func reset(w http.ResponseWriter) {
	h, ok := w.(http.Hijacker)
	if !ok {
		panic(http.ErrAbortHandler)
	}
	conn, _, err := h.Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if t, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = t.NetConn()
	}
	if t, ok := conn.(*net.TCPConn); ok {
		_ = t.SetLinger(0) // close then sends RST
	}
	_ = conn.Close()
}

// disturbance is what comes before a request is looked at.
type disturbance int

const (
	nothing disturbance = iota
	resetConnection
	refusal
)

// disturb applies faults and the habits of the personality's web server.
func (e *Emulator) disturb(r *http.Request) (disturbance, answer) {
	e.lag(r)
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, ok := e.strike(FaultReset, r); ok {
		return resetConnection, answer{}
	}
	if n := e.rules.HTTP.ResetReused; n > 0 && requestOnConn(r) == int64(n) {
		return resetConnection, answer{}
	}
	if f, ok := e.strike(FaultUnavailable, r); ok {
		a := e.refuse("busy")
		if f.Status != 0 {
			a.status = f.Status
		}
		a.header = http.Header{"Retry-After": {"1"}}
		return refusal, a
	}
	if _, ok := e.strike(FaultUnauthorized, r); ok {
		return refusal, e.refuse("unauthorized")
	}
	if n := e.rules.HTTP.Stray401; n > 0 && r.Header.Get("X-Auth-Token") != "" && e.record.total%n == 0 {
		return refusal, e.refuse("unauthorized")
	}
	return nothing, answer{}
}

// lag keeps a request waiting that a fault makes slow.
func (e *Emulator) lag(r *http.Request) {
	e.mu.Lock()
	slow, ok := e.strike(FaultSlow, r)
	e.mu.Unlock()
	if ok {
		wait(r.Context(), e.opts.seconds(slow.Seconds))
	}
}

// wait pauses, or less if ctx ends.
func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// connKey is where the count of a connection's requests is kept.
type connKey struct{}

func countedConn(ctx context.Context, _ net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, new(atomic.Int64))
}

// requestOnConn counts the requests of a connection, from 1.
func requestOnConn(r *http.Request) int64 {
	n, ok := r.Context().Value(connKey{}).(*atomic.Int64)
	if !ok {
		return 0
	}
	return n.Add(1)
}

// silent drops what net/http says of handshakes and resets: they are meant.
func silent() *log.Logger { return log.New(io.Discard, "", 0) }

// answer finds who answers a request. It runs with the lock held.
func (e *Emulator) answer(r *request) answer {
	if bad, refused := e.admit(r); refused {
		return bad
	}
	res, found := e.find(r.path)
	if !found {
		return e.refuse("absent", r.path)
	}
	allow := res.allow()
	switch {
	case r.Method == http.MethodGet && res.get != nil, r.Method == http.MethodHead && res.get != nil:
		return e.show(r, res, allow)
	case r.Method == http.MethodPatch && res.patch != nil:
		if bad, refused := e.unmatched(r, res); refused {
			return bad
		}
		return res.patch(r)
	case r.Method == http.MethodPost && res.post != nil:
		return res.post(r)
	case r.Method == http.MethodDelete && res.remove != nil:
		return res.remove(r)
	}
	a := e.refuse("method", r.Method)
	a.header = http.Header{"Allow": {allow}}
	return a
}

func (e *Emulator) show(r *request, res resource, allow string) answer {
	if e.rules.HTTP.IdentityRefused && strings.HasPrefix(r.path, root+"/Registries") && r.Header.Get("Accept-Encoding") == "identity" {
		return e.refuse("encoding")
	}
	body := res.get()
	if members, ok := body["Members"].([]object); ok && r.URL.Query().Has("$expand") && e.rules.HTTP.ExpandBroken && len(members) > 0 {
		body["Members"] = []object{}
	}
	code := http.StatusOK
	if res.code != nil {
		code = res.code()
	}
	return answer{status: code, body: body, header: http.Header{"Allow": {allow}}}
}

// unmatched refuses a change by the rules of If-Match.
func (e *Emulator) unmatched(r *request, res resource) (answer, bool) {
	tag := r.Header.Get("If-Match")
	if tag == "" {
		if e.rules.HTTP.IfMatch {
			return e.refuse("precondition-required"), true
		}
		return answer{}, false
	}
	if tag == "*" && e.rules.HTTP.Star || res.get == nil {
		return answer{}, false
	}
	data, err := json.Marshal(res.get())
	if err != nil {
		panic(err)
	}
	if tag != e.rules.HTTP.etag(data, "") && e.rules.HTTP.ETag != "none" {
		return e.refuse("precondition-failed"), true
	}
	return answer{}, false
}
