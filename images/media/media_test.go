package media

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/muster-boot/muster/images/overlay"
)

// site serves one image as a plain file and as a host's own.
type site struct {
	*httptest.Server
	plain, host []byte // what each must read as
	read        atomic.Int64
	progress    atomic.Int64
	serving     sync.WaitGroup
}

const etag = `"the-host-s-own"`

var modified = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func newSite(t *testing.T) *site {
	t.Helper()
	base := makeISO(t)
	o := buildOverlay(t, base)
	s := &site{}
	var err error
	if s.plain, err = os.ReadFile(base); err != nil {
		t.Fatal(err)
	}
	s.host = make([]byte, o.Size())
	if _, err := o.ReadAt(s.host, 0); err != nil {
		t.Fatal(err)
	}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.serving.Add(1)
		defer s.serving.Done()
		f, err := os.Open(base)
		if err != nil {
			t.Error(err)
			return
		}
		defer f.Close()
		m := Medium{Name: r.URL.Path, Base: f, ETag: etag, Modified: modified, Progress: func(_, n int64) { s.progress.Add(n) }}
		if strings.HasPrefix(r.URL.Path, "/host") {
			m.Overlay = o
		}
		Serve(countedWriter{w, &s.read}, r, m)
	}))
	t.Cleanup(s.Close)
	return s
}

