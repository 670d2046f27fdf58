// Package callhome is the hand-off to a system that registers with muster
// itself, in the way that it has: an agent of its own, cloud-init's phone_home,
// kairos-agent's phonehome, or no more than its call that it booted.
//
// It talks to nobody; the call arrives as a fact. It refuses a call in which
// the agent names another machine than the one that was verified. Start at
// [Driver.Confirm].
package callhome

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/muster-boot/muster/inventory"
	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/handoff"
)

// Name is what orders call this driver.
const Name = "callhome"

// lookAgain is how soon a host without a registration is looked at again. The
// registration itself wakes the engine; this only bounds a lost wake-up.
const lookAgain = 30 * time.Second

// Driver implements [handoff.Driver]. The zero value works and is safe for
// concurrent use.
type Driver struct{}

// Name implements [handoff.Driver].
func (Driver) Name() string { return Name }

// options are what an order says beside the driver's name.
type options struct {
	Call string `json:"call"`
}

// Calls that count as the registration.
const (
	callAgent     = "agent"     // of an agent that is given the key callhome, or of cloud-init
	callPhonehome = "phonehome" // of kairos-agent (2.29 and later)
	callBoot      = "boot"      // of the installed system, that it is up: it has no agent
)

func read(raw map[string]any) (options, error) {
	o := options{Call: callAgent}
	if err := handoff.Decode(raw, &o); err != nil {
		return o, err
	}
	switch o.Call {
	case callAgent, callPhonehome, callBoot:
		return o, nil
	}
	return o, fmt.Errorf("handoff.call: %.40q is not one of %s, %s, %s", o.Call, callAgent, callPhonehome, callBoot)
}

// Options implements [handoff.Driver].
func (Driver) Options(raw map[string]any) error {
	_, err := read(raw)
	return err
}

// Check implements [handoff.Driver]: nobody but muster is needed.
func (Driver) Check(context.Context, handoff.Batch) handoff.Checked { return handoff.Checked{} }

// Open implements [handoff.Driver]: an order needs nothing.
func (Driver) Open(context.Context, handoff.Batch) (handoff.Opened, error) {
	return handoff.Opened{}, nil
}

// Close implements [handoff.Driver]: there is nothing to take back.
func (Driver) Close(context.Context, handoff.Batch) (handoff.Closed, error) {
	return handoff.Closed{Done: "Nothing was to be taken back."}, nil
}

// Prepare implements [handoff.Driver]: where the agent calls, and its token.
func (Driver) Prepare(_ context.Context, b handoff.Batch, h provisioner.Host, base string) (handoff.Carry, error) {
	o, err := read(b.Options)
	if err != nil {
		return handoff.Carry{}, operator(err)
	}
	token := h.Status.Attempt.Token.Reveal()
	switch o.Call {
	case callPhonehome:
		return handoff.Carry{Values: map[string]any{"phonehome": map[string]any{
			"url": base, "registration_token": token, "allowed_commands": []any{},
		}}}, nil
	case callBoot:
		return handoff.Carry{}, nil
	}
	return handoff.Carry{Values: map[string]any{"callhome": map[string]any{"url": base + "/register", "token": token}}}, nil
}

// Confirm implements [handoff.Driver]: the receipt is the registration call of
// this attempt, by an agent that sees the verified hardware, or, where the
// order says so, the call of the installed system.
func (Driver) Confirm(_ context.Context, b handoff.Batch, h provisioner.Host) (handoff.Result, error) {
	o, err := read(b.Options)
	if err != nil {
		return handoff.Result{}, operator(err)
	}
	r := h.Facts.Registration
	if r == nil || r.Attempt != h.Status.Attempt.ID {
		if booted := h.Facts.Booted; o.Call == callBoot && booted != nil && booted.Attempt == h.Status.Attempt.ID {
			return receipt(h, booted.At, fmt.Sprintf("the installed system, which has no agent, called from %s with the token of attempt %s", booted.Address, booted.Attempt)), nil
		}
		return handoff.Result{Again: lookAgain}, nil
	}
	if why := differs(r.Claims, h.Facts.Report); why != "" {
		return handoff.Result{Ask: why, Again: lookAgain}, nil
	}
	return receipt(h, r.At, proof(*r)), nil
}

func receipt(h provisioner.Host, at time.Time, proof string) handoff.Result {
	return handoff.Result{Receipt: &provisioner.Receipt{
		Attempt: h.Status.Attempt.ID, Driver: Name, ID: string(h.ID), At: at, Proof: proof,
	}}
}

func operator(err error) error { return &provisioner.Fault{Kind: provisioner.Operator, Err: err} }

// differs says in what the agent's machine is another than the verified one;
// empty when nothing it claims contradicts.
func differs(claims map[string]string, report *provisioner.Report) string {
	if report == nil {
		return ""
	}
	verified := report.Report.System
	if s := claims["serial"]; s != "" && verified.Serial != "" && !strings.EqualFold(s, verified.Serial) {
		return fmt.Sprintf("The agent registered from a machine with serial %s, but %s was verified: find out which disk is in which machine.", s, verified.Serial)
	}
	if u := claims["uuid"]; u != "" && verified.UUID != "" {
		if same, _ := inventory.SameUUID(u, verified.UUID); !same {
			return fmt.Sprintf("The agent registered from a machine with UUID %s, but %s was verified: find out which disk is in which machine.", u, verified.UUID)
		}
	}
	return ""
}

func proof(r provisioner.Registration) string {
	agent := r.Claims["agent"]
	if agent == "" {
		agent = "an agent"
	}
	return fmt.Sprintf("%s called from %s with the token of attempt %s", agent, r.Address, r.Attempt)
}
