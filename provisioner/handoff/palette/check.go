package palette

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/handoff"
	"github.com/muster-boot/muster/provisioner/handoff/stylus"
)

// Check implements [handoff.Driver]: the key works, the project is there, the
// token lasts, the images' agents are of this Palette, no record stands in a
// host's way.
func (d *Driver) Check(ctx context.Context, b handoff.Batch) handoff.Checked {
	o, err := readOptions(b.Options)
	if err != nil {
		return handoff.Checked{Wrong: []string{upper(err.Error()) + "."}}
	}
	c := &check{Driver: d, options: o, batch: b}
	c.names()
	project, err := d.projectUID(ctx, o.Project, 0)
	if err != nil {
		c.unasked(err)
		return c.Checked // the rest would say the same
	}
	c.note(fmt.Sprintf("Palette at %s takes the key and has the project %s.", d.settings.Endpoint, o.Project))
	c.token(ctx)
	c.agents(ctx)
	c.stale(ctx, project)
	return c.Checked
}

// check gathers what is found.
type check struct {
	*Driver
	handoff.Checked
	options options
	batch   handoff.Batch
}

func (c *check) wrong(text string) { c.Wrong = append(c.Wrong, text) }
func (c *check) note(text string)  { c.Notes = append(c.Notes, text) }

// unasked says what it means that Palette cannot be asked. An order that brings
// its token along can do without.
func (c *check) unasked(err error) {
	file := c.options.Token.File
	switch {
	case !away(err):
		c.wrong(c.sentence(err))
	case file == "":
		c.wrong(c.sentence(err) + " The order's registration token cannot be made meanwhile: ask again when it answers. Where there is no way to it, have a token made elsewhere and name its file in handoff.token.file of the order.")
	default:
		if _, _, err := c.unproven(file); err != nil {
			c.wrong(c.sentence(err))
			return
		}
		c.note(fmt.Sprintf("%s So neither project, token nor agent was checked, nor whether it has a host from before: hosts are given the token in %s as it is.", c.sentence(err), file))
		c.noteShipped()
	}
}

// names are one host's each.
func (c *check) names() {
	owner := map[string]provisioner.Host{}
	for _, h := range c.batch.Hosts {
		if c.options.Identity == byUUID && uuidOf(h) == "" {
			c.wrong(fmt.Sprintf("Host %s has no UUID that is its own, so its agent cannot name itself by it: leave identity: uuid out of the order.", h.ID))
			continue
		}
		for _, uid := range c.uidsOf(c.options, h) {
			if first, taken := owner[uid]; taken {
				c.wrong(fmt.Sprintf("Hosts %s and %s would both be the Edge host %s: correct their serials in the manifest.", first.ID, h.ID, uid))
			}
			owner[uid] = h
		}
	}
}

// token says whether there will be one.
func (c *check) token(ctx context.Context) {
	if file := c.options.Token.File; file != "" {
		_, note, err := c.given(ctx, file)
		if err != nil {
			c.wrong(c.sentence(err))
			return
		}
		c.note(note)
		c.noteShipped()
		return
	}
	if _, err := c.client.tokens(ctx); err != nil {
		c.wrong(c.sentence(err))
		return
	}
	c.note(fmt.Sprintf("A registration token is made when the first host begins, valid for %s, and revoked when the order is over.", span(c.options.Token.lasts())))
	c.noteShipped()
}

// noteShipped says until when a token must do.
func (c *check) noteShipped() {
	if !slices.ContainsFunc(c.batch.Hosts, ships) {
		return
	}
	if c.options.Token.File != "" {
		c.note("Hosts that are shipped register at their final site: the token of the file must still be valid then.")
		return
	}
	c.note(fmt.Sprintf("Hosts that are shipped register at their final site, for which each has at least %s: where that is too short, say a longer token.valid. The token is not revoked before.",
		span(c.options.least(c.batch.Hosts))))
}

// agents compares the agents in the images with the one that belongs to this
// Palette: another one may work, or replace itself without end.
func (c *check) agents(ctx context.Context) {
	want, err := c.client.agentVersion(ctx)
	if err != nil || want == "" {
		c.note("Palette did not say which version of the agent belongs to it, so the images' were not compared.")
		return
	}
	for _, digest := range slices.Sorted(maps.Keys(c.batch.Images)) {
		image := c.batch.Images[digest]
		switch have := stylus.AgentIn(image.Version); {
		case have == "":
			c.note(fmt.Sprintf("The version of the agent in image %s is not known; Palette's is %s. Say it when the image is added: muster image add --version agent=VERSION.", image.Name, want))
		case stylus.SameVersion(have, want):
			c.note(fmt.Sprintf("Image %s has agent %s, which is Palette's.", image.Name, have))
		case c.options.AgentVersion == "any":
			c.note(fmt.Sprintf("Image %s has agent %s and Palette %s; the order takes any.", image.Name, have, want))
		default:
			c.wrong(fmt.Sprintf("Image %s has agent %s, but %s belongs to Palette at %s: build the image with that one, or take any with agent_version: any in the order.", image.Name, have, want, c.settings.Endpoint))
		}
	}
}

// stale looks for records that would stand in the way of a host.
func (c *check) stale(ctx context.Context, project string) {
	records, err := c.lookout.hosts(ctx, project, 0)
	if errors.Is(err, errLooking) {
		c.wrong(fmt.Sprintf("Palette at %s is being asked for its Edge hosts just now, for other hosts: ask again in a few seconds.", c.settings.Endpoint))
		return
	}
	if err != nil {
		c.wrong(c.sentence(err))
		return
	}
	for _, h := range c.batch.Hosts {
		if r := h.Facts.Receipt; r != nil && r.Driver == Name || h.Status.Phase == provisioner.Installed {
			continue // that record is what was wanted
		}
		record, found := recordOf(records, c.uidsOf(c.options, h))
		switch {
		case !found:
		case record.Status.State == "in-use":
			c.wrong(c.inUse(record.Metadata.UID))
		case c.options.ReplaceStale == "allowed":
			c.note(fmt.Sprintf("Palette has an Edge host %s from before; it is deleted when host %s is installed, as the order allows.", record.Metadata.UID, h.ID))
		default:
			c.wrong(c.inTheWay(record.Metadata.UID))
		}
	}
}

func recordOf(records []edgeHost, uids []string) (edgeHost, bool) {
	i := slices.IndexFunc(records, func(r edgeHost) bool { return slices.Contains(uids, r.Metadata.UID) })
	if i < 0 {
		return edgeHost{}, false
	}
	return records[i], true
}

func (d *Driver) inUse(uid string) string {
	return fmt.Sprintf("Palette at %s has the Edge host %s in a cluster, and while it is no host can register under that name: take it out of the cluster and delete it there.", d.settings.Endpoint, uid)
}

func (d *Driver) inTheWay(uid string) string {
	return fmt.Sprintf("Palette at %s has an Edge host %s from before, and while it has no host can register under that name: delete it there, or allow muster to with replace_stale: allowed below handoff in the order.", d.settings.Endpoint, uid)
}
