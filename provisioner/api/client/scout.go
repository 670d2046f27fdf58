package client

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/muster-boot/muster/inventory"
	v1 "github.com/muster-boot/muster/provisioner/api/v1"
)

// Scout is a scout's client of the boot plane: four routes under one token,
// for one host only. It is safe for concurrent use.
type Scout struct{ caller caller }

// NewScout returns a client of the routes below base, e.g.
// http://10.0.0.1:8067/scout/h-7q2mk4xw, opened by token.
func NewScout(base, token string, hc *http.Client) *Scout {
	return &Scout{caller{base: base + "/" + url.PathEscape(token), http: hc, server: base}}
}

// Time asks for muster's time.
func (s *Scout) Time(ctx context.Context) (time.Time, error) {
	var clock v1.Clock
	err := s.caller.get(ctx, "/time", &clock)
	return clock.Time, err
}

// Instruction asks what to do next. Version is the scout's own: an old scout
// is told to reboot into a newer one.
func (s *Scout) Instruction(ctx context.Context, version string) (inventory.Instruction, error) {
	var do inventory.Instruction
	err := s.caller.get(ctx, "/instruction?version="+url.QueryEscape(version), &do)
	return do, err
}

// Report hands in what the scout saw, for the attempt that asked for it.
func (s *Scout) Report(ctx context.Context, attempt string, r inventory.Report) error {
	return s.caller.post(ctx, "/report?attempt="+url.QueryEscape(attempt), r, nil)
}

// Progress tells how far an attempt is. When it returns nil, muster has stored
// the step.
func (s *Scout) Progress(ctx context.Context, step inventory.Step) error {
	return s.caller.post(ctx, "/progress", step, nil)
}
