// Package redfish drives one BMC: power, virtual media, boot override, and
// reading its tree, over one session and one request at a time.
//
// It does not believe a BMC's "done": what was written is read back, and that a
// host really started from a medium only somebody else can know. It tries a
// password once and never guesses one, never follows a BMC to another host, and
// holds no table of vendors; that is package quirk. gofish carries session and
// requests, everything read or written is muster's own tolerant JSON.
// Start at [Connect] and [BMC.Boot]; next in plan.go decides, run acts.
package redfish

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/muster-boot/muster/redfish/quirk"
)

// Secret is a password. It does not print itself.
type Secret string

// String hides the secret.
func (Secret) String() string { return "[redacted]" }

// GoString hides the secret from %#v.
func (Secret) GoString() string { return "[redacted]" }

// MarshalText hides the secret from JSON and logs.
func (Secret) MarshalText() ([]byte, error) { return []byte("[redacted]"), nil }

// Target is one BMC and how it is entered.
type Target struct {
	Address     string // IP or name, with a port if not 443; "http://..." only where someone chose clear text
	User        string
	Password    Secret
	NewPassword Secret // set if the BMC demands a change before anything else, and tried once where Password is refused; empty: both are faults
	OnlyLogin   bool   // NewPassword may be logged in with and is not set
	Fingerprint string // SHA-256 of its certificate in hex, colons allowed; empty: the first one seen is pinned
	System      string // id, name, UUID or path, where one BMC has several systems
}

// renewed is t for a BMC that has the new password.
func (t Target) renewed() Target {
	if t.NewPassword != "" {
		t.Password, t.NewPassword = t.NewPassword, ""
	}
	return t
}

// Options change how a BMC is spoken to. The zero value works.
type Options struct {
	Quirks  *quirk.Book         // nil: those that muster brings
	Working Working             // what worked at this BMC before; tried first
	Guard   *Guard              // shared by all of a caller's connections; nil: each connection guards itself alone
	Pace    Pace                // zero fields have defaults
	Waiting func(reason string) // told before each wait, on the caller's goroutine; may be nil
}

// Pace is how fast and for how long things are asked.
type Pace struct {
	Request  time.Duration // one request; 60 s
	Poll     time.Duration // between two looks; 3 s
	Busy     time.Duration // before a busy or silent BMC is asked again; 4 s
	Patience time.Duration // with a busy or silent BMC; 8 min, it may be restarting
	Settle   time.Duration // for power and media to become what was asked; 2 min
	Task     time.Duration // for a task; 5 min
}

func (p Pace) orDefaults() Pace {
	set := func(d *time.Duration, value time.Duration) {
		if *d <= 0 {
			*d = value
		}
	}
	set(&p.Request, time.Minute)
	set(&p.Poll, 3*time.Second)
	set(&p.Busy, 4*time.Second)
	set(&p.Patience, 8*time.Minute)
	set(&p.Settle, 2*time.Minute)
	set(&p.Task, 5*time.Minute)
	return p
}

// polls is how many polls fit into a time, one at least.
func (p Pace) polls(limit time.Duration) int { return max(1, int(limit/p.Poll)) }

// wait tells why, then waits d or until ctx ends.
func (o Options) wait(ctx context.Context, d time.Duration, reason string) error {
	if o.Waiting != nil {
		o.Waiting(reason)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// endpoint is the URL of a target's service, without a path.
func (t Target) endpoint() (string, error) {
	address := t.Address
	if !strings.Contains(address, "://") {
		if strings.Count(address, ":") > 1 && !strings.HasPrefix(address, "[") {
			address = "[" + address + "]" // a bare IPv6 address
		}
		address = "https://" + address
	}
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" || (u.Scheme != "https" && u.Scheme != "http") || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
		return "", operator(BadTarget, fmt.Sprintf("%q is not a BMC's address: write an IP address or name, with :port if it is not 443", t.Address))
	}
	return u.Scheme + "://" + u.Host, nil
}
