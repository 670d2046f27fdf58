package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/muster-boot/muster/provisioner/lab"
)

const (
	// straySilence is how long the unlisted host is watched after it was seen.
	straySilence = 20 * time.Second
	// tidyTime is how long muster may take to leave a BMC as it found it.
	tidyTime = 2 * time.Minute
)

// attend follows a host to its end and then gives its processor to the next, by
// switching it off.
func (p *play) attend(ctx context.Context, r role, h *lab.Host) error {
	var err error
	switch {
	case r.end == "unknown":
		err = p.watchStray(ctx, r)
	case r.end == "shipped":
		if err = p.watchHost(ctx, r); err == nil {
			err = p.checkShipped(ctx, r, h)
		}
	case r.handoff == "palette":
		if err = p.watchHost(ctx, r); err == nil {
			err = p.watchPalette(ctx, r)
		}
	case r.spec.BMC != nil:
		if err = p.watchHost(ctx, r); err == nil {
			err = p.watchBMC(ctx, r, h)
		}
	default:
		err = p.watchHost(ctx, r)
	}
	if os.Getenv("DEMO_KEEP") == "" || r.end == "unknown" {
		err = errors.Join(err, h.PowerOff(context.WithoutCancel(ctx)))
	}
	return errors.Join(err, h.Release())
}

// watchHost prints a host's moves until it is where it should end, or is stuck.
func (p *play) watchHost(ctx context.Context, r role) error {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	phase := ""
	for {
		h, err := p.site.Client.Host(ctx, r.spec.Name)
		if err == nil && h.Phase != phase {
			phase = h.Phase
			p.say(r, phase, h.Why)
		}
		switch phase {
		case r.end, "failed", "quarantined", "registered":
			return r.judge(h)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s is %s, not %s: %w", r.spec.Name, phase, r.end, ctx.Err())
		case <-tick.C:
		}
	}
}

// checkShipped wants the host off, by the lab's own eyes, and its record written,
// and keeps that beside the result.
func (p *play) checkShipped(ctx context.Context, r role, h *lab.Host) error {
	if !h.Off() {
		return fmt.Errorf("%s is shipped and still on", r.spec.Name)
	}
	shown, err := p.site.Client.Host(ctx, r.spec.Name)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(filepath.Join(p.site.DataDir(), shown.Shipment.Record))
	if err != nil {
		return err
	}
	key, err := os.ReadFile(filepath.Join(p.site.DataDir(), "records", "key.pem"))
	if err != nil {
		return err
	}
	if err := r.recorded(text, key); err != nil {
		return err
	}
	p.say(r, "off", "its record is "+shown.Shipment.Record+", and its signature holds")
	if err := os.MkdirAll(demoDir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(demoDir, r.spec.Name+".record.json"), text, 0o644)
}

// watchPalette wants Palette to know the host, and waits until the order's token
// is worth nothing any more.
func (p *play) watchPalette(ctx context.Context, r role) error {
	ctx, cancel := context.WithTimeout(ctx, tidyTime)
	defer cancel()
	h, err := p.site.Client.Host(ctx, r.spec.Name)
	if err != nil {
		return err
	}
	known, found := p.palette.Host(h.Receipt.ID)
	if err := r.central(known, found); err != nil {
		return err
	}
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		if left := p.palette.Tokens(); len(left) == 0 {
			p.say(r, "known", fmt.Sprintf("to Palette as %s, with this machine's ports and tags; the order's token is revoked", known.UID))
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the registration token of %s's order is still there: %w", r.spec.Name, ctx.Err())
		case <-tick.C:
		}
	}
}

// watchBMC waits until the host's BMC is left as it should be.
func (p *play) watchBMC(ctx context.Context, r role, h *lab.Host) error {
	ctx, cancel := context.WithTimeout(ctx, tidyTime)
	defer cancel()
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		requests, media := h.BMC().Peak()
		s := h.BMC().State()
		err := left(s, requests, media)
		if err == nil {
			p.say(r, "BMC tidy", fmt.Sprintf("its BMC shows no medium, no boot override, no session; %d requests, never two at once", len(s.Requests)))
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the BMC of %s: %w", r.spec.Name, err)
		case <-tick.C:
		}
	}
}

// watchStray waits until the unlisted host was seen, and watches that nothing
// answers it.
func (p *play) watchStray(ctx context.Context, r role) error {
	mac := r.spec.NICs[0].MAC
	h, err := p.site.Await(ctx, mac, "unknown")
	if err != nil {
		return fmt.Errorf("%s was never seen: %w", r.spec.Name, err)
	}
	p.say(r, h.Phase, h.Why)
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(straySilence):
	}
	if h, err = p.site.Client.Host(ctx, mac); err != nil {
		return err
	}
	if err := r.judge(h); err != nil {
		return err
	}
	p.say(r, "unanswered", fmt.Sprintf("for %.0f s; switching it off", straySilence.Seconds()))
	return nil
}
