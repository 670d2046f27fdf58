package scout

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// port is a physical network port as far as getting an address needs it.
type port struct {
	name    string
	mac     net.HardwareAddr
	carrier bool
}

// lease is what a DHCP server granted.
type lease struct {
	address netip.Prefix
	router  netip.Addr // invalid where none was given
	server  netip.Addr
	renew   time.Duration // from the grant; 0 where the lease does not end
}

// links is what the search for the server needs of the kernel and the wire.
type links interface {
	ports() ([]port, error)
	up(name string) error
	// tag is the interface of a VLAN on that port, and makes it where it is not.
	tag(p port, vlan int) (port, error)
	request(ctx context.Context, p port) (lease, error)
	configure(name string, l lease) error
	drop(name string, l lease) error
}

// The times of one round of the search.
const (
	carrierWait = 8 * time.Second // for the first link; ports negotiate for 2-5 s
	carrierStep = 200 * time.Millisecond
	bootWait    = 4 * time.Second // how long the booting port is preferred to others with link
	dhcpTry     = 6 * time.Second // for one port
	reachTry    = 5 * time.Second // for the server's first answer over a new address
)

// network finds the way to the server and keeps it.
type network struct {
	links    links
	console  *Console
	boot     net.HardwareAddr // nil where BOOTIF did not say
	fixed    Fixed
	coldplug func() // ports on USB appear late

	raised  time.Time // when every port was first asked to find link
	on      port
	at      port // where the address is: on itself, or a VLAN of it
	lease   lease
	renewAt time.Time
}

// connect tries ports until the server answers reach over one of them: the
// booting one first, then each with link. It returns an error only when ctx
// ends. Between rounds it says which ports have link and what was tried.
func (n *network) connect(ctx context.Context, reach func(context.Context) error) error {
	for round := 0; ; round++ {
		n.coldplug()
		ports, err := n.waitCarrier(ctx)
		if err != nil {
			n.console.Say("The network ports cannot be read: %v.", err)
		}
		var tried []string
		for _, p := range n.candidates(ports) {
			err := n.try(ctx, p, reach)
			if err == nil {
				return nil
			}
			tried = append(tried, fmt.Sprintf("%s: %v", p.name, err))
		}
		n.console.Say("%s", n.lament(ports, tried))
		if !pause(ctx, backoff(round, 0)) {
			return ctx.Err()
		}
	}
}

// waitCarrier raises every port and waits for link: until the booting port has
// it, or for a while longer until any has.
func (n *network) waitCarrier(ctx context.Context) ([]port, error) {
	ctx, cancel := context.WithTimeout(ctx, carrierWait)
	defer cancel()
	for start := time.Now(); ; {
		ports, err := n.raise()
		if err != nil {
			return nil, err
		}
		if enough(ports, n.preferred(), time.Since(start)) || !pause(ctx, carrierStep) {
			return ports, nil
		}
	}
}

// raise makes every port look for link, and lists them.
func (n *network) raise() ([]port, error) {
	ports, err := n.links.ports()
	if err != nil {
		return nil, err
	}
	for _, p := range ports {
		if err := n.links.up(p.name); err != nil {
			n.console.Say("The port %s cannot be raised: %v.", p.name, err)
		}
	}
	if n.raised.IsZero() {
		n.raised = time.Now()
	}
	return ports, nil
}

// settle waits until every port has link or has had the time to find it, so
// that a report does not call a port unlinked that is still negotiating.
func (n *network) settle(ctx context.Context) error {
	for {
		ports, err := n.raise()
		if err != nil {
			return err
		}
		linked := len(candidates(ports, nil)) == len(ports)
		if linked || time.Since(n.raised) >= carrierWait || !pause(ctx, carrierStep) {
			return nil
		}
	}
}

// enough says whether the ports that have link now are worth trying after
// having waited so long.
func enough(ports []port, boot net.HardwareAddr, waited time.Duration) bool {
	any := false
	for _, p := range ports {
		if p.carrier && bytes.Equal(p.mac, boot) {
			return true
		}
		any = any || p.carrier
	}
	return any && (boot == nil || waited >= bootWait)
}

// preferred is the port to wait for: the one that this host is to use, or else
// the one that it booted from.
func (n *network) preferred() net.HardwareAddr {
	if n.fixed.MAC != nil {
		return n.fixed.MAC
	}
	return n.boot
}

// candidates are the ports to try; where one is named, no other.
func (n *network) candidates(ports []port) []port {
	list := candidates(ports, n.preferred())
	if n.fixed.MAC == nil {
		return list
	}
	return slices.DeleteFunc(list, func(p port) bool { return !bytes.Equal(p.mac, n.fixed.MAC) })
}

