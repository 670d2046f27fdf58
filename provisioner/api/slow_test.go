package api

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"
)

// stuck is a reader that took some messages and then no more: its connection
// fails every write when the deadline has passed, as a socket does.
type stuck struct {
	http.ResponseWriter
	takes     int
	deadlines int
}

var errTimeout = errors.New("write timed out")

func (s *stuck) SetWriteDeadline(at time.Time) error {
	if at.After(time.Now()) {
		s.deadlines++
	}
	return nil
}

func (s *stuck) Flush() {}

func (s *stuck) Write(b []byte) (int, error) {
	if s.takes--; s.takes < 0 {
		return 0, errTimeout
	}
	return len(b), nil
}

func TestAReaderThatTakesNothingIsDropped(t *testing.T) {
	w := &stuck{takes: 2}
	messages := make(chan []byte, 3)
	for range 3 {
		messages <- []byte("data: {}\n\n")
	}
	err := writeAll(context.Background(), w, 0, messages)
	if !errors.Is(err, errTimeout) || w.deadlines != 3 {
		t.Errorf("error %v after %d deadlines", err, w.deadlines)
	}
}
