package lab

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

// slots bounds the QEMU processes on this machine, across all labs and users:
// each slot is a file, and whoever holds its lock has it. The lock goes with
// the open file, which QEMU inherits, so that the kernel frees the slot when
// QEMU ends and not sooner.
type slots struct {
	dir   string
	count int // 0 means the machine's own count
}

func machineSlots() slots { return slots{dir: filepath.Join(cache, "slots")} }

// slotPoll is how often a full house is looked over for a free slot.
const slotPoll = 200 * time.Millisecond

// take waits for a free slot and returns its locked file.
func (s slots) take(ctx context.Context) (*os.File, error) {
	count, err := s.limit(os.Getenv("MUSTER_LAB_SLOTS"))
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return nil, err
	}
	tick := time.NewTicker(slotPoll)
	defer tick.Stop()
	for {
		f, err := s.tryAll(count)
		if f != nil || err != nil {
			return f, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for one of %d QEMU slots in %s: %w", count, s.dir, ctx.Err())
		}
	}
}

// limit is the number of slots: two per CPU, as the second of two emulated
// hosts on one CPU costs little and the third its full price.
func (s slots) limit(setting string) (int, error) {
	if s.count > 0 {
		return s.count, nil
	}
	if setting == "" {
		return 2 * runtime.NumCPU(), nil
	}
	n, err := strconv.Atoi(setting)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("MUSTER_LAB_SLOTS is %q: want a number of at least 1", setting)
	}
	return n, nil
}

// tryAll returns the first free slot, or nil if there is none.
func (s slots) tryAll(count int) (*os.File, error) {
	for i := range count {
		f, err := os.OpenFile(filepath.Join(s.dir, strconv.Itoa(i)), os.O_CREATE|os.O_RDWR, 0o644)
		if err != nil {
			return nil, err
		}
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return f, nil
		}
		f.Close()
		if err != syscall.EWOULDBLOCK {
			return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
		}
	}
	return nil, nil
}
