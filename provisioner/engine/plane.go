package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/muster-boot/muster/inventory"
	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/lifecycle"
)

// What scouts, installers and agents call. The caller has already checked
// their tokens; here it is only asked whether the call belongs to the present
// attempt: a late message of an old one changes nothing.

// contactEvery bounds how often "still there" is written down.
const contactEvery = 10 * time.Second

// maxStepFacts bounds the stages that an attempt may report beside those that
// have a meaning.
const maxStepFacts = 64

// Time is the server's clock.
func (e *Engine) Time(context.Context) time.Time { return e.Now() }

// Instruction says what a scout of the given version is to do next.
func (e *Engine) Instruction(ctx context.Context, id provisioner.HostID, version, remote string) (inventory.Instruction, error) {
	if err := e.noteScout(ctx, id, version, remote); err != nil {
		return inventory.Instruction{}, err
	}
	h, err := e.settle(ctx, id)
	if err != nil {
		return inventory.Instruction{}, err
	}
	if newer := e.Installer.ScoutVersion(); e.outdated(h, version, newer) {
		return e.replaceScout(ctx, h, version, newer)
	}
	return e.fill(ctx, h, lifecycle.InstructionFor(h))
}

// fill adds to an instruction what was rendered for the attempt.
func (e *Engine) fill(ctx context.Context, h provisioner.Host, ins inventory.Instruction) (inventory.Instruction, error) {
	if ins.Do != inventory.Install && ins.Do != inventory.WriteDisk {
		return ins, nil
	}
	r, err := e.open(ctx, h)
	if err != nil {
		return inventory.Instruction{}, err
	}
	if ins.Do == inventory.WriteDisk {
		w, err := e.Installer.Write(ctx, h, r)
		if err != nil {
			return inventory.Instruction{}, fmt.Errorf("name the disk image of %s: %w", h.ID, err)
		}
		ins.Write = &w
		return ins, nil
	}
	n, err := e.Installer.Netboot(ctx, h, r)
	if err != nil {
		return inventory.Instruction{}, fmt.Errorf("name the installer of %s: %w", h.ID, err)
	}
	ins.Netboot = &n
	return ins, nil
}

func (e *Engine) noteScout(ctx context.Context, id provisioner.HostID, version, remote string) error {
	_, err := e.observe(ctx, id, "scout", func(h *provisioner.Host) (string, error) {
		now, was := e.at(*h), h.Facts.Scout
		fresh := was != nil && now.Sub(was.Last) < contactEvery && !was.Last.Before(h.Status.Since) && was.Version == version
		if fresh {
			return "", nil
		}
		h.Facts.Scout = &provisioner.Contact{Version: version, Last: now, Address: remote}
		if was != nil && !was.Last.Before(h.Status.Since) {
			return "", nil
		}
		return fmt.Sprintf("The scout (version %s) is running at %s and asks what to do.", version, remote), nil
	})
	return err
}

// stageOutdated marks that a scout was told once to reboot into the newer one;
// a ramdisk that still carries the old one must not make a host reboot for ever.
const stageOutdated = "scout-outdated"

func (e *Engine) outdated(h provisioner.Host, version, newer string) bool {
	working := h.Status.Phase == provisioner.Verifying || h.Status.Phase == provisioner.Installing
	return newer != "" && version != newer && !working && !cameByMedium(h) && !lifecycle.Reached(h, stageOutdated)
}

// cameByMedium tells a scout that would not come back by itself: its BMC booted
// the medium once, and the medium is that of its attempt.
func cameByMedium(h provisioner.Host) bool {
	way, _ := lifecycle.Way(h)
	return way == provisioner.WayMedia && h.Status.Phase == provisioner.Discovered || lifecycle.BootedBy(h) == provisioner.BootMedia
}

