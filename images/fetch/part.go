package fetch

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// part is the beginning of a file, and what is needed to go on with it.
type part struct {
	file  *os.File
	note  note
	size  int64 // bytes that are there
	total int64 // bytes of the whole file, 0 where it is not known
}

// note lies beside a part.
type note struct {
	URL       string `json:"url"`
	Validator string `json:"validator"` // tells that the content is still the same; empty: nothing does
	Total     int64  `json:"total"`     // bytes of the whole file, 0 where it is not known
}

// NoteOf is the name of the note beside a part.
func NoteOf(part string) string { return part + ".json" }

func openPart(name, from string) (*part, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	p := &part{file: f}
	if p.size, err = f.Seek(0, io.SeekEnd); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if p.note, err = readNote(name, from); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if p.note.Validator == "" {
		if err := p.restart(); err != nil {
			return nil, errors.Join(err, f.Close())
		}
	}
	return p, nil
}

// readNote reads the note beside a part. One that was cut short, or is of
// another URL, is as good as none.
func readNote(part, from string) (note, error) {
	data, err := os.ReadFile(NoteOf(part))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return note{}, err
	}
	var n note
	if json.Unmarshal(data, &n) != nil || n.URL != from {
		return note{URL: from}, nil
	}
	return n, nil
}

// close makes what has come outlive a power cut.
func (p *part) close() error { return errors.Join(p.file.Sync(), p.file.Close()) }

func (p *part) restart() error {
	p.size = 0
	_, err := p.file.Seek(0, io.SeekStart)
	return errors.Join(err, p.file.Truncate(0))
}

// conditions ask for the rest, if the content has not changed (RFC 9110 §13.1.5).
func (p *part) conditions() http.Header {
	if p.size == 0 {
		return http.Header{}
	}
	return http.Header{"Range": {fmt.Sprintf("bytes=%d-", p.size)}, "If-Range": {p.note.Validator}}
}

// begin reads the heading of an answer and puts the part where its body
// belongs. done: there is nothing to come.
func (p *part) begin(resp *http.Response) (done bool, err error) {
	if e := resp.Header.Get("Content-Encoding"); e != "" && e != "identity" {
		return false, &final{fmt.Errorf("the server sends it encoded as %s, which nobody asked for", e)}
	}
	switch resp.StatusCode {
	case http.StatusOK:
		p.note.Validator = validator(resp.Header)
		p.total = max(resp.ContentLength, 0)
		p.note.Total = p.total
		return false, errors.Join(p.restart(), p.writeNote())
	case http.StatusPartialContent:
		from, total, ok := contentRange(resp.Header.Get("Content-Range"))
		if !ok || from != p.size {
			return false, errors.Join(fmt.Errorf("the server sends the range %q where the rest from byte %d was asked for", resp.Header.Get("Content-Range"), p.size), p.restart())
		}
		if err := p.same(resp.Header, total); err != nil {
			return false, errors.Join(err, p.restart())
		}
		p.total = total
		return false, nil
	case http.StatusRequestedRangeNotSatisfiable:
		if _, total, ok := contentRange(resp.Header.Get("Content-Range")); ok && total == p.size && p.size > 0 {
			return true, nil
		}
		return false, errors.Join(errors.New("the server has less than what came before"), p.restart())
	}
	return false, badStatus(resp)
}

// same refuses the rest of another content. A server that honours If-Range does
// not send one; not all do. An ETag comes with every range of what has one, a
// date need not (RFC 9110 §15.3.7).
func (p *part) same(h http.Header, total int64) error {
	tag, modified := h.Get("ETag"), h.Get("Last-Modified")
	switch {
	case strings.HasPrefix(p.note.Validator, `"`) && tag != p.note.Validator:
		return fmt.Errorf("the content changed meanwhile: its ETag was %s and is %q", p.note.Validator, tag)
	case !strings.HasPrefix(p.note.Validator, `"`) && modified != "" && modified != p.note.Validator:
		return fmt.Errorf("the content changed meanwhile: it was of %s and is of %s", p.note.Validator, modified)
	case p.note.Total > 0 && total > 0 && total != p.note.Total:
		return fmt.Errorf("the content changed meanwhile: it had %d bytes and has %d", p.note.Total, total)
	}
	return nil
}

// badStatus tells a server that is busy from one that says no.
func badStatus(resp *http.Response) error {
	err := fmt.Errorf("the server answers %s", resp.Status)
	switch resp.StatusCode {
	case http.StatusRequestTimeout, http.StatusTooManyRequests:
		return err
	}
	if resp.StatusCode >= http.StatusInternalServerError {
		return err
	}
	return &final{err}
}

// validator is a strong one, which alone may join two halves (RFC 9110
// §13.1.5): an ETag that is not weak, or a date that is older than the answer.
func validator(h http.Header) string {
	if tag := h.Get("ETag"); strings.HasPrefix(tag, `"`) {
		return tag
	}
	modified := h.Get("Last-Modified")
	changed, err := http.ParseTime(modified)
	now, errNow := http.ParseTime(h.Get("Date"))
	if err != nil || errNow != nil || now.Sub(changed) < time.Second { // §8.8.2.2
		return ""
	}
	return modified
}

// contentRange reads "bytes 5-9/10" and "bytes */10" (RFC 9110 §14.4). total is
// 0 where the server does not know it.
func contentRange(text string) (from, total int64, ok bool) {
	span, found := strings.CutPrefix(text, "bytes ")
	span, size, slash := strings.Cut(span, "/")
	if !found || !slash {
		return 0, 0, false
	}
	if size != "*" {
		n, err := strconv.ParseInt(size, 10, 64)
		if err != nil || n < 0 {
			return 0, 0, false
		}
		total = n
	}
	if span == "*" {
		return 0, total, true
	}
	first, _, dash := strings.Cut(span, "-")
	from, err := strconv.ParseInt(first, 10, 64)
	return from, total, dash && err == nil && from >= 0
}

func (p *part) writeNote() error {
	data, err := json.Marshal(p.note)
	if err != nil {
		return err
	}
	return os.WriteFile(NoteOf(p.file.Name()), data, 0o600)
}

// lookEvery is how often it is asked whether there is still space, in bytes.
const lookEvery = 16 << 20

// take appends the body until the file is whole.
func (p *part) take(body io.Reader, o Options) (came int64, err error) {
	if o.Max > 0 {
		body = io.LimitReader(body, o.Max-p.size+1)
	}
	looked := p.size
	sink := writerFunc(func(b []byte) (int, error) {
		n, err := p.file.Write(b)
		p.size += int64(n)
		if err == nil && p.size-looked >= lookEvery {
			looked, err = p.size, o.fits(p.total)
		}
		if o.Progress != nil && n > 0 {
			o.Progress(p.size, p.total)
		}
		return n, err
	})
	came, err = io.CopyBuffer(sink, body, make([]byte, 1<<20))
	switch {
	case err != nil:
		return came, err
	case o.Max > 0 && p.size > o.Max:
		return came, o.fits(p.size)
	case p.total > 0 && p.size != p.total:
		return came, fmt.Errorf("%d bytes came of %d: %w", p.size, p.total, io.ErrUnexpectedEOF)
	}
	return came, nil
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }
