package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// consolePoll is how often a console is looked at. A file has no better way to
// say that it grew.
const consolePoll = 100 * time.Millisecond

// Console is the path of the file that receives all that the host writes to its
// first serial port, over all its power-ons.
func (h *Host) Console() string { return h.files.console }

// WaitConsole waits until the console shows the text. It fails when ctx ends,
// when the host goes off without having shown it, and at once when the console
// shows one of the texts of unless first. Each call looks at what came after
// the text found by the call before, so that a text may be awaited once per
// boot. It is not safe for concurrent use on one host.
func (h *Host) WaitConsole(ctx context.Context, text string, unless ...string) error {
	tick := time.NewTicker(consolePoll)
	defer tick.Stop()
	for {
		off := h.Off() // asked first: what an ended host wrote is all there
		found, err := h.find(text, unless)
		if err != nil || found {
			return err
		}
		if off {
			return errors.Join(fmt.Errorf("%s went off without showing %q%s", h.spec.Name, text, h.lastWords()), h.fault())
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for %q on the console of %s: %w%s", text, h.spec.Name, ctx.Err(), h.lastWords())
		}
	}
}

// find looks for the text in what has not been read yet, and if it is there
// reads on to its end.
func (h *Host) find(text string, unless []string) (bool, error) {
	f, err := os.Open(h.files.console)
	if err != nil {
		return false, err
	}
	defer f.Close()
	if _, err := f.Seek(h.read, io.SeekStart); err != nil {
		return false, err
	}
	unread, err := io.ReadAll(f)
	if err != nil {
		return false, err
	}
	before, _, found := bytes.Cut(unread, []byte(text))
	for _, u := range unless {
		if bytes.Contains(before, []byte(u)) {
			return false, fmt.Errorf("%s shows %q and not %q%s", h.spec.Name, u, text, h.lastWords())
		}
	}
	if found {
		h.read += int64(len(before) + len(text))
	}
	return found, nil
}

// lastWords is the end of the console, as a part of an error.
func (h *Host) lastWords() string {
	text, err := os.ReadFile(h.files.console)
	if err != nil {
		return ""
	}
	const lines = 15
	all := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	return fmt.Sprintf("; its console ends:\n%s", bytes.Join(all[max(0, len(all)-lines):], []byte("\n")))
}
