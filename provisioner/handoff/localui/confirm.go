package localui

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/handoff"
)

// When a host is looked at again.
const (
	atOnce    = time.Millisecond // what was kept is written down, then it goes on
	soon      = 5 * time.Second
	lookAgain = 15 * time.Second
	askAgain  = time.Minute
)

// maxTries bounds the log-ins whose end nobody knows, because muster was
// stopped: below the five that lock an account, with room for people's own.
const maxTries = 3

// freshSession is how long after a log-in a host may not say that nobody is
// logged in.
const freshSession = 10 * time.Minute

// confirmation is one look at one host.
type confirmation struct {
	d    *Driver
	o    options
	b    handoff.Batch
	h    provisioner.Host
	s    *session
	keep kept
	host edgeHost // what it says of itself
	gave []string // what it was given, for the receipt
}

// Confirm implements [handoff.Driver]: the host answers at its port, takes the
// one log-in, is the machine that was verified and has what it was to be given.
func (d *Driver) Confirm(ctx context.Context, b handoff.Batch, h provisioner.Host) (handoff.Result, error) {
	o, err := read(b.Options)
	if err != nil {
		return handoff.Result{}, operator(err)
	}
	address := addressOf(h)
	if address == "" {
		return wait("the host's call from an address of its own.", lookAgain), nil
	}
	c := &confirmation{d: d, o: o, b: b, h: h, keep: keptOf(h)}
	c.s = d.session(h)
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	var anew bool
	if c.keep, anew = c.keep.released(h.Intent.Requests.Release); anew {
		c.s.forget()
	}
	c.s.at(net.JoinHostPort(address, strconv.Itoa(o.Port)), c.keep.Pin)
	for _, step := range []func(context.Context) *handoff.Result{c.reach, c.logIn, c.compare, c.give, c.join} {
		if r := step(ctx); r != nil {
			r.Keep = c.keep.text()
			return *r, nil
		}
	}
	return c.receipt(), nil
}

// addressOf is where the installed system of h's attempt called from.
func addressOf(h provisioner.Host) string {
	if b := h.Facts.Booted; b != nil && b.Attempt == h.Status.Attempt.ID && b.Address != "" {
		return b.Address
	}
	if s := h.Facts.Sighting; s != nil && !s.Last.Before(h.Status.Since) {
		return s.Address
	}
	return ""
}

func wait(sentence string, again time.Duration) handoff.Result {
	return handoff.Result{Waits: sentence, Again: again}
}

func waits(again time.Duration, format string, args ...any) *handoff.Result {
	r := wait(fmt.Sprintf(format, args...), again)
	return &r
}

func asks(format string, args ...any) *handoff.Result {
	return &handoff.Result{Ask: fmt.Sprintf(format, args...), Again: askAgain}
}

// reach finds out whether the API is there, without logging in.
func (c *confirmation) reach(ctx context.Context) *handoff.Result {
	err := c.s.edge.ping(ctx)
	if status := statusOf(err); err != nil && status != http.StatusUnauthorized && status != http.StatusForbidden {
		return c.trouble(err) // one that wants a log-in for it is there
	}
	c.keep.Pin = c.s.edge.pinned()
	return nil
}

// trouble says what a failed call means.
func (c *confirmation) trouble(err error) *handoff.Result {
	status := statusOf(err)
	switch {
	case errors.Is(err, errOtherCertificate):
		return asks("At %s answers a host with another certificate than at first: find out which machine has that address, then %s.", c.s.address, c.goOn())
	case status == http.StatusUnauthorized && c.d.now().Sub(c.s.in) < freshSession:
		return asks("The host at %s took the log-in of user %s and then says that nobody is logged in (%s): look at its Local UI at https://%s.", c.s.address, c.o.User, err, c.s.address)
	case status == http.StatusUnauthorized:
		c.s.in = time.Time{}
		return waits(atOnce, "a new session at %s, as the old one is over.", c.s.address)
	case status != 0:
		return waits(lookAgain, "the local API at %s, which does not work yet (%s).", c.s.address, err)
	}
	if _, unreachable := errors.AsType[*net.OpError](err); unreachable || errors.Is(err, context.DeadlineExceeded) {
		return waits(lookAgain, "the agent's local API at %s, where nobody answers yet.", c.s.address)
	}
	return waits(lookAgain, "the local API at %s, where something else answers.", c.s.address)
}