func (e *Engine) replaceScout(ctx context.Context, h provisioner.Host, version, newer string) (inventory.Instruction, error) {
	say := fmt.Sprintf("This scout is version %s, the discovery ramdisk has %s: rebooting into that one.", version, newer)
	if _, err := e.addStep(ctx, h.ID, provisioner.Step{Attempt: h.Status.Attempt.ID, Stage: stageOutdated, Detail: say}, "engine"); err != nil {
		return inventory.Instruction{}, err
	}
	return inventory.Instruction{Do: inventory.Reboot, Attempt: string(h.Status.Attempt.ID), Say: say}, nil
}

// Report takes a scout's report for one attempt.
func (e *Engine) Report(ctx context.Context, id provisioner.HostID, attempt provisioner.AttemptID, r inventory.Report) error {
	_, err := e.observe(ctx, id, "scout", func(h *provisioner.Host) (string, error) {
		if h.Facts.Report != nil && h.Facts.Report.Attempt == attempt {
			return "", nil // the answer was lost and the scout sent it again
		}
		if err := current(*h, attempt); err != nil {
			return "", err
		}
		h.Facts.Report = &provisioner.Report{Attempt: attempt, Received: e.at(*h), Report: r}
		return reportLine(r), nil
	})
	if err != nil {
		return err
	}
	_, err = e.settle(ctx, id)
	return err
}

func reportLine(r inventory.Report) string {
	return fmt.Sprintf("The scout reported %s %s, serial %s; CPUs: %d, DIMM slots: %d, disks: %d, network ports: %d.",
		r.System.Manufacturer, r.System.Product, r.System.Serial, len(r.CPUs), len(r.DIMMs), len(r.Disks), len(r.NICs))
}

// Progress takes one line of progress from a scout, and what it counted.
func (e *Engine) Progress(ctx context.Context, id provisioner.HostID, s inventory.Step) error {
	attempt := provisioner.AttemptID(s.Attempt)
	h, err := e.addStep(ctx, id, provisioner.Step{Attempt: attempt, Stage: s.Stage, Detail: s.Detail}, "scout")
	switch {
	case err != nil, lifecycle.Reached(h, provisioner.StageWritten):
		return err // what comes after the end is late
	case s.Stage == provisioner.StageWriting: // said before the first byte: what follows begins anew
		return e.recount(ctx, attempt, provisioner.StageWrite, provisioner.StageVerify)
	case s.Bytes > 0 || s.Total > 0:
		return e.counted(ctx, provisioner.Progress{Attempt: attempt, Stage: s.Stage, Bytes: s.Bytes, Total: s.Total}, "scout", false)
	case s.Stage == provisioner.StageWriteFailed:
		_, err = e.settle(ctx, id)
	}
	return err
}

// Step takes a stage that an installer reached. The stage "writing" is asked
// before the first destructive act and is refused when the attempt may not
// (any longer) install, so that an installer nobody waits for writes nothing;
// with a Retry fault while the BMC may still take the power away.
func (e *Engine) Step(ctx context.Context, attempt provisioner.AttemptID, stage, detail string) error {
	id, err := e.hostOf(ctx, attempt)
	if err != nil {
		return err
	}
	_, err = e.addStep(ctx, id, provisioner.Step{Attempt: attempt, Stage: stage, Detail: detail}, "installer")
	if errors.Is(err, errBeingStarted) { // who asks is heard all the same, and that ends it
		_, heard := e.addStep(ctx, id, provisioner.Step{Attempt: attempt, Stage: provisioner.StageEarly}, "installer")
		err = errors.Join(err, heard)
	}
	if err != nil && !errors.Is(err, errBeingStarted) {
		return err
	}
	_, settled := e.settle(ctx, id)
	return cmp.Or(err, settled)
}

// errBeingStarted refuses for a moment to let a host be written to that its BMC
// may still switch off.
var errBeingStarted = errors.New("its BMC is still about to start this host; ask again in a few seconds")

func beingStarted(h provisioner.Host) error {
	return &provisioner.Fault{Kind: provisioner.Retry, Op: "host " + string(h.ID), Err: errBeingStarted}
}

