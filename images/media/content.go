package media

import (
	"errors"
	"fmt"
	"io"
	"net/http"

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
	info, err := m.Base.Stat()
	if err != nil {
		return nil, err
	}
	if m.Overlay == nil {
		return &content{ReaderAt: m.Base, medium: m, size: info.Size()}, nil
	}
	return &content{ReaderAt: m.Overlay.On(m.Base), medium: m, size: m.Overlay.Size()}, nil
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

// chunk is how much goes to the network between two calls of Progress.
const chunk = 1 << 20

// copy writes the next n bytes to w, segment by segment.
func (c *content) copy(w io.Writer, n int64) (written int64, err error) {
	for written < n && c.at < c.size {
		for _, s := range c.segments(min(chunk, n-written)) {
			m, err := c.segment(w, s)
			written += m
			c.passed(m)
			if err != nil {
				return written, err
			}
		}
	}
	return written, nil
}

// segments are those of the next n bytes.
func (c *content) segments(n int64) []overlay.Segment {
	if c.medium.Overlay != nil {
		return c.medium.Overlay.Segments(c.at, n)
	}
	return []overlay.Segment{{Offset: c.at, Length: min(n, c.size-c.at)}}
}

// segment writes one. A part of the base is given to w as a limited file: what
// the net package hands to sendfile, and it moves the file's position.
func (c *content) segment(w io.Writer, s overlay.Segment) (int64, error) {
	if s.Data != nil {
		n, err := w.Write(s.Data)
		return int64(n), err
	}
	if _, err := c.medium.Base.Seek(s.Offset, io.SeekStart); err != nil {
		return 0, err
	}
	n, err := io.Copy(w, &io.LimitedReader{R: c.medium.Base, N: s.Length})
	if err == nil && n < s.Length {
		err = fmt.Errorf("the image ends at byte %d: %w", s.Offset+n, io.ErrUnexpectedEOF)
	}
	return n, err
}

// sender is a ResponseWriter that knows content when it is copied to it.
type sender struct {
	http.ResponseWriter
	content *content
}

// ReadFrom implements [io.ReaderFrom].
func (s *sender) ReadFrom(r io.Reader) (int64, error) {
	if limited, ok := r.(*io.LimitedReader); ok && limited.R == io.Reader(s.content) {
		n, err := s.content.copy(s.ResponseWriter, limited.N)
		limited.N -= n
		return n, err
	}
	return io.Copy(s.ResponseWriter, r)
}
