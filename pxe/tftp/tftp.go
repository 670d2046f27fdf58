// Package tftp serves the loaders to firmware that can do no better than TFTP.
//
// It serves those few files and nothing else: no directory of the disk, no
// kernel or image, which go by HTTP. It takes no writes. A client that has no
// lease from us, or that the [pxe.Decider] does not serve, is refused.
//
// Start at [Server.Run] and Server.read.
package tftp

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path"
	"strings"
	"time"

	"github.com/pin/tftp/v3"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/muster-boot/muster/pxe"
	"github.com/muster-boot/muster/pxe/holder"
)

// Port is TFTP's (RFC 1350 §4).
const Port = 69

// Retransmission: a block without an answer is sent again after blockTimeout, at
// most blockTries times; then the client counts as gone. Their product is also
// how long Run may take to end.
const (
	blockTimeout = time.Second
	blockTries   = 5
)

// Files gives the loaders by name; ipxe.Loaders is one. Safe for concurrent use.
type Files interface {
	File(name string) ([]byte, bool)
}

// Owners tells whose address a client's is; *lease.Book is one.
type Owners interface {
	MACOf(netip.Addr) (net.HardwareAddr, bool)
}

// Endpoint is one address to serve on.
type Endpoint struct {
	Network  string         // the name of the interface, for the Decider
	Address  netip.AddrPort // ours there; port 69 outside tests
	BootPort uint16         // the boot plane's TCP port on the same address
}

// Fetch is one transfer that ended. A client that only asked for a size made none.
type Fetch struct {
	Network string
	Address netip.Addr // the client's
	File    string     // as asked for
	Bytes   int        // of the whole file
	Err     error      // why the client did not get all of it; nil when it did
}

// Options sets a server's limits. The zero value works.
type Options struct {
	Transfers int         // at once, over all clients; 256 when zero
	PerClient int         // at once, of one address; 8 when zero
	Fetched   func(Fetch) // called after each transfer, by several goroutines at once; may be nil
	Proc      fs.FS       // procfs, to name who holds a port; /proc when nil
}

func (o Options) withDefaults() Options {
	if o.Transfers == 0 {
		o.Transfers = 256
	}
	if o.PerClient == 0 {
		o.PerClient = 8
	}
	if o.Fetched == nil {
		o.Fetched = func(Fetch) {}
	}
	if o.Proc == nil {
		o.Proc = os.DirFS("/proc")
	}
	return o
}

// Server serves TFTP on its endpoints. Make it with [New].
type Server struct {
	endpoints []Endpoint
	files     Files
	autoexec  func(url string) (string, error)
	owners    Owners
	decider   pxe.Decider
	opts      Options
	log       zerolog.Logger
	gate      *gate
	ready     chan struct{}
}

// New returns a server of files; it opens nothing until Run. autoexec writes
// the script for a client whose own is at url; ipxe.Autoexec does.
func New(endpoints []Endpoint, files Files, autoexec func(url string) (string, error), owners Owners, d pxe.Decider, log zerolog.Logger, opts Options) *Server {
	opts = opts.withDefaults()
	return &Server{
		endpoints: endpoints, files: files, autoexec: autoexec, owners: owners, decider: d,
		opts: opts, log: log, gate: newGate(opts.Transfers, opts.PerClient), ready: make(chan struct{}),
	}
}

// Ready is closed when every address is bound.
func (s *Server) Ready() <-chan struct{} { return s.ready }

// Run binds every endpoint, serves until ctx ends, waits for the transfers
// under way (each ends within seconds of its last block), and returns nil. A
// port that another program holds is an error that names it. Call it once.
func (s *Server) Run(ctx context.Context) error {
	conns, err := s.bind()
	if err != nil {
		return err
	}
	close(s.ready)

	var serving errgroup.Group
	for i, conn := range conns {
		server := tftp.NewServer(s.reader(ctx, s.endpoints[i]), nil)
		server.SetTimeout(blockTimeout)
		server.SetRetries(blockTries)
		server.SetBackoff(func(int) time.Duration { return 0 }) // the timeout is pause enough
		serving.Go(func() error { return server.Serve(conn) })
		serving.Go(func() error {
			<-ctx.Done()
			server.Shutdown()
			return nil
		})
	}
	<-ctx.Done()
	return serving.Wait()
}

// bind opens every endpoint, or nothing.
func (s *Server) bind() ([]*net.UDPConn, error) {
	var conns []*net.UDPConn
	for _, e := range s.endpoints {
		conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(e.Address))
		if err != nil {
			err = holder.Explain(s.opts.Proc, holder.UDP, e.Address.Port(), err)
			for _, c := range conns {
				err = errors.Join(err, c.Close())
			}
			return nil, fmt.Errorf("serve TFTP on %s: %w", e.Address, err)
		}
		conns = append(conns, conn)
	}
	return conns, nil
}

// transfer is what the library passes to a read handler besides its ReaderFrom.
type transfer interface {
	tftp.OutgoingTransfer
	tftp.RequestPacketInfo
}

// clean turns a requested name into a path without a leading slash, "..", or
// doubled slashes; backslashes, which old ROMs write, count as slashes. It
// cannot leave the root, because cleaning starts there.
func clean(name string) string {
	name = strings.ReplaceAll(name, `\`, "/")
	return strings.TrimPrefix(path.Clean("/"+name), "/")
}
