package lab

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Network is one Ethernet segment of the lab. The lab's server namespace has
// an interface of this name on it, with this address.
type Network struct {
	Name    string       // at most 10 characters: it names interfaces
	Address netip.Prefix // the server's own address with its prefix length
	// BMC is the one address, with its prefix length, from which all hosts'
	// drives fetch media by URL; zero if none does.
	BMC netip.Prefix
}

// Options says what a lab is made of.
type Options struct {
	Networks []Network
	// Dir keeps the hosts' disks and console files and outlives the lab. If it
	// is empty they are kept in a scratch directory that goes with the lab.
	Dir string
	// Slots is where QEMU slots are taken; empty means the machine's own,
	// shared by every lab on it.
	Slots string
	// Still is how long the processors of a host may do nothing before its reset
	// button is pressed; 0 is a minute.
	Still time.Duration
}

// Lab is one site. Its methods may be called from several goroutines.
type Lab struct {
	server   *Namespace
	networks []Network
	dir      string
	slots    slots
	still    time.Duration
	guard    *guard

	mu      sync.Mutex
	hosts   []*Host        // in the order added; a removed host leaves its place empty
	paper   []func() error // end what AddPaper made
	clients int
}

// Open makes the lab: it first removes what labs of dead processes left, then
// makes the namespaces and the networks. Close ends it; if this process dies
// without Close, a guard process does the same.
func Open(ctx context.Context, o Options) (*Lab, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("the lab makes network namespaces and needs root: run it again as root, for instance with sudo")
	}
	for _, n := range o.Networks {
		if err := n.check(); err != nil {
			return nil, err
		}
	}
	if err := sweep(ctx); err != nil {
		return nil, fmt.Errorf("remove what earlier labs left: %w", err)
	}
	name, scratch, err := claimName(os.TempDir(), os.Getpid())
	if err != nil {
		return nil, err
	}
	g, err := startGuard(name, scratch)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(scratch))
	}
	l := &Lab{
		server:   &Namespace{name: name},
		networks: o.Networks,
		dir:      scratch,
		slots:    slots{dir: o.Slots},
		still:    cmp.Or(o.Still, stillTime),
		guard:    g,
	}
	if o.Dir != "" {
		l.dir = o.Dir
	}
	if l.slots.dir == "" {
		l.slots = machineSlots()
	}
	if err := l.build(ctx); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// build makes the namespaces and networks that Open promised.
func (l *Lab) build(ctx context.Context) error {
	for _, ns := range []*Namespace{l.server, l.wires()} {
		if err := ns.create(ctx); err != nil {
			return err
		}
	}
	for _, n := range l.networks {
		if err := ipBatch(ctx, l.wires().name, bridgeScript(n, l.server.name)); err != nil {
			return fmt.Errorf("make network %s: %w", n.Name, err)
		}
		if err := ipBatch(ctx, l.server.name, serverScript(n)); err != nil {
			return fmt.Errorf("connect the server to network %s: %w", n.Name, err)
		}
	}
	return nil
}

// Server is the namespace in which the muster server under test runs. It has
// one interface per network, named like it.
func (l *Lab) Server() *Namespace { return l.server }

// wires is the namespace that holds bridges, taps and the QEMU processes. It
// stands apart so that a server's interface has carrier before any host is on,
// and so that bridge and server are two neighbours on the wire, as at a site.
func (l *Lab) wires() *Namespace { return &Namespace{name: l.server.name + "-wires"} }

// Dir is where the hosts' files are kept.
func (l *Lab) Dir() string { return l.dir }

// Client makes a namespace with one interface, eth0, on the named network and
// with the given address: a place from which to run commands as if from a
// lab host.
func (l *Lab) Client(ctx context.Context, network string, address netip.Prefix) (*Namespace, error) {
	if !l.has(network) {
		return nil, fmt.Errorf("the lab has no network %q", network)
	}
	l.mu.Lock()
	l.clients++
	n := l.clients
	l.mu.Unlock()
	ns := &Namespace{name: fmt.Sprintf("%s-client%d", l.server.name, n)}
	if err := ns.create(ctx); err != nil {
		return nil, err
	}
	if err := ipBatch(ctx, l.wires().name, clientWireScript(network, n, ns.name)); err != nil {
		return nil, fmt.Errorf("connect %s to network %s: %w", ns.name, network, err)
	}
	if err := ipBatch(ctx, ns.name, clientScript(address)); err != nil {
		return nil, fmt.Errorf("give %s its address: %w", ns.name, err)
	}
	return ns, nil
}

func (l *Lab) has(network string) bool {
	for _, n := range l.networks {
		if n.Name == network {
			return true
		}
	}
	return false
}

// Hosts lists the lab's hosts in the order in which they were added.
func (l *Lab) Hosts() []*Host {
	l.mu.Lock()
	defer l.mu.Unlock()
	var present []*Host
	for _, h := range l.hosts {
		if h != nil {
			present = append(present, h)
		}
	}
	return present
}

// Close powers every host off and removes everything the lab made. It may be
// called again.
func (l *Lab) Close() error {
	l.mu.Lock()
	paper := l.paper
	l.paper = nil
	l.mu.Unlock()
	var errs []error
	for _, end := range paper {
		errs = append(errs, end())
	}
	for _, h := range l.Hosts() {
		errs = append(errs, h.endBMC(), h.kill(), h.Release())
	}
	return errors.Join(append(errs, l.guard.release())...)
}

// claimName finds a lab name that no other lab uses, by making its directory.
func claimName(parent string, pid int) (name, dir string, err error) {
	for n := 1; ; n++ {
		name = fmt.Sprintf("%s%d-%d", prefix, pid, n)
		dir = filepath.Join(parent, name)
		err = os.Mkdir(dir, 0o700)
		if !errors.Is(err, fs.ErrExist) {
			return name, dir, err
		}
	}
}
