package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/muster-boot/muster/provisioner"
)

// leaseEvery bounds how often the lease of a BMC is written down.
const leaseEvery = time.Hour

// SeeBMC notes the address that DHCP gave the BMC of the host that lists its
// MAC. One that no host lists is nobody's.
func (e *Engine) SeeBMC(ctx context.Context, l provisioner.BMCLease) error {
	h, ok := e.Mirror.ByBMC(l.MAC)
	if !ok {
		return nil
	}
	_, err := e.observe(ctx, h.ID, "boot plane", func(h *provisioner.Host) (string, error) {
		l.At = e.at(*h)
		was := h.Facts.BMCLease
		same := was != nil && was.MAC == l.MAC && was.Address == l.Address && was.Network == l.Network
		if same && l.At.Sub(was.At) < leaseEvery {
			return "", nil
		}
		h.Facts.BMCLease = &l
		if same {
			return "", nil
		}
		return fmt.Sprintf("Its BMC (%s) has the address %s on %s.", l.MAC, l.Address, l.Network), nil
	})
	if err != nil {
		return err
	}
	_, err = e.settle(ctx, h.ID)
	return err
}
