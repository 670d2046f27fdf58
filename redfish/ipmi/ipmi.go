// Package ipmi drives a BMC that has no usable Redfish: power and network boot
// over IPMI, by bmclib and the ipmitool program.
//
// It does not believe that a command worked: power is read back, and that the
// host boots the network only its own DHCP packet shows. It has no media, no
// inventory and no session, see [Cannot]. A password is tried once. Start at
// [New] and [BMC.BootNetwork].
package ipmi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"time"

	"github.com/bmc-toolbox/bmclib/v2/providers/ipmitool"
	"github.com/muster-boot/muster/redfish"
)

// Target is one BMC and how it is entered.
type Target struct {
	Address  string // IP address, with a port if not 623
	User     string
	Password redfish.Secret
	Cipher   string // suite; if empty "17", and "3" where the BMC has not got it
}

// Pace is how fast and for how long things are asked. Zero fields have defaults.
type Pace struct {
	Request time.Duration // one command; 30 s
	Poll    time.Duration // between two looks; 3 s
	Settle  time.Duration // for power to become what was asked; 2 min
}

// Cannot says what a host that is served by this driver goes without.
func Cannot() []string {
	return []string{
		"no virtual media: it boots from the network only",
		"no second witness: its hardware is read by the scout alone",
		"the boot override cannot be read back",
	}
}

// BMC is one management controller. It is used by one goroutine at a time, as
// bursts freeze some BMCs.
type BMC struct {
	conn   *ipmitool.Conn
	target Target
	pace   Pace
	old    bool  // suite 3 may be tried still
	known  bool  // it has let us in
	barred error // why nothing more is sent
}

// New prepares a BMC; nothing is sent yet. It fails where ipmitool is not
// installed.
func New(t Target, p Pace) (*BMC, error) {
	if _, err := exec.LookPath("ipmitool"); err != nil {
		return nil, &redfish.Fault{Kind: redfish.Operator, Cause: redfish.BadTarget, Say: "IPMI needs the ipmitool program: install the package ipmitool on this machine", Err: err}
	}
	b := &BMC{target: t, pace: p.orDefaults(), old: t.Cipher == ""}
	// Without a suite bmclib tries two, and so a wrong password twice.
	return b, b.use(cmp.Or(t.Cipher, "17"))
}

// use makes the connection for one cipher suite; nothing is sent.
func (b *BMC) use(suite string) error {
	host, port, err := net.SplitHostPort(b.target.Address)
	if err != nil {
		host, port = b.target.Address, "623"
	}
	b.conn, err = ipmitool.New(host, b.target.User, string(b.target.Password), ipmitool.WithPort(port), ipmitool.WithCipherSuite(suite))
	if err != nil {
		return fmt.Errorf("prepare IPMI to %s: %w", b.target.Address, err)
	}
	return nil
}

func (p Pace) orDefaults() Pace {
	const request, poll, settle = 30 * time.Second, 3 * time.Second, 2 * time.Minute
	if p.Request <= 0 {
		p.Request = request
	}
	if p.Poll <= 0 {
		p.Poll = poll
	}
	if p.Settle <= 0 {
		p.Settle = settle
	}
	return p
}

// Power reads whether the host is on.
func (b *BMC) Power(ctx context.Context) (redfish.Power, error) {
	var said string
	err := b.send(ctx, "read the power", func(ctx context.Context) (err error) {
		said, err = b.conn.PowerStateGet(ctx)
		return err
	})
	return power(said), err
}

// power reads ipmitool's "Chassis Power is on".
func power(said string) redfish.Power {
	switch {
	case strings.HasSuffix(strings.TrimSpace(said), "is on"):
		return redfish.On
	case strings.HasSuffix(strings.TrimSpace(said), "is off"):
		return redfish.Off
	}
	return redfish.Unknown
}

// SetPower brings the power to On or Off, by force, and waits until it reads so.
func (b *BMC) SetPower(ctx context.Context, want redfish.Power) error {
	if want != redfish.On && want != redfish.Off {
		return fmt.Errorf("set the power of %s: %q is neither on nor off", b.target.Address, want)
	}
	told := false
	for range max(1, int(b.pace.Settle/b.pace.Poll)) {
		now, err := b.Power(ctx)
		if err != nil || now == want {
			return err
		}
		if !told {
			err := b.send(ctx, "switch the power", func(ctx context.Context) error {
				_, err := b.conn.PowerSet(ctx, strings.ToLower(string(want)))
				return err
			})
			if err != nil {
				return err
			}
			told = true
		}
		if err := pause(ctx, b.pace.Poll); err != nil {
			return err
		}
	}
	return &redfish.Fault{Kind: redfish.Retry, Cause: redfish.Slow, Say: fmt.Sprintf("the BMC at %s took the command and the host is not %s: look at its power supply", b.target.Address, want)}
}

// BootNetwork starts the host once from its network: off, override, on. It may
// be run again after a crash at any point.
func (b *BMC) BootNetwork(ctx context.Context, uefi bool) error {
	if err := b.SetPower(ctx, redfish.Off); err != nil {
		return err
	}
	err := b.send(ctx, "set the boot device", func(ctx context.Context) error {
		_, err := b.conn.BootDeviceSet(ctx, "pxe", false, uefi)
		return err
	})
	if err != nil {
		return err
	}
	return b.SetPower(ctx, redfish.On)
}

// send runs one command, and none any more once the account was refused.
func (b *BMC) send(ctx context.Context, op string, command func(context.Context) error) error {
	if b.barred != nil {
		return b.barred
	}
	limited, cancel := context.WithTimeout(ctx, b.pace.Request)
	defer cancel()
	err := command(limited)
	if err != nil && b.old && strings.Contains(err.Error(), "invalid authentication algorithm") {
		b.old = false // this is said before any password is shown
		if err := b.use("3"); err != nil {
			return err
		}
		err = command(limited)
	}
	if err == nil {
		b.known = true
	}
	if err == nil || ctx.Err() != nil {
		return ctx.Err()
	}
	f := fault(b.target.Address, op, err, b.known)
	if f.Cause == redfish.WrongPassword {
		b.barred = f
	}
	return f
}

// fault reads what ipmitool says of a failure. A BMC that never let us in and
// now refuses a session may do so for the password, so it is not asked again.
func fault(address, op string, err error, known bool) *redfish.Fault {
	said := err.Error()
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return &redfish.Fault{Kind: redfish.Retry, Cause: redfish.Unreachable, Say: fmt.Sprintf("the BMC at %s does not answer IPMI; look at its power, cable and address", address), Err: err}
	case strings.Contains(said, "RAKP 2 HMAC is invalid"), strings.Contains(said, "unauthorized name"), strings.Contains(said, "invalid role"), !known && strings.Contains(said, "Unable to establish"):
		return &redfish.Fault{Kind: redfish.Operator, Cause: redfish.WrongPassword, Say: fmt.Sprintf("the BMC at %s refused the account when asked to %s; it is not tried again, to not lock it: give the right user and password, and look that IPMI over LAN is on", address, op), Err: err}
	case strings.Contains(said, "insufficient resources"):
		return &redfish.Fault{Kind: redfish.Retry, Cause: redfish.Sessions, Say: fmt.Sprintf("all IPMI sessions of the BMC at %s are taken; wait until they time out", address), Err: err}
	}
	return &redfish.Fault{Kind: redfish.Retry, Cause: redfish.Unreachable, Say: fmt.Sprintf("the BMC at %s did not %s by IPMI: look at its address, that IPMI over LAN is on, and at the account", address, op), Err: err}
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
