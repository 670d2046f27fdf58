package scout

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// largestRecord is what one read of /dev/kmsg may bring; records bounds how
// many are read, far above any kernel's buffer.
const (
	largestRecord = 8192
	records       = 100_000
)

// kernelLog is every message that the kernel still has, one a line, without
// its prefix (kernel document ABI/testing/dev-kmsg).
func kernelLog() ([]string, error) {
	fd, err := unix.Open("/dev/kmsg", unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open the kernel's messages: %w", err)
	}
	f := os.NewFile(uintptr(fd), "/dev/kmsg")
	defer f.Close()
	var lines []string
	buf := make([]byte, largestRecord)
	for range records {
		n, err := unix.Read(fd, buf)
		if errors.Is(err, unix.EAGAIN) || n == 0 {
			break
		}
		if errors.Is(err, unix.EPIPE) {
			continue // overwritten while reading; the next read goes on behind it
		}
		if err != nil {
			return lines, fmt.Errorf("read the kernel's messages: %w", err)
		}
		lines = append(lines, messageOf(string(buf[:n])))
	}
	return lines, nil
}

// messageOf cuts "priority,sequence,time,flags;message\n KEY=value..." down to
// the message.
func messageOf(record string) string {
	_, message, _ := strings.Cut(record, ";")
	first, _, _ := strings.Cut(message, "\n")
	return first
}
