package localui

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strings"

	"github.com/muster-boot/muster/provisioner/handoff"
)

// Stages of an upload, as a host's progress names them.
const (
	stageContent    = "content"
	stageDefinition = "definition"
)

// give has the host get its content bundle, then its cluster definition. In a
// group of linked hosts only the leader is given them: it hands them on.
func (c *confirmation) give(ctx context.Context) *handoff.Result {
	if c.o.Link.Leader != "" && !is(c.h, c.o.Link.Leader) {
		return nil
	}
	if r := c.giveContent(ctx); r != nil {
		return r
	}
	return c.giveDefinition(ctx)
}

func (c *confirmation) giveContent(ctx context.Context) *handoff.Result {
	b := c.o.Content
	if b.File == "" {
		return nil
	}
	sum, known, err := c.d.bundles.known(b.File)
	if err != nil {
		return lost(err)
	}
	listed, err := c.s.edge.content(ctx)
	if err != nil {
		return c.trouble(err)
	}
	if known && digits(listed.SHA256) == sum {
		if c.d.uploads.busy(c.h.Status.Attempt.ID, stageContent) { // it has all, and its answer is still to come
			return works("the upload of the content bundle %s to %s.", b.File, c.s.address)
		}
		c.gave = append(c.gave, fmt.Sprintf("it lists the content bundle %s (SHA-256 %.16s...)", b.File, sum))
		return nil
	}
	done, r := c.send(upload{what: "content bundle", stage: stageContent, path: pathUploadContent, bundle: b, skip: listed.SHA256})
	if done.sum == "" {
		return r
	}
	if done.skipped { // it was there, and its digest is known now
		return waits(atOnce, "the list of the host's content, which has %s already.", b.File)
	}
	return asks("The host at %s took the content bundle %s and lists %s: look at its Local UI whether it could unpack it, and at the free space of its disk.",
		c.s.address, b.File, orNothing(listed.Name))
}

func (c *confirmation) giveDefinition(ctx context.Context) *handoff.Result {
	b := c.o.Definition
	if b.File == "" {
		return nil
	}
	sum, known, err := c.d.bundles.known(b.File)
	if err != nil {
		return lost(err)
	}
	path, err := c.s.edge.definition(ctx)
	if err != nil {
		return c.trouble(err)
	}
	if known && c.keep.Definition == sum && path != "" {
		c.gave = append(c.gave, fmt.Sprintf("it has the cluster definition %s (SHA-256 %.16s...) at %s", b.File, sum, path))
		return nil
	}
	skip := ""
	if path != "" {
		skip = c.keep.Definition
	}
	done, r := c.send(upload{what: "cluster definition", stage: stageDefinition, path: pathUploadDefinition, bundle: b, skip: skip})
	if done.sum == "" {
		return r
	}
	if c.keep.Definition == done.sum {
		return asks("The host at %s took the cluster definition %s and lists none: look at its Local UI at https://%s.", c.s.address, b.File, c.s.address)
	}
	c.keep.Definition = done.sum
	return waits(atOnce, "the cluster definition %s, which the host took.", b.File)
}

// send has an upload made, once, and says how far it is.
func (c *confirmation) send(u upload) (done, *handoff.Result) {
	u.attempt, u.edge = c.h.Status.Attempt.ID, c.s.edge
	state := c.d.uploads.want(u)
	switch {
	case state.done.sum != "":
		return state.done, nil
	case state.lost != nil:
		return done{}, lost(state.lost)
	case statusOf(state.failed) == http.StatusUnauthorized:
		return done{}, c.trouble(state.failed)
	case state.failed != nil:
		return done{}, waits(lookAgain, "the upload of the %s %s to %s, which broke off (%s) and is made again.", u.what, u.bundle.File, c.s.address, plain(state.failed))
	case state.running:
		return done{}, works("the upload of the %s %s to %s.", u.what, u.bundle.File, c.s.address)
	}
	return done{}, works("the turn of the %s %s: %d uploads run at a time.", u.what, u.bundle.File, uploaders)
}

// works is a wait for muster itself, which is not the host's.
func works(format string, args ...any) *handoff.Result {
	r := waits(soon, format, args...)
	r.Away = true
	return r
}

// lost says that a file cannot be read here.
func lost(err error) *handoff.Result { return asks("%s.", err) }

// plain is an error without the addresses that make each of its kind differ.
func plain(err error) string {
	switch {
	case statusOf(err) != 0, errors.Is(err, errStill):
		return err.Error()
	case errors.Is(err, fs.ErrNotExist):
		return "the file is gone"
	}
	return "the connection was lost"
}

// digits are those of a digest, whatever stands in front of them.
func digits(digest string) string {
	return strings.ToLower(digest[strings.LastIndexByte(digest, ':')+1:])
}

func orNothing(name string) string {
	if name == "" {
		return "nothing"
	}
	return name
}
