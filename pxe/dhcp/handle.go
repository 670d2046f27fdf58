package dhcp

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/muster-boot/muster/pxe"
	"github.com/muster-boot/muster/pxe/lease"
)

// query is one understood packet on its way to an answer.
type query struct {
	packet  *dhcpv4.DHCPv4
	kind    ask
	client  pxe.Client
	network Network
	asked   netip.Addr // our address that the client reached
	answer  pxe.Answer
}

// handle works one packet: read, decide, answer, tell.
func (s *Server) handle(ctx context.Context, j job) error {
	q, ok := s.understand(j)
	if !ok {
		return nil
	}
	a, err := s.decider.Decide(ctx, q.client)
	if err != nil {
		return fmt.Errorf("decide about %s: %w", q.client.MAC, err)
	}
	q.answer = a
	if q.kind == release || q.kind == decline {
		return s.end(q)
	}
	sight := Sighting{Client: q.client, Message: q.packet.MessageType().String(), Served: a.Serve, At: s.opts.Now()}
	var p *dhcpv4.DHCPv4
	if a.Serve {
		p, err = s.respond(q, &sight)
	}
	s.tell(sight)
	if err != nil || p == nil {
		return err
	}
	if err := j.port.send(destinationOf(p, q.packet, q.kind, j.from), q.asked, p.ToBytes()); err != nil {
		return fmt.Errorf("answer %s: %w", q.client.MAC, err)
	}
	s.answered.Add(1)
	return nil
}

// understand parses a packet and finds out who wants what; false when it is
// nothing for us.
func (s *Server) understand(j job) (query, bool) {
	p, err := dhcpv4.FromBytes(j.data)
	if err != nil || !understood(p) {
		s.malformed.Add(1)
		return query{}, false
	}
	k := kind(p, j.dst, j.port.own, j.port.boot)
	n, ok := networkOf(p, j.port.network, s.networks)
	if k == nothing || !ok {
		return query{}, false
	}
	q := query{packet: p, kind: k, client: classify(p, n.Interface), network: n, asked: askedOn(p, j)}
	return q, true
}

// askedOn is the address of ours that the client used: the one it names, else
// the one it sent to, else the network's.
func askedOn(p *dhcpv4.DHCPv4, j job) netip.Addr {
	if id := address(p.ServerIdentifier()); id.IsValid() {
		return id // kind has seen to it that it is ours
	}
	if slices.Contains(j.port.own, j.dst) {
		return j.dst
	}
	return j.port.network.Address.Addr()
}

// respond makes the reply to a served client, nil for none, and notes in sight
// what was given.
func (s *Server) respond(q query, sight *Sighting) (*dhcpv4.DHCPv4, error) {
	t := terms{Name: q.answer.Name, Boot: bootFor(q.client, q.answer, q.network, q.asked), Asked: q.asked, Network: q.network}
	sight.Note = t.Boot.Note
	switch q.kind {
	case discover:
		addr, err := s.pick(q, sight)
		if err != nil {
			return nil, err
		}
		t.Kind, t.Address, t.Lease = dhcpv4.MessageTypeOffer, addr, s.leases.Duration()
	case selecting, rebooting, renewing, rebinding:
		addr := wanted(q.packet)
		v, err := judge(q.kind, addr, q.network, s.leases.Bind(q.client.MAC, pool(q), addr))
		switch v {
		case ignore:
			return nil, err
		case refuse:
			sight.Note = fmt.Sprintf("it asked for %s, which is not its own to use, and is told to ask for another", addr)
			return refusal(q.packet, q.asked, "this address is not yours to use; ask again"), nil
		case grant:
		}
		t.Kind, t.Address, t.Lease = dhcpv4.MessageTypeAck, addr, s.leases.Duration()
		sight.Bound = true
	case inform:
		t.Kind = dhcpv4.MessageTypeAck
	case bootServer:
		if q.client.Loader == pxe.System || t.Boot.File == "" {
			return nil, nil
		}
		t.Kind = dhcpv4.MessageTypeAck
	case nothing, release, decline:
		return nil, nil
	}
	sight.Address, sight.Boot = t.Address, t.Boot.File
	return reply(q.packet, q.client, t), nil
}

// pick chooses the address to offer. A fixed address that another client still
// has costs the host its reservation for now, not its boot.
func (s *Server) pick(q query, sight *Sighting) (netip.Addr, error) {
	p, want := pool(q), wanted(q.packet)
	addr, err := s.leases.Offer(q.client.MAC, p, want)
	if errors.Is(err, lease.ErrTaken) && p.Fixed.IsValid() {
		sight.Note = fmt.Sprintf("its fixed address %s is still leased to another client, so it gets one of the pool", p.Fixed)
		p.Fixed = netip.Addr{}
		addr, err = s.leases.Offer(q.client.MAC, p, want)
	}
	if errors.Is(err, lease.ErrFull) {
		sight.Note = fmt.Sprintf("no address is free between %s and %s; make the pool of %s larger", p.From, p.To, q.network.Interface)
	}
	if err != nil {
		return netip.Addr{}, fmt.Errorf("offer an address to %s on %s: %w", q.client.MAC, q.network.Interface, err)
	}
	return addr, nil
}

// pool is where the client's address may come from. A fixed address of another
// network would not work here, so it is as good as none.
func pool(q query) lease.Pool {
	n := q.network
	p := lease.Pool{From: n.From, To: n.To, Except: append([]netip.Addr{n.Address.Addr(), q.asked, n.Router}, n.DNS...)}
	if a := q.answer.Address; a.IsValid() && n.Address.Contains(a) {
		p.Fixed = a
	}
	return p
}

// end takes an address back. There is no reply to either message.
func (s *Server) end(q query) error {
	if q.kind == release {
		return s.leases.Release(q.client.MAC, wanted(q.packet))
	}
	addr := wanted(q.packet)
	s.tell(Sighting{
		Client: q.client, Message: q.packet.MessageType().String(), Served: q.answer.Serve, At: s.opts.Now(),
		Note: fmt.Sprintf("it found %s in use by somebody else; look for a second DHCP server or a fixed address on %s", addr, q.network.Interface),
	})
	return s.leases.Decline(q.client.MAC, addr)
}

// tell logs and passes on a sighting, unless it is the same as just before.
func (s *Server) tell(sight Sighting) {
	if !s.seen.news(sight) {
		return
	}
	e := s.log.Info()
	if !sight.Served {
		e = s.log.Debug()
	}
	e.Str("mac", sight.Client.MAC.String()).Str("interface", sight.Client.Network).
		Str("dhcp", strings.ToLower(sight.Message)).Str("loader", string(sight.Client.Loader)).
		Bool("served", sight.Served).Stringer("address", sight.Address).Str("boot", sight.Boot).Str("note", sight.Note).
		Msg("a client asked for an address")
	s.watcher.Saw(sight)
}
