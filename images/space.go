package images

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/dustin/go-humanize"
)

// leastFree is what an import leaves free of the disk at least, in bytes: what
// else is on it, such as the hosts' journal, must go on.
const leastFree = 256 << 20

// ErrNoSpace says that an import would fill the disk.
var ErrNoSpace = errors.New("no space left")

// checkSpace refuses what would not fit beside what is to be left free: size
// more bytes, or, where that is not known, any more.
func (c *Catalog) checkSpace(size int64) error {
	free, reserve, ok := c.free()
	if !ok || max(size, 0) <= free-reserve {
		return nil
	}
	what := ""
	if size > 0 {
		what = "the image has " + humanize.Bytes(uint64(size)) + ", "
	}
	return fmt.Errorf("%w: %s%s has %s free, of which muster keeps %s; remove images or free some space, then add it again",
		ErrNoSpace, what, c.dir, humanize.Bytes(uint64(free)), humanize.Bytes(uint64(reserve)))
}

// free is what the disk has, and how much of it an import has to leave.
func (c *Catalog) free() (bytes, reserve int64, ok bool) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(c.dir, &s); err != nil {
		return 0, 0, false
	}
	reserve = max(leastFree, int64(s.Blocks)*s.Bsize/100)
	if c.keepFree != 0 {
		reserve = max(c.keepFree, 0)
	}
	return int64(s.Bavail) * s.Bsize, reserve, true
}

// full tells whether an error is of a disk that has no room.
func full(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// explain says what to do where the disk is full.
func (c *Catalog) explain(err error) error {
	if full(err) {
		return fmt.Errorf("no space left in %s; remove images or free some space, then add it again: %w", c.dir, err)
	}
	return err
}