// makeISO makes an image of a few megabytes.
func makeISO(t testing.TB) string {
	t.Helper()
	tree := t.TempDir()
	for name, size := range map[string]int{"boot/kernel": 100_001, "rootfs.squashfs": 3 << 20, "boot/grub/grub.cfg": 0} {
		content := bytes.Repeat([]byte(name+"|"), size/len(name)+1)[:size]
		if size == 0 {
			content = []byte("linux /boot/kernel quiet\n")
		}
		path := filepath.Join(tree, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "base.iso")
	if _, err := exec.LookPath("xorriso"); err != nil && os.Geteuid() != 0 {
		t.Skip("xorriso is not installed; make lab installs it")
	}
	if out, err := exec.Command("xorriso", "-as", "mkisofs", "-R", "-J", "-o", path, tree).CombinedOutput(); err != nil {
		t.Fatalf("xorriso: %v (install it with make lab)\n%s", err, out)
	}
	return path
}

func buildOverlay(t testing.TB, base string) *overlay.Overlay {
	t.Helper()
	f, err := os.Open(base)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	x, err := overlay.Scan(f, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	o, err := overlay.Build(f, x, []overlay.Change{
		{Path: "/autoinstall.yaml", Content: []byte("#cloud-config\n")},
		{Path: "/boot/zz.yaml", Content: bytes.Repeat([]byte("z"), 5000)},
		{Args: []string{"console=ttyS0"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// countedWriter counts what passes through the program; what the kernel sends
// does not.
type countedWriter struct {
	http.ResponseWriter
	n *atomic.Int64
}

func (c countedWriter) Write(b []byte) (int, error) {
	c.n.Add(int64(len(b)))
	return c.ResponseWriter.Write(b)
}

// ReadFrom wants what the net package hands to sendfile: a limited file.
func (c countedWriter) ReadFrom(r io.Reader) (int64, error) {
	if limited, ok := r.(*io.LimitedReader); ok {
		if _, ok := limited.R.(*os.File); ok {
			return c.ResponseWriter.(io.ReaderFrom).ReadFrom(r)
		}
	}
	return io.Copy(struct{ io.Writer }{c}, r)
}

// get asks, and returns the answer with its body read.
func (s *site) get(t testing.TB, method, path string, headers ...string) (*http.Response, []byte) {
	t.Helper()
	r, err := http.NewRequest(method, s.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	response, err := s.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, body
}

func TestAnswersAreExact(t *testing.T) {
	s := newSite(t)
	size := len(s.host)
	for _, tt := range []struct {
		name    string
		method  string
		headers []string
		status  int
		rang    string
		body    []byte
	}{
		{"whole", "GET", nil, 200, "", s.host},
		{"first bytes", "GET", []string{"Range: bytes=0-9"}, 206, fmt.Sprintf("bytes 0-9/%d", size), s.host[:10]},
		{"from the middle", "GET", []string{"Range: bytes=40000-"}, 206, fmt.Sprintf("bytes 40000-%d/%d", size-1, size), s.host[40000:]},
		{"suffix", "GET", []string{"Range: bytes=-3000"}, 206, fmt.Sprintf("bytes %d-%d/%d", size-3000, size-1, size), s.host[size-3000:]},
		{"suffix longer than all", "GET", []string{"Range: bytes=-99999999"}, 206, fmt.Sprintf("bytes 0-%d/%d", size-1, size), s.host},
		{"end beyond the end", "GET", []string{fmt.Sprintf("Range: bytes=%d-99999999", size-1)}, 206, fmt.Sprintf("bytes %d-%d/%d", size-1, size-1, size), s.host[size-1:]},
		{"beyond the end", "GET", []string{fmt.Sprintf("Range: bytes=%d-", size)}, 416, fmt.Sprintf("bytes */%d", size), nil},
		{"no range", "GET", []string{"Range: bytes=9-5"}, 416, "", nil},
		{"If-Range, same", "GET", []string{"Range: bytes=5-6", "If-Range: " + etag}, 206, fmt.Sprintf("bytes 5-6/%d", size), s.host[5:7]},
		{"If-Range, another", "GET", []string{"Range: bytes=5-6", `If-Range: "x"`}, 200, "", s.host},
		{"If-Range, date", "GET", []string{"Range: bytes=5-6", "If-Range: " + modified.Format(http.TimeFormat)}, 206, fmt.Sprintf("bytes 5-6/%d", size), s.host[5:7]},
		{"If-None-Match", "GET", []string{"If-None-Match: " + etag}, 304, "", nil},
		{"HEAD", "HEAD", nil, 200, "", nil},
		{"HEAD of a range", "HEAD", []string{"Range: bytes=0-9"}, 206, fmt.Sprintf("bytes 0-9/%d", size), nil},
		{"POST", "POST", nil, 405, "", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			response, body := s.get(t, tt.method, "/host/x.iso", tt.headers...)
			if response.StatusCode != tt.status || response.Header.Get("Content-Range") != tt.rang {
				t.Errorf("status %d, Content-Range %q; want %d, %q", response.StatusCode, response.Header.Get("Content-Range"), tt.status, tt.rang)
			}
			if tt.status >= 400 || tt.status == 304 {
				return
			}
			if tt.method == "GET" && !bytes.Equal(body, tt.body) || tt.method == "GET" && response.ContentLength != int64(len(body)) {
				t.Errorf("%d bytes, Content-Length %d, want %d", len(body), response.ContentLength, len(tt.body))
			}
			if tt.method == "HEAD" && response.ContentLength <= 0 {
				t.Errorf("Content-Length %d", response.ContentLength)
			}
			want := http.Header{"Accept-Ranges": {"bytes"}, "Etag": {etag}, "Content-Type": {"application/vnd.efi-iso"}, "Last-Modified": {modified.Format(http.TimeFormat)}}
			for name := range want {
				if diff := cmp.Diff(want[name], response.Header[name]); diff != "" {
					t.Errorf("%s (-want +got):\n%s", name, diff)
				}
			}
		})
	}
}

func TestHEADTellsTheLengthOfTheWhole(t *testing.T) {
	s := newSite(t)
	for path, want := range map[string][]byte{"/plain/x.img": s.plain, "/host/x.iso": s.host} {
		if response, _ := s.get(t, "HEAD", path); response.ContentLength != int64(len(want)) {
			t.Errorf("%s: Content-Length %d, want %d", path, response.ContentLength, len(want))
		}
	}
	if response, _ := s.get(t, "HEAD", "/plain/x.img"); response.Header.Get("Content-Type") != "application/octet-stream" {
		t.Errorf("an .img has Content-Type %q", response.Header.Get("Content-Type"))
	}
}

func TestSeveralRangesComeInOneAnswer(t *testing.T) {
	s := newSite(t)
	for _, path := range []string{"/host/x.iso", "/plain/x.iso"} {
		want := s.host
		if path == "/plain/x.iso" {
			want = s.plain
		}
		response, body := s.get(t, "GET", path, "Range: bytes=0-4, 38000-45000, -10")
		kind, params, err := mime.ParseMediaType(response.Header.Get("Content-Type"))
		if err != nil || kind != "multipart/byteranges" || response.ContentLength != int64(len(body)) {
			t.Fatalf("Content-Type %s, Content-Length %d of %d, %v", kind, response.ContentLength, len(body), err)
		}
		parts := multipart.NewReader(bytes.NewReader(body), params["boundary"])
		for _, r := range [][2]int{{0, 5}, {38000, 45001}, {len(want) - 10, len(want)}} {
			part, err := parts.NextPart()
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(part)
			if err != nil || !bytes.Equal(got, want[r[0]:r[1]]) {
				t.Errorf("part %v has %d bytes, %v", r, len(got), err)
			}
			if cr := fmt.Sprintf("bytes %d-%d/%d", r[0], r[1]-1, len(want)); part.Header.Get("Content-Range") != cr {
				t.Errorf("Content-Range %q, want %q", part.Header.Get("Content-Range"), cr)
			}
		}
	}
}

func TestAnyRangeServedIsThatOfTheImage(t *testing.T) {
	s := newSite(t)
	rapid.Check(t, func(rt *rapid.T) {
		path, want := "/host/x.iso", s.host
		if rapid.Bool().Draw(rt, "plain") {
			path, want = "/plain/x.iso", s.plain
		}
		from := rapid.IntRange(0, len(want)-1).Draw(rt, "from")
		to := rapid.IntRange(from, min(len(want)-1, from+200_000)).Draw(rt, "to")
		response, body := s.get(t, "GET", path, fmt.Sprintf("Range: bytes=%d-%d", from, to))
		if response.StatusCode != 206 || !bytes.Equal(body, want[from:to+1]) {
			rt.Fatalf("%s %d-%d: status %d, %d bytes", path, from, to, response.StatusCode, len(body))
		}
	})
}

func TestOnlyPatchesPassThroughTheProgram(t *testing.T) {
	s := newSite(t)
	if _, body := s.get(t, "GET", "/plain/x.iso"); !bytes.Equal(body, s.plain) {
		t.Error("the plain image reads otherwise")
	}
	if n := s.read.Swap(0); n != 0 {
		t.Errorf("%d bytes of the plain image passed through the program", n)
	}
	if _, body := s.get(t, "GET", "/host/x.iso"); !bytes.Equal(body, s.host) {
		t.Error("the host's image reads otherwise")
	}
	if n, patches := s.read.Load(), int64(len(s.host)-len(s.plain)+16<<10); n > patches {
		t.Errorf("%d bytes of the host's image passed through the program, its patches have %d", n, patches)
	}
}

func TestProgressCountsEveryByteOnce(t *testing.T) {
	s := newSite(t)
	for _, headers := range [][]string{nil, {"Range: bytes=100-99999"}, {"Range: bytes=0-4, 38000-45000"}} {
		s.progress.Store(0)
		_, body := s.get(t, "GET", "/host/x.iso", headers...)
		s.serving.Wait() // the client may have all before it is counted
		want := int64(len(body))
		if len(headers) > 0 && strings.Contains(headers[0], ",") {
			want = 5 + 7001
		}
		if got := s.progress.Load(); got != want {
			t.Errorf("%v: progress %d, want %d", headers, got, want)
		}
	}
	s.progress.Store(0)
	s.get(t, "HEAD", "/host/x.iso")
	if got := s.progress.Load(); got != 0 {
		t.Errorf("HEAD: progress %d", got)
	}
}

func TestABaseThatWasCutShortCutsTheConnection(t *testing.T) {
	base := makeISO(t)
	o := buildOverlay(t, base)
	if err := os.Truncate(base, 1<<20); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f, err := os.Open(base)
		if err != nil {
			t.Error(err)
			return
		}
		defer f.Close()
		Serve(w, r, Medium{Name: "x.iso", Base: f, Overlay: o})
	}))
	defer server.Close()
	response, err := server.Client().Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if n, err := io.Copy(io.Discard, response.Body); err == nil || n > 1<<20 {
		t.Errorf("%d bytes without an error were taken for %d", n, o.Size())
	}
}
