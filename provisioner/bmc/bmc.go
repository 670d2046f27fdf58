// Package bmc sends hosts' BMCs on errands: it joins the drivers of Redfish and
// IPMI, and the survey, with the words of muster.
//
// It decides neither what a host needs nor when: the lifecycle does, the engine
// calls. It writes no fact; what was seen is returned. It holds a password for
// one call only, leaves no session open, and never speaks to one BMC twice at
// once. A password that was refused is shown again by nobody: of this run the
// controller remembers it, of runs before the host's facts do, which its callers
// write. Start at [Controller.Do]; errand in redfish.go says what is asked of a
// BMC for each errand.
package bmc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/muster-boot/muster/inventory"
	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/redfish"
	"github.com/muster-boot/muster/redfish/ipmi"
)

// The drivers, as a host's row names them.
const (
	Redfish = "redfish"
	IPMI    = "ipmi"
)

// Media knows the ISOs that attempts give their hosts.
type Media interface {
	// URLs name the ISO of an attempt, by http and by https where both are
	// served, best first.
	URLs(h provisioner.Host, r provisioner.Rendering) []string
	// Ours tells by what a BMC shows whether a medium is one of muster's.
	Ours(image string) bool
	// Netboots tells whether muster says what to boot on the network that leads
	// to h's BMC.
	Netboots(h provisioner.Host) bool
}

// Secrets opens what is sealed; [seal.Box] does.
type Secrets interface {
	Open(sealed []byte, context string) ([]byte, error)
}

// Options of a Controller. Secrets is required; so is Media, except for [Controller.Check].
type Options struct {
	Secrets Secrets
	Media   Media
	Log     zerolog.Logger
	Now     func() time.Time // time.Now if nil
	Pace    redfish.Pace     // zero fields have defaults; IPMI goes by the same
	// Waiting is told what a survey or a check waits for; may be nil.
	Waiting func(string)
	// IPMIPort is where IPMI is looked for when a BMC answers no Redfish; 623 if
	// empty.
	IPMIPort string
}

// Controller drives BMCs. It may be used concurrently; calls for one BMC take
// turns.
type Controller struct {
	opts  Options
	guard redfish.Guard
	turns turns

	mu    sync.Mutex
	asked map[provisioner.HostID]provisioner.Requests // that were known at the last call
}

// New makes a Controller. Nothing is sent.
func New(o Options) *Controller {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Waiting == nil {
		o.Waiting = func(string) {}
	}
	o.IPMIPort = cmp.Or(o.IPMIPort, "623")
	return &Controller{opts: o, asked: map[provisioner.HostID]provisioner.Requests{}}
}

// Survey reads who the BMC is, what it can, and the hardware. The report is nil
// where the driver cannot tell the hardware.
func (c *Controller) Survey(ctx context.Context, h provisioner.Host) (provisioner.BMC, *inventory.Report, error) {
	seen, report := before(h), (*inventory.Report)(nil)
	err := c.call(ctx, h, true, nil, func(l line) (err error) {
		seen, report, err = l.survey(ctx, h)
		seen.Of = h.Intent.BMC.Place()
		return err
	})
	return seen, report, err
}

// Do brings an errand to its end; r is what the present attempt gives h. It
// tells doing what is waited for. The BMC is returned also
// with an error, as far as it was seen. What an errand did reads back; a second
// call after a crash goes on from there.
func (c *Controller) Do(ctx context.Context, h provisioner.Host, do provisioner.ErrandKind, r provisioner.Rendering, doing func(string)) (provisioner.BMC, error) {
	seen := before(h)
	if doing == nil {
		doing = c.opts.Waiting
	}
	err := c.call(ctx, h, true, doing, func(l line) (err error) {
		if do == provisioner.ErrandDisk {
			if err := c.awaitOff(ctx, l, doing); err != nil {
				return err
			}
		}
		seen, err = l.do(ctx, h, do, r)
		seen.Of = h.Intent.BMC.Place()
		return err
	})
	return seen, err
}

