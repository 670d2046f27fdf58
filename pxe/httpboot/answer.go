package httpboot

import (
	"bytes"
	"errors"
	"io"
	"math"
	"net/http"
	"os"
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
	raw    syscall.RawConn
	isHead bool // answers a HEAD
	ends   bool // the connection ends with this answer
	header http.Header
	status int          // 0 before WriteHeader
	length int64        // of the body; unknown while it is held
	sent   int64        // of the body
	held   bytes.Buffer // the body, while its length is unknown
	out    bytes.Buffer // what waits to be sent
	failed error        // of the connection
}

// unknown is the length of a body that nobody declared.
const unknown = -1

// begin readies the writer for the answer to r, the last one or not.
func (a *answer) begin(r *http.Request, last bool) {
	clear(a.header)
	a.held.Reset()
	a.isHead, a.ends = r.Method == http.MethodHead, r.Close || last
	a.status, a.length, a.sent = 0, unknown, 0
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
	line := append(a.out.AvailableBuffer(), "HTTP/1.1 "...)
	line = append(strconv.AppendInt(line, int64(a.status), 10), ' ')
	line = append(append(line, http.StatusText(a.status)...), "\r\nDate: "...)
	line = append(time.Now().UTC().AppendFormat(line, http.TimeFormat), "\r\n"...)
	a.out.Write(line)
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
	var sending error
	err := a.raw.Write(func(fd uintptr) bool {
		for len(b) > 0 {
			n, err := unix.SendmsgN(int(fd), b, nil, nil, flags)
			if !again(err) {
				sending = err
				return true
			}
			if errors.Is(err, unix.EAGAIN) {
				return false
			}
			b = b[max(n, 0):]
		}
		return true
	})
	a.fail(errors.Join(err, sending))
	return a.failed
}

// sendfile waits until the kernel has taken that part of the file.
func (a *answer) sendfile(f *os.File, offset, length int64) (sent int64, err error) {
	in, err := f.SyscallConn()
	if err != nil {
		return 0, err
	}
	var reading, sending, waiting error
	reading = in.Control(func(from uintptr) {
		waiting = a.raw.Write(func(to uintptr) bool {
			for sent < length {
				n, err := unix.Sendfile(int(to), int(from), &offset, int(length-sent))
				sent += int64(max(n, 0))
				if !again(err) || err == nil && n == 0 {
					sending = err
					return true
				}
				if errors.Is(err, unix.EAGAIN) {
					return false
				}
			}
			return true
		})
	})
	a.fail(errors.Join(waiting, sending))
	if err := errors.Join(reading, waiting, sending); err != nil {
		return sent, err
	}
	if sent < length {
		return sent, io.ErrUnexpectedEOF
	}
	return sent, nil
}

// again tells whether a system call that ended so is to go on.
func again(err error) bool {
	return err == nil || errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR)
}

// fail remembers that the connection takes nothing more.
func (a *answer) fail(err error) {
	if a.failed == nil {
		a.failed = err
	}
}
