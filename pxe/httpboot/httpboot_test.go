package httpboot

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/muster-boot/muster/pxe"
	"github.com/muster-boot/muster/pxe/pxetest"
)

var (
	testMAC  = net.HardwareAddr{0x52, 0x54, 0, 0, 0, 1}
	loopback = netip.MustParseAddr("127.0.0.1")
	loader   = bytes.Repeat([]byte("0123456789"), 10_000)
)

type files map[string][]byte

func (f files) File(name string) ([]byte, bool) { data, ok := f[name]; return data, ok }

func autoexec(url string) (string, error) { return "chain " + url, nil }

// site is a running server and what it said of its requests.
type site struct {
	addr    string
	decider *pxetest.Decider
	served  chan Request
}

func newSite(t *testing.T, a pxe.Answer, mounts ...Mount) *site {
	t.Helper()
	st := &site{
		decider: &pxetest.Decider{Answers: map[string]pxe.Answer{testMAC.String(): a}},
		served:  make(chan Request, 100),
	}
	s := New(
		[]Endpoint{{Network: "srv0", Address: netip.AddrPortFrom(loopback, 0)}},
		files{"ipxe.efi": loader}, autoexec, mounts, pxetest.Owners{loopback: testMAC}, st.decider, zerolog.Nop(),
		Options{Served: func(r Request) { st.served <- r }},
	)
	pxetest.Serve(t, s.Run, s.Ready())
	st.addr = s.Bound()[0].String()
	return st
}

// response is what a client sees of an answer.
type response struct {
	Status int
	Length int64
	Body   string
}

