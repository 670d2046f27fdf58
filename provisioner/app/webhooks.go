package app

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"time"

	"github.com/rs/zerolog"

	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/api"
	v1 "github.com/muster-boot/muster/provisioner/api/v1"
	"github.com/muster-boot/muster/provisioner/config"
	"github.com/muster-boot/muster/provisioner/store"
	"github.com/muster-boot/muster/provisioner/webhook"
)

// newOutbox reads what the webhooks need beside the configuration.
func newOutbox(cfg config.Config, st *store.Store, mirror *store.Mirror, log zerolog.Logger) (*webhook.Outbox, error) {
	hooks := make([]webhook.Hook, 0, len(cfg.Webhooks))
	for _, w := range cfg.Webhooks {
		h, err := hookOf(w)
		if err != nil {
			return nil, fmt.Errorf("webhook %s: %w", w.Name, err)
		}
		hooks = append(hooks, h)
	}
	return webhook.New(webhook.Options{
		Store: st, Mirror: mirror, Hooks: hooks, Source: sourceName(cfg.Site.Name), Log: log,
		Data: func(ctx context.Context, e provisioner.Entry) (any, error) { return hostEvent(ctx, mirror, e) },
	})
}

func hookOf(w config.Webhook) (webhook.Hook, error) {
	h := webhook.Hook{Name: w.Name, URL: w.URL, Events: w.Events}
	text, err := os.ReadFile(w.SecretFile)
	if err != nil {
		return h, fmt.Errorf("read its secret: %w", err)
	}
	if h.Secret, err = webhook.ReadSecret(text); err != nil {
		return h, fmt.Errorf("secret_file %s: %w", w.SecretFile, err)
	}
	if w.CAFile != "" {
		if h.CA, err = os.ReadFile(w.CAFile); err != nil {
			return h, fmt.Errorf("read its ca_file: %w", err)
		}
	}
	return h, nil
}

// sourceName is the CloudEvents source of this muster's events.
func sourceName(site string) string {
	if site == "" {
		return "/muster"
	}
	return "/muster/" + url.PathEscape(site)
}

// hostEvent is an entry with its host as it now is.
func hostEvent(ctx context.Context, mirror *store.Mirror, e provisioner.Entry) (v1.HostEvent, error) {
	event := v1.HostEvent{Entry: api.EntryShape(e)}
	if err := mirror.Sync(ctx); err != nil {
		return event, err
	}
	if h, there := mirror.Host(e.Host); there {
		shape := api.HostShape(h)
		event.Host = &shape
	}
	return event, nil
}

// webhookShapes are the webhooks as people see them.
func webhookShapes(states []webhook.State) []v1.Webhook {
	shapes := make([]v1.Webhook, 0, len(states))
	for _, s := range states {
		shape := v1.Webhook{
			Name: s.Name, URL: s.Place, Events: append([]string{}, s.Events...), State: "ok", Queued: s.Queued,
			Delivered: s.Delivered, LastID: s.LastID, Last: moment(s.Last), Problem: s.Problem, Since: moment(s.Since), Next: moment(s.Next),
		}
		switch {
		case s.Stopped:
			shape.State = "stopped"
		case s.Problem != "":
			shape.State = "retrying"
		}
		shapes = append(shapes, shape)
	}
	return shapes
}

func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
