package main

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/muster-boot/muster/provisioner/api/client"
	v1 "github.com/muster-boot/muster/provisioner/api/v1"
)

func (s *session) hostWatch() *cobra.Command {
	var wait bool
	cmd := &cobra.Command{
		Use: "watch [HOST]", Short: "Print what happens as it happens",
		Long: "Print what happens as it happens, of all hosts or of one.\n" +
			"With --wait it ends when the host is registered (exit code 0), or failed or\n" +
			"quarantined (exit code 1).",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 || wait && len(args) == 0 {
				return usage("use it like this: %s", cmd.UseLine())
			}
			return nil
		},
		Example: "  muster host watch\n  muster host watch --wait rack4-u12",
		RunE: func(cmd *cobra.Command, args []string) error {
			w := &watcher{session: s, wait: wait}
			return w.run(cmd.Context(), args)
		},
	}
	cmd.Flags().BoolVar(&wait, "wait", false, "end when the host is registered, failed or quarantined")
	return s.reading(cmd)
}

// watcher prints events of all hosts, or of one.
type watcher struct {
	*session
	wait   bool
	only   string // id; empty: all
	looked bool   // at the host, when nothing that happens to it could be missed any more
}

// How a watch goes on when its server went away: it asks again this often, and
// gives up after so long without an answer.
const (
	watchPause = time.Second
	watchLimit = 5 * time.Minute
)

func (w *watcher) run(ctx context.Context, args []string) error {
	c, err := w.client()
	if err != nil {
		return err
	}
	if len(args) > 0 {
		h, err := c.Host(ctx, args[0])
		if err != nil {
			return err
		}
		w.only = h.ID
	}
	var to contact
	f := &client.Following{Event: w.event, Opened: func() error {
		to.opened()
		return w.opened(ctx, c)
	}}
	err = w.follow(ctx, c, f, &to)
	if done, settled := errors.AsType[ended](err); settled {
		return verdict(done.phase)
	}
	return stopped(ctx, err)
}

// contact is when a server was last there.
type contact struct {
	open bool
	last time.Time // when it was lost; zero: never
	said bool      // that it is lost
}

func (c *contact) opened() { *c = contact{open: true} }

// lost notes that the server is not there, and tells whether to wait for it.
func (c *contact) lost(now time.Time) (wait bool) {
	if c.open {
		c.open, c.last = false, now
	}
	return !c.last.IsZero() && now.Sub(c.last) <= watchLimit
}

// follow watches over restarts of the server.
func (w *watcher) follow(ctx context.Context, c *client.Client, f *client.Following, to *contact) error {
	pause := time.NewTicker(watchPause)
	defer pause.Stop()
	for {
		err := c.Follow(ctx, f)
		if errors.Is(err, client.ErrReset) {
			f.After, w.looked = 0, false
			continue
		}
		away, gone := errors.AsType[*client.Unreachable](err)
		if !gone || !to.lost(time.Now()) {
			return err
		}
		if !to.said {
			w.say("muster: the server went away (%v); waiting for it to come back", away.Err)
			to.said = true
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-pause.C:
		}
	}
}

// opened looks once at the host that is waited for: what happens from now on
// comes as events. One that a person has just asked something for is about to
// move.
func (w *watcher) opened(ctx context.Context, c *client.Client) error {
	if !w.wait || w.looked {
		return nil
	}
	w.looked = true
	h, err := c.Host(ctx, w.only)
	if err != nil {
		return err
	}
	if h.Pending || !settled(h.Phase) {
		return nil
	}
	if w.format != asJSON {
		say(w.out, "%s is %s. %s", cmp.Or(h.Name, h.ID), h.Phase, h.Why)
		return ended{h.Phase}
	}
	// The move that it has made, as the others are told.
	made := v1.Entry{Host: h.ID, At: h.Since, Kind: "move", Phase: h.Phase, Attempt: h.Attempt, Text: h.Why, By: "engine"}
	if err := w.showJSON(v1.Event{Entry: made, Host: &h}); err != nil {
		return err
	}
	return ended{h.Phase}
}

// ended stops a watch at a host that has settled.
type ended struct{ phase string }

func (e ended) Error() string { return "the host is " + e.phase }

func settled(phase string) bool {
	return phase == "registered" || phase == "shipped" || verdict(phase) != nil
}

func (w *watcher) event(ev v1.Event) error {
	if w.only != "" && ev.Entry.Host != w.only {
		return nil
	}
	if err := w.print(ev); err != nil {
		return err
	}
	if w.wait && ev.Entry.Kind == "move" && settled(ev.Entry.Phase) {
		return ended{ev.Entry.Phase}
	}
	return nil
}

func (w *watcher) print(ev v1.Event) error {
	if w.format == asJSON {
		return w.showJSON(ev)
	}
	name := ev.Entry.Host
	if ev.Host != nil {
		name = cmp.Or(ev.Host.Name, name)
	}
	text := ev.Entry.Text
	if ev.Host != nil && moving(*ev.Host) != "" {
		text += " (" + moving(*ev.Host) + ")"
	}
	say(w.out, "%s  %-20s  %-11s  %s", ev.Entry.At.Local().Format("15:04:05"), name, ev.Entry.Phase, oneLine(text))
	return nil
}
