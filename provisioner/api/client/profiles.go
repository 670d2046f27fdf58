package client

import (
	"context"
	"net/url"

	v1 "github.com/muster-boot/muster/provisioner/api/v1"
)

// Profiles lists the profiles that the server brings.
func (c *Client) Profiles(ctx context.Context) ([]v1.Profile, error) {
	var profiles []v1.Profile
	err := c.caller.get(ctx, "/v1/profiles", &profiles)
	return profiles, err
}

// Profile returns one of them.
func (c *Client) Profile(ctx context.Context, name string) (v1.Profile, error) {
	var p v1.Profile
	err := c.caller.get(ctx, "/v1/profiles/"+url.PathEscape(name), &p)
	return p, err
}

// LintProfile checks the YAML of a profile.
func (c *Client) LintProfile(ctx context.Context, text string) (v1.Profile, error) {
	var p v1.Profile
	err := c.caller.post(ctx, "/v1/profiles/lint", v1.Source{Text: text}, &p)
	return p, err
}

// Version asks which muster the server is.
func (c *Client) Version(ctx context.Context) (v1.Version, error) {
	var v v1.Version
	err := c.caller.get(ctx, "/v1/version", &v)
	return v, err
}

// Health asks whether all works.
func (c *Client) Health(ctx context.Context) (v1.Health, error) {
	var h v1.Health
	err := c.caller.get(ctx, "/v1/health", &h)
	return h, err
}
