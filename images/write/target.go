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

// margin is how much of each end of a disk is blanked: what an older system
// left at the end, and after a failure what would boot.
const margin = 1 << 20

// target is a disk that is being written.
type target struct {
	disk     Disk
	seed     *seed // nil: none
	progress func(stage string, bytes, total int64)

	touched bool      // something may have been written
	done    int64     // bytes of the image
	written hash.Hash // of what was written, unless it is what was fetched
	sum     []byte    // of the same, once all of it was
	change  change    // of the partition table, decided from the image's beginning
}

// write puts the next block behind those before.
func (t *target) write(b []byte, src *source) error {
	if t.done == 0 {
		if err := t.judge(b); err != nil {
			return err
		}
	}
	if err := fits(t.done+int64(len(b)), t.disk.Size()); err != nil {
		return err
	}
	if !src.same {
		t.written.Write(b)
	}
	t.touched = true
	if err := t.put(b); err != nil {
		return err
	}
	t.done += int64(len(b))
	t.progress(Writing, min(src.done(), src.total), src.total)
	return nil
}

// judge looks at the beginning of the image before any of it is written.
func (t *target) judge(head []byte) error {
	g := geometry{size: t.disk.Size(), sector: int64(t.disk.Sector())}
	c, err := layOut(head, g, t.seed != nil)
	t.change = c
	return err
}

// put writes one block, and leaves runs of zeroes to the disk. The last block
// is filled up to a whole sector.
func (t *target) put(b []byte) error {
	if rest := len(b) % t.disk.Sector(); rest > 0 {
		n := len(b) + t.disk.Sector() - rest
		clear(b[len(b):n]) // within the block, whose size is a multiple of any sector's
		b = b[:n]
	}
	for at := 0; at < len(b); {
		run, zero := runOf(b[at:])
		if err := t.putRun(t.done+int64(at), b[at:at+run], zero); err != nil {
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

// verify reads everything back and compares it with what was decoded.
func (t *target) verify(ctx context.Context, cancel context.CancelCauseFunc) error {
	if t.done == 0 {
		return errors.New("the image is empty")
	}
	if err := t.blankTail(); err != nil {
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

// blankTail blanks what an older system left at the end of a disk that is
// larger than the image: marks there, of a partition table or a RAID, would
// find believers.
func (t *target) blankTail() error {
	sector, size := int64(t.disk.Sector()), t.disk.Size()
	from := max((t.done+sector-1)/sector*sector, size-margin)
	if from >= size {
		return nil
	}
	return t.putRun(from, aligned(int(size-from)), true)
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
