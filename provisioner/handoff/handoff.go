// Package handoff is the contract of the last step: a driver that makes a
// host's agent able to register and then looks for the proof that it did.
//
// A driver never trusts the install and never writes to the store: it returns
// values, the engine commits them. Drivers live in rooms below this one and are
// listed by hand in app. Start at [Driver].
package handoff

import (
	"context"
	"time"

	"github.com/muster-boot/muster/provisioner"
)

// Driver hands one kind of host over. Every call may come again, also after a
// crash in the middle of it, and gives the same answer for the same facts.
type Driver interface {
	// Name is what orders call it.
	Name() string
	// Prepare says, before an install, what the host's user-data must carry
	// beside the recipe's own keys. base is the absolute URL below which the
	// routes of h's attempt lie.
	Prepare(ctx context.Context, h provisioner.Host, base string) (map[string]any, error)
	// Confirm looks, after the install, for the proof that h is registered.
	Confirm(ctx context.Context, h provisioner.Host) (Result, error)
}

// Result is what a driver found. Exactly one of Receipt, Again and Ask is set.
type Result struct {
	Receipt *provisioner.Receipt // done
	Again   time.Duration        // no proof yet; look again after this long
	Ask     string               // a person must act; the sentence says how
}
