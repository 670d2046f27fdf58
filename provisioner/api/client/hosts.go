package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	v1 "github.com/muster-boot/muster/provisioner/api/v1"
)

// A host is named by its id, or by a serial, name or MAC that only one has.

// Hosts lists hosts; order and phase narrow the list where they are not empty.
func (c *Client) Hosts(ctx context.Context, order, phase string) ([]v1.Host, error) {
	var hosts []v1.Host
	query := url.Values{"order": {order}, "phase": {phase}}
	err := c.caller.get(ctx, "/v1/hosts?"+query.Encode(), &hosts)
	return hosts, err
}

// Host returns one host.
func (c *Client) Host(ctx context.Context, ref string) (v1.Host, error) {
	var h v1.Host
	err := c.caller.get(ctx, hostPath(ref), &h)
	return h, err
}

// Report returns the signed record of a host, as muster wrote it.
func (c *Client) Report(ctx context.Context, ref string) (json.RawMessage, error) {
	var text json.RawMessage
	err := c.caller.get(ctx, hostPath(ref)+"/report", &text)
	return text, err
}

// Preview returns what a host is given, or would be, with secrets masked.
func (c *Client) Preview(ctx context.Context, ref string) (v1.Preview, error) {
	var p v1.Preview
	err := c.caller.get(ctx, hostPath(ref)+"/preview", &p)
	return p, err
}

// Medium says where a host's own ISO of its present attempt is. Whoever has its
// URL can read the host's configuration.
func (c *Client) Medium(ctx context.Context, ref string) (v1.Medium, error) {
	var m v1.Medium
	err := c.caller.get(ctx, hostPath(ref)+"/medium", &m)
	return m, err
}

// Why returns why a host is where it is, with the end of its journal.
func (c *Client) Why(ctx context.Context, ref string) (v1.Why, error) {
	var why v1.Why
	err := c.caller.get(ctx, hostPath(ref)+"/why", &why)
	return why, err
}

// Journal returns a host's entries numbered above after, oldest first; a long
// journal comes in several answers. With after empty the entries of ids that
// the host had before come first, each id's numbered from 1.
func (c *Client) Journal(ctx context.Context, ref, after string) ([]v1.Entry, error) {
	var entries []v1.Entry
	err := c.caller.get(ctx, hostPath(ref)+"/journal?"+url.Values{"after": {after}}.Encode(), &entries)
	return entries, err
}

// Approve takes an unlisted host into an order.
func (c *Client) Approve(ctx context.Context, ref, order string) (v1.Host, error) {
	return c.act(ctx, ref, "approve", v1.Approve{Order: order})
}

// Hold stops a host until it is released.
func (c *Client) Hold(ctx context.Context, ref, reason string) (v1.Host, error) {
	return c.act(ctx, ref, "hold", v1.Hold{Reason: reason})
}

// Release lets a held or quarantined host go on.
func (c *Client) Release(ctx context.Context, ref string) (v1.Host, error) {
	return c.act(ctx, ref, "release", nil)
}

// Retry lets a host try again from the start.
func (c *Client) Retry(ctx context.Context, ref string) (v1.Host, error) {
	return c.act(ctx, ref, "retry", nil)
}

// Reinstall lets a host be installed anew; its disk may be erased once.
func (c *Client) Reinstall(ctx context.Context, ref string) (v1.Host, error) {
	return c.act(ctx, ref, "reinstall", nil)
}

// Remove forgets a host; force also one that muster is working on.
func (c *Client) Remove(ctx context.Context, ref string, force bool) error {
	path := hostPath(ref)
	if force {
		path += "?force=true"
	}
	return c.caller.do(ctx, http.MethodDelete, path, nil, nil)
}

func (c *Client) act(ctx context.Context, ref, verb string, body any) (v1.Host, error) {
	var h v1.Host
	err := c.caller.post(ctx, hostPath(ref)+"/"+verb, body, &h)
	return h, err
}

func hostPath(ref string) string { return "/v1/hosts/" + url.PathEscape(ref) }
