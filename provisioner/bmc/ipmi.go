package bmc

import (
	"context"
	"errors"
	"fmt"

	"github.com/muster-boot/muster/inventory"
	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/redfish"
	"github.com/muster-boot/muster/redfish/ipmi"
)

// ipmiLine is a BMC that speaks IPMI only. Each command is a session of its own.
type ipmiLine struct {
	c      *Controller
	bmc    *ipmi.BMC
	target redfish.Target
}

func (c *Controller) connectIPMI(t redfish.Target) (line, error) {
	if err := c.guard.Check(t); err != nil {
		return nil, err
	}
	b, err := ipmi.New(ipmi.Target{Address: t.Address, User: t.User, Password: t.Password},
		ipmi.Pace{Request: c.opts.Pace.Request, Poll: c.opts.Pace.Poll, Settle: c.opts.Pace.Settle})
	if err != nil {
		return nil, err
	}
	return &ipmiLine{c: c, bmc: b, target: t}, nil
}

func (*ipmiLine) close(context.Context) error { return nil }

func (l *ipmiLine) power(ctx context.Context) (redfish.Power, error) {
	power, err := l.bmc.Power(ctx)
	return power, l.noted(err)
}

// survey reads the power, which shows that the account is good. IPMI tells
// nothing of the hardware.
func (l *ipmiLine) survey(ctx context.Context, h provisioner.Host) (provisioner.BMC, *inventory.Report, error) {
	seen, err := l.seen(ctx, before(h))
	if err == nil {
		seen.Abilities = provisioner.Abilities{Network: true}
	}
	return seen, nil, err
}

// seen is the BMC as it is now, over what was known of it.
func (l *ipmiLine) seen(ctx context.Context, b provisioner.BMC) (provisioner.BMC, error) {
	power, err := l.bmc.Power(ctx)
	if err != nil {
		return b, l.noted(err)
	}
	b.At, b.Driver, b.Power, b.Cannot = l.c.opts.Now(), IPMI, string(power), ipmi.Cannot()
	return b, nil
}

// noted keeps a refused password from being shown again.
func (l *ipmiLine) noted(err error) error {
	if f, ok := errors.AsType[*redfish.Fault](err); ok {
		l.c.guard.Note(l.target, f)
	}
	return err
}

func (l *ipmiLine) do(ctx context.Context, h provisioner.Host, do provisioner.ErrandKind, _ provisioner.Rendering) (provisioner.BMC, error) {
	if err := l.act(ctx, h, do); err != nil {
		return before(h), l.noted(err)
	}
	return l.seen(ctx, before(h))
}

// act does an errand. There is no medium to take out; an override holds for one
// boot and is gone when it is done.
func (l *ipmiLine) act(ctx context.Context, h provisioner.Host, do provisioner.ErrandKind) error {
	switch do {
	case provisioner.ErrandNetwork:
		return l.bmc.BootNetwork(ctx, mode(redfish.BootNetwork, h) != redfish.Legacy)
	case provisioner.ErrandDisk:
		return l.bmc.SetPower(ctx, redfish.On)
	case provisioner.ErrandOff:
		return l.bmc.SetPower(ctx, redfish.Off)
	case provisioner.ErrandClear:
		return nil
	case provisioner.ErrandMedium:
		return operator(errors.New("this host's BMC is driven by IPMI, which has no virtual media: let the host boot from the network"))
	case provisioner.ErrandSurvey: // it has its own call
	}
	return &provisioner.Fault{Kind: provisioner.Bug, Err: fmt.Errorf("no BMC can be sent to do %q", do)}
}
