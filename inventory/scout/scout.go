// Package scout is the life of the discovery ramdisk's init: it brings the
// host up far enough to be asked questions, steps its clock from the server,
// and then does what the server tells it, one instruction at a time.
//
// It decides nothing about the host: what is correct hardware, when to install
// and when to stop is the server's. It changes a disk only when told which, and
// after a second yes right before the first byte. It never gives up: an absent
// server, a missing cable or a dead DHCP server is waited for, and the
// console says in a sentence what is awaited. It keeps no state, so a scout
// that starts again goes on where the server is.
//
// Start at [Live] for the order of bring-up, and at [Scout.Run] for the loop.
package scout

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/muster-boot/muster/inventory"
)

// Server is what a scout asks of muster. Calls are repeated until they
// succeed, so each must be safe to make twice.
type Server interface {
	Time(ctx context.Context) (time.Time, error)
	// Instruction tells what to do next; version is the asking ramdisk's.
	Instruction(ctx context.Context, version string) (inventory.Instruction, error)
	Report(ctx context.Context, attempt string, r inventory.Report) error
	Progress(ctx context.Context, s inventory.Step) error
}

// Hands are what a scout can do to the host it runs on.
type Hands interface {
	// Look reads the hardware; with contents, what lies on the disks too.
	Look(ctx context.Context, contents bool) inventory.Report
	// Load makes a kernel ready to be started by Jump. An error that is
	// ErrRefused means that this host will never do it.
	Load(ctx context.Context, n inventory.Netboot, say func(string)) error
	Unload()
	// Disk finds the disk that a write names and returns its path. It refuses
	// one that is not as it was verified, or is in use.
	Disk(ctx context.Context, w inventory.Write) (string, error)
	// Write puts the image on the disk at that path and reads it back.
	// Progress is called often, from one goroutine at a time.
	Write(ctx context.Context, disk string, w inventory.Write, progress func(stage string, bytes, total int64)) error
	// Jump, Reboot and PowerOff return only on failure.
	Jump() error
	Reboot() error
	PowerOff() error
	// BootAgain makes the next boot come from where this one came from, as
	// far as the firmware allows.
	BootAgain() error
	// KeepAddress renews the lease when it is due.
	KeepAddress(ctx context.Context) error
	SetClock(t time.Time) (rtc bool, err error)
}

// The bounds of waiting.
const (
	longestWait = time.Minute      // whatever the server says with Wait
	defaultWait = 5 * time.Second  // where it says nothing
	shortestGap = time.Second      // between two instructions, so that a repeated one cannot spin
	callTimeout = 30 * time.Second // for one request
)

// Scout is the loop. Its fields are set before Run and not changed after.
type Scout struct {
	Server  Server
	Hands   Hands
	Console *Console
	Version string

	clock    *inventory.Clock // nil until the server's time is known
	failures int              // writes in a row that failed
}

// Run asks and does until ctx ends, and then returns nil. It is not safe for
// concurrent use.
func (s *Scout) Run(ctx context.Context) error {
	if err := s.stepClock(ctx); err != nil && !denied(err) {
		return nil
	}
	for refusals := 0; ; {
		if err := s.Hands.KeepAddress(ctx); err != nil {
			s.Console.Say("The address could not be renewed: %v. Going on with the old one.", err)
		}
		ins, err := s.ask(ctx)
		if denied(err) {
			if refusals++; refusals >= maxRefusals {
				return s.leave(ctx, err)
			}
			s.Console.Say("muster refuses this scout: %v. Asking again; the host restarts if that does not change.", err)
			if !pause(ctx, longestWait) {
				return nil
			}
			continue
		}
		if err != nil {
			return nil
		}
		refusals = 0
		s.Console.Say("%s", sentence(ins))
		if err := s.do(ctx, ins); err != nil {
			s.Console.Say("%v. Asking muster again what to do.", err)
		}
		if !pause(ctx, gap(ins)) {
			return nil
		}
	}
}

// maxRefusals is how often in a row muster may refuse this scout before the host
// restarts: its key may be of a run that is over, and a new boot brings a new one.
const maxRefusals = 6

// leave restarts a host whose scout is not wanted any more.
func (s *Scout) leave(ctx context.Context, why error) error {
	s.Console.Say("muster still refuses this scout: %v. Restarting the host.", why)
	return s.reboot(ctx, inventory.Instruction{Do: inventory.Reboot})
}

// denied tells an answer that will be the same however often it is asked for.
func denied(err error) bool {
	var d interface{ Denied() bool }
	return errors.As(err, &d) && d.Denied()
}

