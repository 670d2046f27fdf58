package lab

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// power is a host from power-on to off. It is one QEMU, or where the host has a
// BMC, one for each boot.
type power struct {
	*process               // the present one; under the host's lock
	cut      bool          // the power was taken away; under the host's lock
	done     chan struct{} // closed when the host is off
	fault    error         // how it went off, if not by itself and well; set before done
}

// PowerOn starts the host as its power button would, once one of the machine's
// QEMU slots is free; ctx bounds that wait only. A host that is on is left
// alone.
func (h *Host) PowerOn(ctx context.Context) error { return h.powerOnBy(ctx, h.nextWish()) }

// nextWish is who is asked what each boot is to be; nil without a BMC that has
// ever been used.
func (h *Host) nextWish() func() wish {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.next
}

// powerOnBy starts the host as next says, now and at each boot until it is off.
// next is called with no lock held.
func (h *Host) powerOnBy(ctx context.Context, next func() wish) error {
	if !h.Off() {
		return nil
	}
	w := h.asked(next)
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.Off() {
		return nil
	}
	h.next = next
	return h.powerOn(ctx, w)
}

// asked is the wish for one boot: the host's own, if there is nobody to ask.
func (h *Host) asked(next func() wish) *wish {
	if next == nil {
		return nil
	}
	w := next()
	return &w
}

// Reserve takes one of the machine's QEMU slots for the host and keeps it over
// power-offs, until Release: a BMC that was told to power on cannot wait for one.
// ctx bounds the wait for it.
func (h *Host) Reserve(ctx context.Context) error {
	slot, err := h.lab.slots.take(ctx)
	if err != nil {
		return fmt.Errorf("reserve a slot for %s: %w", h.spec.Name, err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.reserved != nil {
		return slot.Close()
	}
	h.reserved = slot
	return nil
}

// Release gives a reserved slot back, as soon as the host is off.
func (h *Host) Release() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	slot := h.reserved
	if h.reserved = nil; slot == nil {
		return nil
	}
	return slot.Close()
}

// slot is a share in the reserved one, or the next that is free.
func (h *Host) slot(ctx context.Context) (*os.File, error) {
	if h.reserved == nil {
		return h.lab.slots.take(ctx)
	}
	fd, err := unix.FcntlInt(h.reserved.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), h.reserved.Name()), nil
}

func (h *Host) powerOn(ctx context.Context, w *wish) error {
	slot, err := h.slot(ctx)
	if err != nil {
		return fmt.Errorf("power on %s: %w", h.spec.Name, err)
	}
	q, err := h.start(slot, w)
	if err != nil {
		return fmt.Errorf("power on %s: %w", h.spec.Name, errors.Join(err, slot.Close()))
	}
	p := &power{process: q, done: make(chan struct{})}
	h.power.Store(p)
	go h.attend(p, q, slot)
	return nil
}

// attend waits until the host is off. A QEMU that ends because of a reset is
// followed by another, in the same slot.
func (h *Host) attend(p *power, q *process, slot *os.File) {
	defer close(p.done)
	defer slot.Close()
	for {
		h.rouse(q)
		p.fault = q.fault
		if !q.reset {
			return
		}
		again, err := h.bootAgain(p, slot)
		if err != nil {
			p.fault = fmt.Errorf("start %s after a reset: %w", h.spec.Name, err)
		}
		if again == nil {
			return
		}
		q = again
	}
}

// bootAgain starts the next boot of a host that was reset, unless its power was
// taken away meanwhile.
func (h *Host) bootAgain(p *power, slot *os.File) (*process, error) {
	w := h.asked(h.nextWish())
	h.mu.Lock()
	defer h.mu.Unlock()
	if p.cut {
		return nil, nil
	}
	q, err := h.start(slot, w)
	if err != nil {
		return nil, err
	}
	p.process = q
	return q, nil
}

// start runs QEMU and returns when it answers. The firmware has the order of
// this start by then, so that the usual one is put back for the next.
func (h *Host) start(slot *os.File, w *wish) (*process, error) {
	usual, now := h.spec.order(h.boot), h.nextOrder()
	spec, medium := h.spec, h.medium
	if w != nil {
		now, spec.Firmware = h.spec.order(w.boot), w.firmware
		if w.blind {
			medium = ""
		}
	}
	q, err := h.launch(slot, spec, now, medium)
	if err != nil {
		return nil, err
	}
	err = q.qmp.greet()
	if err == nil && h.once != nil {
		err = q.qmp.executeAll(orderCommands(now, usual))
	}
	if err != nil {
		return nil, errors.Join(err, q.kill(), q.fault)
	}
	h.once = nil
	return q, nil
}

// ended says that the host is off.
func (p *power) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// PowerOff takes the power away at once. What the host had written to its disks
// stays written, what it still held in memory is lost. A host that is off is
// left alone.
func (h *Host) PowerOff(context.Context) error { return h.kill() }

func (h *Host) kill() error {
	p := h.power.Load()
	if p == nil || p.ended() {
		return nil
	}
	h.mu.Lock()
	p.cut = true
	err := p.process.kill()
	h.mu.Unlock() // a boot that is about to begin needs it, to see that it must not
	if err != nil {
		return fmt.Errorf("power off %s: %w", h.spec.Name, err)
	}
	<-p.done
	return nil
}

// Off says whether the host is without power, at once. A reset is no power-off.
func (h *Host) Off() bool {
	p := h.power.Load()
	return p == nil || p.ended()
}

// fault says how the host's QEMU ended, if not by a power-off from inside.
func (h *Host) fault() error {
	p := h.power.Load()
	if p == nil || !p.ended() {
		return nil
	}
	return p.fault
}

// WaitOff waits until the host is off, be it by its own system's doing.
func (h *Host) WaitOff(ctx context.Context) error {
	p := h.power.Load()
	if p == nil {
		return nil
	}
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for %s to power off: %w%s", h.spec.Name, ctx.Err(), h.lastWords())
	}
}
