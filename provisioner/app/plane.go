package app

import (
	"context"
	"crypto/tls"
	"net/http"
	"net/netip"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/muster-boot/muster/provisioner/api"
	"github.com/muster-boot/muster/provisioner/config"
	"github.com/muster-boot/muster/provisioner/engine"
	"github.com/muster-boot/muster/provisioner/store"
	"github.com/muster-boot/muster/pxe/dhcp"
	"github.com/muster-boot/muster/pxe/httpboot"
	"github.com/muster-boot/muster/pxe/ipxe"
	"github.com/muster-boot/muster/pxe/lease"
	"github.com/muster-boot/muster/pxe/routeradv"
	"github.com/muster-boot/muster/pxe/tftp"
)

// server is a long-lived part of the boot plane.
type server interface {
	Run(ctx context.Context) error
	Ready() <-chan struct{}
}

// plane is everything that hosts reach.
type plane struct {
	servers   []server
	sightings *sightings
	counts    *counts
	// advertiser is nil where no network wants it. Nobody waits for it: hosts
	// boot without it, only slower, and a link without IPv6 makes it late.
	advertiser *routeradv.Server
}

type planeParts struct {
	engine    *engine.Engine
	store     *store.Store
	mirror    *store.Mirror
	boots     *boots
	reads     *reads
	strangers *strangers // BMCs that no host lists
	counts    *counts
	leases    *lease.Book
	loaders   ipxe.Loaders
	tls       *tls.Config // of the boot plane by https
	log       zerolog.Logger
}

// newPlane builds the boot plane; nothing is bound before run.
func newPlane(cfg config.Config, nets []network, in planeParts) *plane {
	unknown := map[string]config.Unknown{}
	for _, n := range nets {
		unknown[n.Interface] = n.Unknown
	}
	d := &decider{hosts: in.mirror, unknown: unknown}
	seen := newSightings(in, unknown)
	mounts := in.mounts(d, nets)
	p := &plane{sightings: seen, counts: in.counts}
	full := dhcpNetworks(nets, cfg.BootPort)
	if len(full) > 0 {
		p.servers = append(p.servers,
			dhcp.New(full, d, in.leases, seen, in.log, dhcp.Options{}),
			tftp.New(tftpEndpoints(nets, cfg.BootPort), in.loaders, ipxe.Autoexec, in.leases, d, in.log, tftp.Options{}))
	}
	p.servers = append(p.servers, httpboot.New(httpEndpoints(nets, cfg, in.tls), in.loaders, ipxe.Autoexec, mounts, owners{in.leases, in.mirror}, d, in.log,
		httpboot.Options{Served: logRequests(in.log)}))
	if advertised := advertisers(nets); len(advertised) > 0 {
		p.advertiser = routeradv.New(advertised, d, in.log, routeradv.Options{})
	}
	return p
}

// mounts is everything that hosts reach over HTTP beside the loaders. Scripts
// and files are for hosts that the Decider serves; scouts, installers, installed
// systems and whoever reads a host's ISO show a token instead.
func (in planeParts) mounts(d *decider, nets []network) []httpboot.Mount {
	boot := api.NewBootPlane(in.engine, in.mirror, in.log)
	return []httpboot.Mount{
		{Prefix: scriptPrefix, Ask: true, Handler: &scripts{
			decider: d, engine: in.engine, mirror: in.mirror, boots: in.boots, networks: byInterface(nets), log: in.log}},
		{Prefix: filePrefix, Ask: true, Handler: &files{
			boots: in.boots, decider: d, mirror: in.mirror, engine: in.engine, counts: in.counts, log: in.log}},
		{Prefix: mediumPrefix, Direct: true, Handler: &mediums{
			engine: in.engine, mirror: in.mirror, store: in.store, boots: in.boots, overlays: &overlays{make: in.boots.overlay},
			reads: in.reads, counts: in.counts, log: in.log}},
		{Prefix: api.ScoutRoot, Handler: boot},
		{Prefix: api.AttemptRoot, Handler: boot},
	}
}

func (p *plane) run(ctx context.Context, g *errgroup.Group) {
	g.Go(func() error { return p.sightings.Run(ctx) })
	g.Go(func() error { return p.counts.Run(ctx) })
	for _, s := range p.servers {
		g.Go(func() error { return s.Run(ctx) })
	}
	if p.advertiser != nil {
		g.Go(func() error { return p.advertiser.Run(ctx) })
	}
}

// wait returns when every server is bound; an error means that one never will.
func (p *plane) wait(ctx context.Context) error {
	for _, s := range p.servers {
		if err := waitFor(ctx, s.Ready()); err != nil {
			return err
		}
	}
	return nil
}

func tftpEndpoints(nets []network, bootPort uint16) []tftp.Endpoint {
	var out []tftp.Endpoint
	for _, n := range nets {
		if n.DHCP == config.DHCPFull {
			out = append(out, tftp.Endpoint{Network: n.Interface, Address: netip.AddrPortFrom(n.address.Addr(), tftp.Port), BootPort: bootPort})
		}
	}
	return out
}

func httpEndpoints(nets []network, cfg config.Config, secure *tls.Config) []httpboot.Endpoint {
	var out []httpboot.Endpoint
	for _, n := range nets {
		out = append(out,
			httpboot.Endpoint{Network: n.Interface, Address: netip.AddrPortFrom(n.address.Addr(), cfg.BootPort)},
			httpboot.Endpoint{Network: n.Interface, Address: netip.AddrPortFrom(n.address.Addr(), cfg.BootTLS.Port), TLS: secure})
	}
	return out
}

func advertisers(nets []network) []string {
	var out []string
	for _, n := range nets {
		if n.RouterAdvertisements && n.DHCP == config.DHCPFull {
			out = append(out, n.Interface)
		}
	}
	return out
}

func byInterface(nets []network) map[string]network {
	out := map[string]network{}
	for _, n := range nets {
		out[n.Interface] = n
	}
	return out
}

// logRequests logs what was refused or broken off, and the rest for whoever
// looks closely. Paths hold tokens, so only their first words are logged.
func logRequests(log zerolog.Logger) func(httpboot.Request) {
	return func(r httpboot.Request) {
		e := log.Debug()
		if r.Status >= http.StatusInternalServerError {
			e = log.Error()
		}
		if !e.Enabled() { // thousands a second
			return
		}
		e.Str("client", r.Client.Addr().String()).Str("method", r.Method).Str("path", withoutToken(r.Path)).
			Int("status", r.Status).Int64("bytes", r.Bytes).Dur("took", r.Took).Bool("stopped", r.Stopped).Msg("boot plane request")
	}
}
