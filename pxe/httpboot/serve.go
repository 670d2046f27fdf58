package httpboot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/muster-boot/muster/pxe"
)

// Keys of what a request's context carries.
type (
	networkKey struct{}
	askerKey   struct{}
)

// Asker returns the client that the Decider was asked about, and its answer;
// false in a handler whose mount does not ask.
func Asker(ctx context.Context) (pxe.Client, pxe.Answer, bool) {
	a, ok := ctx.Value(askerKey{}).(asker)
	return a.client, a.answer, ok
}

type asker struct {
	client pxe.Client
	answer pxe.Answer
}

// Local returns our address that the client reached, for URLs it is given.
func Local(r *http.Request) (netip.AddrPort, bool) {
	addr, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}, false
	}
	a := addr.AddrPort()
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()), true
}

// Network returns the name of the interface that the request came by.
func Network(r *http.Request) string {
	name, _ := r.Context().Value(networkKey{}).(string)
	return name
}

// ServeHTTP cleans the path, finds the mount, asks the Decider where the mount
// says so, and keeps account.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	out := &recorder{ResponseWriter: w}
	s.answer(out, out, r)
}

// answer answers one request by out, of which seen keeps account, and returns
// what it tells of it.
func (s *Server) answer(out http.ResponseWriter, seen *recorder, r *http.Request) Request {
	began := s.opts.Now()
	name, err := clean(r.URL)
	if err != nil {
		nothing(out)
	} else {
		s.route(out, at(r, name), name)
	}
	client, _ := netip.ParseAddrPort(r.RemoteAddr)
	told := Request{
		Client: client, Method: r.Method, Path: name, Status: seen.sent(), Bytes: seen.bytes,
		Took: s.opts.Now().Sub(began), Stopped: seen.cut || r.Context().Err() != nil,
	}
	s.opts.Served(told)
	return told
}

func (s *Server) route(w http.ResponseWriter, r *http.Request, name string) {
	m, ok := mountOf(s.mounts, name)
	if !ok {
		nothing(w)
		return
	}
	if m.Ask {
		a, err := s.ask(r)
		if err != nil {
			s.log.Debug().Err(err).Str("address", r.RemoteAddr).Str("path", name).Msg("a boot request is refused")
			nothing(w)
			return
		}
		r = r.WithContext(context.WithValue(r.Context(), askerKey{}, a))
	}
	if err := s.limitBody(w, r); err != nil {
		s.log.Warn().Err(err).Msg("a request's body keeps no time limit")
	}
	m.Handler.ServeHTTP(w, r)
}

// limitBody bounds a body in size and time. Without a body no deadline may be
// set: it would end the answer too.
func (s *Server) limitBody(w http.ResponseWriter, r *http.Request) error {
	if r.ContentLength == 0 {
		return nil
	}
	r.Body = http.MaxBytesReader(w, r.Body, bodySize)
	return http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTime))
}

// ask has the Decider look at who the request's address belongs to.
func (s *Server) ask(r *http.Request) (asker, error) {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return asker{}, err
	}
	mac, ok := s.owners.MACOf(from.Addr().Unmap())
	if !ok {
		return asker{}, errors.New("the address has no lease from us")
	}
	c := pxe.Client{MAC: mac, Arch: pxe.ArchUnknown, Network: Network(r), Address: from.Addr().Unmap(), Transport: pxe.HTTP}
	a, err := s.decider.Decide(r.Context(), c)
	if err != nil {
		return asker{}, fmt.Errorf("decide about %s: %w", mac, err)
	}
	if !a.Serve {
		return asker{}, fmt.Errorf("%s is not served", mac)
	}
	return asker{c, a}, nil
}

// clean is the path that a URL means: decoded once, rooted, without "..", "."
// or doubled slashes. A trailing slash is dropped. Control characters and
// backslashes are in no path of ours.
func clean(u *url.URL) (string, error) {
	if strings.ContainsFunc(u.Path, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\\' }) {
		return "", errors.New("a path of ours holds no such character")
	}
	return path.Clean("/" + u.Path), nil
}

// at is r as handlers see it: with the cleaned path.
func at(r *http.Request, name string) *http.Request {
	if r.URL.Path == name && r.URL.RawPath == "" {
		return r
	}
	out := r.Clone(r.Context())
	out.URL.Path, out.URL.RawPath = name, ""
	return out
}

// mountOf finds the first mount that takes the path.
func mountOf(mounts []Mount, name string) (Mount, bool) {
	for _, m := range mounts {
		rest, ok := strings.CutPrefix(name, strings.TrimSuffix(m.Prefix, "/"))
		if ok && (rest == "" || rest[0] == '/') {
			return m, true
		}
	}
	return Mount{}, false
}

// nothing is the answer to every path that is not there, and to everybody whom
// it is not there for.
func nothing(w http.ResponseWriter) {
	http.Error(w, "nothing here", http.StatusNotFound)
}

// Paths of our own: the loaders, and what newer iPXE builds ask for unasked,
// beside whatever they were loaded from.
const (
	loaderPrefix = "/loader"
	autoexecPath = "/autoexec.ipxe"
)

// autoexecHandler serves the script that goes on with the client's own.
func autoexecHandler(write func(url string) (string, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, a, _ := Asker(r.Context())
		local, ok := Local(r)
		if a.Script == "" || !ok {
			nothing(w)
			return
		}
		script, err := write(scheme(r) + local.String() + a.Script)
		if err != nil {
			nothing(w)
			return
		}
		Bytes(w, r, "text/plain", []byte(script))
	})
}

// scheme is how the client reached us.
func scheme(r *http.Request) string {
	if r.TLS != nil {
		return "https://"
	}
	return "http://"
}

// loaderHandler serves the loaders by their name.
func loaderHandler(files Files) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		data, ok := files.File(strings.TrimPrefix(r.URL.Path, loaderPrefix+"/"))
		if !ok {
			nothing(w)
			return
		}
		Bytes(w, r, "application/octet-stream", data)
	})
}

// Bytes answers GET and HEAD with data: exact length, ranges, no caching. Other
// methods get 405.
func Bytes(w http.ResponseWriter, r *http.Request, contentType string, data []byte) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "only GET and HEAD", http.StatusMethodNotAllowed)
		return
	}
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Cache-Control", "no-store")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
}