// Bounds of how long an installer may take to power off after it said that it
// is done, and how often that is looked at.
const (
	offPatience = 10 * time.Minute
	offPoll     = 3 * time.Second
)

// awaitOff waits until an installer has switched its host off, so that neither
// its medium is taken away under it nor a host counted as started that is about
// to go off. One that stays on may have started from its disk by itself, also
// when this is done a second time: the host then tells.
func (c *Controller) awaitOff(ctx context.Context, l line, doing func(string)) error {
	poll, patience := cmp.Or(c.opts.Pace.Poll, offPoll), cmp.Or(c.opts.Pace.Patience, offPatience)
	for range int(patience / poll) {
		power, err := l.power(ctx)
		if err != nil || power == redfish.Off {
			return err
		}
		doing("the host powers off, now that its disk is written")
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(poll):
		}
	}
	return nil
}

// before is what was known of a host's BMC before a call.
func before(h provisioner.Host) provisioner.BMC {
	if seen := h.SeenBMC(); seen != nil {
		return *seen
	}
	return provisioner.BMC{}
}

// line is a connection to one BMC.
type line interface {
	survey(ctx context.Context, h provisioner.Host) (provisioner.BMC, *inventory.Report, error)
	do(ctx context.Context, h provisioner.Host, do provisioner.ErrandKind, r provisioner.Rendering) (provisioner.BMC, error)
	power(ctx context.Context) (redfish.Power, error)
	check(ctx context.Context) (Checked, error)
	close(ctx context.Context) error
}

// call connects to a host's BMC, uses it alone, and closes the connection. Only
// one that changes may give the account its new password; any may log in with it.
func (c *Controller) call(ctx context.Context, h provisioner.Host, changes bool, doing func(string), use func(line) error) error {
	if h.Intent.BMC == nil {
		return operator(errors.New("no BMC is named for this host: write its address, user and password into the manifest"))
	}
	words := *h.Intent.BMC
	if doing == nil {
		doing = c.opts.Waiting
	}
	target, err := c.target(h)
	if err != nil {
		return err
	}
	target.OnlyLogin = !changes
	words.Address = target.Address
	if refused := h.BMCRefused(); refused != "" {
		return operator(errors.New(refused))
	}
	c.forgive(h, target)
	leave, err := c.turns.enter(ctx, words.Address, func() { doing("another errand at this BMC is under way") })
	if err != nil {
		return &provisioner.Fault{Kind: provisioner.Retry, Op: "wait for the BMC at " + words.Address, Err: err}
	}
	defer leave()
	l, err := c.connect(ctx, words, target, before(h), doing)
	if err != nil {
		return fault(remedied(h, err))
	}
	err = remedied(h, use(l))
	if cerr := l.close(ctx); cerr != nil {
		c.opts.Log.Warn().Err(cerr).Str("host", string(h.ID)).Msg("a session was left at a BMC") // the errand stands as it is
	}
	return fault(err)
}

// remedied adds to an error what a person tells muster once it is mended; a BMC
// that was named without a host has no such command.
func remedied(h provisioner.Host, err error) error {
	f, ok := errors.AsType[*redfish.Fault](err)
	switch {
	case !ok || h.ID == "":
		return err
	case f.Medium != "":
		return fmt.Errorf("%w: muster bmc add %s --eject %s", err, h.ID, f.Medium)
	case f.Cause == redfish.NewPassword:
		return fmt.Errorf("%w: muster bmc add %s --new-password-file FILE, or --password-file FILE", err, h.ID)
	case f.Cause == redfish.WrongPassword:
		return fmt.Errorf("%w: muster bmc add %s --user USER --password-file FILE", err, h.ID)
	case f.Cause == redfish.Certificate:
		return fmt.Errorf("%w: muster bmc add %s --fingerprint SHA256", err, h.ID)
	}
	return err
}

