// Package webhook tells other systems what happens to hosts: each journal entry
// as one CloudEvent over HTTPS, signed, until its receiver has taken it.
//
// It keeps no queue of its own: the journal is the outbox, and a webhook is a
// cursor for each host, moved when the receiver said 2xx. So nothing is lost
// over a week without WAN, a host's events keep their order, and what is said
// twice has the same id. It delays nobody: hosts, engine and other webhooks go
// on whatever a receiver does. It moves no host and takes no answer. Start at
// [Outbox.Run], then hook.work and [Message.Sign].
package webhook

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/store"
)

// Hook is one receiver, as people configured it.
type Hook struct {
	Name   string
	URL    string // https; no more of it than scheme, host and path is ever shown
	Secret []byte // signs; at least [LeastSecret] bytes
	CA     []byte // PEM; the only authorities whose certificates count; nil: the system's
	// Events are what it wants: kinds of journal entries, or phases for the
	// moves to them; none means all.
	Events []string
}

// Options of an outbox; all are required but Now and Dial.
type Options struct {
	Store  *store.Store
	Mirror *store.Mirror // running
	Hooks  []Hook
	Source string // of the events: a URI reference that names this muster
	// Data is what an event carries of an entry, as JSON has it.
	Data func(ctx context.Context, e provisioner.Entry) (any, error)
	Log  zerolog.Logger
	Now  func() time.Time // nil means time.Now
	// Dial makes connections; nil means those of the network.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Outbox delivers what the journal says to all hooks. Its methods are safe for
// concurrent use.
type Outbox struct {
	Options
	hooks []*hook

	mu      sync.Mutex
	trouble problem // of reading what is to be delivered
}

// New returns an outbox that has delivered nothing yet. An error says which
// hook cannot work and why.
func New(o Options) (*Outbox, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	out := &Outbox{Options: o}
	for _, h := range o.Hooks {
		client, err := newClient(h, o.Dial)
		if err != nil {
			return nil, fmt.Errorf("webhook %s: %w", h.Name, err)
		}
		out.hooks = append(out.hooks, newHook(h, client, out))
	}
	return out, nil
}

// Run delivers until ctx ends, and then returns nil.
func (o *Outbox) Run(ctx context.Context) error {
	if len(o.hooks) == 0 {
		return nil
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return o.keepUp(ctx) })
	for _, h := range o.hooks {
		for range lanes {
			g.Go(func() error { return h.run(ctx) })
		}
	}
	if err := g.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("deliver webhooks: %w", err)
	}
	return nil
}

// keepUp follows the journal until ctx ends. A failure, such as a full disk, is
// said and tried again: whoever runs an outbox stops the server where it ends.
func (o *Outbox) keepUp(ctx context.Context) error {
	for failures := 1; ; failures++ {
		err := o.follow(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !o.inTrouble() {
			failures = 1
		}
		pause := pauseAfter(failures, longPause)
		o.note(fmt.Sprintf("What is to be delivered cannot be read: %v. It is tried again.", err), pause)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

func (o *Outbox) inTrouble() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.trouble.say != ""
}

// note says what keeps the journal from being read; empty: nothing does.
func (o *Outbox) note(say string, pause time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if say == "" {
		o.trouble = problem{}
		return
	}
	if say != o.trouble.say {
		o.Log.Error().Msg(say)
	}
	now := o.Now()
	o.trouble = o.trouble.is(say, now, now.Add(pause))
}

// follow puts hosts into the hooks' queues as entries are committed. Where the
// store no longer has the changes since the last look, it looks at all hosts.
func (o *Outbox) follow(ctx context.Context) error {
	for {
		revision, err := o.Store.Revision(ctx)
		if err != nil {
			return err
		}
		if err := o.catchUp(ctx); err != nil {
			return err
		}
		o.note("", 0)
		err = o.Store.Follow(ctx, revision, func(_ uint64, entries []provisioner.Entry) error {
			for _, e := range entries {
				for _, h := range o.hooks {
					h.add(e.Host, e.Seq)
				}
			}
			return nil
		})
		if !errors.Is(err, store.ErrCompacted) {
			return err
		}
	}
}

// catchUp finds the hosts that have entries which a hook has not delivered. Of a
// host that is there the mirror knows; of one that was removed its journal does.
func (o *Outbox) catchUp(ctx context.Context) error {
	if err := o.Mirror.Sync(ctx); err != nil {
		return err
	}
	ids, err := o.Store.Journaled(ctx)
	if err != nil {
		return err
	}
	for _, h := range o.hooks {
		d, err := o.Store.Deliveries(ctx, h.Name)
		if err != nil {
			return err
		}
		h.begin(d)
		for _, id := range ids {
			head, err := o.head(ctx, id, d)
			if err != nil {
				return err
			}
			if head > d.Delivered[id] {
				h.add(id, head)
			}
		}
	}
	return nil
}

// head is the number of the last entry of a host that concerns a hook; 0: none
// does.
func (o *Outbox) head(ctx context.Context, id provisioner.HostID, d store.Deliveries) (uint64, error) {
	if h, there := o.Mirror.Host(id); there && h.ID == id {
		if h.Revision <= d.Began {
			return 0, nil
		}
		return h.Entries, nil
	}
	left, err := o.Store.Outgoing(ctx, id, d.Delivered[id], d.Began, batch)
	if err != nil || len(left) == 0 {
		return 0, err
	}
	return left[len(left)-1].Seq, nil
}

// newClient trusts whom the hook trusts and follows no redirect: what is signed
// for one place goes to no other.
func newClient(h Hook, dial func(ctx context.Context, network, address string) (net.Conn, error)) (*http.Client, error) {
	config, err := trust(h.CA)
	if err != nil {
		return nil, err
	}
	if len(h.Secret) < LeastSecret {
		return nil, fmt.Errorf("its secret has %d bytes; give it %d or more", len(h.Secret), LeastSecret)
	}
	return &http.Client{
		Timeout: sendTime,
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, DialContext: dial, TLSClientConfig: config, ForceAttemptHTTP2: true,
			MaxConnsPerHost: lanes, MaxIdleConnsPerHost: lanes, IdleConnTimeout: idleTime,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}
