package scout

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/muster-boot/muster/inventory"
)

// The stages of a written disk, as muster knows them.
const (
	stageWriting     = "writing"
	stageWritten     = "written"
	stageWriteFailed = "write-failed"
)

const (
	countEvery = time.Second     // between two counts that muster is told
	sayEvery   = 5 * time.Second // between two that the console is
)

// WriteFunc puts an image on the disk at a path, and reads it back. Progress
// is called often, from one goroutine at a time.
type WriteFunc func(ctx context.Context, disk string, w inventory.Write, progress func(stage string, bytes, total int64)) error

// chooseDisk finds the disk that a write names among those of the host. It
// refuses whatever is not the disk that muster verified, or is in use.
func chooseDisk(disks []inventory.Disk, w inventory.Write) (inventory.Disk, error) {
	name := strings.TrimPrefix(w.Disk, "/dev/disk/by-id/")
	others := func(d inventory.Disk) bool { return name == "" || !slices.Contains(d.ByID, name) }
	named := slices.DeleteFunc(slices.Clone(disks), others)
	if len(named) == 0 {
		return inventory.Disk{}, fmt.Errorf("this host has no disk %s; it has %s", w.Disk, namesOf(disks))
	}
	d := named[0]
	switch {
	case len(named) > 1:
		return d, fmt.Errorf("%d disks of this host are called %s; name the one that is meant by another of its names, or take the others out", len(named), name)
	case w.Serial != "" && d.Serial != w.Serial:
		return d, fmt.Errorf("the disk %s has the serial %q and %q was verified; verify the host again", name, d.Serial, w.Serial)
	case d.BootMedium:
		return d, fmt.Errorf("the running system came from the disk %s; take that medium out, or choose another disk in the profile", name)
	case len(d.Holders) > 0:
		return d, fmt.Errorf("the disk %s is in use: %s; take apart what uses it, or choose another disk in the profile", name, strings.Join(d.Holders, ", "))
	case d.ReadOnly:
		return d, fmt.Errorf("the disk %s cannot be written to; switch its write protection off, or choose another disk in the profile", name)
	}
	return d, nil
}

func namesOf(disks []inventory.Disk) string {
	var names []string
	for _, d := range disks {
		names = append(names, slices.Concat(d.ByID, []string{d.Name})[0])
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// writeDisk puts an image on a disk. Before the first byte muster is asked, and
// nothing is written unless it says yes; the disk is looked for once more then,
// as that may take hours. That it failed, muster is told, and then decides.
func (s *Scout) writeDisk(ctx context.Context, ins inventory.Instruction) error {
	if ins.Write == nil {
		return errors.New("muster says write, but not what")
	}
	if _, err := s.Hands.Disk(ctx, *ins.Write); err != nil {
		return s.writeFailed(ctx, ins, err)
	}
	if err := s.tellStage(ctx, ins, stageWriting, "the scout writes the image to "+ins.Write.Disk); err != nil {
		return fmt.Errorf("muster does not let the disk be written: %w", err)
	}
	disk, err := s.Hands.Disk(ctx, *ins.Write)
	if err != nil {
		return s.writeFailed(ctx, ins, err)
	}
	s.Console.Say("Writing the image to %s (%s).", ins.Write.Disk, disk)
	if err := s.writeCounted(ctx, ins, disk); err != nil {
		return s.writeFailed(ctx, ins, err)
	}
	s.failures = 0
	s.Console.Say("The image is on the disk and was read back without a difference.")
	return s.tellStage(ctx, ins, stageWritten, "the image was written to "+ins.Write.Disk+" and read back")
}

// writeFailed tells muster why, and leaves time before it is asked again.
func (s *Scout) writeFailed(ctx context.Context, ins inventory.Instruction, why error) error {
	if ctx.Err() != nil {
		return why
	}
	s.Console.Say("The disk was not written: %v.", why)
	if err := s.tellStage(ctx, ins, stageWriteFailed, why.Error()); err != nil {
		return fmt.Errorf("tell muster that the disk was not written: %w", err)
	}
	pause(ctx, backoff(s.failures, rand.Float64()))
	s.failures++
	return nil
}

// tellStage tells muster of a stage until it has taken or refused it.
func (s *Scout) tellStage(ctx context.Context, ins inventory.Instruction, stage, detail string) error {
	step := inventory.Step{Attempt: ins.Attempt, Stage: stage, Detail: detail}
	return s.until(ctx, "Telling muster of the stage "+stage, func(ctx context.Context) error {
		return s.Server.Progress(ctx, step)
	})
}

// writeCounted writes, while another goroutine tells how far it is and keeps
// the host's address: neither holds up the write, or ends it.
func (s *Scout) writeCounted(ctx context.Context, ins inventory.Instruction, disk string) error {
	c := &counts{attempt: ins.Attempt}
	telling, stop := context.WithCancel(ctx)
	var g sync.WaitGroup
	g.Go(func() { s.tellCounts(telling, c) })
	err := s.Hands.Write(ctx, disk, *ins.Write, c.add)
	stop()
	g.Wait()
	for _, step := range c.take() { // the last ones complete the picture
		_ = once(ctx, func(ctx context.Context) error { return s.Server.Progress(ctx, step) })
	}
	return err
}

// tellCounts passes counts on until ctx ends. One that does not arrive is
// replaced by the next.
func (s *Scout) tellCounts(ctx context.Context, c *counts) {
	var said time.Time
	for pause(ctx, countEvery) {
		_ = s.Hands.KeepAddress(ctx) // the loop says what is wrong with it, once the write is over
		steps := c.take()
		for _, step := range steps {
			_ = once(ctx, func(ctx context.Context) error { return s.Server.Progress(ctx, step) })
		}
		if n := len(steps); n > 0 && time.Since(said) >= sayEvery {
			said = time.Now()
			s.Console.Say("%s", counted(steps[n-1]))
		}
	}
}

func counted(s inventory.Step) string {
	if s.Total == 0 {
		return fmt.Sprintf("Stage %s: %.1f MB.", s.Stage, megabytes(s.Bytes))
	}
	return fmt.Sprintf("Stage %s: %.1f of %.1f MB, %d %%.", s.Stage, megabytes(s.Bytes), megabytes(s.Total), 100*s.Bytes/s.Total)
}

// counts keeps the latest count of each stage until it is taken. It is safe
// for concurrent use.
type counts struct {
	attempt string
	mu      sync.Mutex
	steps   []inventory.Step
}

func (c *counts) add(stage string, bytes, total int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	step := inventory.Step{Attempt: c.attempt, Stage: stage, Bytes: bytes, Total: total}
	if i := slices.IndexFunc(c.steps, func(s inventory.Step) bool { return s.Stage == stage }); i >= 0 {
		c.steps[i] = step
		return
	}
	c.steps = append(c.steps, step)
}

func (c *counts) take() []inventory.Step {
	c.mu.Lock()
	defer c.mu.Unlock()
	steps := c.steps
	c.steps = nil
	return steps
}
