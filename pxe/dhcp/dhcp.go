// Package dhcp is a full DHCPv4 server for hosts that boot from the network: it
// gives addresses from a pool, and tells each client the boot file that fits
// its firmware and what the [pxe.Decider] decided.
//
// It does not choose whom to serve or what they boot, and sends nothing at all
// to a client the Decider does not serve. It never sets an address on an
// interface, never guesses a firmware, and does not share port 67 with another
// DHCP server on the same interface.
//
// A client that is served without a script gets an address and no boot file.
// That is right for an operating system. Firmware that wanted to netboot stops
// there with an error of its own, some of it only after minutes, so a decider
// gives every host that boots from the network a script, and "boot the local
// disk" is one.
//
// Start at [Server.Run], then handle, classify, bootFor and reply; all but the
// first two are pure.
package dhcp

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/muster-boot/muster/pxe"
	"github.com/muster-boot/muster/pxe/lease"
)

// UDP ports: RFC 2131 §4.1 for the first two, PXE 2.1 §2.2.5 for the third.
const (
	serverPort = 67
	clientPort = 68
	bootPort   = 4011
)

// Network is one link on which addresses are given.
type Network struct {
	Interface string       // where packets arrive
	Address   netip.Prefix // our own address there, with the length of its network
	From, To  netip.Addr   // the pool, both ends given out
	Router    netip.Addr   // invalid: none
	DNS       []netip.Addr
	NTP       []netip.Addr
	// LoaderAlways gives our iPXE even to clients that already run another one.
	LoaderAlways bool
	// BootPort is the TCP port of the boot plane's HTTP server.
	BootPort uint16
}

// Leases is what the server asks of its address book; *lease.Book is one.
type Leases interface {
	Offer(mac net.HardwareAddr, pool lease.Pool, want netip.Addr) (netip.Addr, error)
	Bind(mac net.HardwareAddr, pool lease.Pool, addr netip.Addr) error
	Release(mac net.HardwareAddr, addr netip.Addr) error
	Decline(mac net.HardwareAddr, addr netip.Addr) error
	Duration() time.Duration
}

// Watcher is told which clients ask, served or not. Saw is called by several
// goroutines at once and must not block: answers wait for it.
type Watcher interface {
	Saw(Sighting)
}

// Sighting is one client seen on a network. The same sighting of one MAC is
// told at most once in ten seconds.
type Sighting struct {
	Client  pxe.Client
	Message string     // the DHCP message, e.g. "DISCOVER"
	Served  bool       // whether the Decider serves the client
	Address netip.Addr // the address given; invalid when none was
	Bound   bool       // the address is the client's now, and was not only offered
	Boot    string     // the boot file given; empty when none was
	Note    string     // a sentence for people when something is odd; may be empty
	At      time.Time
}

// Options sets a server's limits. The zero value works.
type Options struct {
	Workers int              // packets worked on at once; 64 when zero
	Queue   int              // packets waiting before the next is dropped; 2048 when zero
	Now     func() time.Time // time.Now when nil
	Proc    fs.FS            // procfs, to name who holds a port; /proc when nil
}

func (o Options) withDefaults() Options {
	if o.Workers == 0 {
		o.Workers = 64 // they share each fsync of the lease file
	}
	if o.Queue == 0 {
		o.Queue = 2048 // a hall of hosts switched on at once, still answered within a second or so
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Proc == nil {
		o.Proc = os.DirFS("/proc")
	}
	return o
}

// Counts is what a server did since it was made.
type Counts struct {
	Received  uint64 // packets read
	Malformed uint64 // of these, not a DHCP request
	Dropped   uint64 // of these, lost because the queue was full
	Answered  uint64 // replies sent
}

// Server answers DHCP on its networks. Make it with [New].
type Server struct {
	networks []Network
	decider  pxe.Decider
	leases   Leases
	watcher  Watcher
	opts     Options
	log      zerolog.Logger
	ready    chan struct{}
	seen     *sightings

	received, malformed, dropped, answered atomic.Uint64
}

// New returns a server for networks; it opens nothing until Run.
func New(networks []Network, d pxe.Decider, l Leases, w Watcher, log zerolog.Logger, opts Options) *Server {
	return &Server{
		networks: networks, decider: d, leases: l, watcher: w,
		opts: opts.withDefaults(), log: log, ready: make(chan struct{}),
		seen: newSightings(),
	}
}

// Ready is closed when every socket is bound.
func (s *Server) Ready() <-chan struct{} { return s.ready }

// Counts returns what the server did so far.
func (s *Server) Counts() Counts {
	return Counts{s.received.Load(), s.malformed.Load(), s.dropped.Load(), s.answered.Load()}
}

// Run binds ports 67 and 4011 on every network, answers until ctx ends, and
// returns nil then. An interface that lacks its address, or a port that another
// program holds, is an error that says what to do. Call it once.
func (s *Server) Run(ctx context.Context) error {
	ports, err := s.bind(ctx)
	if err != nil {
		return err
	}
	close(s.ready)

	jobs := make(chan job, s.opts.Queue)
	var readers, workers errgroup.Group
	for _, p := range ports {
		readers.Go(func() error { s.read(ctx, p, jobs); return nil })
	}
	for range s.opts.Workers {
		workers.Go(func() error { s.work(ctx, jobs); return nil })
	}
	<-ctx.Done()
	err = closeAll(ports)
	err = errors.Join(err, readers.Wait())
	close(jobs)
	return errors.Join(err, workers.Wait())
}

// job is one packet as it arrived.
type job struct {
	port *port
	data []byte
	dst  netip.Addr     // the address it was sent to; invalid when unknown
	from netip.AddrPort // who sent it
}

// retryRead is how long a reader rests after an error that is not its end, such
// as an interface that went down.
const retryRead = 200 * time.Millisecond

// read hands packets on until the port is closed.
func (s *Server) read(ctx context.Context, p *port, jobs chan<- job) {
	buf := make([]byte, 4096)
	for {
		j, err := p.receive(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			s.log.Warn().Err(err).Str("interface", p.network.Interface).Msg("cannot read from the network, trying again")
			select {
			case <-ctx.Done():
				return
			case <-time.After(retryRead):
				continue
			}
		}
		s.received.Add(1)
		select {
		case jobs <- j:
		default:
			s.dropped.Add(1)
		}
	}
}

// work answers packets until there are no more.
func (s *Server) work(ctx context.Context, jobs <-chan job) {
	for j := range jobs {
		if ctx.Err() != nil {
			continue
		}
		if err := s.handle(ctx, j); err != nil {
			s.log.Warn().Err(err).Str("interface", j.port.network.Interface).Msg("a DHCP client stays without an answer")
		}
	}
}
