// Package httpboot is the HTTP server of the boot plane: it serves the loaders,
// and whatever handlers its caller mounts, to firmware, iPXE, kernels and BMCs,
// by http and by https alike.
//
// It never redirects, because much firmware does not follow; it cleans paths
// itself instead. It has no users, no sessions and no people's routes. It does
// not decide who is served; a [pxe.Decider] does, for every mount that says so.
//
// Start at [Server.Run], [Mount] and Server.ServeHTTP.
package httpboot

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"net"
	"net/http"
	"net/netip"
	"os"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/muster-boot/muster/pxe"
	"github.com/muster-boot/muster/pxe/holder"
)

// Limits of every connection. There is none on how long an answer may take:
// a BMC reads an image for many minutes. A reader that acknowledges nothing for
// stalled is given up by the kernel instead.
const (
	headerTime = 15 * time.Second
	bodyTime   = time.Minute
	idleTime   = 2 * time.Minute
	stalled    = 5 * time.Minute
	headerSize = 16 << 10
	bodySize   = 16 << 20
	stopTime   = 5 * time.Second
)

// Files gives the loaders by name; ipxe.Loaders is one. Safe for concurrent use.
type Files interface {
	File(name string) ([]byte, bool)
}

// Owners tells whose address a client's is; *lease.Book is one.
type Owners interface {
	MACOf(netip.Addr) (net.HardwareAddr, bool)
}

// Mount is a handler for every path below a prefix.
type Mount struct {
	// Prefix is a clean path such as "/boot"; it takes "/boot" and "/boot/...".
	Prefix string
	// Handler gets the request with its full, cleaned path. Bodies it reads end
	// with an error after 16 MiB.
	Handler http.Handler
	// Ask has the Decider asked before: a client that has no lease from us, or
	// that is not served, gets 404; the handler finds the client by [Asker].
	Ask bool
	// Direct has the GETs and HEADs that a connection begins with answered one
	// after the other, without the standard server between them, which costs more
	// than a short range of a file. The handler's ResponseWriter then has a method
	// SendFile(f *os.File, offset, length int64) (int64, error), and its
	// request's context lasts as long as the connection. By another,
	// Repeat(send func(w http.ResponseWriter, offset, length int64) error), it may
	// leave requests that differ from this one in their range only to send, until
	// that refuses one by an error before the first byte; no Decider is asked of
	// them. No Content-Type is guessed. Over TLS all is left to the standard server.
	Direct bool
}

// Endpoint is one address to serve on.
type Endpoint struct {
	Network string         // the name of the interface, for the Decider
	Address netip.AddrPort // ours there; port 0 picks one
	TLS     *tls.Config    // serves https; nil: plain http
}

// Request is one served request, for a log.
type Request struct {
	Client  netip.AddrPort
	Method  string
	Path    string // cleaned
	Status  int
	Bytes   int64
	Took    time.Duration
	Stopped bool // the client went away before the end
}

// Options sets a server's limits and its hook. The zero value works.
type Options struct {
	Connections int              // at once; 1024 when zero
	Served      func(Request)    // called after each request, by several goroutines at once; may be nil
	Now         func() time.Time // time.Now when nil
	Proc        fs.FS            // procfs, to name who holds a port; /proc when nil
}

