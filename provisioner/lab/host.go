package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/muster-boot/muster/redfish/bmctest"
)

// Host is one machine of the lab. It is made powered off. Its methods may be
// called from several goroutines.
type Host struct {
	lab   *Lab
	place int // in the lab; names the taps
	spec  Spec
	dir   string
	files files

	seat  *Seat                 // of the management controller; nil without
	bmc   *bmctest.Emulator     // nil without
	drive *drive                // of the BMC; nil without
	ipmi  *simulator            // nil without
	power atomic.Pointer[power] // nil until the first power-on

	mu       sync.Mutex // held while the power changes or QMP is spoken
	boot     []Device
	once     []Device    // the order of the next start alone; nil for the usual one
	reserved *os.File    // a QEMU slot that is kept; nil without
	next     func() wish // what the BMC says at each boot; nil until it has put the host on
	medium   string      // what lies in the drive
	read     int64       // how far WaitConsole has read
}

// firstKCS is the TCP port before that of the first host's system interface, on
// loopback of the wires' namespace.
const firstKCS = 9000

// AddHost makes a host with empty disks, powered off. A host of the same name
// in a directory that outlived its lab has the disks and the firmware
// variables that it left there.
func (l *Lab) AddHost(ctx context.Context, s Spec) (*Host, error) {
	s = s.withDefaults(l.networks)
	if err := s.check(l.networks); err != nil {
		return nil, err
	}
	h := &Host{lab: l, spec: s, dir: filepath.Join(l.dir, s.Name), boot: s.Boot, medium: s.CD}
	l.mu.Lock()
	l.hosts = append(l.hosts, h)
	h.place = len(l.hosts)
	l.mu.Unlock()
	if s.IPMI != nil {
		h.spec.KCS = fmt.Sprintf("127.0.0.1:%d", firstKCS+h.place)
	}
	if err := errors.Join(h.makeFiles(), h.makeTaps(ctx)); err != nil {
		return nil, fmt.Errorf("add host %s: %w", s.Name, errors.Join(err, h.Remove(ctx)))
	}
	if err := h.giveController(ctx); err != nil {
		return nil, fmt.Errorf("give host %s its BMC: %w", s.Name, errors.Join(err, h.Remove(ctx)))
	}
	return h, nil
}

// giveController starts the controller that the spec names, if any.
func (h *Host) giveController(ctx context.Context) error {
	switch {
	case h.spec.BMC != nil:
		return h.giveBMC(ctx, *h.spec.BMC)
	case h.spec.IPMI != nil:
		return h.giveIPMI(ctx, *h.spec.IPMI)
	}
	return nil
}

func (h *Host) giveBMC(ctx context.Context, b BMC) (err error) {
	if h.drive, err = openDrive(h.lab.wires()); err != nil {
		return err
	}
	h.bmc, h.seat, err = h.lab.startBMC(ctx, b, &chassis{host: h, drive: h.drive})
	return err
}

// endBMC ends the BMC and leaves the power as it is.
func (h *Host) endBMC() error {
	errs := []error{h.endIPMI()}
	if h.bmc != nil {
		errs = append(errs, h.bmc.Close())
	}
	if h.drive != nil {
		errs = append(errs, h.drive.close())
	}
	return errors.Join(errs...)
}

// makeFiles makes what the host keeps while it is off.
func (h *Host) makeFiles() error {
	if err := os.MkdirAll(h.dir, 0o755); err != nil {
		return err
	}
	h.files = files{console: filepath.Join(h.dir, "console.log"), tpm: filepath.Join(h.dir, "tpm")}
	if err := os.WriteFile(h.files.console, nil, 0o644); err != nil {
		return err
	}
	for i, d := range h.spec.Disks {
		path := filepath.Join(h.dir, fmt.Sprintf("disk%d.img", i))
		if err := makeSparse(path, int64(d.GB)*1e9); err != nil {
			return err
		}
		h.files.disks = append(h.files.disks, path)
	}
	if err := os.MkdirAll(h.files.tpm, 0o700); err != nil {
		return err
	}
	if h.spec.Firmware != UEFI {
		return nil
	}
	h.files.vars = filepath.Join(h.dir, "vars.fd")
	_, vars := firmwareFiles(h.spec)
	return copyOnce(h.files.vars, vars)
}

// makeSparse makes a file of the given size that takes no room, or leaves one
// that is there as it is.
func makeSparse(path string, size int64) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(f.Truncate(size), f.Close())
}

// copyOnce copies a file unless the copy is there already.
func copyOnce(to, from string) error {
	if _, err := os.Stat(to); err == nil {
		return nil
	}
	content, err := os.ReadFile(from)
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%w: run make lab", err)
	}
	if err != nil {
		return err
	}
	return os.WriteFile(to, content, 0o644)
}

func (h *Host) makeTaps(ctx context.Context) error {
	for i, n := range h.spec.NICs {
		tap := fmt.Sprintf("h%dn%d", h.place, i)
		if err := ipBatch(ctx, h.lab.wires().name, tapScript(tap, n.Network)); err != nil {
			return err
		}
		h.files.taps = append(h.files.taps, tap)
	}
	return nil
}

// Spec is what the host was made from, with every default filled in.
func (h *Host) Spec() Spec { return h.spec }

// DiskPath is the file that holds the content of disk i, counted from 0.
func (h *Host) DiskPath(i int) string { return h.files.disks[i] }

// Remove ends the host's BMC, powers the host off and removes its disks, files
// and taps.
func (h *Host) Remove(ctx context.Context) error {
	errs := []error{h.endBMC(), h.kill(), h.Release()}
	if h.seat != nil {
		errs = append(errs, h.seat.leave(ctx))
	}
	for _, tap := range h.files.taps {
		errs = append(errs, ipBatch(ctx, h.lab.wires().name, []string{"link del " + tap}))
	}
	h.lab.mu.Lock()
	h.lab.hosts[h.place-1] = nil
	h.lab.mu.Unlock()
	return errors.Join(append(errs, os.RemoveAll(h.dir))...)
}
