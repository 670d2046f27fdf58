// Package routeradv answers the router solicitations of booting hosts with "there
// is no router here".
//
// iPXE opens an interface for IPv6 too, and on a link without a router repeats
// its solicitation for some thirteen seconds before it boots; that is most
// provisioning networks. An advertisement with a lifetime of zero and no prefix
// ends the wait and gives the host neither a route nor an address.
//
// It is no router and configures nobody: it never advertises to all nodes, only
// to one host that asked and that the [pxe.Decider] serves, and is silent for
// half an hour after it heard any other router on the link.
//
// Start at [Server.Run]; the decision is solicitor.
package routeradv

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/mdlayher/ndp"
	"github.com/rs/zerolog"
	"golang.org/x/net/ipv6"
	"golang.org/x/sync/errgroup"

	"github.com/muster-boot/muster/pxe"
)

// otherRouter is how long a router that was heard counts as there: as long as
// the longest interval between its unsolicited advertisements (RFC 4861 §6.2.1,
// 1800 s).
const otherRouter = 30 * time.Minute

// An interface that was just set up has its link-local address only after
// duplicate address detection, about two seconds (RFC 4862 §5.4).
const (
	openTries = 5
	openPause = time.Second
)

// Options sets a server's clock. The zero value works.
type Options struct {
	Now func() time.Time // time.Now when nil
}

// Server answers on its interfaces. Make it with [New].
type Server struct {
	interfaces []string
	decider    pxe.Decider
	now        func() time.Time
	log        zerolog.Logger
	ready      chan struct{}
}

// New returns a server for the interfaces named; none is allowed, and then it
// answers nobody. It opens nothing until Run.
func New(interfaces []string, d pxe.Decider, log zerolog.Logger, opts Options) *Server {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	return &Server{interfaces: interfaces, decider: d, now: opts.Now, log: log, ready: make(chan struct{})}
}

// Ready is closed when every interface listens or was given up.
func (s *Server) Ready() <-chan struct{} { return s.ready }

// Run answers until ctx ends, and returns nil. An interface without IPv6 is
// logged and left alone, since booting only takes longer there: it is never an
// error, but takes four seconds to find, so nothing else should wait for Ready.
// Call it once.
func (s *Server) Run(ctx context.Context) error {
	var conns []*conn
	for _, name := range s.interfaces {
		c, err := open(ctx, name)
		if ctx.Err() != nil {
			break
		}
		if err != nil {
			s.log.Warn().Err(err).Str("interface", name).
				Msg("router solicitations stay unanswered here, so iPXE boots about 13 s later; give the interface an IPv6 link-local address, or turn router_advertisements off")
			continue
		}
		conns = append(conns, c)
	}
	close(s.ready)

	var serving errgroup.Group
	for _, c := range conns {
		serving.Go(func() error { s.serve(ctx, c); return nil })
	}
	<-ctx.Done()
	var errs []error
	for _, c := range conns {
		errs = append(errs, c.ndp.Close())
	}
	return errors.Join(append(errs, serving.Wait())...)
}

// conn is one interface that listens.
type conn struct {
	link *net.Interface
	ndp  *ndp.Conn
}

// open joins the routers' group on an interface, waiting a little for its
// link-local address.
func open(ctx context.Context, name string) (*conn, error) {
	link, err := net.InterfaceByName(name)
	if err != nil {
		return nil, err
	}
	var c *ndp.Conn
	for try := range openTries {
		if c, _, err = ndp.Listen(link, ndp.LinkLocal); err == nil {
			break
		}
		if try == openTries-1 {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(openPause):
		}
	}
	if err := prepare(c); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return &conn{link, c}, nil
}

// prepare lets solicitations and others' advertisements in, and their hop limit.
func prepare(c *ndp.Conn) error {
	var filter ipv6.ICMPFilter
	filter.SetAll(true)
	filter.Accept(ipv6.ICMPTypeRouterSolicitation)
	filter.Accept(ipv6.ICMPTypeRouterAdvertisement)
	if err := c.SetICMPFilter(&filter); err != nil {
		return err
	}
	if err := c.SetControlMessage(ipv6.FlagHopLimit, true); err != nil {
		return err
	}
	return c.JoinGroup(netip.MustParseAddr("ff02::2")) // all routers, RFC 4291 §2.7.1
}

