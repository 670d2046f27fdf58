package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// The descriptors that QEMU inherits, in the order of exec.Cmd.ExtraFiles.
const (
	inheritedQMP  = 3
	inheritedSlot = 4
)

// power is one QEMU process, from power-on to off.
type power struct {
	cmd       *exec.Cmd
	complaint strings.Builder // what QEMU wrote to its standard error
	qmp       *qmp
	done      chan struct{} // closed when the process has ended
	fault     error         // how it ended, if not by itself and well; set before done
}

// PowerOn starts the host as its power button would, once one of the machine's
// QEMU slots is free; ctx bounds that wait only. A host that is on is left
// alone.
func (h *Host) PowerOn(ctx context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.power != nil && !h.power.ended() {
		return nil
	}
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

// start runs QEMU in the wires' namespace and returns when it answers.
func (h *Host) start(slot *os.File) (*power, error) {
	control, theirs, err := qmpPair()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	// Not bound to the caller's context: the host stays on until it is put off.
	cmd := h.lab.wires().Command(context.Background(), "qemu-system-x86_64", qemuArgs(h.spec, h.files)...)
	p := &power{cmd: cmd, qmp: control, done: make(chan struct{})}
	cmd.Stderr = &p.complaint
	cmd.ExtraFiles = []*os.File{inheritedQMP - 3: theirs, inheritedSlot - 3: slot}
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(err, control.conn.Close())
	}
	go p.wait()
	theirs.Close() // else QEMU's end would never be seen
	if err := control.greet(); err != nil {
		return nil, errors.Join(err, p.kill(), p.fault)
	}
	return p, nil
}

// wait reaps the process.
func (p *power) wait() {
	defer close(p.done)
	if err := p.cmd.Wait(); err != nil {
		p.fault = fmt.Errorf("QEMU ended with %w: %s", err, strings.TrimSpace(p.complaint.String()))
	}
	_ = p.qmp.conn.Close()
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
	return h.power == nil || h.power.ended()
}

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

// Reset presses the reset button.
func (h *Host) Reset(context.Context) error {
	return h.control("system_reset", nil)
}

// EjectCD opens the CD drive and takes the image out, even if the host's system
// has locked the door. The drive is empty until the next power-on.
func (h *Host) EjectCD(context.Context) error {
	return h.control("eject", map[string]any{"id": "cdrom", "force": true})
}

func (h *Host) control(command string, arguments any) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.power == nil || h.power.ended() {
		return fmt.Errorf("%s of %s: the host is off", command, h.spec.Name)
	}
	if err := h.power.qmp.execute(command, arguments); err != nil {
		return fmt.Errorf("%s of %s: %w", command, h.spec.Name, err)
	}
	return nil
}