// logIn logs in once. That it will is written down before, and what the host
// said to it after, so that no restart makes a second try of a bad password.
func (c *confirmation) logIn(ctx context.Context) *handoff.Result {
	if !c.s.in.IsZero() && c.keep.Refused == "" {
		return nil
	}
	password := c.b.Secrets[c.o.Password].Reveal()
	if password == "" {
		return asks("handoff.password names the secret %q, which order %s does not have: put it under secrets and import the order again.", c.o.Password, c.b.Order)
	}
	if credential := mark(c.h, c.o.User, password); c.keep.Credential != credential {
		c.keep.Credential, c.keep.Tries, c.keep.Refused = credential, 0, ""
		c.s.begun, c.s.sent = 0, false
	}
	switch {
	case c.keep.Refused != "":
		return persons(c.keep.Refused)
	case c.s.begun == 0 || c.s.sent || c.s.begun != c.keep.Tries:
		return c.begin()
	}
	c.s.sent = true
	if err := c.s.edge.login(ctx, c.o.User, password); err != nil {
		return c.refused(err)
	}
	c.keep.Tries, c.s.begun, c.s.sent, c.s.in = 0, 0, false, c.d.now()
	return nil
}

// begin says that the next look will log in.
func (c *confirmation) begin() *handoff.Result {
	if c.keep.Tries >= maxTries {
		return persons(fmt.Sprintf("It is not known what became of %d log-ins of user %s at %s, and five that fail lock the account for 15 minutes: log in at https://%s yourself; if the password of the order is right, %s.",
			c.keep.Tries, c.o.User, c.s.address, c.s.address, c.goOn()))
	}
	c.keep.Tries++
	c.s.begun, c.s.sent = c.keep.Tries, false
	return waits(atOnce, "the log-in of user %s at %s.", c.o.User, c.s.address)
}

// refused says what a failed log-in means. Where no answer came, nobody knows
// whether it counted; one that says that the service is not there did not.
func (c *confirmation) refused(err error) *handoff.Result {
	switch status := statusOf(err); status {
	case 0:
		return c.trouble(err)
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		c.keep.Tries--
		return c.trouble(err)
	case http.StatusLocked, http.StatusTooManyRequests:
		c.keep.Refused = c.lockedOut(err)
	default:
		c.keep.Refused = fmt.Sprintf("The host at %s refused user %s with the password of its order (%s): muster does not try again, because five bad log-ins lock the account. Log in at https://%s yourself; if the password on the host is another, put that one into the order's secret %s and import it again; if it was mended there, %s.",
			c.s.address, c.o.User, err, c.s.address, c.o.Password, c.goOn())
		if strings.Contains(strings.ToLower(err.Error()), "lock") {
			c.keep.Refused = c.lockedOut(err)
		}
	}
	return persons(c.keep.Refused)
}

func (c *confirmation) lockedOut(err error) string {
	return fmt.Sprintf("User %s is locked out at %s (%s): somebody else tried wrong passwords. Wait 15 minutes without any log-in, then %s.",
		c.o.User, c.s.address, err, c.goOn())
}

// goOn is how a person lets muster try again what it gave up.
func (c *confirmation) goOn() string {
	return fmt.Sprintf("run: muster host hold %[1]s --reason log-in, and: muster host release %[1]s", c.h.ID)
}

// persons is a wait for a person's doing, which does not count against the host.
func persons(ask string) *handoff.Result {
	return &handoff.Result{Ask: ask, Again: askAgain, Away: true}
}

// compare holds what the host says of itself against what is expected.
func (c *confirmation) compare(ctx context.Context) *handoff.Result {
	got, err := c.s.edge.current(ctx)
	if err != nil {
		return c.trouble(err)
	}
	c.host = got
	wait, ask := unready(wanted{id: idOf(c.h), macs: verified(c.h), agent: c.o.AgentVersion, at: c.s.address}, got)
	switch {
	case ask != "":
		return &handoff.Result{Ask: ask, Again: askAgain}
	case wait != "":
		return waits(lookAgain, "%s", wait)
	}
	return nil
}

// receipt is the proof. Its time is that of the first look that found it.
func (c *confirmation) receipt() handoff.Result {
	if c.s.ready.IsZero() {
		c.s.ready = c.d.now().UTC()
	}
	var mine []string
	for _, mac := range c.host.macs() {
		for _, known := range verified(c.h) {
			if mac == known {
				mine = append(mine, mac)
			}
		}
	}
	proof := fmt.Sprintf("the local API at %s (certificate SHA-256 %.16s...) shows edge host %s with %s, managed locally, configured, agent %s",
		c.s.address, c.s.edge.pinned(), c.host.Metadata.ID, listed(mine), c.host.Status.AgentVersion)
	if len(c.gave) > 0 {
		proof += "; " + strings.Join(c.gave, "; ")
	}
	return handoff.Result{Receipt: &provisioner.Receipt{
		Attempt: c.h.Status.Attempt.ID, Driver: Name, ID: c.host.Metadata.ID, At: c.s.ready, Proof: proof,
	}}
}
