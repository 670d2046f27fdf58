package bmctest

import (
	"context"
	"net/http"
	"slices"
	"time"
)

// power is what the BMC does to the machine's power.
type power struct {
	moving bool      // a change is going on
	shown  string    // PowerState meanwhile, where the personality shows it
	post   time.Time // until when the system tests itself
}

// act is what a reset comes to.
type act int

const (
	actRefuse act = iota
	actNothing
	actOn
	actOff
	actShutdown
	actReset
	actCycle
)

// resolve is what a reset type comes to in a power state (Redfish
// ResetType, DSP2046).
func (r powerRules) resolve(kind string, on bool) act {
	want, known := map[string]struct{ whenOn, whenOff act }{
		"On":               {actRefuse, actOn},
		"ForceOn":          {actRefuse, actOn},
		"ForceOff":         {actOff, actRefuse},
		"GracefulShutdown": {actShutdown, actRefuse},
		"ForceRestart":     {actReset, actRefuse},
		"GracefulRestart":  {actReset, actRefuse},
		"PowerCycle":       {actCycle, actRefuse},
		"PushPowerButton":  {actShutdown, actOn},
		"Nmi":              {actNothing, actRefuse},
	}[kind]
	if !known {
		return actRefuse
	}
	out := want.whenOff
	if on {
		out = want.whenOn
	}
	switch {
	case out == actRefuse && r.Lenient:
		return actNothing
	case out != actRefuse && slices.Contains(r.Lazy, kind):
		return actNothing
	}
	return out
}

// powerState is PowerState.
func (e *Emulator) powerState() string {
	if e.power.moving && e.rules.Power.Moving {
		return e.power.shown
	}
	if e.machine.On() {
		return "On"
	}
	return "Off"
}

func (e *Emulator) inPOST() bool {
	return e.machine.On() && e.opts.Now().Before(e.power.post)
}

func (e *Emulator) resetAction() object {
	p := e.systemPath()
	o := object{"target": p + "/Actions/ComputerSystem.Reset"}
	if e.rules.Power.Listed != "info" {
		o["ResetType@Redfish.AllowableValues"] = e.rules.Power.Resets
	}
	if e.rules.Power.Listed != "inline" {
		o["@Redfish.ActionInfo"] = e.link(p + "/ResetActionInfo")
	}
	return o
}

func (e *Emulator) resetInfo() object {
	o := e.node(e.systemPath()+"/ResetActionInfo", "ActionInfo.v1_2_0.ActionInfo", "Reset action")
	o["Parameters"] = []object{{"Name": "ResetType", "Required": true, "DataType": "String", "AllowableValues": e.rules.Power.Resets}}
	return o
}

func (e *Emulator) resetSystem(r *request) answer {
	kind, _ := r.body["ResetType"].(string)
	switch {
	case kind == "":
		return e.refuse("missing", "ResetType")
	case !slices.Contains(e.rules.Power.Resets, kind):
		return e.refuse("value", "ResetType")
	case e.power.moving:
		return e.refuse("moving")
	}
	do := e.rules.Power.resolve(kind, e.machine.On())
	if do == actRefuse {
		return e.refuse("state")
	}
	if _, deaf := e.fault(FaultDeafPower); deaf {
		do = actNothing
	}
	done := func() {}
	a := e.done(e.rules.Power.Answer)
	if e.rules.Power.Answer == http.StatusAccepted {
		a, done = e.startTask("Reset " + kind)
	}
	e.move(do, done)
	return a
}

// move changes the power after the time that the personality takes.
func (e *Emulator) move(do act, done func()) {
	switch do {
	case actOn, actReset:
		e.power.shown = "PoweringOn"
	case actOff, actShutdown, actCycle:
		e.power.shown = "PoweringOff"
	case actRefuse, actNothing:
		done()
		return
	}
	e.power.moving = true
	e.after(e.rules.Power.Settle, func() {
		err := e.perform(e.ctx, do)
		e.mu.Lock()
		defer e.mu.Unlock()
		e.power.moving = false
		if err != nil {
			e.record.problems = append(e.record.problems, err.Error())
		}
		done()
	})
}

// perform does it to the machine.
func (e *Emulator) perform(ctx context.Context, do act) error {
	switch do {
	case actOn:
		return e.machine.PowerOn(ctx, e.nextBoot)
	case actOff:
		return e.machine.PowerOff(ctx)
	case actShutdown:
		return e.machine.Shutdown(ctx)
	case actReset:
		return e.machine.Reset(ctx)
	case actCycle:
		if err := e.machine.PowerOff(ctx); err != nil {
			return err
		}
		return e.machine.PowerOn(ctx, e.nextBoot)
	case actRefuse, actNothing:
	}
	return nil
}
