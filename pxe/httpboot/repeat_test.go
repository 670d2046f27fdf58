package httpboot

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// image serves its content by ranges and lets the connection repeat its answers. Each
// says in its header all of the request but the range.
type image struct {
	asked   atomic.Int64 // how often the handler was
	sent    atomic.Int64 // how often a connection repeated
	refuses atomic.Bool
	breaks  atomic.Bool // in the middle
	content []byte
	file    *os.File // with the content in it; nil: it is sent from memory
}

func (i *image) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.asked.Add(1)
	if i.refuses.Load() {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "x/y")
	w.Header().Set("Etag", `"x"`)
	w.Header().Set("Alpha", saidOf(r))
	if repeater, ok := w.(interface {
		Repeat(func(w http.ResponseWriter, offset, length int64) error)
	}); ok {
		repeater.Repeat(i.send)
	}
	http.ServeContent(w, r, "", time.Unix(1e9, 0), bytes.NewReader(i.content))
}

// saidOf is a request without its range, and whichever mount it is for.
func saidOf(r *http.Request) string {
	rest := r.Header.Clone()
	rest.Del("Range")
	var text strings.Builder
	_ = rest.Write(&text) // memory takes everything
	return strings.NewReplacer("\r\n", " ", "/n", "/d").Replace(r.Method + " " + r.Host + " " + r.URL.String() + " " + text.String())
}

func (i *image) send(w http.ResponseWriter, offset, length int64) error {
	if i.refuses.Load() {
		return errors.New("refused")
	}
	i.sent.Add(1)
	if i.breaks.Load() {
		length /= 2
	}
	if i.file == nil {
		_, err := w.Write(i.content[offset : offset+length])
		return err
	}
	_, err := w.(*fileRecorder).SendFile(i.file, offset, length)
	return err
}

// ranged is a request of a range, with other lines.
func ranged(path, value string, lines ...string) string {
	return "GET " + path + " HTTP/1.1\r\nHost: x\r\nRange: " + value + "\r\n" + strings.Join(append(lines, ""), "\r\n") + "\r\n"
}