// forgive lets a password that was refused be shown once more when a person has
// asked since: the account may have been mended in the BMC.
func (c *Controller) forgive(h provisioner.Host, t redfish.Target) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if was, known := c.asked[h.ID]; known && was != h.Status.Handled {
		c.guard.Forget(t)
	}
	c.asked[h.ID] = h.Status.Handled
}

// target opens the passwords; the old one is of no use where the new one is
// known to be set. What a person gave as fingerprint goes before what was seen,
// as it may be of a new certificate.
func (c *Controller) target(h provisioner.Host) (redfish.Target, error) {
	words, address := *h.Intent.BMC, h.BMCAddress()
	if lacks := h.BMCLacks(); lacks != "" {
		return redfish.Target{}, operator(errors.New(lacks))
	}
	t := redfish.Target{
		Address: address, User: words.User,
		Fingerprint: cmp.Or(words.Fingerprint, before(h).Fingerprint), System: words.System,
	}
	password, err := c.opts.Secrets.Open(words.Password, words.Context())
	if err != nil {
		return t, operator(fmt.Errorf("give the password of the BMC at %s again: %w", address, err))
	}
	t.Password = redfish.Secret(password)
	if len(words.NewPassword) == 0 {
		return t, nil
	}
	password, err = c.opts.Secrets.Open(words.NewPassword, words.NewContext())
	switch fresh := redfish.Secret(password); {
	case err != nil:
		return t, operator(fmt.Errorf("give the new password of the BMC at %s again: %w", address, err))
	case h.BMCRenewed():
		t.Password = fresh
	case fresh != t.Password:
		t.NewPassword = fresh
	}
	return t, nil
}

// connect takes the driver that the words name.
func (c *Controller) connect(ctx context.Context, words provisioner.Controller, t redfish.Target, known provisioner.BMC, doing func(string)) (line, error) {
	switch words.Driver {
	case "", Redfish:
		l, err := c.connectRedfish(ctx, t, known, doing)
		if words.Driver == "" && redfish.CauseOf(err) == redfish.Unreachable && ipmi.Present(ctx, net.JoinHostPort(HostOf(t.Address), c.opts.IPMIPort)) {
			return nil, &provisioner.Fault{Kind: provisioner.Retry, Err: fmt.Errorf("the BMC at %s answers IPMI and no Redfish: if that stays so, write \"driver: ipmi\" for this host, or switch Redfish on in the BMC: %w", words.Address, err)}
		}
		return l, err
	case IPMI:
		return c.connectIPMI(t)
	}
	return nil, operator(fmt.Errorf("there is no driver %q for a BMC: write %s or %s", words.Driver, Redfish, IPMI))
}

// HostOf is the address of a BMC, as a row has it, without scheme and port.
func HostOf(address string) string {
	if _, rest, ok := strings.Cut(address, "://"); ok {
		address = rest
	}
	if host, _, err := net.SplitHostPort(address); err == nil {
		return host
	}
	return strings.Trim(address, "[]")
}

func operator(err error) error { return &provisioner.Fault{Kind: provisioner.Operator, Err: err} }

// fault says who must act on an error, in the same words.
func fault(err error) error {
	if err == nil {
		return nil
	}
	if _, done := errors.AsType[*provisioner.Fault](err); done {
		return err
	}
	if redfish.CauseOf(err) == redfish.WrongPassword {
		return operator(refusal{err})
	}
	if redfish.ForOperator(err) {
		return operator(err)
	}
	return &provisioner.Fault{Kind: provisioner.Retry, Err: err}
}

// refusal is the error of an account that a BMC refused, in the same words.
type refusal struct{ error }

func (r refusal) Unwrap() error { return r.error }

func (refusal) Is(target error) bool { return target == provisioner.ErrRefused }

// Unreachable reports whether err is the silence of a BMC.
func Unreachable(err error) bool { return redfish.CauseOf(err) == redfish.Unreachable }
