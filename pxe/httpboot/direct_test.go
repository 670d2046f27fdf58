package httpboot

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/muster-boot/muster/pxe/pxetest"
)

// parts answers with loader: a patch, a part of a file, a patch.
type parts struct{ file *os.File }

func newParts(t testing.TB) *parts {
	t.Helper()
	path := filepath.Join(t.TempDir(), "image")
	if err := os.WriteFile(path, loader, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return &parts{f}
}

func (p *parts) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasSuffix(r.URL.Path, "/none") {
		http.NotFound(w, r)
		return
	}
	length := len(loader)
	if strings.HasSuffix(r.URL.Path, "/short") {
		length++ // more is promised than there is
	}
	w.Header().Set("Content-Type", "x/y")
	if !strings.HasSuffix(r.URL.Path, "/unknown") {
		w.Header().Set("Content-Length", fmt.Sprint(length))
	}
	w.Write(loader[:100])
	middle := int64(len(loader) - 200)
	if s, ok := w.(interface {
		SendFile(*os.File, int64, int64) (int64, error)
	}); ok {
		s.SendFile(p.file, 100, middle)
	} else {
		io.Copy(w, io.NewSectionReader(p.file, 100, middle))
	}
	w.Write(loader[len(loader)-100:])
}

// directServer serves parts below /d, direct, and below /n as ever, which also
// tells whether the connection is the standard server's.
func directServer(t testing.TB, h http.Handler, opts Options, p patience) (addr string, stop func() error) {
	t.Helper()
	mounts := []Mount{{Prefix: "/d", Direct: true, Handler: h}, {Prefix: "/n", Handler: h}, {Prefix: "/echo", Handler: http.HandlerFunc(echo)}}
	s := New([]Endpoint{{Network: "srv0", Address: netip.AddrPortFrom(loopback, 0)}}, files{}, autoexec, mounts,
		pxetest.Owners{}, &pxetest.Decider{}, zerolog.Nop(), opts)
	s.patience = p
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	<-s.Ready()
	ended := false
	stop = func() error {
		if ended {
			return nil
		}
		ended = true
		cancel()
		return <-done
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	return s.Bound()[0].String(), stop
}

var patient = patience{headerTime, idleTime}

func dial(t testing.TB, addr string) (*net.TCPConn, *bufio.Reader) {
	t.Helper()
	c, err := net.Dial("tcp4", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(20 * time.Second))
	return c.(*net.TCPConn), bufio.NewReader(c)
}

func get(path string) string { return "GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n" }

// read reads one answer, with its body.
func read(t testing.TB, in *bufio.Reader, method string) (response, *http.Response) {
	t.Helper()
	r, err := http.ReadResponse(in, &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response{r.StatusCode, r.ContentLength, string(body)}, r
}

var (
	whole   = response{200, int64(len(loader)), string(loader)}
	missing = response{404, 19, "404 page not found\n"}
)

func TestAConnectionGoesFromDirectToStandard(t *testing.T) {
	served := make(chan Request, 100)
	addr, _ := directServer(t, newParts(t), Options{Served: func(r Request) { served <- r }}, patient)
	big := "GET /d/a HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 6000) + "\r\n\r\n"
	requests := []struct {
		text string
		want response
	}{
		{get("/d/a"), whole}, {get("/d/a"), whole}, {get("/echo/x"), response{200, 7, "/echo/x"}}, {get("/d/none"), missing}, {get("/d//a"), whole},
		{"POST /d/a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello", whole}, {get("/n/a"), whole}, {big, whole}, {big, whole},
		{"GET /d/a HTTP/1.1\nHost: x\n\n", whole}, {get("/d/none"), missing}, {get("/nowhere"), response{404, 13, "nothing here\n"}}, {get("/d/a"), whole},
	}
	for _, way := range []string{"one by one", "all at once", "in bits"} {
		conn, in := dial(t, addr)
		if way == "all at once" {
			var all strings.Builder
			for _, r := range requests {
				all.WriteString(r.text)
			}
			go io.WriteString(conn, all.String()) // ends with the connection
		}
		for i, r := range requests {
			for len(r.text) > 0 && way != "all at once" {
				n := len(r.text)
				if way == "in bits" {
					n = min(n, 17)
				}
				if _, err := io.WriteString(conn, r.text[:n]); err != nil {
					t.Fatal(err)
				}
				r.text = r.text[n:]
			}
			if got, _ := read(t, in, "GET"); got != r.want {
				t.Fatalf("%s: answer %d: %d, %d bytes of %d", way, i, got.Status, len(got.Body), got.Length)
			}
			if told := <-served; told.Status != r.want.Status || told.Bytes != r.want.Length || told.Stopped || !told.Client.IsValid() {
				t.Errorf("%s: of request %d is told %+v", way, i, told)
			}
		}
	}
}

func TestDirectAnswersKeepTheirHeader(t *testing.T) {
	addr, _ := directServer(t, newParts(t), Options{}, patient)
	for _, c := range []struct {
		name, request string
		want          response
		ends          bool
	}{
		{"HEAD", "HEAD /d/a HTTP/1.1\r\nHost: x\r\n\r\n", response{200, int64(len(loader)), ""}, false},
		{"the last", "GET /d/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", whole, true},
		{"HTTP/1.0", "GET /d/a HTTP/1.0\r\n\r\n", whole, true},
		{"unknown length", get("/d/unknown"), response{200, -1, string(loader)}, true},
	} {
		conn, in := dial(t, addr)
		io.WriteString(conn, get("/d/a"))
		read(t, in, "GET")
		method, _, _ := strings.Cut(c.request, " ")
		io.WriteString(conn, c.request)
		got, r := read(t, in, method)
		if got != c.want || r.Header.Get("Date") == "" || r.Header.Get("Content-Type") != "x/y" {
			t.Errorf("%s: %d, %d bytes of %d, %v", c.name, got.Status, len(got.Body), got.Length, r.Header)
		}
		if !c.ends {
			io.WriteString(conn, get("/d/a"))
			read(t, in, "GET")
			continue
		}
		if _, err := in.ReadByte(); !errors.Is(err, io.EOF) {
			t.Errorf("%s: the connection goes on: %v", c.name, err)
		}
	}
}

// TestBadRequestsGetTheStandardAnswer has them follow a good one.
func TestBadRequestsGetTheStandardAnswer(t *testing.T) {
	addr, _ := directServer(t, newParts(t), Options{}, patient)
	for request, want := range map[string]int{
		"GET /d/a HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 100<<10) + "\r\n\r\n": 431,
		"GET /d/a HTTP/1.1\r\n\r\n":                         400,
		"GET /d/a HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n":   400,
		"GET /d/a HTTP/1.1\r\nHost: x\r\nX: a\x01b\r\n\r\n": 400,
		"GET /d/a HTTP/3.0\r\nHost: x\r\n\r\n":              505,
		"\r\nGET /d/a HTTP/1.1\r\nHost: x\r\n\r\n":          400,
		"GET /d/a HTTP/1.1\r\nHost: x\r\nExpect: y\r\n\r\n": 417,
		"BREW\r\n\r\n": 400,
	} {
		conn, in := dial(t, addr)
		io.WriteString(conn, get("/d/a"))
		read(t, in, "GET")
		io.WriteString(conn, request)
		if r, err := http.ReadResponse(in, nil); err != nil || r.StatusCode != want {
			t.Errorf("%.60q: %v, %v; want %d", request, r, err, want)
		}
	}
}

func TestABodyThatEndsEarlyCutsTheConnection(t *testing.T) {
	addr, _ := directServer(t, newParts(t), Options{}, patient)
	conn, in := dial(t, addr)
	io.WriteString(conn, get("/d/short"))
	r, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(r.Body); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("the part is taken for the whole: %v", err)
	}
}

// TestSlowClientsAreCut sends nothing, or never the end, at once and after one
// request. The patience is long for a client that is only slow to be scheduled.
func TestSlowClientsAreCut(t *testing.T) {
	addr, _ := directServer(t, newParts(t), Options{}, patience{head: 2 * time.Second, idle: 3 * time.Second})
	for _, rest := range []string{"", "G", "GET /d/a HTTP/1.1\r\nHost"} {
		for _, before := range []int{0, 1} {
			t.Run(fmt.Sprintf("%d requests and %q", before, rest), func(t *testing.T) {
				t.Parallel()
				conn, in := dial(t, addr)
				for range before {
					io.WriteString(conn, get("/d/a"))
					read(t, in, "GET")
				}
				io.WriteString(conn, rest)
				if b, err := in.ReadByte(); !errors.Is(err, io.EOF) {
					t.Errorf("%q, %v", b, err)
				}
			})
		}
	}
}

// TestAClientThatVanishesLeavesNothing has many leave in the middle of bodies
// that no socket holds.
func TestAClientThatVanishesLeavesNothing(t *testing.T) {
	p := newParts(t)
	endless := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(1<<40))
		s := w.(*fileRecorder)
		for {
			if _, err := s.SendFile(p.file, 0, int64(len(loader))); err != nil {
				return
			}
		}
	})
	before, open := runtime.NumGoroutine(), descriptors(t)
	served := make(chan Request, 100)
	addr, stop := directServer(t, endless, Options{Connections: 2, Served: func(r Request) { served <- r }}, patient)
	for range 20 { // each needs the slot of one that left
		conn, in := dial(t, addr)
		io.WriteString(conn, get("/d/a"))
		if _, err := in.Peek(1000); err != nil {
			t.Fatal(err)
		}
		conn.Close()
		if got := <-served; !got.Stopped || got.Bytes < 1000 {
			t.Errorf("told %+v", got)
		}
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if now := descriptors(t); now > open+2 { // the poller's own
		t.Errorf("%d descriptors, before %d", now, open)
	}
	for began := time.Now(); runtime.NumGoroutine() > before; runtime.Gosched() { // some are at their very end
		if time.Since(began) > 10*time.Second {
			t.Fatalf("%d goroutines, before %d", runtime.NumGoroutine(), before)
		}
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

func TestSlotsAreFreedHoweverAConnectionEnds(t *testing.T) {
	addr, _ := directServer(t, newParts(t), Options{Connections: 1}, patient)
	for _, requests := range []string{get("/d/a"), get("/d/a") + get("/n/a"), get("/d/a") + get("/n/a") + get("/d/a"), get("/n/a")} {
		conn, in := dial(t, addr)
		io.WriteString(conn, requests)
		for range strings.Count(requests, "GET") {
			if got, _ := read(t, in, "GET"); got != whole {
				t.Fatalf("%q: %d", requests, got.Status)
			}
		}
		conn.Close()
	}
}

func TestStoppingEndsDirectConnections(t *testing.T) {
	entered, goOn := make(chan struct{}), make(chan struct{})
	waits := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/wait") {
			entered <- struct{}{}
			<-goOn
		}
		Bytes(w, r, "text/plain", loader)
	})
	addr, stop := directServer(t, waits, Options{}, patient)
	idle, idleIn := dial(t, addr)
	io.WriteString(idle, get("/d/a"))
	read(t, idleIn, "GET")
	busy, busyIn := dial(t, addr)
	io.WriteString(busy, get("/d/wait"))
	<-entered
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	if _, err := idleIn.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("an idle connection stays open: %v", err)
	}
	select {
	case err := <-stopped:
		t.Fatalf("stopped before the answer under way ended: %v", err)
	default:
	}
	close(goOn)
	if got, _ := read(t, busyIn, "GET"); got.Body != string(loader) {
		t.Errorf("the answer under way has %d bytes", len(got.Body))
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

func TestStoppingCutsWhoeverDoesNotRead(t *testing.T) {
	p := newParts(t)
	addr, stop := directServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for {
			if _, err := w.(*fileRecorder).SendFile(p.file, 0, int64(len(loader))); err != nil {
				return
			}
		}
	}), Options{}, patient)
	conn, in := dial(t, addr)
	io.WriteString(conn, get("/d/a"))
	if _, err := in.Peek(1000); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := stop(); err != nil || time.Since(began) > 2*stopTime {
		t.Errorf("stopped after %v: %v", time.Since(began), err)
	}
}