// gap is how long to wait before the next question.
func gap(ins inventory.Instruction) time.Duration {
	if ins.Do != inventory.Wait {
		return shortestGap
	}
	if ins.Again <= 0 {
		return defaultWait
	}
	return min(time.Duration(ins.Again)*time.Second, longestWait)
}

// sentence is what the console shows for an instruction.
func sentence(ins inventory.Instruction) string {
	if ins.Say != "" {
		return ins.Say
	}
	return fmt.Sprintf("muster says: %s.", ins.Do)
}

// ask repeats the question until it is answered; an error means that it was
// refused or that ctx ended.
func (s *Scout) ask(ctx context.Context) (inventory.Instruction, error) {
	var ins inventory.Instruction
	err := s.until(ctx, "Asking muster what to do", func(ctx context.Context) (err error) {
		ins, err = s.Server.Instruction(ctx, s.Version)
		return err
	})
	return ins, err
}

// until calls f until it succeeds, with back-off; an error means that muster
// refused what was asked, or that ctx ended.
func (s *Scout) until(ctx context.Context, doing string, f func(context.Context) error) error {
	for try := 0; ; try++ {
		err := once(ctx, f)
		if err == nil || denied(err) {
			return err
		}
		wait := backoff(try, rand.Float64())
		s.Console.Say("%s: no answer yet (%v). Trying again, at most %s apart.", doing, err, longestBackoff)
		if !pause(ctx, wait) {
			return ctx.Err()
		}
	}
}

// once calls f with the time that one request may take.
func once(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return f(ctx)
}

// do carries out one instruction. An error is for the console: the server is
// asked again in any case, and knows from what did not arrive.
func (s *Scout) do(ctx context.Context, ins inventory.Instruction) error {
	switch ins.Do {
	case inventory.Wait:
		return nil
	case inventory.Look:
		return s.report(ctx, ins, false)
	case inventory.Verify:
		return s.report(ctx, ins, true)
	case inventory.Install:
		return s.install(ctx, ins)
	case inventory.WriteDisk:
		return s.writeDisk(ctx, ins)
	case inventory.Reboot:
		return s.reboot(ctx, ins)
	case inventory.PowerOff:
		s.tell(ctx, ins, "poweroff", "the scout powers the host off")
		s.Console.Drain()
		return s.Hands.PowerOff()
	}
	return fmt.Errorf("muster says %q, which this scout does not know; build the ramdisk anew with muster ramdisk build", ins.Do)
}

func (s *Scout) report(ctx context.Context, ins inventory.Instruction, contents bool) error {
	r := s.Hands.Look(ctx, contents)
	r.Version, r.Clock = s.Version, s.clock
	s.Console.Say("Hardware read: %s.", summary(r))
	return s.until(ctx, "Sending the report", func(ctx context.Context) error {
		return s.Server.Report(ctx, ins.Attempt, r)
	})
}

// reboot makes sure, as far as it can, that the host comes back to the scout.
func (s *Scout) reboot(ctx context.Context, ins inventory.Instruction) error {
	if err := s.Hands.BootAgain(); err != nil {
		s.Console.Say("The next boot device could not be chosen: %v. The firmware's own order decides.", err)
	}
	s.tell(ctx, ins, "reboot", "the scout restarts the host")
	s.Console.Drain()
	return s.Hands.Reboot()
}

// install starts the installer's kernel out of the running one, and where that
// is refused restarts the host to have the installer netbooted. The server is
// told before the jump: nothing can be said after it.
func (s *Scout) install(ctx context.Context, ins inventory.Instruction) error {
	if ins.Netboot == nil {
		return fmt.Errorf("muster says install, but not what")
	}
	err := s.Hands.Load(ctx, *ins.Netboot, func(line string) { s.Console.Say("%s", line) })
	if IsRefused(err) {
		s.Console.Say("%v. Restarting to boot the installer from the network.", err)
		return s.reboot(ctx, ins)
	}
	if err != nil {
		return err
	}
	step := inventory.Step{Attempt: ins.Attempt, Stage: "kexec", Detail: "the scout starts the installer"}
	if err := once(ctx, func(ctx context.Context) error { return s.Server.Progress(ctx, step) }); err != nil {
		s.Hands.Unload()
		return fmt.Errorf("tell muster that the installer starts: %w", err)
	}
	s.Console.Say("Starting the installer.")
	s.Console.Drain()
	return s.Hands.Jump()
}

// tell sends a last word that is worth saying but not worth staying for.
func (s *Scout) tell(ctx context.Context, ins inventory.Instruction, stage, detail string) {
	step := inventory.Step{Attempt: ins.Attempt, Stage: stage, Detail: detail}
	if err := once(ctx, func(ctx context.Context) error { return s.Server.Progress(ctx, step) }); err != nil {
		s.Console.Say("muster could not be told (%v).", err)
	}
}
