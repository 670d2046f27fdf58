package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// maxShare is the part of a host's way that muster itself may add.
const maxShare = 0.05

// scriptPause is how long a boot script pauses that found nothing to boot yet.
const scriptPause = 10 * time.Second

// logged is what a line of the server's log tells of a host's waits.
type logged struct {
	Message string    `json:"message"`
	Path    string    `json:"path"`
	Took    float64   `json:"took"` // milliseconds
	Time    time.Time `json:"time"` // whole seconds
}

// waited is for what a host waited that was muster's doing. The log is of a
// site with one host and with an order that was started before it was powered
// on, so nothing in it waits for a person.
type waited struct {
	answers time.Duration // requests that muster had to think about: all but those for files
	scout   time.Duration // between a scout's question or report and its next question
	scripts time.Duration // pauses of scripts that had nothing to boot
}

func (w waited) sum() time.Duration { return w.answers + w.scout + w.scripts }

// waits reads the server's log.
func waits(path string) (waited, error) {
	f, err := os.Open(path)
	if err != nil {
		return waited{}, err
	}
	defer f.Close()
	return sumWaits(f)
}

// sumWaits takes the log apart. Between a scout's question and its report it
// reads the hardware: that is work. Between a question or report and the next
// question it only waits, because it was told to or because that is how muster
// made it.
func sumWaits(log io.Reader) (waited, error) {
	var w waited
	var idle time.Time // since when the scout has nothing to do; zero: it is not running, or at work
	lines := bufio.NewScanner(log)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var l logged
		if json.Unmarshal(lines.Bytes(), &l) != nil {
			continue // a line for people
		}
		switch {
		case l.Message == "nothing to boot; the host is told to wait":
			w.scripts += scriptPause
			continue
		case l.Message != "boot plane request" || isFile(l.Path):
			continue
		}
		took := time.Duration(l.Took * float64(time.Millisecond))
		w.answers += took
		question := strings.HasSuffix(l.Path, "/instruction")
		if question && !idle.IsZero() {
			w.scout += max(0, l.Time.Sub(idle)-took)
		}
		idle = time.Time{}
		if question || strings.HasSuffix(l.Path, "/report") {
			idle = l.Time
		}
	}
	return w, lines.Err()
}

// isFile tells paths whose time is the wire's and the reader's.
func isFile(path string) bool {
	return strings.HasPrefix(path, "/image/") || strings.HasPrefix(path, "/loader/")
}

// printShare prints what muster added to a host's way, and is an error where
// that is more than it may be.
func printShare(out io.Writer, w waited, total time.Duration) error {
	share := w.sum().Seconds() / total.Seconds()
	fmt.Fprintf(out, "  %-16s %8.1f  power-on to registered\n", "total", total.Seconds())
	fmt.Fprintf(out, "  %-16s %8.2f  %.2f %% of it (goal: under %.0f %%), of which\n", "muster", w.sum().Seconds(), 100*share, 100*maxShare)
	fmt.Fprintf(out, "  %-16s %8.2f  answering what is not a file\n", "", w.answers.Seconds())
	fmt.Fprintf(out, "  %-16s %8.2f  the scout told to wait, or pausing between report and question; to a second\n", "", w.scout.Seconds())
	fmt.Fprintf(out, "  %-16s %8.2f  boot scripts told to wait\n", "", w.scripts.Seconds())
	fmt.Fprintf(out, "  %-16s %8s  not counted: sending files, reading the hardware, pauses of installer and agent\n", "", "")
	if share > maxShare {
		return fmt.Errorf("muster added %.2f %% to the host's way, more than %.0f %%", 100*share, 100*maxShare)
	}
	return nil
}
