package app

import (
	"context"

	"github.com/muster-boot/muster/provisioner"
	v1 "github.com/muster-boot/muster/provisioner/api/v1"
	"github.com/muster-boot/muster/provisioner/engine"
)

// handoffs has the people's API ask the engine's drivers. It implements
// [api.Handoffs].
type handoffs struct{ *engine.Engine }

// Check implements [api.Handoffs].
func (h handoffs) Check(ctx context.Context, o provisioner.Order) (v1.Checked, error) {
	got, err := h.Engine.Check(ctx, o)
	return v1.Checked{Wrong: got.Wrong, Notes: got.Notes}, err
}
