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

// startBMC starts the controller of a machine at its place on the network.
func (l *Lab) startBMC(ctx context.Context, b BMC, m bmctest.Machine) (*bmctest.Emulator, *Seat, error) {
	p, err := bmctest.Named(b.Personality)
	if err != nil {
		return nil, nil, err
	}
	seat, err := l.Seat(ctx, b.Network, b.Address)
	if err != nil {
		return nil, nil, err
	}
	e, err := bmctest.Start(bmctest.Options{
		Personality: p, Machine: m, User: b.User, Password: b.Password, HTTPSOnly: b.HTTPSOnly,
		Address: b.Address.String(), HTTPPort: 80, HTTPSPort: 443,
		Listen: seat.Listen, Dial: seat.Dial, Second: b.Second,
	})
	if err != nil {
		return nil, nil, errors.Join(err, seat.leave(ctx))
	}
	for _, lie := range b.Lies {
		err = errors.Join(err, e.Fail(bmctest.Fault{Kind: lie}))
	}
	if err != nil {
		return nil, nil, errors.Join(err, e.Close(), seat.leave(ctx))
	}
	return e, seat, nil
}

// BMC is the host's emulated management controller, or nil if it has none. Its
// own state is what a test believes of media, overrides and sessions.
func (h *Host) BMC() *bmctest.Emulator { return h.bmc }

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
	e, _, err := l.startBMC(ctx, p.BMC, host)
	if err != nil {
		return nil, fmt.Errorf("add a host of paper: %w", errors.Join(err, seat.leave(ctx)))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.paper = append(l.paper, func() error {
		return errors.Join(e.Close(), host.PowerOff(context.Background()))
	})
	return &PaperHost{Paper: host, BMC: e}, nil
}
