package app

import (
	"context"
	"errors"

	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/api"
	v1 "github.com/muster-boot/muster/provisioner/api/v1"
	"github.com/muster-boot/muster/provisioner/bmc"
)

// Controllers answers people who ask what a host's BMC can do, over the same
// connections as the engine's errands: one BMC is asked one thing at a time.
type Controllers struct {
	*bmc.Controller
	// Note keeps that a BMC refused its account; may be nil where no engine runs.
	Note func(ctx context.Context, h provisioner.Host, failed error) error
}

var _ api.Controllers = Controllers{}

// Check implements [api.Controllers].
func (c Controllers) Check(ctx context.Context, h provisioner.Host) (v1.CheckedBMC, error) {
	checked, err := c.Controller.Check(ctx, h)
	if c.Note != nil {
		err = errors.Join(err, c.Note(ctx, h, err))
	}
	if err != nil {
		return v1.CheckedBMC{}, err
	}
	shape := v1.CheckedBMC{
		Address: checked.Address, Driver: checked.Driver, Vendor: checked.Vendor, Model: checked.Model, Firmware: checked.Firmware,
		Redfish: checked.Redfish, Host: checked.Host, Power: checked.Power, Fingerprint: checked.Fingerprint,
		Quirks: checked.Quirks, Why: checked.Why, Proof: checked.Proof,
		Answers: []v1.BMCAnswer{}, Cannot: append([]string{}, checked.Cannot...), Boots: checked.Boots(),
	}
	for _, a := range checked.Answers {
		shape.Answers = append(shape.Answers, v1.BMCAnswer{About: string(a.About), Says: string(a.Says), Seen: a.Seen})
	}
	return shape, nil
}
