package main

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/muster-boot/muster/images/media"
	"github.com/muster-boot/muster/images/overlay"
	"github.com/muster-boot/muster/pxe"
	"github.com/muster-boot/muster/pxe/httpboot"
	"github.com/muster-boot/muster/pxe/pxetest"
)

// bothWays serves a host's image by the boot server's direct connections and by
// the standard server.
type bothWays struct {
	direct, standard string
	image            []byte // as it must read
	progress         atomic.Int64
	repeated         atomic.Int64
	client           *http.Client
}

func newBothWays(t *testing.T) *bothWays {
	t.Helper()
	base := smallISO(t)
	o, err := hostOverlay(base)
	if err != nil {
		t.Fatal(err)
	}
	b := &bothWays{image: make([]byte, o.Size()), client: &http.Client{Transport: &http.Transport{}}}
	t.Cleanup(b.client.CloseIdleConnections)
	if _, err := o.ReadAt(b.image, 0); err != nil {
		t.Fatal(err)
	}
	handler := b.handler(t, base, o)
	standard := httptest.NewServer(handler)
	t.Cleanup(standard.Close)
	s := httpboot.New([]httpboot.Endpoint{{Network: "lo", Address: netip.MustParseAddrPort("127.0.0.1:0")}}, nil, nil,
		[]httpboot.Mount{{Prefix: "/", Direct: true, Handler: handler}}, nil, pxe.Decider(nil), zerolog.Nop(), httpboot.Options{})
	pxetest.Serve(t, s.Run, s.Ready())
	b.direct, b.standard = "http://"+s.Bound()[0].String()+"/x.iso", standard.URL+"/x.iso"
	return b
}

func (b *bothWays) handler(t *testing.T, base string, o *overlay.Overlay) http.Handler {
	var bases media.Bases
	t.Cleanup(func() { bases.Close() })
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		open := func() (*os.File, func(), error) {
			return bases.Open("x", func() (*os.File, error) { return os.Open(base) })
		}
		f, release, err := open()
		if err != nil {
			t.Error(err)
			return
		}
		defer release()
		media.Serve(w, r, media.Medium{Name: "x.iso", Base: f, Overlay: o, ETag: `"x"`, Modified: time.Unix(1e9, 0),
			Progress: func(_, n int64) { b.progress.Add(n) },
			Reopen: func() (*os.File, func(), error) {
				b.repeated.Add(1)
				return open()
			}})
	})
}

func smallISO(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("xorriso"); err != nil && os.Geteuid() != 0 {
		t.Skip("xorriso is not installed; make lab installs it")
	}
	tree, image := t.TempDir(), filepath.Join(t.TempDir(), "image.iso")
	for name, size := range map[string]int64{"boot/grub/grub.cfg": 0, "rootfs.squashfs": 3 << 20} {
		if err := makeBenchFile(filepath.Join(tree, name), size); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("xorriso", "-as", "mkisofs", "-quiet", "-R", "-J", "-o", image, tree).CombinedOutput(); err != nil {
		t.Fatalf("xorriso: %v\n%s", err, out)
	}
	return image
}

// seen is what a client sees of an answer.
type seen struct {
	status int
	length int64
	header http.Header
	body   string
}

func (b *bothWays) ask(t *testing.T, method, url string, headers ...string) seen {
	t.Helper()
	r, err := http.NewRequest(method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	response, err := b.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	response.Header.Del("Date")
	return seen{response.StatusCode, response.ContentLength, response.Header, string(body)}
}

func TestDirectAnswersAreThoseOfTheStandardServer(t *testing.T) {
	b := newBothWays(t)
	size := len(b.image)
	for _, headers := range [][]string{
		nil, {"Range: bytes=0-9"}, {"Range: bytes=40000-"}, {"Range: bytes=-3000"}, {"Range: bytes=-99999999"},
		{fmt.Sprintf("Range: bytes=%d-99999999", size-1)}, {fmt.Sprintf("Range: bytes=%d-", size)}, {"Range: bytes=9-5"}, {"Range: lines=1-2"},
		{"Range: bytes=5-6", `If-Range: "x"`}, {"Range: bytes=5-6", `If-Range: "y"`},
		{"Range: bytes=5-6", "If-Range: " + time.Unix(1e9, 0).UTC().Format(http.TimeFormat)},
		{`If-None-Match: "x"`}, {`If-None-Match: "y"`}, {`If-Match: "y"`}, {"If-Modified-Since: " + time.Unix(2e9, 0).UTC().Format(http.TimeFormat)},
		{"Range: bytes=0-4, 38000-45000, -10"}, {"Connection: close"},
	} {
		for _, method := range []string{"GET", "HEAD", "POST"} {
			want, got := b.ask(t, method, b.standard, headers...), b.ask(t, method, b.direct, headers...)
			if kind := want.header.Get("Content-Type"); strings.HasPrefix(kind, "multipart/") { // each has its own boundary
				_, is, _ := strings.Cut(kind, "boundary=")
				_, has, _ := strings.Cut(got.header.Get("Content-Type"), "boundary=")
				got.body = strings.ReplaceAll(got.body, has, is)
				got.header.Set("Content-Type", kind)
			}
			if method == "HEAD" && want.status >= 300 {
				want.length, got.length = 0, 0 // of an error one tells the length and one does not
				want.header.Del("Content-Length")
				got.header.Del("Content-Length")
			}
			if diff := cmp.Diff(want, got, cmp.AllowUnexported(seen{})); diff != "" {
				t.Errorf("%s %q (-standard +direct):\n%.2000s", method, headers, diff)
			}
		}
	}
}

func TestAnyRangeServedDirectlyIsThatOfTheImage(t *testing.T) {
	b := newBothWays(t)
	dice := rand.New(rand.NewPCG(7, 8))
	var asked int64
	for range 500 {
		from := dice.IntN(len(b.image))
		if dice.IntN(2) == 0 {
			from = max(0, len(b.image)-1-dice.IntN(40_000)) // most patches are in the tail
		}
		to := min(len(b.image)-1, from+dice.IntN(1<<(1+dice.IntN(20))))
		got := b.ask(t, "GET", b.direct, fmt.Sprintf("Range: bytes=%d-%d", from, to))
		if got.status != http.StatusPartialContent || !bytes.Equal([]byte(got.body), b.image[from:to+1]) {
			t.Fatalf("bytes %d-%d: status %d, %d bytes", from, to, got.status, len(got.body))
		}
		asked += int64(to - from + 1)
	}
	if got := b.repeated.Load(); got < 400 { // some are the first of their connection
		t.Errorf("of 500 answers %d were repeated", got)
	}
	b.ask(t, "HEAD", b.direct) // is answered behind all that was asked before
	if got := b.progress.Load(); got != asked {
		t.Errorf("progress tells of %d bytes of %d", got, asked)
	}
}
