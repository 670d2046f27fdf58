package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	v1 "github.com/muster-boot/muster/provisioner/api/v1"
)

// maxEvent bounds one server-sent event, in bytes.
const maxEvent = 4 << 20

// ErrReset says that the journal no longer has what a watch asked for: list
// anew and watch from now on.
var ErrReset = errors.New("the server no longer keeps what happened since then: list anew")

// Watch calls each for everything that happens after a revision (0: from now
// on), in order. It returns the error of each or of ctx, ErrReset, or an
// [Unreachable] when the server went away; watching again from the revision of
// the last event misses nothing.
func (c *Client) Watch(ctx context.Context, after uint64, each func(v1.Event) error) error {
	return c.Follow(ctx, &Following{After: after, Event: each})
}

// Following is a watch that can be gone on with. It is for one goroutine.
type Following struct {
	// After is the revision behind which events begin, 0 for now. It is kept at
	// what has been seen, so that the same Following goes on where it stopped.
	After uint64
	// Opened is called when the server is connected: whatever it does from then
	// on comes as an event. It may be nil.
	Opened func() error
	Event  func(v1.Event) error
}

// Follow watches as [Client.Watch] does; called again it misses nothing.
func (c *Client) Follow(ctx context.Context, f *Following) error {
	path := "/v1/watch"
	if f.After > 0 {
		path += "?after=" + strconv.FormatUint(f.After, 10)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.caller.base+path, nil)
	if err != nil {
		return fmt.Errorf("make request: %w", err)
	}
	resp, err := c.caller.open(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if f.Opened != nil {
		if err := f.Opened(); err != nil {
			return err
		}
	}
	err = f.events(resp.Body)
	if errors.Is(err, errEnded) {
		return c.caller.unreachable(req, err)
	}
	return err
}

// errEnded says that a stream without an end ended.
var errEnded = errors.New("the stream ended")

// events reads server-sent events: fields a line, an empty line ends an event.
func (f *Following) events(stream io.Reader) error {
	lines := bufio.NewScanner(stream)
	lines.Buffer(nil, maxEvent)
	var name, data, id string
	for lines.Scan() {
		field, value, _ := strings.Cut(lines.Text(), ": ")
		switch field {
		case "event":
			name = value
		case "data":
			data = value
		case "id":
			id = value
		case "":
			if err := dispatch(name, data, f.Event); err != nil {
				return err
			}
			if at, err := strconv.ParseUint(id, 10, 64); err == nil {
				f.After = at
			}
			name, data = "", ""
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("%w: %w", errEnded, err)
	}
	return errEnded
}

func dispatch(name, data string, each func(v1.Event) error) error {
	switch name {
	case "reset":
		return ErrReset
	case "entry":
		var ev v1.Event
		if err := json.Unmarshal([]byte(data), &ev); err != nil {
			return fmt.Errorf("read event: %w", err)
		}
		return each(ev)
	}
	return nil // a comment, or a kind that a newer server sends
}