// rawAnswer reads an answer as it comes, without its date.
func rawAnswer(t *testing.T, in *bufio.Reader, method string) string {
	t.Helper()
	var head strings.Builder
	for !strings.HasSuffix(head.String(), "\r\n\r\n") {
		line, err := in.ReadString('\n')
		if err != nil {
			t.Fatalf("after %q: %v", head.String(), err)
		}
		if !strings.HasPrefix(line, "Date: ") {
			head.WriteString(line)
		}
	}
	r, err := http.ReadResponse(bufio.NewReader(io.MultiReader(strings.NewReader(head.String()), in)), &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	body := make([]byte, max(0, r.ContentLength))
	if method != "HEAD" {
		if _, err := io.ReadFull(in, body); err != nil {
			t.Fatal(err)
		}
	}
	return head.String() + string(body)
}

func TestRequestsThatDifferInTheirRangeOnlyAreRepeated(t *testing.T) {
	served := make(chan Request, 1000)
	i := &image{content: loader, file: newParts(t).file}
	addr, _ := directServer(t, i, Options{Served: func(r Request) { served <- r }}, patient)
	conn, in := dial(t, addr)
	fresh := 0
	for _, c := range []struct {
		text   string
		repeat bool
	}{
		{ranged("/d/a", "bytes=0-9"), false}, // the first
		{ranged("/d/a", "bytes=10-4095"), true},
		{ranged("/d/a", "bytes=99990-"), true},
		{ranged("/d/a", "bytes=-5"), true},
		{ranged("/d/a", " bytes=-99999999 "), true},
		{ranged("/d/a", "bytes=5-99999999"), true},
		{ranged("/d/b", "bytes=5-6"), false}, // another path
		{ranged("/d/b", "bytes=6-7"), true},
		{ranged("/d/b", "bytes=6-7", "X: y"), false}, // another field
		{ranged("/d/b", "bytes=7-8", "X: y"), true},
		{ranged("/d/b", "bytes=7-8", "X: z"), false}, // another value
		{ranged("/d/b", "bytes=0-1,3-4", "X: z"), false},
		{ranged("/d/b", "bytes=7-8", "X: z"), false}, // the answer before was of two
		{ranged("/d/b", "bytes=8-7", "X: z"), false},
		{ranged("/d/b", "bytes=8-8", "X: z"), false}, // the answer before was 416
		{ranged("/d/b", "bytes=8-9", "X: z"), true},
		{get("/d/b"), false},
		{ranged("/d/b", "bytes=8-9"), false}, // the answer before was the whole
		{"HEAD" + ranged("/d/b", "bytes=8-9")[3:], false},
		{"HEAD" + ranged("/d/b", "bytes=8-9")[3:], false}, // has no body
		{ranged("/d/b", "bytes=8-9", "range: bytes=1-2"), false},
		{ranged("/d/b", "bytes=8-9", "range: bytes=1-2"), false}, // which of the two
		{ranged("/d/b", "bytes=8-9", `If-Range: "x"`), false},
		{ranged("/d/b", "bytes=9-10", `If-Range: "x"`), true},
		{ranged("/d/b", "bytes=8-9", `If-Range: "y"`), false},
		{ranged("/d/b", "bytes=9-10", `If-Range: "y"`), false}, // the whole again
	} {
		method, _, _ := strings.Cut(c.text, " ")
		other, otherIn := dial(t, addr)
		io.WriteString(other, c.text)
		want := rawAnswer(t, otherIn, method)
		<-served
		before := i.sent.Load()
		io.WriteString(conn, c.text)
		got, told := rawAnswer(t, in, method), <-served
		if strings.Contains(want, "multipart") {
			got, want = got[:20], want[:20] // each has its own boundary
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-of the handler +here):\n%.1000s", c.text, diff)
		}
		if repeated := i.sent.Load() > before; repeated != c.repeat {
			t.Errorf("%q is repeated: %t", c.text, repeated)
		}
		if told.Method != method || !strings.HasPrefix(told.Path, "/d/") || told.Stopped || !told.Client.IsValid() || (c.repeat && (told.Status != 206 || told.Bytes == 0)) {
			t.Errorf("of %q is told %+v", c.text, told)
		}
		if !c.repeat {
			fresh += 2 // the other connection's, too
		}
	}
	if all := i.asked.Load(); all < int64(fresh) {
		t.Errorf("the handler was asked %d times, want %d at least", all, fresh)
	}
}

func TestWhatIsRefusedOnceItRepeatsIsAskedOfTheHandler(t *testing.T) {
	i := &image{content: loader}
	addr, _ := directServer(t, i, Options{}, patient)
	conn, in := dial(t, addr)
	for _, c := range []struct {
		refuses bool
		want    int
	}{{false, 206}, {false, 206}, {true, 404}, {true, 404}, {false, 206}, {false, 206}} {
		i.refuses.Store(c.refuses)
		io.WriteString(conn, ranged("/d/a", "bytes=3-4"))
		if got, _ := read(t, in, "GET"); got.Status != c.want || c.want == 206 && got.Body != "34" {
			t.Errorf("where it refuses %t: %+v", c.refuses, got)
		}
	}
	if i.sent.Load() != 2 || i.asked.Load() != 4 {
		t.Errorf("%d were repeated and %d asked for", i.sent.Load(), i.asked.Load())
	}
}

func TestARepeatedAnswerThatEndsEarlyCutsTheConnection(t *testing.T) {
	served := make(chan Request, 10)
	i := &image{content: loader}
	addr, _ := directServer(t, i, Options{Served: func(r Request) { served <- r }}, patient)
	conn, in := dial(t, addr)
	io.WriteString(conn, ranged("/d/a", "bytes=0-9"))
	read(t, in, "GET")
	<-served
	i.breaks.Store(true)
	io.WriteString(conn, ranged("/d/a", "bytes=0-9"))
	r, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	if part, err := io.ReadAll(r.Body); !errors.Is(err, io.ErrUnexpectedEOF) || string(part) != "01234" {
		t.Errorf("the part %q is taken for the whole: %v", part, err)
	}
	if told := <-served; !told.Stopped || told.Bytes != 5 {
		t.Errorf("told %+v", told)
	}
}