func (o Options) withDefaults() Options {
	if o.Connections == 0 {
		o.Connections = 1024
	}
	if o.Served == nil {
		o.Served = func(Request) {}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Proc == nil {
		o.Proc = os.DirFS("/proc")
	}
	return o
}

// Server serves the boot plane. Make it with [New].
type Server struct {
	endpoints []Endpoint
	mounts    []Mount
	owners    Owners
	decider   pxe.Decider
	opts      Options
	log       zerolog.Logger
	patience  patience
	ready     chan struct{}
	bound     []netip.AddrPort // valid once ready is closed
}

// patience is how long a client may take.
type patience struct{ head, idle time.Duration }

// New returns a server of files below /loader/ and of mounts, the first that
// fits a path winning; it opens nothing until Run. autoexec writes the script
// for a client whose own is at url, and is served as autoexec.ipxe in the root
// and beside the loaders; ipxe.Autoexec is one.
func New(endpoints []Endpoint, files Files, autoexec func(url string) (string, error), mounts []Mount, owners Owners, d pxe.Decider, log zerolog.Logger, opts Options) *Server {
	own := []Mount{
		{Prefix: loaderPrefix + autoexecPath, Handler: autoexecHandler(autoexec), Ask: true},
		{Prefix: autoexecPath, Handler: autoexecHandler(autoexec), Ask: true},
		{Prefix: loaderPrefix, Handler: loaderHandler(files), Ask: true},
	}
	return &Server{
		endpoints: endpoints, mounts: append(own, mounts...),
		owners: owners, decider: d, opts: opts.withDefaults(), log: log,
		patience: patience{headerTime, idleTime}, ready: make(chan struct{}),
	}
}

// Ready is closed when every endpoint is bound.
func (s *Server) Ready() <-chan struct{} { return s.ready }

// Bound returns the addresses served on, in the order of the endpoints. It
// waits for Ready.
func (s *Server) Bound() []netip.AddrPort {
	<-s.ready
	return s.bound
}

// Run binds every endpoint, serves until ctx ends, gives requests under way
// five seconds more, and returns nil. Call it once.
func (s *Server) Run(ctx context.Context) error {
	listeners, err := s.bind(ctx)
	if err != nil {
		return err
	}
	close(s.ready)

	var serving errgroup.Group
	for i, l := range listeners {
		server := s.server(s.endpoints[i])
		serving.Go(func() error { return served(server.Serve(s.over(l, s.endpoints[i]))) })
		serving.Go(func() error { return served(server.Serve(l.returns)) })
		serving.Go(func() error {
			<-ctx.Done()
			return l.stop(server)
		})
	}
	<-ctx.Done()
	return serving.Wait()
}

// bind opens every endpoint, or nothing.
func (s *Server) bind(ctx context.Context) ([]*listener, error) {
	var out []*listener
	for _, e := range s.endpoints {
		l, err := listen(ctx, e.Address, s.opts.Connections, s.patience, s.log)
		if err != nil {
			err = holder.Explain(s.opts.Proc, holder.TCP, e.Address.Port(), err)
			for _, open := range out {
				err = errors.Join(err, open.Close())
			}
			return nil, fmt.Errorf("serve boot files on %s: %w", e.Address, err)
		}
		out = append(out, l)
		s.bound = append(s.bound, l.Addr().(*net.TCPAddr).AddrPort())
	}
	return out, nil
}

// over is the listener as the endpoint speaks on it. Without a protocol of
// ALPN (RFC 7301) in its configuration TLS carries HTTP/1.1, as the plain one.
func (s *Server) over(l *listener, e Endpoint) net.Listener {
	if e.TLS == nil {
		return &front{l, s, e.context()}
	}
	return tls.NewListener(l, e.TLS)
}

// context is that of every request that came by the endpoint.
func (e Endpoint) context() context.Context {
	return context.WithValue(context.Background(), networkKey{}, e.Network)
}

// server is the HTTP server of one endpoint.
func (s *Server) server(e Endpoint) *http.Server {
	return &http.Server{
		Handler:           s,
		ReadHeaderTimeout: s.patience.head,
		IdleTimeout:       s.patience.idle,
		MaxHeaderBytes:    headerSize,
		ErrorLog:          log.New(s.log, "", 0),
		BaseContext:       func(net.Listener) context.Context { return e.context() },
	}
}

// served drops the error that only says that the server was stopped.
func served(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// stop lets requests end for a moment and then cuts them.
func (l *listener) stop(server *http.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	l.directs.end()
	err := server.Shutdown(ctx)
	l.directs.await(ctx)
	if err != nil {
		return server.Close()
	}
	return nil
}
