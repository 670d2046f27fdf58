package client

import (
	"context"
	"net/url"

	v1 "github.com/muster-boot/muster/provisioner/api/v1"
)

// Orders lists all orders.
func (c *Client) Orders(ctx context.Context) ([]v1.Order, error) {
	var orders []v1.Order
	err := c.caller.get(ctx, "/v1/orders", &orders)
	return orders, err
}

// Order returns one order.
func (c *Client) Order(ctx context.Context, name string) (v1.Order, error) {
	var o v1.Order
	err := c.caller.get(ctx, orderPath(name), &o)
	return o, err
}

// Import takes in an order with its manifest. A *v1.Problem with remarks names
// everything that is wrong; nothing was taken in then.
func (c *Client) Import(ctx context.Context, in v1.Import) (v1.Imported, error) {
	var report v1.Imported
	err := c.caller.post(ctx, "/v1/orders", in, &report)
	return report, err
}

// Lint says what Import would do, and does nothing.
func (c *Client) Lint(ctx context.Context, in v1.Import) (v1.Imported, error) {
	var report v1.Imported
	err := c.caller.post(ctx, "/v1/orders/lint", in, &report)
	return report, err
}

// Check says whether the hosts of an order could be handed over.
func (c *Client) Check(ctx context.Context, name string) (v1.Checked, error) {
	var checked v1.Checked
	err := c.caller.get(ctx, orderPath(name)+"/check", &checked)
	return checked, err
}

// Start lets the hosts of an order be installed.
func (c *Client) Start(ctx context.Context, name string) (v1.Order, error) {
	return c.order(ctx, name, "start")
}

// Stop lets no further host of an order begin to install.
func (c *Client) Stop(ctx context.Context, name string) (v1.Order, error) {
	return c.order(ctx, name, "stop")
}

func (c *Client) order(ctx context.Context, name, verb string) (v1.Order, error) {
	var o v1.Order
	err := c.caller.post(ctx, orderPath(name)+"/"+verb, nil, &o)
	return o, err
}

func orderPath(name string) string { return "/v1/orders/" + url.PathEscape(name) }