// ask sends a request whose path goes on the wire as it is.
func (st *site) ask(t *testing.T, method, path string, headers ...string) (response, http.Header) {
	t.Helper()
	conn, err := net.Dial("tcp4", st.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	lines := append([]string{method + " " + path + " HTTP/1.1", "Host: muster", "Connection: close"}, headers...)
	if _, err := io.WriteString(conn, strings.Join(lines, "\r\n")+"\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response{resp.StatusCode, resp.ContentLength, string(body)}, resp.Header
}

// echo answers with the path that it saw.
func echo(w http.ResponseWriter, r *http.Request) {
	Bytes(w, r, "text/plain", []byte(r.URL.Path))
}

func TestPathsAreCleanedWithoutRedirect(t *testing.T) {
	st := newSite(t, pxe.Answer{Serve: true}, Mount{Prefix: "/boot", Handler: http.HandlerFunc(echo)})
	none := response{404, 13, "nothing here\n"}
	for path, want := range map[string]response{
		"/boot/a":                  {200, 7, "/boot/a"},
		"/boot":                    {200, 5, "/boot"},
		"/boot/":                   {200, 5, "/boot"},
		"//boot//a":                {200, 7, "/boot/a"},
		"/boot/./a":                {200, 7, "/boot/a"},
		"/x/../boot/a":             {200, 7, "/boot/a"},
		"/boot/%61":                {200, 7, "/boot/a"},
		"/boot%2fa":                {200, 7, "/boot/a"},
		"/boot/../etc/passwd":      none,
		"/boot/%2e%2e/etc/passwd":  none,
		"/boot/..%2f..%2fetc":      none,
		"/../../../etc/passwd":     none,
		"/boot%5c..%5cetc":         none,
		"/boot/a%00b":              none,
		"/boot/a%0ab":              none,
		"/bootx":                   none,
		"/":                        none,
		"*":                        none,
		"http://other/boot/a":      {200, 7, "/boot/a"},
		"/v1/hosts":                none,
		"/boot/a?x=../../etc#frag": {200, 7, "/boot/a"},
	} {
		if got, _ := st.ask(t, "GET", path); got != want {
			t.Errorf("%s: %+v, want %+v", path, got, want)
		}
	}
}

func TestLoaderIsServedExactly(t *testing.T) {
	st := newSite(t, pxe.Answer{Serve: true})
	size := int64(len(loader))
	for _, c := range []struct {
		name, method, path, header string
		want                       response
	}{
		{"GET", "GET", "/loader/ipxe.efi", "", response{200, size, string(loader)}},
		{"doubled slashes", "GET", "//loader//ipxe.efi", "", response{200, size, string(loader)}},
		{"HEAD", "HEAD", "/loader/ipxe.efi", "", response{200, size, ""}},
		{"a range", "GET", "/loader/ipxe.efi", "Range: bytes=10-19", response{206, 10, "0123456789"}},
		{"the last bytes", "GET", "/loader/ipxe.efi", "Range: bytes=-3", response{206, 3, "789"}},
		{"HEAD of a range", "HEAD", "/loader/ipxe.efi", "Range: bytes=10-19", response{206, 10, ""}},
		{"beyond the end", "GET", "/loader/ipxe.efi", "Range: bytes=100000-", response{416, 33, "invalid range: failed to overlap\n"}},
		{"no such loader", "GET", "/loader/ipxe.iso", "", response{404, 13, "nothing here\n"}},
		{"the list of loaders", "GET", "/loader/", "", response{404, 13, "nothing here\n"}},
		{"POST", "POST", "/loader/ipxe.efi", "Content-Length: 0", response{405, 18, "only GET and HEAD\n"}},
	} {
		got, _ := st.ask(t, c.method, c.path, c.header+"\r\nX: y")
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%.300s", c.name, diff)
		}
	}
}

func TestUnservedClientFindsNothing(t *testing.T) {
	private := Mount{Prefix: "/boot", Handler: http.HandlerFunc(echo), Ask: true}
	open := Mount{Prefix: "/token", Handler: http.HandlerFunc(echo)}
	st := newSite(t, pxe.Answer{}, private, open)
	for path, want := range map[string]int{"/loader/ipxe.efi": 404, "/boot/a": 404, "/token/a": 200, "/autoexec.ipxe": 404} {
		if got, _ := st.ask(t, "GET", path); got.Status != want {
			t.Errorf("%s: %d, want %d", path, got.Status, want)
		}
	}
}

func TestHandlerKnowsWhoAsksAndWhere(t *testing.T) {
	var client pxe.Client
	var local netip.AddrPort
	st := newSite(t, pxe.Answer{Serve: true, Script: "/s"}, Mount{Prefix: "/boot", Ask: true, Handler: http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			client, _, _ = Asker(r.Context())
			local, _ = Local(r)
			echo(w, r)
		})})
	st.ask(t, "GET", "/boot/a")
	want := pxe.Client{MAC: testMAC, Arch: pxe.ArchUnknown, Network: "srv0", Address: loopback, Transport: pxe.HTTP}
	if diff := cmp.Diff(want, client, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("client (-want +got):\n%s", diff)
	}
	if local.String() != st.addr {
		t.Errorf("asked on %s, want %s", local, st.addr)
	}
}

func TestAutoexecGoesOnWithTheClientsScript(t *testing.T) {
	st := newSite(t, pxe.Answer{Serve: true, Script: "/boot/a/script.ipxe"})
	for _, path := range []string{"/autoexec.ipxe", "/loader/autoexec.ipxe"} {
		got, _ := st.ask(t, "GET", path)
		if want := "chain http://" + st.addr + "/boot/a/script.ipxe"; got.Body != want {
			t.Errorf("%s: %+v, want %s", path, got, want)
		}
	}
}

func TestMountedRedirectBecomes404(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/m/dir/", echo)
	mux.Handle("/m/go", http.RedirectHandler("/m/dir/", http.StatusFound))
	st := newSite(t, pxe.Answer{Serve: true}, Mount{Prefix: "/m", Handler: mux})
	for _, path := range []string{"/m/dir", "/m/go"} {
		got, h := st.ask(t, "GET", path)
		if want := (response{404, 13, "nothing here\n"}); got != want || h.Get("Location") != "" {
			t.Errorf("%s: %+v to %q, want %+v", path, got, h.Get("Location"), want)
		}
	}
}

