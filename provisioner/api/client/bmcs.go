package client

import (
	"context"

	v1 "github.com/muster-boot/muster/provisioner/api/v1"
)

// BMCs lists those that hosts list, and those that asked for an address and that
// no host lists.
func (c *Client) BMCs(ctx context.Context) ([]v1.FoundBMC, error) {
	var list []v1.FoundBMC
	err := c.caller.get(ctx, "/v1/bmcs", &list)
	return list, err
}

// AddBMC says how a host's BMC is entered. What is left out stays as it is.
func (c *Client) AddBMC(ctx context.Context, ref string, b v1.NewBMC) (v1.Host, error) {
	return c.act(ctx, ref, "bmc", b)
}

// CheckBMC has the server log in to a host's BMC and say what it can do. It
// changes nothing, and takes as long as the BMC does.
func (c *Client) CheckBMC(ctx context.Context, ref string) (v1.CheckedBMC, error) {
	var checked v1.CheckedBMC
	err := c.caller.post(ctx, hostPath(ref)+"/bmc/check", nil, &checked)
	return checked, err
}