func TestTheDateOfARepeatedAnswerIsThatOfItsSecond(t *testing.T) {
	now := time.Unix(1e9, 0)
	h := http.Header{"Content-Length": {"5"}, "Content-Range": {"bytes 0-4/100"}, "Content-Location": {"/x"}, "Accept-Ranges": {"bytes"}, "Etag": {"x"}, "Content-Type": {"x/y"}}
	o, ok := outlineOf(h, now)
	if !ok {
		t.Fatal("a range is taken for none")
	}
	for _, later := range []time.Duration{0, time.Second / 2, time.Second, 90 * time.Minute} {
		var out bytes.Buffer
		h.Set("Content-Length", "2")
		h.Set("Content-Range", "bytes 7-8/100")
		_ = h.Write(&out)
		want := "HTTP/1.1 206 Partial Content\r\nDate: " + now.Add(later).UTC().Format(http.TimeFormat) + "\r\n" + out.String() + "\r\n"
		if diff := cmp.Diff(want, string(o.appendTo(nil, span{7, 2}, now.Add(later)))); diff != "" {
			t.Errorf("%v later (-want +got):\n%s", later, diff)
		}
	}
}

// FuzzRepeat holds a second head that is taken for a repetition of the first, and
// the range that it is taken to ask for, against the standard library.
func FuzzRepeat(f *testing.F) {
	for _, value := range []string{"bytes=1-2", "bytes=-7", "bytes=5-", " bytes=0-0\t", "bytes=0-99999999999999999999", "bytes=1-2, 4-5", "bytes=\r\nX: y", "bytes=1-2\r\nRange: bytes=3-4", "bytes=--1", "bytes=-0", "bytes=+1-2"} {
		f.Add([]byte(ranged("/d/a", "bytes=0-1", "X: y")), []byte(ranged("/d/a", value, "X: y")), int64(100))
		f.Add([]byte("GET / HTTP/1.1\nrange:bytes=0-1\nHost: x\n\n"), []byte("GET / HTTP/1.1\nrange:"+value+"\nHost: x\n\n"), int64(3))
	}
	f.Fuzz(func(t *testing.T, first, second []byte, size int64) {
		if size < 1 || !plainHead(first) || headEnd(first) != len(first) {
			return
		}
		p, ok := patternOf(first)
		one, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(first)))
		if !ok || err != nil || headEnd(second) != len(second) {
			return
		}
		value, ok := p.value(second)
		if !ok {
			return
		}
		asked, ok := spanOf(value, size)
		if !ok {
			return
		}
		other, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(second)))
		if err != nil || saidOf(one) != saidOf(other) || one.Proto != other.Proto || one.RequestURI != other.RequestURI || len(other.Header["Range"]) != 1 {
			t.Fatalf("%q is taken to repeat %q: %v", second, first, err)
		}
		w := httptest.NewRecorder()
		http.ServeContent(&unwritten{w}, &http.Request{Method: "GET", Header: http.Header{"Range": other.Header["Range"]}}, "", time.Time{}, io.NewSectionReader(nothingThere{}, 0, size))
		if want := fmt.Sprintf("bytes %d-%d/%d", asked.offset, asked.offset+asked.length-1, size); w.Code != http.StatusPartialContent || w.Header().Get("Content-Range") != want {
			t.Errorf("%q of %d bytes is %d %q, and taken for %q", other.Header["Range"], size, w.Code, w.Header().Get("Content-Range"), want)
		}
	})
}

// unwritten takes no body, nothingThere has none.
type unwritten struct{ *httptest.ResponseRecorder }

func (unwritten) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

type nothingThere struct{}

func (nothingThere) ReadAt(b []byte, _ int64) (int, error) { return len(b), nil }
