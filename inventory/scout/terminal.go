package scout

import (
	"bytes"
	"fmt"
	"io"
	"time"
)

// lines is how many writes wait for a terminal that takes none.
const lines = 256

// terminal is a console that may stop taking anything, as a serial line with
// flow control and nobody at its end does. What it is told waits in a queue;
// what finds the queue full is left out, and that is said.
type terminal struct {
	queue   chan printed
	missing int // writes left out since the last that was not
}

// printed is something to print, or a question whether all before is.
type printed struct {
	text []byte
	done chan<- struct{}
}

// newTerminal prints from a goroutine that nobody waits for: it lives as long
// as the system, and a terminal that blocks would never give it back.
func newTerminal(w io.Writer) *terminal {
	t := &terminal{queue: make(chan printed, lines)}
	go func() {
		for p := range t.queue {
			if p.done != nil {
				close(p.done)
				continue
			}
			_, _ = w.Write(p.text) // nobody could be told
		}
	}()
	return t
}

// Write never waits and never fails. It is for one goroutine at a time.
func (t *terminal) Write(p []byte) (int, error) {
	text := bytes.Clone(p)
	if t.missing > 0 {
		text = append(fmt.Appendf(nil, "(%d lines are missing here: the terminal did not take them.)\n", t.missing), text...)
	}
	select {
	case t.queue <- printed{text: text}:
		t.missing = 0
	default:
		t.missing++
	}
	return len(p), nil
}

// drain waits until all is printed, at most so long.
func (t *terminal) drain(most time.Duration) {
	timer := time.NewTimer(most)
	defer timer.Stop()
	done := make(chan struct{})
	select {
	case t.queue <- printed{done: done}:
	case <-timer.C:
		return
	}
	select {
	case <-done:
	case <-timer.C:
	}
}

// everyTerminal is several at once.
type everyTerminal []*terminal

func (e everyTerminal) Write(p []byte) (int, error) {
	for _, t := range e {
		_, _ = t.Write(p) // never fails
	}
	return len(p), nil
}

func (e everyTerminal) drain(most time.Duration) {
	for _, t := range e {
		t.drain(most)
	}
}
