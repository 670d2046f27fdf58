package lab

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"time"

	"github.com/muster-boot/muster/redfish/bmctest"
)

// BMC is a management controller: an emulated one, on the standard ports of an
// address of its own. Personality and Address are required.
type BMC struct {
	Personality string // one of [bmctest.Names]
	Address     netip.Addr
	Network     string // of the lab; empty means its first
	// User and Password open it; empty means those of [bmctest.Options].
	User, Password string
	HTTPSOnly      bool
	// Lies are of the faults by which a BMC tells of another machine than the
	// host's firmware does, from its start on. Without one the two agree.
	Lies []bmctest.FaultKind
	// Second is how long one of its seconds takes; 0 means a second.
	Second time.Duration
}

// controller is a running BMC with its place on the network.
type controller struct {
	*bmctest.Emulator
	seat *Seat
}

// startBMC starts the controller of a machine.
func (l *Lab) startBMC(ctx context.Context, b BMC, m bmctest.Machine) (*controller, error) {
	p, err := bmctest.Named(b.Personality)
	if err != nil {
		return nil, err
	}
	seat, err := l.Seat(ctx, b.Network, b.Address)
	if err != nil {
		return nil, err
	}
	e, err := bmctest.Start(bmctest.Options{
		Personality: p, Machine: m, User: b.User, Password: b.Password, HTTPSOnly: b.HTTPSOnly,
		Address: b.Address.String(), HTTPPort: 80, HTTPSPort: 443,
		Listen: seat.Listen, Dial: seat.Dial, Second: b.Second,
	})
	if err != nil {
		return nil, errors.Join(err, seat.leave(ctx))
	}
	c := &controller{Emulator: e, seat: seat}
	for _, lie := range b.Lies {
		if err := e.Fail(bmctest.Fault{Kind: lie}); err != nil {
			return nil, errors.Join(err, c.Close(), seat.leave(ctx))
		}
	}
	return c, nil
}

// BMC is the host's management controller, or nil if it has none. Its own state
// is what a test believes of media, overrides and sessions.
func (h *Host) BMC() *bmctest.Emulator {
	if h.bmc == nil {
		return nil
	}
	return h.bmc.Emulator
}

// Paper is a host of paper behind a BMC: no QEMU, but real sockets. Its options'
// Client is made by the lab.
type Paper struct {
	BMC BMC
	// Address is the host's own, on the BMC's network.
	Address netip.Addr
	bmctest.PaperOptions
}

// PaperHost is a Paper that was made. The lab's Close ends it.
type PaperHost struct {
	*bmctest.Paper
	BMC *bmctest.Emulator
}

// AddPaper makes a host of paper, powered off.
func (l *Lab) AddPaper(ctx context.Context, p Paper) (*PaperHost, error) {
	seat, err := l.Seat(ctx, p.BMC.Network, p.Address)
	if err != nil {
		return nil, fmt.Errorf("add a host of paper: %w", err)
	}
	p.Client = &http.Client{Transport: &http.Transport{DialContext: seat.Dial, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	if p.Second == 0 {
		p.Second = p.BMC.Second
	}
	host := bmctest.NewPaper(p.PaperOptions)
	c, err := l.startBMC(ctx, p.BMC, host)
	if err != nil {
		return nil, fmt.Errorf("add a host of paper: %w", errors.Join(err, seat.leave(ctx)))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.paper = append(l.paper, func() error {
		return errors.Join(c.Close(), host.PowerOff(context.Background()))
	})
	return &PaperHost{Paper: host, BMC: c.Emulator}, nil
}