// serve reads one interface until it is closed.
func (s *Server) serve(ctx context.Context, c *conn) {
	var heard time.Time // when another router last advertised
	for {
		m, cm, from, err := c.ndp.ReadFrom()
		if errors.Is(err, net.ErrClosed) || ctx.Err() != nil {
			return
		}
		if err != nil {
			s.log.Warn().Err(err).Str("interface", c.link.Name).Msg("cannot read router solicitations, trying again")
			select {
			case <-ctx.Done():
				return
			case <-time.After(openPause):
				continue
			}
		}
		if cm == nil || cm.HopLimit != ndp.HopLimit {
			continue // came from beyond the link (RFC 4861 §6.1)
		}
		heard = s.note(c, m, from, heard)
		if err := s.respond(ctx, c, m, from, heard); err != nil {
			s.log.Warn().Err(err).Str("interface", c.link.Name).Msg("a router solicitation stays unanswered")
		}
	}
}

// note remembers another router's advertisement, and says so the first time.
func (s *Server) note(c *conn, m ndp.Message, from netip.Addr, heard time.Time) time.Time {
	if _, ok := m.(*ndp.RouterAdvertisement); !ok {
		return heard
	}
	now := s.now()
	if now.Sub(heard) >= otherRouter {
		s.log.Info().Str("interface", c.link.Name).Stringer("router", from).
			Msg("another IPv6 router is on this network, so muster answers no router solicitation here")
	}
	return now
}

// respond answers one solicitation if it should be.
func (s *Server) respond(ctx context.Context, c *conn, m ndp.Message, from netip.Addr, heard time.Time) error {
	mac, ok := solicitor(m, from, heard, s.now())
	if !ok {
		return nil
	}
	client := pxe.Client{MAC: mac, Arch: pxe.ArchUnknown, Network: c.link.Name, Address: from.WithZone(""), Transport: pxe.RouterDiscovery}
	a, err := s.decider.Decide(ctx, client)
	if err != nil {
		return fmt.Errorf("decide about %s: %w", mac, err)
	}
	if !a.Serve {
		return nil
	}
	cm := &ipv6.ControlMessage{HopLimit: ndp.HopLimit, IfIndex: c.link.Index}
	if err := c.ndp.WriteTo(advertisement(c.link.HardwareAddr), cm, from); err != nil {
		return fmt.Errorf("answer %s: %w", mac, err)
	}
	s.log.Debug().Str("mac", mac.String()).Str("interface", c.link.Name).Msg("a router solicitation was answered")
	return nil
}

// solicitor returns the MAC of the host that a message asks a router for, when
// we may answer it: a solicitation from an address that a reply can go to, that
// says its MAC, on a link where no other router was heard lately.
func solicitor(m ndp.Message, from netip.Addr, heard, now time.Time) (net.HardwareAddr, bool) {
	rs, ok := m.(*ndp.RouterSolicitation)
	if !ok || from.IsUnspecified() || from.IsMulticast() || now.Sub(heard) < otherRouter {
		return nil, false
	}
	for _, o := range rs.Options {
		if lla, ok := o.(*ndp.LinkLayerAddress); ok && lla.Direction == ndp.Source && len(lla.Addr) == 6 {
			return lla.Addr, true
		}
	}
	return nil, false
}

// advertisement says that this is no router: a lifetime of zero (RFC 4861
// §4.2) and no prefix, so that a host that heeds it learns nothing else.
func advertisement(mac net.HardwareAddr) *ndp.RouterAdvertisement {
	ra := &ndp.RouterAdvertisement{}
	if len(mac) == 6 {
		ra.Options = []ndp.Option{&ndp.LinkLayerAddress{Direction: ndp.Source, Addr: mac}}
	}
	return ra
}
