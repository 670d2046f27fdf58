package bmc

import (
	"cmp"
	"context"
	"fmt"

	"github.com/muster-boot/muster/inventory"
	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/redfish"
	"github.com/muster-boot/muster/redfish/survey"
)

// redfishLine is a session with a BMC that speaks Redfish.
type redfishLine struct {
	c    *Controller
	bmc  *redfish.BMC
	note note
}

func (c *Controller) connectRedfish(ctx context.Context, t redfish.Target, known provisioner.BMC, doing func(string)) (line, error) {
	n := readNote(known)
	b, err := redfish.Connect(ctx, t, redfish.Options{Working: n.Working, Guard: &c.guard, Pace: c.opts.Pace, Waiting: doing})
	if err != nil {
		return nil, err
	}
	return &redfishLine{c: c, bmc: b, note: n}, nil
}

func (l *redfishLine) close(ctx context.Context) error { return l.bmc.Close(ctx) }

func (l *redfishLine) power(ctx context.Context) (redfish.Power, error) { return l.bmc.Power(ctx) }

func (l *redfishLine) survey(ctx context.Context, h provisioner.Host) (provisioner.BMC, *inventory.Report, error) {
	seen := l.seen(h, "")
	can, err := l.bmc.Check(ctx, sampleMedium(), l.c.opts.Now)
	if err != nil {
		return seen, nil, err
	}
	seen.Power = string(can.State.Power)
	seen.Abilities = provisioner.Abilities{Media: can.Medium.Can, HTTP: can.HTTP.Can, Network: can.Network.Can}
	seen.NoDHCP = !l.c.opts.Media.Netboots(h)
	seen.Cannot = cannot(can)
	report, err := survey.Read(ctx, l.bmc, l.c.opts.Now)
	if err != nil {
		return seen, nil, err
	}
	return seen, &report, nil
}

// sampleMedium asks what a BMC can with media while no attempt has one: its
// addresses are of RFC 5737 and never fetched.
func sampleMedium() redfish.Want {
	const file = "://192.0.2.1/m/medium.iso"
	return redfish.Want{Goal: redfish.BootMedium, Mode: redfish.UEFI, URLs: []string{"http" + file, "https" + file}, EjectForeign: true}
}

// cannot is what a host that is served by this BMC goes without.
func cannot(can redfish.Check) []string {
	var list []string
	for _, way := range []struct {
		name string
		redfish.Ability
	}{{"no boot from a medium", can.Medium}, {"no UEFI HTTP boot", can.HTTP}, {"no network boot by the BMC", can.Network}} {
		if !way.Can {
			list = append(list, way.name+": "+way.Why)
		}
	}
	if can.About.Basic {
		list = append(list, "no sessions: each request carries the password")
	}
	return list
}

// seen is h's BMC as it is now, over what was known of it.
func (l *redfishLine) seen(h provisioner.Host, power redfish.Power) provisioner.BMC {
	b, about := before(h), l.bmc.About()
	if about.PasswordChanged {
		b.Renewed = h.Intent.BMC.Digest()
	}
	p := about.Product
	b.At, b.Driver = l.c.opts.Now(), Redfish
	b.Vendor, b.Model, b.Firmware = cmp.Or(p.Vendor, p.Maker), cmp.Or(p.Manager, p.Name), p.Firmware
	b.Quirks, b.Fingerprint, b.Working = about.Family, about.Fingerprint, l.note.write()
	b.Power = cmp.Or(string(power), b.Power)
	return b
}

// do brings the host to each of an errand's goals.
func (l *redfishLine) do(ctx context.Context, h provisioner.Host, do provisioner.ErrandKind, r provisioner.Rendering) (provisioner.BMC, error) {
	goals := errand(do, r.Way, before(h).Abilities)
	if len(goals) == 0 {
		return before(h), &provisioner.Fault{Kind: provisioner.Bug, Err: fmt.Errorf("no BMC can be sent to do %q", do)}
	}
	l.note = l.note.learn(h, r.Attempt)
	var power redfish.Power
	for _, goal := range goals {
		out, err := l.bmc.Boot(ctx, l.want(goal, h, r))
		power = out.State.Power
		if err != nil {
			return l.seen(h, power), err
		}
		if goal == redfish.BootMedium {
			l.note = l.note.started(r.Attempt, out.Working)
		}
	}
	return l.seen(h, power), nil
}

// errand is what a host comes to, one after the other. A goal that was reached
// before is passed in no time, so that an errand can be done twice.
func errand(do provisioner.ErrandKind, way provisioner.Way, can provisioner.Abilities) []redfish.Goal {
	switch do {
	case provisioner.ErrandNetwork:
		if way == provisioner.WayUEFIHTTP && can.HTTP {
			return []redfish.Goal{redfish.BootHTTP}
		}
		return []redfish.Goal{redfish.BootNetwork}
	case provisioner.ErrandMedium:
		return []redfish.Goal{redfish.BootMedium}
	case provisioner.ErrandDisk:
		return []redfish.Goal{redfish.Cleared, redfish.PoweredOn}
	case provisioner.ErrandClear:
		return []redfish.Goal{redfish.Cleared}
	case provisioner.ErrandOff:
		return []redfish.Goal{redfish.PoweredOff, redfish.Cleared}
	case provisioner.ErrandSurvey: // it has its own call
	}
	return nil
}

// want is a goal with the attempt's medium.
func (l *redfishLine) want(goal redfish.Goal, h provisioner.Host, r provisioner.Rendering) redfish.Want {
	return redfish.Want{
		Goal: goal, URLs: l.c.opts.Media.URLs(h, r), Ours: func(image string) bool { return l.c.opts.Media.Ours(image) || given(h, image) },
		Mode: mode(goal, h), Avoid: l.note.Avoid, Read: read(h.Facts, r.Attempt),
	}
}

// given tells whether a person gave muster somebody's medium, to eject.
func given(h provisioner.Host, image string) bool {
	return image != "" && h.Intent.BMC.Eject == image
}

// mode is how the firmware is told to boot: as it booted the scout. Before that
// a medium is booted by UEFI, and the network as the firmware is set.
func mode(goal redfish.Goal, h provisioner.Host) redfish.Mode {
	boots := goal == redfish.BootMedium || goal == redfish.BootNetwork || goal == redfish.BootHTTP
	switch {
	case !boots:
		return ""
	case goal == redfish.BootHTTP:
		return redfish.UEFI
	case h.Facts.Report != nil && h.Facts.Report.Report.Firmware.Mode == "bios":
		return redfish.Legacy
	case goal == redfish.BootMedium, h.Facts.Report != nil:
		return redfish.UEFI
	}
	return ""
}