// Fetched notes that a file of an attempt was asked for by the host.
func (e *Engine) Fetched(ctx context.Context, attempt provisioner.AttemptID, stage string) error {
	id, err := e.hostOf(ctx, attempt)
	if err != nil {
		return err
	}
	_, err = e.addStep(ctx, id, provisioner.Step{Attempt: attempt, Stage: stage}, "boot plane")
	return err
}

// addStep records a stage once per attempt; said again it changes nothing.
func (e *Engine) addStep(ctx context.Context, id provisioner.HostID, s provisioner.Step, by string) (provisioner.Host, error) {
	return e.observe(ctx, id, by, func(h *provisioner.Host) (string, error) {
		s.At = e.at(*h)
		if err := mayStep(*h, s); err != nil || lifecycle.Reached(*h, s.Stage) {
			return "", err
		}
		if s.Stage == provisioner.StageWriting && e.errands.starts(id) {
			return "", beingStarted(*h)
		}
		if s.Stage == provisioner.StageWriting {
			h.Facts.Writes = append(h.Facts.Writes, provisioner.Write{Attempt: s.Attempt, Serial: diskSerial(*h), At: s.At})
		}
		h.Facts.Steps = append(stepsOf(h.Facts.Steps, s.Attempt), s)
		return stepLine(s), nil
	})
}

func mayStep(h provisioner.Host, s provisioner.Step) error {
	if err := current(h, s.Attempt); err != nil {
		return err
	}
	if s.Stage == provisioner.StageWriting && h.Status.Phase != provisioner.Installing {
		return &provisioner.Fault{Kind: provisioner.Gone, Err: fmt.Errorf(
			"host %s is %s, not installing: nothing may be written to its disk", h.ID, h.Status.Phase)}
	}
	if s.Stage == provisioner.StageWriting && lifecycle.SystemOnDisk(h) { // an ISO that stays in its drive boots again
		return &provisioner.Fault{Kind: provisioner.Gone, Err: fmt.Errorf(
			"the disk of host %s is written: take the installer's medium out and boot it from its disk", h.ID)}
	}
	if _, open := lifecycle.BootOpen(h); open && s.Stage == provisioner.StageWriting {
		return beingStarted(h)
	}
	if len(stepsOf(h.Facts.Steps, s.Attempt)) >= maxStepFacts && !meaningful(s.Stage) {
		return &provisioner.Fault{Kind: provisioner.Invalid, Err: fmt.Errorf("attempt %s reported too many stages", s.Attempt)}
	}
	return nil
}

// meaningful tells the stages that something depends on; they are always taken.
func meaningful(stage string) bool {
	switch stage {
	case provisioner.StageKexec, provisioner.StageScript, provisioner.StageKernel, provisioner.StageRootfs,
		provisioner.StageMedium, provisioner.StageConfig, provisioner.StageEarly, provisioner.StageWriting, provisioner.StageWrite,
		provisioner.StageVerify, provisioner.StageWriteFailed, provisioner.StageWritten, stageOutdated:
		return true
	}
	return false
}

// stepsOf are the steps of one attempt; those of others are in the journal.
func stepsOf(steps []provisioner.Step, attempt provisioner.AttemptID) []provisioner.Step {
	var of []provisioner.Step
	for _, s := range steps {
		if s.Attempt == attempt {
			of = append(of, s)
		}
	}
	return of
}

func stepLine(s provisioner.Step) string {
	if s.Detail == "" {
		return "Stage " + s.Stage + "."
	}
	return "Stage " + s.Stage + ": " + s.Detail
}

// diskSerial is the serial of the disk the present attempt installs to.
func diskSerial(h provisioner.Host) string {
	if h.Facts.Report == nil {
		return ""
	}
	for _, d := range h.Facts.Report.Report.Disks {
		for _, name := range d.ByID {
			if "/dev/disk/by-id/"+name == h.Status.Attempt.Disk {
				return d.Serial
			}
		}
	}
	return ""
}

