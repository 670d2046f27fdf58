package write

import (
	"errors"
	"fmt"
	"io"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Device is a block device of Linux, or a file that stands for one. It is held
// against all others while it is open.
type Device struct {
	file   *os.File
	size   int64
	sector int
	block  bool
}

// Open opens a whole disk. One that is mounted, or on which RAID or LVM stand,
// is refused by the kernel. Reads and writes go past the kernel's cache where
// the device allows, so that what is read back was on the disk.
func Open(path string) (*Device, error) {
	const flags = os.O_RDWR | unix.O_EXCL | unix.O_CLOEXEC // open(2): exclusive of mounts and other holders
	f, err := os.OpenFile(path, flags|unix.O_DIRECT, 0)
	if errors.Is(err, unix.EINVAL) {
		f, err = os.OpenFile(path, flags, 0)
	}
	if errors.Is(err, unix.EBUSY) {
		return nil, fmt.Errorf("the disk %s is in use; something on it is mounted, or part of a RAID or LVM", path)
	}
	if err != nil {
		return nil, fmt.Errorf("open the disk: %w", err)
	}
	d := &Device{file: f, sector: 512}
	if err := d.measure(); err != nil {
		return nil, errors.Join(fmt.Errorf("ask %s for its size: %w", path, err), f.Close())
	}
	return d, nil
}

func (d *Device) measure() error {
	info, err := d.file.Stat()
	if err != nil {
		return err
	}
	d.block = info.Mode()&os.ModeDevice != 0
	if d.block {
		if d.sector, err = unix.IoctlGetInt(int(d.file.Fd()), unix.BLKSSZGET); err != nil {
			return err
		}
	}
	end, err := d.file.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if d.sector < 512 || d.sector > pageSize {
		return fmt.Errorf("it has sectors of %d bytes; 512 to %d are written", d.sector, pageSize)
	}
	d.size = end / int64(d.sector) * int64(d.sector)
	return nil
}

// Close lets others have the disk.
func (d *Device) Close() error { return d.file.Close() }

// Size is in bytes.
func (d *Device) Size() int64 { return d.size }

// Sector is in bytes.
func (d *Device) Sector() int { return d.sector }

// ReadAt wants whole sectors, and a buffer on a whole page.
func (d *Device) ReadAt(p []byte, off int64) (int, error) { return d.file.ReadAt(p, off) }

// WriteAt wants the same.
func (d *Device) WriteAt(p []byte, off int64) (int, error) { return d.file.WriteAt(p, off) }

// Zero asks the kernel, which has the device do it or else writes zeroes; other
// than after a discard, they are certain.
func (d *Device) Zero(off, n int64) error {
	if !d.block {
		_, err := d.file.WriteAt(aligned(int(n)), off)
		return err
	}
	rng := [2]uint64{uint64(off), uint64(n)}
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, d.file.Fd(), unix.BLKZEROOUT, uintptr(unsafe.Pointer(&rng))); errno != 0 {
		return fmt.Errorf("zero %d bytes: %w", n, errno)
	}
	return nil
}

// Flush waits for the medium and empties the kernel's cache.
func (d *Device) Flush() error {
	if err := d.file.Sync(); err != nil {
		return err
	}
	if d.block {
		return unix.IoctlSetInt(int(d.file.Fd()), unix.BLKFLSBUF, 0)
	}
	return unix.Fadvise(int(d.file.Fd()), 0, 0, unix.FADV_DONTNEED)
}

// Reread makes the kernel read the partition table anew; a file has none.
func (d *Device) Reread() error {
	if !d.block {
		return nil
	}
	if err := unix.IoctlSetInt(int(d.file.Fd()), unix.BLKRRPART, 0); err != nil {
		return fmt.Errorf("read the partition table anew: %w", err)
	}
	return nil
}
