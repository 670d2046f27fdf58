package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/muster-boot/muster/provisioner"
	v1 "github.com/muster-boot/muster/provisioner/api/v1"
	"github.com/muster-boot/muster/provisioner/store"
)

// Times of a watch.
const (
	heartbeat    = 15 * time.Second // a comment, so that both ends notice a dead connection
	writeTimeout = 10 * time.Second // a reader that takes longer is dropped, and resumes by revision
)

// watch streams journal entries as server-sent events (WHATWG HTML §9.2). The
// id of an event is the revision that its commit made.
func (p *people) watch(r *http.Request) Response {
	after, err := p.resumeAt(r)
	if err != nil {
		return fail(err)
	}
	return Response{Status: http.StatusOK, Stream: func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", "text/event-stream")
		// Every error here is an end that the reader sees, or has made itself.
		_ = p.stream(r.Context(), w, after)
	}}
}

// resumeAt is the revision that the reader has seen already: what it says, or now.
func (p *people) resumeAt(r *http.Request) (uint64, error) {
	text := r.Header.Get("Last-Event-ID")
	if text == "" {
		text = r.URL.Query().Get("after")
	}
	if text == "" {
		return p.Store.Revision(r.Context())
	}
	after, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, invalid("Last-Event-ID %q is no revision", text)
	}
	return after, nil
}

// stream follows the journal until the reader goes, is too slow, or muster stops.
func (p *people) stream(ctx context.Context, w http.ResponseWriter, after uint64) error {
	g, ctx := errgroup.WithContext(ctx)
	messages := make(chan []byte)
	g.Go(func() error { return p.follow(ctx, after, messages) })
	g.Go(func() error { return writeAll(ctx, w, after, messages) })
	return g.Wait()
}

// follow turns commits into messages. Where the journal no longer has what the
// reader missed, or never had it (another store has taken its place), it says
// reset: list anew, then go on from here.
func (p *people) follow(ctx context.Context, after uint64, messages chan<- []byte) error {
	for {
		now, err := p.Store.Revision(ctx)
		if err != nil {
			return err
		}
		if err = store.ErrCompacted; after <= now {
			err = p.pass(ctx, &after, messages)
		}
		if !errors.Is(err, store.ErrCompacted) {
			return err
		}
		after = now
		if err := hand(ctx, messages, fmt.Appendf(nil, "event: reset\nid: %d\ndata: {}\n\n", after)); err != nil {
			return err
		}
	}
}

// pass hands messages on until it cannot, and keeps after at the last of them.
func (p *people) pass(ctx context.Context, after *uint64, messages chan<- []byte) error {
	return p.Store.Follow(ctx, *after, func(revision uint64, entries []provisioner.Entry) error {
		message, err := p.message(ctx, revision, entries)
		if err != nil {
			return err
		}
		*after = revision
		return hand(ctx, messages, message)
	})
}

func hand(ctx context.Context, messages chan<- []byte, message []byte) error {
	select {
	case messages <- message:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// message is all entries of one commit. Only the last carries the id: a reader
// that got half of them resumes before the commit.
func (p *people) message(ctx context.Context, revision uint64, entries []provisioner.Entry) ([]byte, error) {
	var b bytes.Buffer
	for i, e := range entries {
		event := v1.Event{Revision: revision, Entry: EntryShape(e)}
		h, err := p.Store.Host(ctx, e.Host)
		if err == nil {
			shape, err := p.hostShape(ctx, h)
			if err != nil {
				return nil, err
			}
			event.Host = &shape
		} else if provisioner.KindOf(err) != provisioner.NotFound {
			return nil, err
		}
		data, err := json.Marshal(event)
		if err != nil {
			return nil, err
		}
		if i == len(entries)-1 {
			fmt.Fprintf(&b, "id: %d\n", revision)
		}
		fmt.Fprintf(&b, "event: entry\ndata: %s\n\n", data)
	}
	return b.Bytes(), nil
}

// writeAll writes messages, and a heartbeat where there are none for a while. The
// first bytes tell the reader that it is connected, and since when.
func writeAll(ctx context.Context, w http.ResponseWriter, after uint64, messages <-chan []byte) error {
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	message := fmt.Appendf(nil, ": muster\nid: %d\n\n", after)
	for {
		if err := write(w, message); err != nil {
			return err
		}
		select {
		case message = <-messages:
		case <-beat.C:
			message = []byte(": still here\n\n")
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func write(w http.ResponseWriter, message []byte) error {
	control := http.NewResponseController(w)
	if err := control.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	if _, err := w.Write(message); err != nil {
		return err
	}
	return control.Flush()
}
