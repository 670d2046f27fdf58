package httpboot

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"slices"
	"time"
)

// directHead is the longest head of a request that is read here. Firmware sends
// some hundred bytes; whoever sends more gets the standard server.
const directHead = 4 << 10

// requestLeast is what the standard server, too, takes for the beginning of
// another request than the first; less is silence, and before an end gets no
// answer.
const requestLeast = 4

// direct is a connection that the standard server has not got yet: it spends
// more on a request than the kernel does on 64 KiB of an image. Only what is
// plainly right is answered here; with the first request that is not, the
// connection goes there as it is, so that all the rest of HTTP has one author.
type direct struct {
	line   *line
	ctx    context.Context // of its requests
	in     *bufio.Reader   // of the line
	answer *answer
	out    fileRecorder // of the present answer
	asked  []byte       // the head of the last request that was not repeated
	repeat repeat
}

// errNotOurs is a request for the standard server.
var errNotOurs = errors.New("a request for the standard server")

// front is where the standard server would accept connections: they begin
// direct, and it gets those that do not stay so from [returns].
type front struct {
	*listener
	server *Server
	ctx    context.Context // of all requests
}

// Accept implements [net.Listener]. It returns errors only.
func (f *front) Accept() (net.Conn, error) {
	for {
		l, err := f.accept()
		if err != nil {
			return nil, err
		}
		if !f.directs.enter(l) {
			_ = l.Close() // the server stops
			continue
		}
		go f.server.direct(f.ctx, l) // stop waits until it left
	}
}

// direct answers what a connection begins with, as long as it is for mounts that
// are Direct.
func (s *Server) direct(ctx context.Context, l *line) {
	defer l.of.directs.leave(l)
	ctx, cancel := context.WithCancel(context.WithValue(ctx, http.LocalAddrContextKey, l.LocalAddr()))
	defer cancel()
	given := false
	defer func() {
		s.survive(recover())
		if !given {
			_ = l.Close() // the client left, or was told
		}
	}()
	d, err := newDirect(ctx, l)
	if err != nil {
		return
	}
	given = errors.Is(s.exchange(d), errNotOurs) && d.giveOn()
}

// survive logs why a handler panicked, which the standard server does, too, and
// goes on.
func (s *Server) survive(cause any) {
	if cause != nil && cause != http.ErrAbortHandler {
		s.log.Error().Any("panic", cause).Bytes("stack", debug.Stack()).Msg("the handler of a boot request panicked")
	}
}

func newDirect(ctx context.Context, l *line) (*direct, error) {
	answer, err := newAnswer(l)
	if err != nil {
		return nil, err
	}
	return &direct{line: l, ctx: ctx, in: bufio.NewReaderSize(l, directHead), answer: answer}, nil
}

// next waits for the head of a request, and leaves it unread.
func (d *direct) next() ([]byte, error) {
	patience, least := d.line.of.patience.idle, requestLeast
	if d.answer.status == 0 { // it is the first
		patience, least = d.line.of.patience.head, 1
	}
	if d.in.Buffered() < least {
		if err := d.wait(patience); err != nil {
			return nil, err
		}
		if _, err := d.in.Peek(least); err != nil {
			return nil, err
		}
	}
	return d.await()
}

// take reads a head as a request that the caller takes; errNotOurs leaves it
// unread.
func (d *direct) take(head []byte, ours func(*http.Request) bool) (*http.Request, error) {
	r, ok := d.parse(head)
	if !ok || !ours(r) {
		return nil, errNotOurs
	}
	d.repeat = repeat{} // it has the bytes of the head before
	d.asked = append(d.asked[:0], head...)
	_, err := d.in.Discard(len(head))
	return r, err
}

// wait sets how long the client may be silent.
func (d *direct) wait(t time.Duration) error { return d.line.of.directs.wait(d.line, t) }

// await reads until there is a whole head.
func (d *direct) await() ([]byte, error) {
	waiting := false
	for {
		have, _ := d.in.Peek(d.in.Buffered())
		if n := headEnd(have); n > 0 {
			return have[:n], nil
		}
		if len(have) == directHead {
			return nil, errNotOurs
		}
		if !waiting {
			if err := d.wait(d.line.of.patience.head); err != nil {
				return nil, err
			}
			waiting = true
		}
		_, err := d.in.Peek(len(have) + 1)
		if errors.Is(err, io.EOF) {
			return nil, errNotOurs // half a request gets its answer, too
		}
		if err != nil {
			return nil, err
		}
	}
}

// parse reads a head, if it is plainly right.
func (d *direct) parse(head []byte) (*http.Request, bool) {
	if !plainHead(head) {
		return nil, false
	}
	in := bufio.NewReaderSize(bytes.NewReader(head), len(head))
	r, err := http.ReadRequest(in)
	if err != nil || in.Buffered() > 0 || !plainRequest(r) {
		return nil, false
	}
	r.RemoteAddr = d.line.RemoteAddr().String()
	return r.WithContext(d.ctx), true
}

// fileRecorder is a recorder whose connection sends parts of files, and repeats.
type fileRecorder struct {
	recorder
	answer *answer
	send   sendRange // of the handler; nil: it is asked for each
}

// Repeat has requests that differ from the present one in their range only
// answered by send, if this one is answered with a range itself. The handler is
// asked again with the first that send refuses.
func (w *fileRecorder) Repeat(send func(w http.ResponseWriter, offset, length int64) error) {
	w.send = send
}

// SendFile sends a part of a file, wherever the file's position is.
func (w *fileRecorder) SendFile(f *os.File, offset, length int64) (int64, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if w.refused {
		return length, nil
	}
	n, err := w.answer.SendFile(f, offset, length)
	w.sending(n, err)
	return n, err
}

// isDirect tells whether r is for a mount that is Direct.
func (s *Server) isDirect(r *http.Request) bool {
	name, err := clean(r.URL)
	if err != nil {
		return false
	}
	m, ok := mountOf(s.mounts, name)
	return ok && m.Direct
}

// errEnded is the end of a connection after an answer.
var errEnded = errors.New("the connection ends with this answer")

// exchange answers requests until there is a reason to end.
func (s *Server) exchange(d *direct) error {
	for {
		r, err := s.repeats(d)
		if err != nil {
			return err
		}
		d.answer.begin(r, d.line.of.directs.ended.Load())
		d.out = fileRecorder{recorder: recorder{ResponseWriter: d.answer}, answer: d.answer}
		told := s.answer(&d.out, &d.out.recorder, r)
		if !d.answer.finish() {
			return errEnded
		}
		d.learn(told)
	}
}

// giveOn hands the connection to the standard server, with all that is not
// answered; false if that takes no more.
func (d *direct) giveOn() bool {
	unread, _ := d.in.Peek(d.in.Buffered()) // what is buffered is there
	d.line.rest = slices.Clone(unread)
	return d.line.SetDeadline(time.Time{}) == nil && d.line.of.returns.give(d.line)
}
