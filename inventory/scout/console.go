package scout

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/muster-boot/muster/inventory"
)

// repeatAfter is when a sentence that was just said is worth saying again.
const repeatAfter = 30 * time.Second

// drainTime is how long a terminal that prints nothing holds up the end.
const drainTime = time.Second

// Console tells a person who stands before the host what is going on. It is
// safe for concurrent use.
type Console struct {
	mu    sync.Mutex
	w     io.Writer
	start time.Time
	last  string
	at    time.Time
}

// NewConsole writes to w; a failing w is not noticed, since nobody could be told.
func NewConsole(w io.Writer) *Console { return &Console{w: w, start: time.Now()} }

// Say prints one sentence with the seconds since the start. The same sentence
// again within 30 seconds is left out.
func (c *Console) Say(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	line, now := fmt.Sprintf(format, args...), time.Now()
	if line == c.last && now.Sub(c.at) < repeatAfter {
		return
	}
	c.last, c.at = line, now
	fmt.Fprintf(c.w, "[%7.1f] scout: %s\n", now.Sub(c.start).Seconds(), line)
}

// Drain gives the terminals a moment to print what was said: after this the
// system ends.
func (c *Console) Drain() {
	if d, ok := c.w.(interface{ drain(time.Duration) }); ok {
		d.drain(drainTime)
	}
}

// summary is one line about a report.
func summary(r inventory.Report) string {
	linked := 0
	for _, n := range r.NICs {
		if n.Link != nil && *n.Link {
			linked++
		}
	}
	const gib = 1 << 30
	return fmt.Sprintf("%s, serial %s, %.1f GiB memory, %d disks, %d network ports (%d with link)",
		orUnknown(r.System.Product), orUnknown(r.System.Serial), float64(r.Memory)/gib, len(r.Disks), len(r.NICs), linked)
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}
