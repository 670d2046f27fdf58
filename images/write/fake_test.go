package write

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// memory is a disk in memory. It keeps what was written, and can be told to
// fail or to lie.
type memory struct {
	data    []byte
	sector  int
	failAt  int64 // a write that covers this byte fails; -1: none does
	flipAt  int64 // a bit of this byte is lost when it is written; -1: none is
	written int64 // bytes, zeroes too
	flushes int
	t       testing.TB
}

var errMedium = errors.New("medium error")

func newMemory(t testing.TB, size int64, sector int) *memory {
	return &memory{data: bytes.Repeat([]byte{0xa5}, int(size)), sector: sector, failAt: -1, flipAt: -1, t: t}
}

func (m *memory) Size() int64   { return int64(len(m.data)) }
func (m *memory) Sector() int   { return m.sector }
func (m *memory) Reread() error { return nil }
func (m *memory) Flush() error  { m.flushes++; return nil }

func (m *memory) ReadAt(p []byte, off int64) (int, error) {
	m.whole(p, off)
	return copy(p, m.data[off:off+int64(len(p))]), nil
}

func (m *memory) WriteAt(p []byte, off int64) (int, error) {
	m.whole(p, off)
	end := off + int64(len(p))
	if off <= m.failAt && m.failAt < end {
		return copy(m.data[off:m.failAt], p), errMedium
	}
	m.written += int64(len(p))
	n := copy(m.data[off:end], p)
	if off <= m.flipAt && m.flipAt < end {
		m.data[m.flipAt] ^= 4
	}
	return n, nil
}

func (m *memory) Zero(off, n int64) error {
	_, err := m.WriteAt(aligned(int(n)), off)
	return err
}

// whole insists on what real disks insist on.
func (m *memory) whole(p []byte, off int64) {
	if off%int64(m.sector) != 0 || len(p)%m.sector != 0 || off < 0 || off+int64(len(p)) > m.Size() {
		m.t.Errorf("%d bytes at %d are no whole sectors of this disk", len(p), off)
	}
}

// blank tells whether neither end of the disk boots.
func (m *memory) blank() bool {
	n := min(margin, len(m.data))
	return allZero(m.data[:n]) && allZero(m.data[len(m.data)-n:])
}

// server serves one image by ranges, and can be told to misbehave.
type server struct {
	mu       sync.Mutex
	data     []byte
	etag     string
	cut      int           // each answer ends after so many bytes; 0: none does
	refuse   int           // so many requests get 503
	status   int           // each request gets this; 0: none does
	noRanges bool          // Range is not known
	onCut    func(*server) // after an answer was cut
	asked    []string      // the Range of each request
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, r.Header.Get("Range"))
	if s.status != 0 {
		w.WriteHeader(s.status)
		return
	}
	if s.refuse > 0 {
		s.refuse--
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	if s.etag != "" {
		w.Header().Set("ETag", s.etag)
	}
	if s.noRanges {
		r.Header.Del("Range")
	}
	if s.cut == 0 {
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(s.data))
		return
	}
	http.ServeContent(&short{ResponseWriter: w, left: s.cut}, r, "", time.Time{}, bytes.NewReader(s.data))
	if s.onCut != nil {
		s.onCut(s)
	}
	panic(http.ErrAbortHandler)
}

// short takes so many bytes of an answer.
type short struct {
	http.ResponseWriter
	left int
}

func (s *short) Write(p []byte) (int, error) {
	n, err := s.ResponseWriter.Write(p[:min(len(p), s.left)])
	s.left -= n
	if err == nil && n < len(p) {
		s.ResponseWriter.(http.Flusher).Flush()
		return n, io.ErrShortWrite
	}
	return n, err
}

func (s *server) start(t testing.TB) string {
	t.Helper()
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	return h.URL + "/secret/image"
}

// serve serves an image and describes it.
func serve(t testing.TB, data []byte, c Coding) (*server, Image) {
	t.Helper()
	sum := sha256.Sum256(data)
	digest := hex.EncodeToString(sum[:])
	s := &server{data: data, etag: strconv.Quote(digest)}
	return s, Image{URL: s.start(t), Coding: c, Digest: digest, Size: int64(len(data))}
}

// quick is a writer that does not wait between tries.
func quick() *Writer {
	w := New(&http.Client{})
	w.wait = func(ctx context.Context, _ time.Duration) error { return ctx.Err() }
	return w
}

// noise is content that has holes and does not pack well.
func noise(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{1})
	for at := 0; at < n; at += 1 << 20 {
		if at>>20%3 != 1 { // each third MiB is a hole
			_, _ = r.Read(b[at:min(at+1<<20, n)])
		}
	}
	b[510], b[511] = 0, 0 // no partition table, whatever the numbers
	return b
}

// gz packs with a program, since Go's own packing is slow under the race detector.
func gz(t testing.TB, b []byte) []byte {
	t.Helper()
	name := file(t, b)
	run(t, "gzip", "-1", name)
	out, err := os.ReadFile(name + ".gz")
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// run runs a program on files in a directory of its own and returns what it
// printed. A missing program skips the test, but not root's.
func run(t testing.TB, name string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Geteuid() == 0 {
			t.Fatalf("%v: run make lab", err)
		}
		t.Skip(err)
	}
	out, err := exec.CommandContext(t.Context(), path, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func file(t testing.TB, data []byte) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}
