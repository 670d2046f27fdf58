package httpboot

import (
	"bytes"
	"errors"
	"io"
	"math"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// heldBody is how much of a body waits for its end, so that its length can be
// told; heldSend is how much waits for more to go with it.
const (
	heldBody = 4 << 10
	heldSend = 4 << 10
)

// answer is the ResponseWriter of a direct connection. What goes before a file
// leaves together with it (MSG_MORE, send(2)). It guesses no Content-Type, and a
// long body of unknown length ends with the connection (RFC 9112, 6.3).
type answer struct {
	line   *line
	raw    syscall.RawConn // of the line, while the poller has it
	isHead bool            // answers a HEAD
	ends   bool            // the connection ends with this answer
	header http.Header
	polled bool         // the poller has the line until the end of this answer
	corked bool         // only whole segments leave it
	status int          // 0 before WriteHeader
	length int64        // of the body; unknown while it is held
	sent   int64        // of the body
	held   bytes.Buffer // the body, while its length is unknown
	out    bytes.Buffer // what waits to be sent
	failed error        // of the connection
	way    passage
	step   func(socket uintptr) bool // of way
}

// newAnswer returns the writer for all answers on a connection.
func newAnswer(l *line) (*answer, error) {
	raw, err := l.SyscallConn()
	a := &answer{line: l, raw: raw, header: http.Header{}}
	a.step = a.way.step
	return a, err
}

// unknown is the length of a body that nobody declared.
const unknown = -1

// begin readies the writer for the answer to r, the last one or not.
func (a *answer) begin(r *http.Request, last bool) {
	clear(a.header)
	a.held.Reset()
	a.isHead, a.ends, a.polled = r.Method == http.MethodHead, r.Close || last, false
	a.status, a.length, a.sent = 0, unknown, 0
}

// again readies the writer for the answer to a request that repeats the last.
func (a *answer) again(o *outline, s span, now time.Time) {
	a.status, a.length, a.sent, a.polled = http.StatusPartialContent, s.length, 0, false
	a.out.Write(o.appendTo(a.out.AvailableBuffer(), s, now))
}

// takeBack forgets an answer of which nothing was sent; false if something was.
func (a *answer) takeBack() bool {
	if a.sent > 0 || a.out.Len() == 0 || a.failed != nil {
		return false
	}
	a.out.Reset()
	return true
}

// Header implements [http.ResponseWriter].
func (a *answer) Header() http.Header { return a.header }

// WriteHeader implements [http.ResponseWriter]. Informational answers are not
// sent.
func (a *answer) WriteHeader(status int) {
	if a.status != 0 || status < 200 {
		return
	}
	a.status = status
	if n, err := strconv.ParseInt(a.header.Get("Content-Length"), 10, 64); err == nil && n >= 0 {
		a.length = n
	}
	if a.bodiless() || a.length != unknown {
		a.head()
	}
}

// bodiless tells of answers that never have a body (RFC 9112, 6.3).
func (a *answer) bodiless() bool {
	return a.isHead || a.status == http.StatusNoContent || a.status == http.StatusNotModified
}

// head puts the status line and the header first in what is to be sent.
func (a *answer) head() {
	if a.header.Get("Connection") == "close" {
		a.ends = true
	}
	if a.ends {
		a.header.Set("Connection", "close")
	}
	a.out.Write(appendStatus(a.out.AvailableBuffer(), a.status, time.Now()))
	_ = a.header.Write(&a.out) // memory takes everything
	a.out.WriteString("\r\n")
}

// Write implements [http.ResponseWriter].
func (a *answer) Write(b []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	if a.bodiless() {
		return len(b), nil
	}
	if a.length == unknown && a.held.Len()+len(b) <= heldBody {
		return a.held.Write(b)
	}
	if err := a.unhold(); err != nil {
		return 0, err
	}
	return a.body(b)
}

// unhold sends a body on its way that grew too long to be held.
func (a *answer) unhold() error {
	if a.length != unknown {
		return nil
	}
	a.ends, a.length = true, math.MaxInt64
	a.head()
	_, err := a.body(a.held.Bytes())
	return err
}

// body sends a part of the body, or keeps it for what follows.
func (a *answer) body(b []byte) (int, error) {
	if int64(len(b)) > a.length-a.sent {
		return 0, http.ErrContentLength
	}
	if a.out.Len()+len(b) > heldSend {
		if err := a.flush(true); err != nil {
			return 0, err
		}
	}
	a.sent += int64(len(b))
	if len(b) <= heldSend {
		return a.out.Write(b)
	}
	return len(b), a.transmit(b, a.sent < a.length)
}

// SendFile sends a part of a file, wherever the file's position is.
func (a *answer) SendFile(f *os.File, offset, length int64) (int64, error) {
	a.WriteHeader(http.StatusOK)
	if a.bodiless() {
		return length, nil
	}
	if err := a.unhold(); err != nil {
		return 0, err
	}
	if length > a.length-a.sent {
		return 0, http.ErrContentLength
	}
	if err := a.flush(true); err != nil {
		return 0, err
	}
	a.block()
	n, err := a.sendfile(f, offset, length)
	a.sent += n
	return n, err
}

// finish sends what is left, and tells whether the connection can go on.
func (a *answer) finish() bool {
	a.WriteHeader(http.StatusOK)
	if a.length == unknown && !a.bodiless() {
		a.length = int64(a.held.Len())
		a.header.Set("Content-Length", strconv.FormatInt(a.length, 10))
		a.head()
		a.sent += a.length
		a.out.Write(a.held.Bytes())
	}
	err := a.flush(false)
	if err == nil && a.line.own != nil {
		err = a.unblock()
	}
	if a.corked {
		cork(a.raw, 0)
		a.corked = false
	}
	return err == nil && !a.ends && (a.bodiless() || a.sent == a.length)
}

// flush sends what waits; more is to follow or not.
func (a *answer) flush(more bool) error {
	if a.failed != nil || a.out.Len() == 0 {
		return a.failed
	}
	err := a.transmit(a.out.Bytes(), more)
	a.out.Reset()
	return err
}

// transmit waits until the kernel has taken all of b.
func (a *answer) transmit(b []byte, more bool) error {
	flags := unix.MSG_NOSIGNAL
	if more {
		flags |= unix.MSG_MORE
	}
	a.way = passage{data: b, flags: flags, left: int64(len(b))}
	return a.pass()
}

// sendfile waits until the kernel has taken that part of the file.
func (a *answer) sendfile(f *os.File, offset, length int64) (int64, error) {
	a.way = passage{file: int(f.Fd()), offset: offset, left: length}
	err := a.pass()
	runtime.KeepAlive(f)
	if err == nil && a.way.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	return length - a.way.left, err
}

// pass sends what is on its way, and waits where the kernel takes no more.
func (a *answer) pass() error {
	if a.line.own != nil {
		if a.line.turn(); a.step(a.line.own.Fd()) {
			a.fail(a.way.err)
			return a.failed
		}
		if err := a.unblock(); err != nil {
			return err
		}
	}
	err := a.raw.Write(a.step)
	a.fail(errors.Join(err, a.way.err))
	return a.failed
}

// block leaves the poller, if enough is left of the answer.
func (a *answer) block() {
	if a.length-a.sent < longAnswer || a.line.own != nil || a.polled {
		return
	}
	if !a.corked {
		cork(a.raw, 1)
		a.corked = true
	}
	a.polled = !a.line.block(a.raw)
}

// unblock has the poller wait for the reader again.
func (a *answer) unblock() error {
	a.polled = true
	err := a.line.unblock()
	if err == nil {
		a.raw, err = a.line.SyscallConn()
	}
	a.fail(err)
	return err
}

// passage is what goes into a socket: bytes, or a part of a file.
type passage struct {
	data   []byte // nil: a part of a file
	flags  int    // of the bytes
	file   int    // its descriptor
	offset int64
	left   int64
	err    error // that ended it
}

// step goes on until nothing is left, or nothing more goes, or the kernel has to
// be waited for, which is false.
func (p *passage) step(socket uintptr) bool {
	for p.left > 0 {
		n, err := p.call(int(socket))
		switch {
		case err == nil && n > 0:
			p.left -= int64(n)
		case errors.Is(err, unix.EAGAIN):
			return false
		case !errors.Is(err, unix.EINTR): // or the file ends
			p.err = err
			return true
		}
	}
	return true
}

func (p *passage) call(socket int) (int, error) {
	if p.data == nil {
		return unix.Sendfile(socket, p.file, &p.offset, int(p.left))
	}
	return unix.SendmsgN(socket, p.data[len(p.data)-int(p.left):], nil, nil, p.flags)
}

// fail remembers that the connection takes nothing more.
func (a *answer) fail(err error) {
	if a.failed == nil {
		a.failed = err
	}
}