func TestEveryRequestIsTold(t *testing.T) {
	st := newSite(t, pxe.Answer{Serve: true})
	st.ask(t, "GET", "/loader//ipxe.efi", "Range: bytes=0-99")
	got := <-st.served
	if got.Method != "GET" || got.Path != "/loader/ipxe.efi" || got.Status != 206 || got.Bytes != 100 || got.Client.Addr() != loopback {
		t.Errorf("told %+v", got)
	}
}

func TestFileIsSentWithoutCopying(t *testing.T) {
	path := filepath.Join(t.TempDir(), "image")
	if err := os.WriteFile(path, loader, 0o600); err != nil {
		t.Fatal(err)
	}
	var readFrom bool
	st := newSite(t, pxe.Answer{Serve: true}, Mount{Prefix: "/file", Handler: http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			_, readFrom = w.(io.ReaderFrom)
			http.ServeFile(w, r, path)
		})})
	got, _ := st.ask(t, "GET", "/file")
	if !readFrom || got.Body != string(loader) {
		t.Errorf("io.ReaderFrom %t, %d bytes", readFrom, len(got.Body))
	}
	if r := <-st.served; r.Bytes != int64(len(loader)) {
		t.Errorf("told of %d bytes", r.Bytes)
	}
}

func TestBodyIsBounded(t *testing.T) {
	var read int64
	var err error
	st := newSite(t, pxe.Answer{Serve: true}, Mount{Prefix: "/report", Handler: http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			read, err = io.Copy(io.Discard, r.Body)
			http.Error(w, "no", http.StatusRequestEntityTooLarge)
		})})
	resp, perr := http.Post("http://"+st.addr+"/report", "x", io.LimitReader(zeroes{}, bodySize+1))
	if perr != nil {
		t.Fatal(perr)
	}
	resp.Body.Close()
	if read > bodySize || err == nil {
		t.Errorf("read %d bytes, %v", read, err)
	}
}

type zeroes struct{}

func (zeroes) Read(b []byte) (int, error) { clear(b); return len(b), nil }

func TestHugeHeaderIsRefused(t *testing.T) {
	st := newSite(t, pxe.Answer{Serve: true})
	got, _ := st.ask(t, "GET", "/loader/ipxe.efi", "X: "+strings.Repeat("x", 64<<10))
	if got.Status != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("got %+v", got)
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	s := New([]Endpoint{{Address: netip.AddrPortFrom(loopback, 0)}}, files{}, autoexec, nil, pxetest.Owners{}, &pxetest.Decider{}, zerolog.Nop(), Options{Connections: 2})
	pxetest.Serve(t, s.Run, s.Ready())
	var conns []net.Conn
	for range 3 {
		c, err := net.Dial("tcp4", s.Bound()[0].String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		conns = append(conns, c)
	}
	answered := func(c net.Conn, wait time.Duration) bool {
		c.SetReadDeadline(time.Now().Add(wait))
		_, err := c.Read(make([]byte, 1))
		return err == nil
	}
	if !answered(conns[0], 10*time.Second) || !answered(conns[1], 10*time.Second) {
		t.Fatal("connections within the bound are not served")
	}
	if answered(conns[2], 100*time.Millisecond) {
		t.Error("a third connection is served")
	}
	conns[0].Close()
	if !answered(conns[2], 10*time.Second) {
		t.Error("the third is not served after the first ended")
	}
}

func TestTakenPortNamesTheProcess(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	at := l.Addr().(*net.TCPAddr).AddrPort()
	s := New([]Endpoint{{Address: at}}, files{}, autoexec, nil, nil, nil, zerolog.Nop(), Options{})
	if err := s.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "is taken by httpboot.test (pid ") {
		t.Errorf("got %v", err)
	}
}

func FuzzClean(f *testing.F) {
	f.Add("/boot/..%2f..%2fetc")
	f.Add("//x//%2e%2e/")
	f.Fuzz(func(t *testing.T, path string) {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader("GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n")))
		if err != nil {
			return
		}
		got, err := clean(r.URL)
		if err != nil {
			return
		}
		if !strings.HasPrefix(got, "/") || strings.Contains(got, "//") || strings.Contains(got+"/", "/../") {
			t.Errorf("%q became %q", path, got)
		}
	})
}
