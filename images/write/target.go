package write

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
)

// margin is how much of each end of a disk is blanked: before a write the end,
// where marks of an older partition table or RAID would find believers, and
// after a failure both, so that nothing boots.
const margin = 1 << 20

// target is a disk that is being written.
type target struct {
	disk     Disk
	seed     *seed // nil: none
	progress func(stage string, bytes, total int64)

	touched bool      // something may have been written
	head    []byte    // the image's first block, which is written last
	done    int64     // bytes of the image
	written hash.Hash // of what was written, unless it is what was fetched
	sum     []byte    // of the same, once all of it was
	change  change    // of the partition table, decided from the image's beginning
}

// write puts the next block behind those before.
func (t *target) write(b []byte, src *source) error {
	if err := fits(t.done+int64(len(b)), t.disk.Size()); err != nil {
		return err
	}
	if t.done == 0 {
		if err := t.begin(b); err != nil {
			return err
		}
	} else if err := t.put(b, t.done); err != nil {
		return err
	}
	if !src.same {
		t.written.Write(b)
	}
	t.done += int64(len(b))
	t.progress(Writing, min(src.done(), src.total), src.total)
	return nil
}

// begin keeps the first block until all others are on the disk, and blanks its
// place and the end of the disk: where the power fails in between, nothing
// boots, neither by this table nor by the copy of an older one.
func (t *target) begin(b []byte) error {
	if err := t.judge(b); err != nil {
		return err
	}
	t.head = aligned(int(roundUp(int64(len(b)), int64(t.disk.Sector()))))[:len(b)]
	copy(t.head, b)
	t.touched = true
	from := max(0, t.disk.Size()-margin)
	if err := t.putRun(from, aligned(int(t.disk.Size()-from)), true); err != nil {
		return err
	}
	return t.putRun(0, aligned(cap(t.head)), true)
}

// judge looks at the beginning of the image before any of it is written.
func (t *target) judge(head []byte) error {
	g := geometry{size: t.disk.Size(), sector: int64(t.disk.Sector())}
	c, err := layOut(head, g, t.seed != nil)
	t.change = c
	return err
}

// put writes one block at an offset, and leaves runs of zeroes to the disk. The
// last block is filled up to a whole sector.
func (t *target) put(b []byte, off int64) error {
	if rest := len(b) % t.disk.Sector(); rest > 0 {
		n := len(b) + t.disk.Sector() - rest
		clear(b[len(b):n]) // within the block, which has whole sectors
		b = b[:n]
	}
	for at := 0; at < len(b); {
		run, zero := runOf(b[at:])
		if err := t.putRun(off+int64(at), b[at:at+run], zero); err != nil {
			return err
		}
		at += run
	}
	return nil
}

func (t *target) putRun(at int64, b []byte, zero bool) error {
	if zero {
		if err := t.disk.Zero(at, int64(len(b))); err != nil {
			return fmt.Errorf("write zeroes at byte %d: %w", at, err)
		}
		return nil
	}
	if _, err := t.disk.WriteAt(b, at); err != nil {
		return fmt.Errorf("write at byte %d: %w", at, err)
	}
	return nil
}

// runOf is how far b goes on with what it begins with, zeroes or not.
func runOf(b []byte) (n int, zero bool) {
	n = min(zeroUnit, len(b))
	zero = allZero(b[:n])
	for n < len(b) {
		next := min(zeroUnit, len(b)-n)
		if allZero(b[n:n+next]) != zero {
			break
		}
		n += next
	}
	return n, zero
}

// verify writes the first block, reads everything back and compares it with what
// was decoded.
func (t *target) verify(ctx context.Context, cancel context.CancelCauseFunc) error {
	if t.done == 0 {
		return errors.New("the image is empty")
	}
	if err := t.put(t.head, 0); err != nil {
		return err
	}
	if err := t.disk.Flush(); err != nil {
		return fmt.Errorf("wait for the disk to have written: %w", err)
	}
	read, n := sha256.New(), int64(0)
	back := &sectors{disk: t.disk, end: t.done}
	err := relay(ctx, cancel, back, func(b []byte) error {
		read.Write(b)
		n += int64(len(b))
		t.progress(Verifying, n, t.done)
		return nil
	})
	if err != nil {
		return err
	}
	if got := read.Sum(nil); !bytes.Equal(got, t.sum) {
		return fmt.Errorf("the disk gives back other bytes than were written to it (digest %x instead of %x); replace the disk", got, t.sum)
	}
	return nil
}

// sectors reads a disk from its beginning to end, which need not be the end of
// a sector, though each read of the disk is of whole ones.
type sectors struct {
	disk    Disk
	at, end int64
}

func (s *sectors) Read(p []byte) (int, error) {
	if s.at == s.end {
		return 0, io.EOF
	}
	sector := int64(s.disk.Sector())
	n := min(int64(len(p)), (s.end-s.at+sector-1)/sector*sector)
	if _, err := s.disk.ReadAt(p[:n], s.at); err != nil {
		return 0, fmt.Errorf("read back at byte %d: %w", s.at, err)
	}
	n = min(n, s.end-s.at)
	s.at += n
	return int(n), nil
}

// abandon blanks both ends of a disk that was touched, so that nothing of it
// boots, and says in err what became of it.
func (t *target) abandon(err error) error {
	if !t.touched {
		return fmt.Errorf("nothing was written: %w", err)
	}
	size := t.disk.Size()
	n := min(margin, size)
	zeroes := aligned(int(n))
	_, head := t.disk.WriteAt(zeroes, 0)
	_, tail := t.disk.WriteAt(zeroes, size-n)
	if blank := errors.Join(head, tail, t.disk.Flush()); blank != nil {
		return fmt.Errorf("%w; the disk could not be blanked and may hold half a system: %w", err, blank)
	}
	return fmt.Errorf("%w; the disk was left blank at both ends, so that nothing of it boots", err)
}

// settle makes the changes of the partition table and writes the seed, and
// reads both back.
func (t *target) settle() error {
	if t.seed != nil {
		if err := t.change.noSeedYet(t.disk); err != nil {
			return err
		}
		t.change.patches = append(t.change.patches, t.seed.at(t.change.seed))
	}
	for _, p := range t.change.patches {
		b := aligned(len(p.data))
		copy(b, p.data)
		if _, err := t.disk.WriteAt(b, p.off); err != nil {
			return fmt.Errorf("write the %s at byte %d: %w", p.what, p.off, err)
		}
	}
	if err := t.disk.Flush(); err != nil {
		return fmt.Errorf("wait for the disk to have written: %w", err)
	}
	for _, p := range t.change.patches {
		if err := t.check(p); err != nil {
			return err
		}
	}
	return t.change.check(t.disk)
}

// check reads one change back.
func (t *target) check(p patch) error {
	if p.passing {
		return nil
	}
	b := aligned(len(p.data))
	if _, err := t.disk.ReadAt(b, p.off); err != nil {
		return fmt.Errorf("read the %s back at byte %d: %w", p.what, p.off, err)
	}
	if !bytes.Equal(b, p.data) {
		return fmt.Errorf("the %s was not written as it should be, at byte %d", p.what, p.off)
	}
	return nil
}
