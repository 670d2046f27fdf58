package api

import (
	"net/http"

	v1 "github.com/muster-boot/muster/provisioner/api/v1"
)

func (p *people) webhookRoutes() []route {
	return []route{
		{"GET", "/v1/webhooks", Viewer, "webhookList", "Who is told what happens to hosts, and how far that is", nil, nil, []v1.Webhook{}, p.listWebhooks},
	}
}

func (p *people) listWebhooks(*http.Request) Response {
	hooks := []v1.Webhook{}
	if p.Webhooks != nil {
		hooks = append(hooks, p.Webhooks()...)
	}
	return ok(hooks)
}