// Booted takes the boot call-home of an installed system.
func (e *Engine) Booted(ctx context.Context, attempt provisioner.AttemptID, remote string) error {
	id, err := e.hostOf(ctx, attempt)
	if err != nil {
		return err
	}
	_, err = e.observe(ctx, id, "installed system", func(h *provisioner.Host) (string, error) {
		if err := current(*h, attempt); err != nil {
			return "", err
		}
		if b := h.Facts.Booted; b != nil && b.Attempt == attempt {
			return "", nil
		}
		h.Facts.Booted = &provisioner.CallHome{Attempt: attempt, At: e.at(*h), Address: remote}
		h.Facts.Writes = inUse(h.Facts.Writes, attempt)
		return "The installed system booted from its disk and called home from " + remote + ".", nil
	})
	if err != nil {
		return err
	}
	_, err = e.settle(ctx, id)
	return err
}

// Register takes an agent's registration and returns its receipt. Asked again
// with the same attempt it returns the same receipt.
func (e *Engine) Register(ctx context.Context, attempt provisioner.AttemptID, remote string, claims map[string]string) (provisioner.Receipt, error) {
	id, err := e.hostOf(ctx, attempt)
	if err != nil {
		return provisioner.Receipt{}, err
	}
	_, err = e.observe(ctx, id, "agent", func(h *provisioner.Host) (string, error) {
		if err := current(*h, attempt); err != nil {
			return "", err
		}
		if r := h.Facts.Receipt; r != nil && r.Attempt == attempt {
			return "", nil
		}
		if r := h.Facts.Registration; r != nil && r.Attempt == attempt && maps.Equal(r.Claims, claims) && !r.At.Before(h.Status.Since) {
			return "", nil // it asks again and says nothing new
		}
		h.Facts.Registration = &provisioner.Registration{Attempt: attempt, At: e.at(*h), Address: remote, Claims: claims}
		h.Facts.Writes = inUse(h.Facts.Writes, attempt)
		return fmt.Sprintf("The agent (%s) asked to be registered from %s.", claims["agent"], remote), nil
	})
	if err != nil {
		return provisioner.Receipt{}, err
	}
	h, err := e.settle(ctx, id)
	if err != nil {
		return provisioner.Receipt{}, err
	}
	if r := h.Facts.Receipt; r != nil && r.Attempt == attempt {
		return *r, nil
	}
	return provisioner.Receipt{}, &provisioner.Fault{Kind: provisioner.Conflict,
		Err: fmt.Errorf("host %s is not registered: %s", id, h.Status.Why)}
}

// inUse marks that the system which an attempt wrote has run.
func inUse(writes []provisioner.Write, attempt provisioner.AttemptID) []provisioner.Write {
	marked := slices.Clone(writes)
	for i := range marked {
		marked[i].InUse = marked[i].InUse || marked[i].Attempt == attempt
	}
	return marked
}

// current says whether attempt is the present one of h.
func current(h provisioner.Host, attempt provisioner.AttemptID) error {
	if attempt != "" && h.Status.Attempt.ID == attempt {
		return nil
	}
	return &provisioner.Fault{Kind: provisioner.Gone,
		Err: fmt.Errorf("attempt %s of host %s is over; nothing that it says counts", attempt, h.ID)}
}

// hostOf finds the host of an attempt. The mirror may be behind the move that
// began it, so a miss is believed only when the mirror has caught up.
func (e *Engine) hostOf(ctx context.Context, attempt provisioner.AttemptID) (provisioner.HostID, error) {
	if h, ok := e.Mirror.ByAttempt(attempt); ok {
		return h.ID, nil
	}
	if err := e.Mirror.Sync(ctx); err != nil {
		return "", err
	}
	if h, ok := e.Mirror.ByAttempt(attempt); ok {
		return h.ID, nil
	}
	return "", &provisioner.Fault{Kind: provisioner.Gone, Err: fmt.Errorf("no host is at attempt %s", attempt)}
}
