package dhcp

import (
	"errors"
	"net/netip"
	"slices"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/muster-boot/muster/pxe/lease"
)

// ask is what a packet wants of us. The kinds of REQUEST are those of RFC 2131
// §4.3.2, told apart by the fields that a client fills in.
type ask string

const (
	nothing    ask = ""            // not for us, or not understood
	discover   ask = "discover"    // looks for a server
	selecting  ask = "selecting"   // takes our offer
	rebooting  ask = "init-reboot" // had the address before, asks whether it still has
	renewing   ask = "renewing"    // extends the lease, by unicast to us
	rebinding  ask = "rebinding"   // extends the lease, from whoever listens
	inform     ask = "inform"      // has an address, wants the rest
	release    ask = "release"     // gives the address back
	decline    ask = "decline"     // found the address in use
	bootServer ask = "boot-server" // asks port 4011 for its boot file
)

// kind tells what p wants. dst is where it was sent, own are the addresses
// that we answer on, boot says that it came to port 4011.
func kind(p *dhcpv4.DHCPv4, dst netip.Addr, own []netip.Addr, boot bool) ask {
	id := address(p.ServerIdentifier())
	if id.IsValid() && !slices.Contains(own, id) {
		return nothing // the client talks to another server
	}
	switch p.MessageType() {
	case dhcpv4.MessageTypeDiscover:
		if boot {
			return bootServer // some firmware repeats its DISCOVER here
		}
		return discover
	case dhcpv4.MessageTypeRequest:
		if boot {
			return bootServer
		}
		return kindOfRequest(p, dst, own, id.IsValid())
	case dhcpv4.MessageTypeInform:
		if boot {
			return bootServer
		}
		return inform
	case dhcpv4.MessageTypeRelease:
		return release
	case dhcpv4.MessageTypeDecline:
		return decline
	}
	return nothing
}

func kindOfRequest(p *dhcpv4.DHCPv4, dst netip.Addr, own []netip.Addr, toUs bool) ask {
	wanted, has := address(p.RequestedIPAddress()), address(p.ClientIPAddr)
	switch {
	case toUs && wanted.IsValid():
		return selecting
	case wanted.IsValid() && !has.IsValid():
		return rebooting
	case has.IsValid() && slices.Contains(own, dst):
		return renewing
	case has.IsValid():
		return rebinding
	}
	return nothing
}

// wanted is the address that a packet speaks of.
func wanted(p *dhcpv4.DHCPv4) netip.Addr {
	if a := address(p.RequestedIPAddress()); a.IsValid() {
		return a
	}
	return address(p.ClientIPAddr)
}

// verdict is how a REQUEST ends.
type verdict string

const (
	grant  verdict = "ack"
	refuse verdict = "nak"
	ignore verdict = "silence"
)

// judge says how a request for addr ends, given what the address book said of
// it. We refuse what is wrong beyond doubt: an address of another network, one
// of ours that is another client's, or one asked of us by name. An address of
// this network outside our pool may be another server's lease, and a client
// that asks everybody for it is left to that server. The error comes back when
// it is not an answer of the book.
func judge(a ask, addr netip.Addr, n Network, booked error) (verdict, error) {
	switch {
	case booked == nil:
		return grant, nil
	case errors.Is(booked, lease.ErrTaken):
		return refuse, nil
	case !errors.Is(booked, lease.ErrOutside):
		return ignore, booked
	case !n.Address.Contains(addr):
		return refuse, nil
	case a == selecting, a == renewing:
		return refuse, nil
	}
	return ignore, nil
}

// networkOf picks the network a packet belongs to: where it arrived, or the one
// its relay stands in. A relay of a network we do not know has no pool.
func networkOf(p *dhcpv4.DHCPv4, arrived Network, all []Network) (Network, bool) {
	relay := address(p.GatewayIPAddr)
	if !relay.IsValid() || arrived.Address.Contains(relay) {
		return arrived, true
	}
	i := slices.IndexFunc(all, func(n Network) bool { return n.Address.Contains(relay) })
	if i < 0 {
		return Network{}, false
	}
	return all[i], true
}
