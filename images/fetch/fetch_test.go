package fetch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// fetcher may go to 127.0.0.1 only and does not wait.
func fetcher() *Fetcher {
	f := New(Guard{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}})
	f.wait = func(ctx context.Context, _ time.Duration) error { return ctx.Err() }
	return f
}

// mirror serves content, and breaks the first connections off after a part.
type mirror struct {
	content []byte
	tag     string // ETag; empty: none
	breaks  int    // connections still to be broken
	after   int    // bytes that go before
	asked   []string
}

func (m *mirror) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.asked = append(m.asked, r.Header.Get("Range")+r.Header.Get("If-Range"))
	if m.tag != "" {
		w.Header().Set("ETag", m.tag)
	}
	if m.breaks == 0 {
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(m.content))
		return
	}
	m.breaks--
	http.ServeContent(&breaking{ResponseWriter: w, left: m.after}, r, "", time.Time{}, bytes.NewReader(m.content))
}

// breaking drops the connection when so many bytes have gone.
type breaking struct {
	http.ResponseWriter
	left int
}

func (b *breaking) Write(p []byte) (int, error) {
	if len(p) <= b.left {
		b.left -= len(p)
		return b.ResponseWriter.Write(p)
	}
	_, _ = b.ResponseWriter.Write(p[:b.left]) // the connection is dropped in any case
	_ = http.NewResponseController(b.ResponseWriter).Flush()
	panic(http.ErrAbortHandler)
}

func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func content() []byte { return bytes.Repeat([]byte("0123456789abcde\n"), 20_000) }

func holds(t *testing.T, part string, want []byte) {
	t.Helper()
	got, err := os.ReadFile(part)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("the file has %d bytes, want %d, %v", len(got), len(want), err)
	}
}

