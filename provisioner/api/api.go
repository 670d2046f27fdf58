// Package api is muster's HTTP interface: the people's API for the control
// plane, and the few routes of scouts, installers and agents for the boot
// plane. The two are separate handlers that share no route.
//
// It decides no phase and acts on no host: people's wishes become intent in the
// store, what hosts say goes to the engine. It knows no user yet: whoever can
// open the control socket is its operator. Start at [New] for people, at
// [NewBootPlane] for hosts; each has one table of all its routes.
package api

import (
	"fmt"
	"net/http"
	"net/netip"
	"path"

	"github.com/rs/zerolog"
)

// Access says who may use a route.
type Access string

// The classes of access.
const (
	Viewer    Access = "viewer"    // reads what muster holds; today: who can open the control socket
	Operator  Access = "operator"  // changes what people want; today: who can open the control socket
	ScoutKey  Access = "scout"     // a scout with the token of its host's present run, for that host only
	Attempter Access = "installer" // an installer or installed system with the token of its attempt
)

// route is one row of a table. Pattern is that of [http.ServeMux].
type route struct {
	method  string
	path    string
	access  Access
	id      string // OpenAPI operationId
	summary string
	query   []param
	body    any // a value of the shape that is sent; nil: none
	reply   any // a value of the shape that comes back; nil: none
	serve   func(*http.Request) Response
}

// param is one query parameter.
type param struct{ name, text string }

// mount makes a handler of a table. Paths that are not clean, and those that no
// row has, are 404: there is never a redirect, because boot clients follow none.
func mount(table []route, log zerolog.Logger) http.Handler {
	mux := http.NewServeMux()
	for _, r := range table {
		mux.Handle(r.method+" "+r.path, edge(r, log))
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != path.Clean(r.URL.Path) {
			send(w, r, refuse(http.StatusNotFound, "there is nothing at %s", r.URL.Path))
			return
		}
		h, pattern := mux.Handler(r)
		if pattern == "" {
			send(w, r, unrouted(h, r))
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// unrouted says no as a problem, with the status that the mux would give.
func unrouted(h http.Handler, r *http.Request) Response {
	probe := &statusOnly{header: http.Header{}}
	h.ServeHTTP(probe, r)
	if probe.status == http.StatusMethodNotAllowed {
		resp := refuse(probe.status, "%s is not for %s; it is for %s", r.URL.Path, r.Method, probe.header.Get("Allow"))
		resp.Header = http.Header{"Allow": probe.header["Allow"]}
		return resp
	}
	return refuse(http.StatusNotFound, "there is nothing at %s", r.URL.Path)
}

// statusOnly is a response writer that keeps no body.
type statusOnly struct {
	header http.Header
	status int
}

func (s *statusOnly) Header() http.Header         { return s.header }
func (s *statusOnly) Write(b []byte) (int, error) { return len(b), nil }
func (s *statusOnly) WriteHeader(status int)      { s.status = status }

// edge is where a handler's answer becomes bytes, and the one place where its
// error is logged: those that are muster's own, the others are the caller's.
func edge(rt route, log zerolog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		resp := rt.serve(r)
		if resp.err != nil && resp.Status >= http.StatusInternalServerError {
			log.Error().Err(resp.err).Str("operation", rt.id).Int("status", resp.Status).Msg("request not served")
		}
		send(w, r, resp)
	})
}

// remote is the address a request came from, without its port.
func remote(r *http.Request) string {
	addr, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return "" // a unix socket has none
	}
	return addr.Addr().Unmap().String()
}

// describe names a route in errors and documents.
func (rt route) describe() string { return fmt.Sprintf("%s %s", rt.method, rt.path) }
