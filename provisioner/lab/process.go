package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// process is one QEMU, with what it has beside it.
type process struct {
	cmd       *exec.Cmd
	complaint strings.Builder // what QEMU wrote to its standard error
	qmp       *qmp
	tpm       *exec.Cmd     // the process that is the host's TPM; nil without
	loaded    bool          // there is a medium in the drive
	inserted  int           // how many media were put into it
	done      chan struct{} // closed when the process has ended
	reset     bool          // it ended because the host was reset; set before done
	fault     error         // how it ended, if not well; set before done
}

// launch starts the processes of the host in the wires' namespace. They are not
// bound to a caller's context: the host stays on until it is put off.
func (h *Host) launch(slot *os.File, spec Spec, order bootOrder, medium string) (*process, error) {
	theirs := inheritance{}
	defer theirs.close() // else QEMU's end would never be seen
	p := &process{loaded: medium != "", done: make(chan struct{})}
	f, err := h.connect(p, &theirs)
	if err != nil {
		return nil, errors.Join(err, p.disconnect())
	}
	p.cmd = h.lab.wires().Command(context.Background(), "qemu-system-x86_64", qemuArgs(spec, f, order, medium)...)
	p.cmd.Stderr = &p.complaint
	p.cmd.ExtraFiles = append(theirs, slot) // it holds the slot as long as it lives
	if err := p.cmd.Start(); err != nil {
		return nil, errors.Join(err, p.disconnect())
	}
	go p.wait()
	return p, nil
}

// connect makes the sockets between us, QEMU and what its chips lead to.
func (h *Host) connect(p *process, theirs *inheritance) (files, error) {
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
func (p *process) disconnect() error {
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
func (p *process) wait() {
	defer close(p.done)
	if err := p.cmd.Wait(); err != nil {
		p.fault = fmt.Errorf("QEMU ended with %w: %s", err, strings.TrimSpace(p.complaint.String()))
	}
	p.reset = p.fault == nil && p.qmp.resetEnded()
	_ = p.disconnect()
}

// kill ends the process and waits until it is gone.
func (p *process) kill() error {
	err := p.cmd.Process.Kill()
	<-p.done
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}