func TestABrokenFetchGoesOnWhereItStopped(t *testing.T) {
	m := &mirror{content: content(), tag: `"v1"`, breaks: 2, after: 100_000}
	part := filepath.Join(t.TempDir(), "x.part")
	var last int64
	err := fetcher().File(t.Context(), serve(t, m)+"/x.iso", part, Options{Progress: func(done, total int64) {
		if done <= last || total != int64(len(m.content)) {
			t.Errorf("progress went from %d to %d of %d", last, done, total)
		}
		last = done
	}})
	if err != nil {
		t.Fatal(err)
	}
	holds(t, part, m.content)
	if diff := cmp.Diff([]string{"", `bytes=100000-"v1"`, `bytes=200000-"v1"`}, m.asked); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

func TestALaterCallGoesOnWhereAnEarlierStopped(t *testing.T) {
	m := &mirror{content: content(), tag: `"v1"`}
	url, part := serve(t, m)+"/x.iso", filepath.Join(t.TempDir(), "x.part")
	ctx, stop := context.WithCancel(t.Context())
	m.breaks, m.after = 1, 50_000
	err := fetcher().File(ctx, url, part, Options{Progress: func(done, _ int64) {
		if done == 50_000 {
			stop()
		}
	}})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	if err := fetcher().File(t.Context(), url, part, Options{}); err != nil {
		t.Fatal(err)
	}
	holds(t, part, m.content)
	if got := m.asked[len(m.asked)-1]; got != `bytes=50000-"v1"` {
		t.Errorf("the second call asked for %q", got)
	}
	// Called once more, it finds the file whole.
	if err := fetcher().File(t.Context(), url, part, Options{}); err != nil {
		t.Fatal(err)
	}
	holds(t, part, m.content)
}

func TestTwoHalvesOfDifferentContentAreNotJoined(t *testing.T) {
	for name, change := range map[string]func(*mirror){
		"another tag":     func(m *mirror) { m.tag = `"v2"` },
		"no tag any more": func(m *mirror) { m.tag = "" },
	} {
		t.Run(name, func(t *testing.T) { beginAnew(t, `"v1"`, change) })
	}
	t.Run("never a tag", func(t *testing.T) { beginAnew(t, "", func(*mirror) {}) })
	t.Run("a weak tag", func(t *testing.T) { beginAnew(t, `W/"v1"`, func(*mirror) {}) })
}

func beginAnew(t *testing.T, tag string, change func(*mirror)) {
	t.Helper()
	m := &mirror{content: content(), tag: tag, breaks: 1, after: 100_000}
	part := filepath.Join(t.TempDir(), "x.part")
	f := fetcher()
	f.wait = func(context.Context, time.Duration) error { // between the tries
		change(m)
		m.content = bytes.ToUpper(content())
		return nil
	}
	if err := f.File(t.Context(), serve(t, m)+"/x.iso", part, Options{}); err != nil {
		t.Fatal(err)
	}
	holds(t, part, bytes.ToUpper(content()))
}

// TestTheRestOfAnotherContentIsNotTaken has a server that sends ranges whatever
// If-Range says, as some do.
func TestTheRestOfAnotherContentIsNotTaken(t *testing.T) {
	const first, later = "Mon, 02 Nov 2026 10:00:00 GMT", "Tue, 03 Nov 2026 10:00:00 GMT"
	changed := append(bytes.ToUpper(content()), "more"...)
	for name, h := range map[string]struct{ before, after http.Header }{
		"another tag":              {http.Header{"Etag": {`"v1"`}}, http.Header{"Etag": {`"v2"`}}},
		"no tag any more":          {http.Header{"Etag": {`"v1"`}}, http.Header{}},
		"a weak tag by now":        {http.Header{"Etag": {`"v1"`}}, http.Header{"Etag": {`W/"v1"`}}},
		"another date":             {http.Header{"Last-Modified": {first}}, http.Header{"Last-Modified": {later}}},
		"no date, another size":    {http.Header{"Last-Modified": {first}}, http.Header{}},
		"the same tag, other size": {http.Header{"Etag": {`"v1"`}}, http.Header{"Etag": {`"v1"`}}},
	} {
		t.Run(name, func(t *testing.T) {
			data, header, breaks := content(), h.before, 1
			server := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				maps.Copy(w.Header(), header)
				r.Header.Del("If-Range")
				if breaks > 0 {
					breaks--
					w = &breaking{ResponseWriter: w, left: 100_000}
				}
				http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
			})
			f := fetcher()
			f.wait = func(context.Context, time.Duration) error { // between the tries
				data, header = changed, h.after
				return nil
			}
			part := filepath.Join(t.TempDir(), "x.part")
			if err := f.File(t.Context(), serve(t, server)+"/x.iso", part, Options{}); err != nil {
				t.Fatal(err)
			}
			holds(t, part, changed)
		})
	}
}

func TestAPartOfAnotherURLIsNotGoneOnWith(t *testing.T) {
	m := &mirror{content: content(), tag: `"v1"`}
	url, part := serve(t, m), filepath.Join(t.TempDir(), "x.part")
	for _, path := range []string{"/a.iso", "/b.iso"} {
		if err := fetcher().File(t.Context(), url+path, part, Options{}); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{"", ""}, m.asked); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

func TestNoMoreIsTakenThanTheBound(t *testing.T) {
	whole := serve(t, &mirror{content: content()})
	endless := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for range 100 {
			fmt.Fprint(w, strings.Repeat("x", 10_000)) // ends when the other side is gone
		}
	}))
	for name, url := range map[string]string{"announced": whole, "not announced": endless} {
		part := filepath.Join(t.TempDir(), "x.part")
		err := fetcher().File(t.Context(), url+"/x", part, Options{Max: 200_000})
		if err == nil || !strings.Contains(err.Error(), "more than the 200 kB that are taken") {
			t.Errorf("%s: got %v", name, err)
		}
		if info, err := os.Stat(part); err != nil || info.Size() > 200_001 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	full := errors.New("no space left")
	err := fetcher().File(t.Context(), whole+"/x", filepath.Join(t.TempDir(), "p"), Options{Space: func(int64) error { return full }})
	if !errors.Is(err, full) {
		t.Errorf("no space: %v", err)
	}
}

