package httpboot

import (
	"bytes"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// repeat is a request and its answer but for the range, and who sends any other.
// BMCs and firmware read an image so: by thousands of requests that differ in
// nothing else. The zero value fits no request.
type repeat struct {
	asks pattern
	says outline
	send sendRange
	told Request // what is told of each
}

// sendRange sends a part of what a handler serves, by the ResponseWriter. An
// error before the first byte refuses to.
type sendRange func(w http.ResponseWriter, offset, length int64) error

// learn notes what repeats the request that was just answered.
func (d *direct) learn(told Request) {
	if d.out.send == nil || told.Status != http.StatusPartialContent || told.Method != http.MethodGet {
		return
	}
	asks, once := patternOf(d.asked)
	says, ofRange := outlineOf(d.answer.header, time.Now())
	if once && ofRange {
		d.repeat = repeat{asks: asks, says: says, send: d.out.send, told: told}
	}
}

// repeats answers what repeats the last request, and returns the next one that
// does not.
func (s *Server) repeats(d *direct) (*http.Request, error) {
	for {
		head, err := d.next()
		if err != nil {
			return nil, err
		}
		asked, ok := d.repeat.of(head)
		if !ok || d.line.of.directs.ended.Load() { // what answers then says that it ends
			return d.take(head, s.isDirect)
		}
		err = s.again(d, asked)
		if errors.Is(err, errRefused) {
			return d.take(head, s.isDirect)
		}
		if err != nil {
			return nil, err
		}
		if _, err := d.in.Discard(len(head)); err != nil {
			return nil, err
		}
	}
}

// errRefused is a request that repeats another and was not answered so.
var errRefused = errors.New("the handler is to be asked")

// again answers a request that repeats the last. An error in the middle cuts
// the connection.
func (s *Server) again(d *direct, asked span) error {
	began := s.opts.Now()
	d.answer.again(&d.repeat.says, asked, began)
	d.out.recorder = recorder{ResponseWriter: d.answer, status: http.StatusPartialContent}
	err := d.repeat.send(&d.out, asked.offset, asked.length)
	if err != nil && d.answer.takeBack() {
		return errRefused
	}
	goesOn := d.answer.finish() && err == nil
	told := d.repeat.told
	told.Bytes, told.Took, told.Stopped = d.out.bytes, s.opts.Now().Sub(began), !goesOn
	s.opts.Served(told)
	if !goesOn {
		return errEnded
	}
	return nil
}

// of finds the range that a head asks for, if it may be answered as before.
func (p *repeat) of(head []byte) (span, bool) {
	if p.send == nil {
		return span{}, false
	}
	value, ok := p.asks.value(head)
	if !ok {
		return span{}, false
	}
	return spanOf(value, p.says.size)
}

// pattern is the head of a request but for the value of its one Range field.
type pattern struct {
	head     []byte
	from, to int // where the value is
}

// patternOf makes a pattern of a head that is plainly right; false if it has no
// Range, or several.
func patternOf(head []byte) (pattern, bool) {
	p := pattern{head: head}
	at, found := 0, 0
	for line := range bytes.Lines(head) {
		name, _, _ := bytes.Cut(line, []byte(":"))
		if at > 0 && bytes.EqualFold(name, []byte("Range")) {
			p.from = at + len(name) + 1
			p.to = at + len(bytes.TrimRight(line, "\r\n"))
			found++
		}
		at += len(line)
	}
	return p, found == 1
}

// value is what another head has in the place of the pattern's value; false if
// it differs elsewhere. What it is may hold anything, also the ends of lines.
func (p pattern) value(head []byte) ([]byte, bool) {
	before, after := p.head[:p.from], p.head[p.to:]
	if len(head) < len(before)+len(after) || !bytes.HasPrefix(head, before) || !bytes.HasSuffix(head, after) {
		return nil, false
	}
	return head[len(before) : len(head)-len(after)], true
}

// span is a run of bytes, never an empty one.
type span struct{ offset, length int64 }

// spanOf is the span that the value of a Range field means of that many bytes
// (RFC 9110, 14.1.2). It knows one range that is plainly written and can be
// satisfied; false leaves all others to those who know all.
func spanOf(value []byte, size int64) (span, bool) {
	set, isBytes := bytes.CutPrefix(bytes.Trim(value, " \t"), []byte("bytes="))
	first, last, isRange := bytes.Cut(set, []byte("-"))
	if !isBytes || !isRange {
		return span{}, false
	}
	from, hasFirst := number(first)
	to, hasLast := number(last)
	switch {
	case !hasFirst && len(first) > 0, !hasLast && len(last) > 0:
		return span{}, false
	case hasFirst && !hasLast:
		to = size - 1
	case !hasFirst: // the last bytes
		from, to = size-min(to, size), size-1
	}
	to = min(to, size-1)
	return span{from, to - from + 1}, from <= to
}

// number reads digits that fit into 63 bits.
func number(digits []byte) (n int64, ok bool) {
	for _, d := range digits {
		if d < '0' || d > '9' {
			return 0, false
		}
		n = n*10 + int64(d-'0')
	}
	return n, len(digits) > 0 && len(digits) <= 18
}

// The fields that a range decides on.
const (
	lengthField = "Content-Length"
	rangeField  = "Content-Range"
)

// outline is the head of a 206 answer but for the date and the range.
type outline struct {
	size                   int64  // of the whole
	before, between, after []byte // what goes around the numbers
	date                   []byte // a part of before
	second                 int64  // of Unix time, that date says
}

// outlineOf is that of an answer with this header; false if it is of no range.
func outlineOf(h http.Header, now time.Time) (outline, bool) {
	_, size, _ := strings.Cut(h.Get(rangeField), "/")
	n, err := strconv.ParseInt(size, 10, 64)
	if err != nil || h.Get(lengthField) == "" {
		return outline{}, false
	}
	o := outline{size: n, second: now.Unix()}
	o.before = appendStatus(nil, http.StatusPartialContent, now)
	date := len(o.before) - len("\r\n") - len(http.TimeFormat)
	o.before = appendFields(o.before, h, func(name string) bool { return name < lengthField })
	o.before = append(o.before, lengthField+": "...)
	o.date = o.before[date:][:len(http.TimeFormat)]
	o.between = appendFields([]byte("\r\n"), h, func(name string) bool { return name > lengthField && name < rangeField })
	o.between = append(o.between, rangeField+": bytes "...)
	o.after = append(strconv.AppendInt([]byte("/"), n, 10), "\r\n"...)
	o.after = append(appendFields(o.after, h, func(name string) bool { return name > rangeField }), "\r\n"...)
	return o, true
}

// appendFields appends the lines of some fields, in the order in which they are
// sent.
func appendFields(b []byte, h http.Header, in func(name string) bool) []byte {
	some := http.Header{}
	for name, values := range h {
		if in(name) {
			some[name] = values
		}
	}
	out := bytes.NewBuffer(b)
	_ = some.Write(out) // memory takes everything
	return out.Bytes()
}

// appendTo appends the head for a span, as [answer.head] writes it.
func (o *outline) appendTo(b []byte, s span, now time.Time) []byte {
	if second := now.Unix(); second != o.second {
		o.second = second
		now.UTC().AppendFormat(o.date[:0], http.TimeFormat)
	}
	b = strconv.AppendInt(append(b, o.before...), s.length, 10)
	b = strconv.AppendInt(append(b, o.between...), s.offset, 10)
	b = strconv.AppendInt(append(b, '-'), s.offset+s.length-1, 10)
	return append(b, o.after...)
}

// appendStatus appends what every answer begins with.
func appendStatus(b []byte, status int, now time.Time) []byte {
	b = append(b, "HTTP/1.1 "...)
	b = append(strconv.AppendInt(b, int64(status), 10), ' ')
	b = append(append(b, http.StatusText(status)...), "\r\nDate: "...)
	return append(now.UTC().AppendFormat(b, http.TimeFormat), "\r\n"...)
}