// candidates is the ports worth asking on, best first.
func candidates(ports []port, boot net.HardwareAddr) []port {
	var list []port
	for _, p := range ports {
		if p.carrier {
			list = append(list, p)
		}
	}
	slices.SortStableFunc(list, func(a, b port) int {
		return boolOrder(bytes.Equal(b.mac, boot)) - boolOrder(bytes.Equal(a.mac, boot))
	})
	return list
}

func boolOrder(b bool) int {
	if b {
		return 1
	}
	return 0
}

// try gets an address on one port and asks the server over it. A port over
// which the server is not reached is given back.
func (n *network) try(ctx context.Context, p port, reach func(context.Context) error) error {
	at := p
	if n.fixed.VLAN != 0 {
		tagged, err := n.links.tag(p, n.fixed.VLAN)
		if err != nil {
			return err
		}
		at = tagged
	}
	l, err := n.address(ctx, at)
	if err != nil {
		return err
	}
	if err := n.links.configure(at.name, l); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, reachTry)
	defer cancel()
	if err := reach(ctx); err != nil {
		return errors.Join(fmt.Errorf("address %s, %s, but muster does not answer: %w", l.address, n.origin(l), err), n.links.drop(at.name, l))
	}
	n.on, n.at = p, at
	n.hold(l, time.Now())
	n.console.Say("Address %s on %s, %s; muster answers.", l.address, at.name, n.origin(l))
	return nil
}

// origin is where an address comes from.
func (n *network) origin(l lease) string {
	if n.fixed.Address.IsValid() {
		return "fixed"
	}
	return "from " + l.server.String()
}

// address is the fixed one, or one that DHCP gives.
func (n *network) address(ctx context.Context, at port) (lease, error) {
	if n.fixed.Address.IsValid() {
		n.console.Say("Taking the fixed address %s on %s (%s).", n.fixed.Address, at.name, at.mac)
		return n.fixed.lease(), nil
	}
	n.console.Say("Asking for an address on %s (%s).", at.name, at.mac)
	return n.ask(ctx, at)
}

func (n *network) ask(ctx context.Context, p port) (lease, error) {
	ctx, cancel := context.WithTimeout(ctx, dhcpTry)
	defer cancel()
	l, err := n.links.request(ctx, p)
	if errors.Is(err, context.DeadlineExceeded) {
		return lease{}, fmt.Errorf("no DHCP answer in %s", dhcpTry)
	}
	if err != nil {
		return lease{}, fmt.Errorf("ask for an address: %w", err)
	}
	return l, nil
}

func (n *network) hold(l lease, now time.Time) {
	n.lease, n.renewAt = l, time.Time{}
	if l.renew > 0 {
		n.renewAt = now.Add(l.renew)
	}
}

// keep renews the lease when it is due. Failing that, the address stays and
// the next call after a minute tries again.
func (n *network) keep(ctx context.Context) error {
	now := time.Now()
	if n.renewAt.IsZero() || now.Before(n.renewAt) {
		return nil
	}
	n.renewAt = now.Add(time.Minute)
	fresh, err := n.ask(ctx, n.at)
	if err != nil {
		return err
	}
	if fresh.address != n.lease.address || fresh.router != n.lease.router {
		if err := errors.Join(n.links.drop(n.at.name, n.lease), n.links.configure(n.at.name, fresh)); err != nil {
			return err
		}
	}
	n.hold(fresh, now)
	return nil
}

// lament says why there is no way to the server, for a person with a cable.
func (n *network) lament(ports []port, tried []string) string {
	if named := n.fixed.MAC; named != nil && !slices.ContainsFunc(ports, func(p port) bool { return bytes.Equal(p.mac, named) }) {
		return fmt.Sprintf("This host is to use the port %s, which is not there; correct its row, or start it from a new medium. Trying again.", named)
	}
	return lament(ports, tried)
}

func lament(ports []port, tried []string) string {
	if len(ports) == 0 {
		return "No network port is known. Its driver may be missing from this ramdisk; trying again."
	}
	if len(tried) > 0 {
		return "No way to muster yet. " + strings.Join(tried, "; ") + ". Trying again."
	}
	var names []string
	for _, p := range ports {
		names = append(names, fmt.Sprintf("%s (%s)", p.name, p.mac))
	}
	return "No network port has link: " + strings.Join(names, ", ") + ". Check the cable and the switch port; trying again."
}
