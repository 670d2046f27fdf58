package engine

import (
	"context"

	"github.com/muster-boot/muster/inventory"
	"github.com/muster-boot/muster/provisioner"
)

// Controller drives the BMCs of hosts that have one. Calls may take minutes and
// may come again after a crash at any line; each reads back what it did. An
// Operator fault is not tried again until a person acts, any other error is.
// It is safe for concurrent use; the engine makes one call per host at a time.
type Controller interface {
	// Survey reads who the BMC is, what it can, and the hardware.
	Survey(ctx context.Context, h provisioner.Host) (provisioner.BMC, *inventory.Report, error)
	// Do brings an errand to its end; r is what the present attempt gives h. It
	// tells doing, in a sentence, what is waited for. The BMC is returned also
	// with an error, as far as it was seen.
	Do(ctx context.Context, h provisioner.Host, do provisioner.ErrandKind, r provisioner.Rendering, doing func(string)) (provisioner.BMC, error)
}
