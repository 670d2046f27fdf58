package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// power is one QEMU process, from power-on to off.
type power struct {
	cmd       *exec.Cmd
	complaint strings.Builder // what QEMU wrote to its standard error
	qmp       *qmp
	tpm       *exec.Cmd     // the process that is the host's TPM; nil without
	inserted  int           // how many media were put into the drive
	done      chan struct{} // closed when the process has ended
	fault     error         // how it ended, if not by itself and well; set before done
}

// PowerOn starts the host as its power button would, once one of the machine's
// QEMU slots is free; ctx bounds that wait only. A host that is on is left
// alone.
func (h *Host) PowerOn(ctx context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.off() {
		return nil
	}
	return h.powerOn(ctx)
}

func (h *Host) powerOn(ctx context.Context) error {
	slot, err := h.lab.slots.take(ctx)
	if err != nil {
		return fmt.Errorf("power on %s: %w", h.spec.Name, err)
	}
	defer slot.Close()
	p, err := h.start(slot)
	if err != nil {
		return fmt.Errorf("power on %s: %w", h.spec.Name, err)
	}
	h.power = p
	return nil
}

// start runs QEMU and returns when it answers. The firmware has the order of
// this start by then, so that the usual one is put back for the next.
func (h *Host) start(slot *os.File) (*power, error) {
	usual, now := h.spec.order(h.boot), h.nextOrder()
	p, err := h.launch(slot, now)
	if err != nil {
		return nil, err
	}
	err = p.qmp.greet()
	if err == nil && h.once != nil {
		err = p.qmp.executeAll(orderCommands(now, usual))
	}
	if err != nil {
		return nil, errors.Join(err, p.kill(), p.fault)
	}
	h.once = nil
	return p, nil
}

// launch starts the processes of the host in the wires' namespace. They are not
// bound to a caller's context: the host stays on until it is put off.
func (h *Host) launch(slot *os.File, order bootOrder) (*power, error) {
	theirs := inheritance{slot}
	defer theirs.close() // else QEMU's end would never be seen
	p := &power{done: make(chan struct{})}
	f, err := h.connect(p, &theirs)
	if err != nil {
		return nil, errors.Join(err, p.disconnect())
	}
	p.cmd = h.lab.wires().Command(context.Background(), "qemu-system-x86_64", qemuArgs(h.spec, f, order, h.medium)...)
	p.cmd.Stderr = &p.complaint
	p.cmd.ExtraFiles = theirs
	if err := p.cmd.Start(); err != nil {
		return nil, errors.Join(err, p.disconnect())
	}
	go p.wait()
	return p, nil
}

// connect makes the sockets between us, QEMU and what its chips lead to.
func (h *Host) connect(p *power, theirs *inheritance) (files, error) {
	f := h.files
	control, end, err := qmpPair()
	if err != nil {
		return f, err
	}
	p.qmp, f.qmpFD = control, theirs.add(end)
	if h.spec.TPM {
		if p.tpm, end, err = startTPM(h.lab.wires(), f.tpm); err != nil {
			return f, err
		}
		f.tpmFD = theirs.add(end)
	}
	return f, nil
}

// disconnect takes away what the QEMU process had beside it.
func (p *power) disconnect() error {
	var errs []error
	if p.qmp != nil {
		errs = append(errs, p.qmp.conn.Close())
	}
	if p.tpm != nil {
		errs = append(errs, p.tpm.Process.Kill())
		_ = p.tpm.Wait() // killed, or ended with QEMU
	}
	return errors.Join(errs...)
}

// wait reaps the processes.
func (p *power) wait() {
	defer close(p.done)
	if err := p.cmd.Wait(); err != nil {
		p.fault = fmt.Errorf("QEMU ended with %w: %s", err, strings.TrimSpace(p.complaint.String()))
	}
	_ = p.disconnect()
}

func (p *power) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// kill takes the power away and waits until it is gone.
func (p *power) kill() error {
	err := p.cmd.Process.Kill()
	<-p.done
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

// PowerOff takes the power away at once. What the host had written to its disks
// stays written, what it still held in memory is lost. A host that is off is
// left alone.
func (h *Host) PowerOff(context.Context) error { return h.kill() }

func (h *Host) kill() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.power == nil {
		return nil
	}
	if err := h.power.kill(); err != nil {
		return fmt.Errorf("power off %s: %w", h.spec.Name, err)
	}
	return nil
}

// Off says whether the host is without power.
func (h *Host) Off() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.off()
}

func (h *Host) off() bool { return h.power == nil || h.power.ended() }

// fault says how the host's QEMU ended, if not by a power-off from inside.
func (h *Host) fault() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.power == nil || !h.power.ended() {
		return nil
	}
	return h.power.fault
}

// WaitOff waits until the host is off, be it by its own system's doing.
func (h *Host) WaitOff(ctx context.Context) error {
	h.mu.Lock()
	p := h.power
	h.mu.Unlock()
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
