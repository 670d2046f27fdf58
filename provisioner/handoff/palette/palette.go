// Package palette hands hosts over to a Palette management plane: Edge hosts in
// appliance mode, centrally managed. An order gets a registration token of its
// own, each host user-data with a name that muster chose, and the proof of
// registration is Palette's own record of that name, of the machine that was
// verified.
//
// It makes no cluster and pairs no host by hand. It takes no record for a host
// that is older than its installation or of another machine, and deletes none
// that nobody allowed it to. All that it asks Palette goes through one limit,
// far below Palette's own, because a site shares that with all its hosts. It
// never logs or returns a key or a token. Start at [New], then state.go,
// prepare.go, confirm.go; userdata.go is pure; palettetest stands in for Palette.
package palette

import (
	"context"
	"time"

	"github.com/muster-boot/muster/provisioner/handoff"
)

// Name is what orders call this driver.
const Name = "palette"

// Settings are the site's own; the zero value is a site without Palette.
type Settings struct {
	Endpoint string // host name of the API, with a port where it is not 443
	KeyFile  string // has the API key; read anew for each request
	CAFile   string // PEM; certificates that Palette's is checked with, and hosts check with; empty: the system's
	Proxy    string // URL; for muster's own requests
	Site     string // its name, first in the names of Edge hosts
	Server   string // tells this muster from all others that have the same tenant; part of the names of tokens
}

// Options of a driver; the zero value works.
type Options struct {
	Now func() time.Time
	// Sleep waits until the limit of requests lets the next one through. Tests
	// whose clock is their own give their own.
	Sleep func(context.Context, time.Duration) error
}

// Driver implements [handoff.Driver]. It is safe for concurrent use.
type Driver struct {
	settings Settings
	client   *client
	lookout  *lookout
	now      func() time.Time
}

var _ handoff.Driver = (*Driver)(nil)

// New returns a driver that has asked nobody yet. The error says which of the
// settings cannot be used.
func New(s Settings, o Options) (*Driver, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Sleep == nil {
		o.Sleep = sleep
	}
	c, err := newClient(s, o)
	if err != nil {
		return nil, err
	}
	return &Driver{settings: s, client: c, lookout: newLookout(c, o.Now), now: o.Now}, nil
}

// Name implements [handoff.Driver].
func (*Driver) Name() string { return Name }

// configured tells whether the site has a Palette.
func (d *Driver) configured() bool { return d.settings.Endpoint != "" }

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