func TestAHandlerThatPanicsEndsItsConnectionOnly(t *testing.T) {
	addr, _ := directServer(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }), Options{Connections: 1}, patient)
	for range 2 {
		conn, in := dial(t, addr)
		io.WriteString(conn, get("/d/a"))
		if _, err := in.ReadByte(); !errors.Is(err, io.EOF) {
			t.Errorf("got %v", err)
		}
	}
}

// answers are all that a server says to some bytes, without what may differ.
func answers(t *testing.T, addr string, sent []byte) []response {
	t.Helper()
	conn, err := net.Dial("tcp4", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := conn.Write(sent); err == nil {
		conn.(*net.TCPConn).CloseWrite()
	}
	in := bufio.NewReader(conn)
	var out []response
	for {
		r, err := http.ReadResponse(in, nil)
		if err != nil {
			return out
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return out
		}
		said := r.Header.Get("Alpha") + r.Header.Get("Content-Range")
		out = append(out, response{r.StatusCode, int64(len(body)), said + string(body)})
	}
}

// FuzzDirect sends the same bytes to a direct and to an ordinary mount, at once
// and behind a request that others may repeat.
func FuzzDirect(f *testing.F) {
	addr, _ := directServer(f, &image{content: loader[:100]}, Options{}, patient)
	for _, seed := range []string{
		"GET /d/a HTTP/1.1\r\nHost: x\r\n\r\n", "GET /d/a HTTP/1.1\r\nHost: x\r\nRange: bytes=1-2\r\n\r\n", "GET /d/a HTTP/1.1\nHost:x\n\r\n",
		"\r\n", "GET /d/a HTTP/1.0\r\n\r\n", "POST /d/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
		"GET /d/a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabcGET /d/b HTTP/1.1\r\nHost: x\r\n\r\n", "GET /d/a HTTP/1.1\r\nHo",
		"GET http://y/d/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\nGET", "\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		ranged("/d/a", "bytes=3-") + ranged("/d/a", "bytes=-9") + ranged("/d/a", "bytes=5-4") + ranged("/d/a", "bytes=7-8"),
		ranged("/d/a", "bytes=3-4") + ranged("/d/a", "bytes=3-4\r\nX: y") + ranged("/d/a", "bytes=5-6", "Range: bytes=7-8"),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 64<<10 || bytes.Contains(b, []byte("HEAD")) || bytes.Contains(b, []byte("/n/")) {
			return // a HEAD's answer has no body: answers cannot tell
		}
		for _, before := range []string{"", ranged("/d/a", "bytes=1-2")} {
			direct := append([]byte(before), b...)
			ordinary := bytes.ReplaceAll(direct, []byte("/d/"), []byte("/n/"))
			if diff := cmp.Diff(answers(t, addr, ordinary), answers(t, addr, direct)); diff != "" {
				t.Errorf("direct answers after %q differ (-ordinary +direct):\n%s", before, diff)
			}
		}
	})
}

func FuzzHeadEnd(f *testing.F) {
	f.Add([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\nrest"))
	f.Add([]byte("GET / HTTP/1.1\nHost: x\n\nrest"))
	f.Fuzz(func(t *testing.T, b []byte) {
		n := headEnd(b)
		in := bytes.NewReader(b)
		buffered := bufio.NewReader(in)
		r, err := http.ReadRequest(buffered)
		if err != nil {
			return
		}
		if used := len(b) - in.Len() - buffered.Buffered(); r.ContentLength == 0 && len(r.TransferEncoding) == 0 && n != 0 && used != n {
			t.Errorf("the head of %q ends at %d, and is read to %d", b, n, used)
		}
	})
}
