package media

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/muster-boot/muster/images/overlay"
)

// content is a medium with a position. It reads like any file; sent by a
// [sender], its segments go their own ways.
type content struct {
	io.ReaderAt
	medium Medium
	size   int64
	at     int64
}

func open(m Medium) (*content, error) {
	if m.Overlay != nil {
		return &content{ReaderAt: m.Overlay.On(m.Base), medium: m, size: m.Overlay.Size()}, nil
	}
	info, err := m.Base.Stat()
	if err != nil {
		return nil, err
	}
	return &content{ReaderAt: m.Base, medium: m, size: info.Size()}, nil
}

// Seek implements [io.Seeker].
func (c *content) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += c.at
	case io.SeekEnd:
		offset += c.size
	}
	if offset < 0 {
		return c.at, errors.New("seek before the beginning")
	}
	c.at = offset
	return offset, nil
}

// Read implements [io.Reader]. Answers of several ranges come through here.
func (c *content) Read(b []byte) (int, error) {
	if c.at >= c.size {
		return 0, io.EOF
	}
	n, err := c.ReadAt(b[:min(int64(len(b)), c.size-c.at)], c.at)
	c.passed(int64(n))
	return n, err
}

// passed notes that the next n bytes were handed on.
func (c *content) passed(n int64) {
	c.at += n
	if n > 0 && c.medium.Progress != nil {
		c.medium.Progress(c.at-n, n)
	}
}

// chunkSize is how much goes to the network between two calls of Progress.
const chunkSize = 1 << 20

// copy sends the next n bytes to w, segment by segment.
func (c *content) copy(w FileSender, n int64) (written int64, err error) {
	for written < n && c.at < c.size {
		m, err := c.chunk(w, min(chunkSize, n-written, c.size-c.at))
		written += m
		if err != nil {
			return written, err
		}
	}
	return written, nil
}

// chunk sends the next n bytes to w.
func (c *content) chunk(w FileSender, n int64) (written int64, err error) {
	if c.medium.Overlay == nil {
		return c.segment(w, overlay.Segment{Offset: c.at, Length: n})
	}
	for _, s := range c.medium.Overlay.Segments(c.at, n) {
		m, err := c.segment(w, s)
		written += m
		if err != nil {
			return written, err
		}
	}
	return written, nil
}

// segment sends one, and notes what has gone.
func (c *content) segment(w FileSender, s overlay.Segment) (int64, error) {
	if s.Data != nil {
		n, err := w.Write(s.Data)
		c.passed(int64(n))
		return int64(n), err
	}
	n, err := w.SendFile(c.medium.Base, s.Offset, s.Length)
	c.passed(n)
	if err == nil && n < s.Length {
		err = fmt.Errorf("the image ends at byte %d: %w", s.Offset+n, io.ErrUnexpectedEOF)
	}
	return n, err
}

// again sends a part to a [Repeater], which knows that there is such a part.
func (m Medium) again(w http.ResponseWriter, offset, length int64) error {
	base, release, err := m.Reopen()
	if err != nil {
		return err
	}
	defer release()
	m.Base = base
	c := &content{medium: m, at: offset, size: offset + length}
	_, err = c.copy(w.(FileSender), length)
	return err
}

// sender is a ResponseWriter that knows content when it is copied to it.
type sender struct {
	FileSender
	content *content
}

// ReadFrom implements [io.ReaderFrom].
func (s *sender) ReadFrom(r io.Reader) (int64, error) {
	if limited, ok := r.(*io.LimitedReader); ok && limited.R == io.Reader(s.content) {
		n, err := s.content.copy(s.FileSender, limited.N)
		limited.N -= n
		return n, err
	}
	return io.Copy(struct{ io.Writer }{s.FileSender}, r)
}

// ownFile is how a medium goes to the standard server, which sends files from
// where their position is: by a handle of this request's own.
type ownFile struct {
	http.ResponseWriter
	file *os.File // nil until it is needed
}

// SendFile implements [FileSender].
func (o *ownFile) SendFile(f *os.File, offset, length int64) (int64, error) {
	if o.file == nil {
		own, err := os.Open(fmt.Sprintf("/proc/self/fd/%d", f.Fd()))
		if err != nil {
			return 0, fmt.Errorf("open the image once more: %w", err)
		}
		o.file = own
	}
	if _, err := o.file.Seek(offset, io.SeekStart); err != nil {
		return 0, err
	}
	// A limited file is what the net package hands to sendfile.
	return io.Copy(o.ResponseWriter, &io.LimitedReader{R: o.file, N: length})
}

// close ends the handle; of a file that was only read an error says nothing.
func (o *ownFile) close() {
	if o.file != nil {
		_ = o.file.Close()
	}
}
