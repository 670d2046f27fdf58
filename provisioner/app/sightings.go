package app

import (
	"context"
	"net/netip"

	"github.com/rs/zerolog"

	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/config"
	"github.com/muster-boot/muster/provisioner/engine"
	"github.com/muster-boot/muster/pxe"
	"github.com/muster-boot/muster/pxe/dhcp"
)

// maxSightings bounds what waits for the store. A sighting that does not fit is
// dropped: the client asks again.
const maxSightings = 256

// sightings carries what DHCP saw to the engine, so that an answer never waits
// for a disk.
type sightings struct {
	queue     chan dhcp.Sighting
	engine    *engine.Engine
	hosts     hostIndex
	strangers *strangers
	unknown   map[string]config.Unknown
	log       zerolog.Logger
}

func newSightings(in planeParts, unknown map[string]config.Unknown) *sightings {
	return &sightings{
		queue: make(chan dhcp.Sighting, maxSightings), engine: in.engine, hosts: in.mirror, strangers: in.strangers,
		unknown: unknown, log: in.log,
	}
}

// Saw implements [dhcp.Watcher].
func (s *sightings) Saw(d dhcp.Sighting) {
	select {
	case s.queue <- d:
	default:
	}
}

// Run gives sightings to the engine until ctx ends.
func (s *sightings) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case d := <-s.queue:
			seen := s.seen(d)
			if d.Note != "" {
				s.log.Warn().Str("mac", seen.MAC).Str("network", seen.Network).Msg(d.Note)
			}
			if err := s.note(ctx, d, seen); err != nil && ctx.Err() == nil {
				s.log.Warn().Err(err).Str("mac", seen.MAC).Msg("sighting not noted")
			}
		}
	}
}

// note tells hosts from BMCs. A BMC that no host lists is remembered for people
// and gets no more for it than any other unlisted client.
func (s *sightings) note(ctx context.Context, d dhcp.Sighting, seen engine.Seen) error {
	if _, listed := s.hosts.ByBMC(seen.MAC); listed {
		if !d.Bound {
			return nil
		}
		return s.engine.SeeBMC(ctx, provisioner.BMCLease{MAC: seen.MAC, Address: seen.Address, Network: seen.Network, Class: d.Client.Vendor})
	}
	s.strangers.saw(d, seen.MAC)
	_, err := s.engine.See(ctx, seen)
	return err
}

func (s *sightings) seen(d dhcp.Sighting) engine.Seen {
	c := d.Client
	address := d.Address
	if !address.IsValid() {
		address = c.Address
	}
	return engine.Seen{
		MAC:      c.MAC.String(),
		UUID:     uuidText(c.UUID),
		Network:  c.Network,
		Boot:     bootKind(c),
		Address:  text(address),
		Netboot:  c.Loader != pxe.System,
		Discover: s.unknown[c.Network] == config.UnknownDiscover,
	}
}

func text(a netip.Addr) string {
	if !a.IsValid() || a.IsUnspecified() {
		return ""
	}
	return a.String()
}

// bootKind is how the client's firmware boots; empty when this packet does not
// tell, because our own iPXE says what it was built for and not how it came.
func bootKind(c pxe.Client) provisioner.BootKind {
	if c.Loader != pxe.Firmware && c.Loader != pxe.ForeignIPXE {
		return ""
	}
	switch c.Arch {
	case pxe.ArchBIOS:
		return provisioner.BootBIOS
	case pxe.ArchUEFIx64, pxe.ArchUEFIBC, pxe.ArchUEFIARM64, pxe.ArchUEFI32:
		return provisioner.BootUEFI
	case pxe.ArchHTTPx64, pxe.ArchHTTPARM64:
		return provisioner.BootHTTP
	case pxe.ArchUnknown:
	}
	return ""
}
