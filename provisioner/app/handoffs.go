package app

import (
	"context"
	"fmt"

	"github.com/muster-boot/muster/provisioner"
	v1 "github.com/muster-boot/muster/provisioner/api/v1"
	"github.com/muster-boot/muster/provisioner/config"
	"github.com/muster-boot/muster/provisioner/engine"
	"github.com/muster-boot/muster/provisioner/handoff/palette"
)

// centralPalette is the driver for the Palette of the site, or for none. server
// tells this muster from others.
func centralPalette(cfg config.Config, server string) (*palette.Driver, error) {
	p := cfg.Handoff.Palette
	d, err := palette.New(palette.Settings{
		Endpoint: p.Endpoint, KeyFile: p.APIKey, CAFile: p.CA, Proxy: p.Proxy, Site: cfg.Site.Name, Server: server,
	}, palette.Options{})
	if err != nil {
		return nil, fmt.Errorf("handoff.palette: %w", err)
	}
	return d, nil
}

// handoffs has the people's API ask the engine's drivers. It implements
// [api.Handoffs].
type handoffs struct{ *engine.Engine }

// Check implements [api.Handoffs].
func (h handoffs) Check(ctx context.Context, o provisioner.Order) (v1.Checked, error) {
	got, err := h.Engine.Check(ctx, o)
	return v1.Checked{Wrong: got.Wrong, Notes: got.Notes}, err
}
