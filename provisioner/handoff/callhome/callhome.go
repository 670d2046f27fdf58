// Package callhome is the hand-off to an agent that registers with muster
// itself: it is given a URL and a token of its attempt and calls.
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

// Options implements [handoff.Driver]: there are none.
func (Driver) Options(options map[string]any) error {
	return handoff.Decode(options, &struct{}{})
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

// Prepare implements [handoff.Driver]: the agent's URL and token.
func (Driver) Prepare(_ context.Context, _ handoff.Batch, h provisioner.Host, base string) (handoff.Carry, error) {
	return handoff.Carry{Values: map[string]any{"callhome": map[string]any{
		"url":   base + "/register",
		"token": h.Status.Attempt.Token.Reveal(),
	}}}, nil
}

// Confirm implements [handoff.Driver]: the receipt is the registration call of
// this attempt, by an agent that sees the verified hardware.
func (Driver) Confirm(_ context.Context, _ handoff.Batch, h provisioner.Host) (handoff.Result, error) {
	r := h.Facts.Registration
	if r == nil || r.Attempt != h.Status.Attempt.ID {
		return handoff.Result{Again: lookAgain}, nil
	}
	if why := differs(r.Claims, h.Facts.Report); why != "" {
		return handoff.Result{Ask: why, Again: lookAgain}, nil
	}
	return handoff.Result{Receipt: &provisioner.Receipt{
		Attempt: r.Attempt,
		Driver:  Name,
		ID:      string(h.ID),
		At:      r.At,
		Proof:   proof(*r),
	}}, nil
}

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