func TestAServerThatSaysNoIsAskedOnce(t *testing.T) {
	asked, status := 0, http.StatusNotFound
	url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked++
		w.WriteHeader(status)
	}))
	err := fetcher().File(t.Context(), url+"/x.iso", filepath.Join(t.TempDir(), "p"), Options{})
	if err == nil || !strings.Contains(err.Error(), "/x.iso: the server answers 404 Not Found") || asked != 1 {
		t.Errorf("got %v after %d requests", err, asked)
	}
	asked, status = 0, http.StatusServiceUnavailable
	err = fetcher().File(t.Context(), url+"/x.iso", filepath.Join(t.TempDir(), "p"), Options{})
	if err == nil || asked != maxInVain {
		t.Errorf("a busy server: %v after %d requests", err, asked)
	}
}

func TestRedirectsAreFollowedWithinBounds(t *testing.T) {
	m := &mirror{content: content()}
	mux := http.NewServeMux()
	mux.Handle("/x", m)
	elsewhere := "" // a server on 127.0.0.2
	for from, to := range map[string]func() string{
		"/once":  func() string { return "/x" },
		"/loop":  func() string { return "/loop" },
		"/file":  func() string { return "file:///etc/passwd" },
		"/user":  func() string { return "http://a:b@127.0.0.1/" },
		"/other": func() string { return elsewhere + "/x" },
	} {
		mux.HandleFunc(from, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to(), http.StatusFound) })
	}
	url := serve(t, mux)
	l, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Fatal(err)
	}
	other := &httptest.Server{Listener: l, Config: &http.Server{Handler: mux}}
	other.Start()
	t.Cleanup(other.Close)
	elsewhere = other.URL

	part := filepath.Join(t.TempDir(), "p")
	if err := fetcher().File(t.Context(), url+"/once", part, Options{}); err != nil {
		t.Fatal(err)
	}
	holds(t, part, m.content)
	served := len(m.asked)
	for from, want := range map[string]string{
		"/loop": "redirected more than 5 times", "/file": "is not an http or https URL", "/user": "holds a user name",
		"/other": "127.0.0.2 is a loopback address; muster does not fetch from there",
	} {
		if err := fetcher().File(t.Context(), url+from, part, Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", from, err, want)
		}
		if _, err := fetcher().Text(t.Context(), url+from); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s as text: got %v, want %q", from, err, want)
		}
	}
	if len(m.asked) != served {
		t.Error("something was fetched in spite of the refusal")
	}
}

func TestANameIsJudgedByWhatItMeans(t *testing.T) {
	reached := false
	url := serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	_, port, err := net.SplitHostPort(strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	var refused *Refused
	for _, host := range []string{"localhost", "127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0"} {
		err := New(Guard{}).File(t.Context(), "http://"+host+":"+port+"/", filepath.Join(t.TempDir(), "p"), Options{})
		if !errors.As(err, &refused) {
			t.Errorf("%s: %v", host, err)
		}
	}
	if reached {
		t.Error("the server was reached")
	}
}

func TestOnlyURLsOfTheWebAreTaken(t *testing.T) {
	for _, bad := range []string{"", "x.iso", "file:///x", "ftp://h/x", "http://", "http:///x", "https://u:p@h/x", "http://h/%zz"} {
		if u, err := CheckURL(bad); err == nil {
			t.Errorf("%q was taken as %v", bad, u)
		}
	}
}

func TestATextIsBounded(t *testing.T) {
	url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		size := 100
		if r.URL.Path == "/large" {
			size = maxText + 1
		}
		_, _ = io.Copy(w, io.LimitReader(readerFunc(func(b []byte) (int, error) { return len(b), nil }), int64(size))) // the other side may be gone
	}))
	if text, err := fetcher().Text(t.Context(), url+"/small"); err != nil || len(text) != 100 {
		t.Errorf("%d bytes, %v", len(text), err)
	}
	if text, err := fetcher().Text(t.Context(), url+"/large"); err == nil {
		t.Errorf("%d bytes were taken", len(text))
	}
}

func FuzzContentRange(f *testing.F) {
	for _, seed := range []string{"bytes 5-9/10", "bytes */10", "bytes 0-0/*", "bytes -1-/", "items 1-2/3", "bytes 99999999999999999999-/1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if from, total, ok := contentRange(text); ok && (from < 0 || total < 0) {
			t.Errorf("%q gives %d of %d", text, from, total)
		}
	})
}
