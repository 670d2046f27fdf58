package bmctest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"
)

// PaperOptions says what a paper host is.
type PaperOptions struct {
	Identity Identity
	// Order is its firmware's boot order; nil means network, disk.
	Order []Device
	// Script is the URL of the boot script that it gets from the network; empty
	// means that nobody answers it there.
	Script string
	// BIOS hosts boot media in Legacy mode only; others by UEFI only.
	BIOS bool
	// Version is its scout's, which a server may refuse; empty means "paper".
	Version string
	// Client makes its calls; nil means a client of its own that takes any
	// certificate, as a system without roots does.
	Client *http.Client
	// Second is how long one of its seconds takes; 0 means a second.
	Second time.Duration
	// Stubborn systems do not hear the power button.
	Stubborn bool
}

// Paper is a host without hardware. It has power, a drive, a disk and a boot
// order, reads what it boots over real sockets, and then makes the calls that
// the recorded host made. It implements [Machine].
type Paper struct {
	opts PaperOptions

	mu      sync.Mutex
	medium  *Medium
	disk    *installed // nil as long as nothing is installed
	on      bool
	power   context.CancelCauseFunc // takes the power away
	reset   context.CancelCauseFunc // ends this boot
	done    chan struct{}           // closed when the power is off
	history []string
	changed chan struct{} // closed and made anew with each line of history
}

// NewPaper makes a paper host, powered off. PowerOff ends all that it does.
func NewPaper(o PaperOptions) *Paper {
	if o.Order == nil {
		o.Order = []Device{DeviceNetwork, DeviceDisk}
	}
	if o.Second == 0 {
		o.Second = time.Second
	}
	if o.Version == "" {
		o.Version = "paper"
	}
	if o.Client == nil {
		o.Client = anyCertificate()
	}
	return &Paper{opts: o, changed: make(chan struct{})}
}

// Identity implements [Machine].
func (p *Paper) Identity() Identity { return p.opts.Identity }

// On implements [Machine].
func (p *Paper) On() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.on
}

// InsertMedium implements [Machine].
func (p *Paper) InsertMedium(_ context.Context, m *Medium) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.medium = m
	return nil
}

// EjectMedium implements [Machine].
func (p *Paper) EjectMedium(context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.medium = nil
	return nil
}

var (
	errPowerOff = errors.New("the power was taken away")
	errReset    = errors.New("the reset button was pressed")
)

// PowerOn implements [Machine]. Who sees the host on finds its first boot decided.
func (p *Paper) PowerOn(_ context.Context, next func() Boot) error {
	if p.On() {
		return nil
	}
	first := next()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.on {
		return errors.New("power on: the host was switched on twice at once")
	}
	// Not bound to the caller's context: it stays on until it is put off.
	ctx, power := context.WithCancelCause(context.Background())
	p.on, p.power, p.done = true, power, make(chan struct{})
	p.say("power on")
	go p.run(ctx, first, next, p.done)
	return nil
}

// PowerOff implements [Machine]. It returns when nothing of the host runs.
func (p *Paper) PowerOff(context.Context) error {
	p.mu.Lock()
	if !p.on {
		p.mu.Unlock()
		return nil
	}
	p.power(errPowerOff)
	done := p.done
	p.mu.Unlock()
	<-done
	return nil
}

// Shutdown implements [Machine].
func (p *Paper) Shutdown(ctx context.Context) error {
	if p.opts.Stubborn {
		return nil
	}
	return p.PowerOff(ctx)
}

// Reset implements [Machine].
func (p *Paper) Reset(context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.on {
		return errors.New("reset: the host is off")
	}
	if p.reset != nil {
		p.reset(errReset)
	}
	return nil
}

// ending is what a boot comes to.
type ending int

const (
	endStay ending = iota // it runs until it is reset or put off
	endReboot
	endOff
)

// run is the host from its first boot to off.
func (p *Paper) run(ctx context.Context, b Boot, next func() Boot, done chan struct{}) {
	defer close(done)
	for p.runBoot(ctx, b) != endOff && ctx.Err() == nil {
		b = next()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.on = false
	p.say("power off")
}

// runBoot is one boot, until it ends by itself or by a button.
func (p *Paper) runBoot(ctx context.Context, b Boot) ending {
	boot, reset := context.WithCancelCause(ctx)
	defer reset(nil)
	p.mu.Lock()
	p.reset = reset
	p.mu.Unlock()
	end := p.boot(boot, b)
	if end == endStay {
		<-boot.Done()
	}
	return end
}

// boot tries what the firmware was told, then its own order.
func (p *Paper) boot(ctx context.Context, b Boot) ending {
	devices := p.opts.Order
	if b.Device != FirmwareOrder {
		devices = append([]Device{b.Device}, devices...)
	}
	for _, d := range devices {
		end, err := p.try(ctx, d, b)
		if err == nil {
			return end
		}
		p.tell("no boot from %s: %v", d, err)
		if ctx.Err() != nil {
			return endStay
		}
	}
	p.tell("nothing to boot")
	return endStay
}

// try boots one device; an error goes on to the next.
func (p *Paper) try(ctx context.Context, d Device, b Boot) (ending, error) {
	switch d {
	case DeviceMedium:
		return p.bootMedium(ctx, b)
	case DeviceNetwork:
		return p.bootNetwork(ctx, p.opts.Script)
	case DeviceHTTP:
		return p.bootNetwork(ctx, b.URI)
	case DeviceDisk:
		return p.bootDisk(ctx)
	case DeviceSetup:
		p.tell("in the setup menu")
		return endStay, nil
	case FirmwareOrder:
	}
	return endStay, fmt.Errorf("no such device: %q", d)
}

func (p *Paper) tell(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.say(format, args...)
}

// say adds a line to the history; the lock is held.
func (p *Paper) say(format string, args ...any) {
	p.history = append(p.history, fmt.Sprintf(format, args...))
	close(p.changed)
	p.changed = make(chan struct{})
}

// History is what happened to the host, a line each, oldest first. The caller
// owns the list.
func (p *Paper) History() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.history)
}

// Await waits until a line of the history satisfies want.
func (p *Paper) Await(ctx context.Context, want func(line string) bool) error {
	for {
		p.mu.Lock()
		found, changed := slices.ContainsFunc(p.history, want), p.changed
		p.mu.Unlock()
		if found {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the paper host: %w; it did %q", ctx.Err(), p.History())
		case <-changed:
		}
	}
}
