package client

import (
	"context"

	v1 "github.com/muster-boot/muster/provisioner/api/v1"
)

// Webhooks returns who is told what happens to hosts.
func (c *Client) Webhooks(ctx context.Context) ([]v1.Webhook, error) {
	var hooks []v1.Webhook
	err := c.caller.get(ctx, "/v1/webhooks", &hooks)
	return hooks, err
}
