package images

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/muster-boot/muster/images/fetch"
	"github.com/muster-boot/muster/images/iso"
)

// mirror serves one image; bad content is served under /bad.
type mirror struct {
	*httptest.Server
	image []byte
	asked []string // Range
}

func newMirror(t *testing.T) *mirror {
	t.Helper()
	image, err := os.ReadFile(makeISO(t, "COS_LIVE", kairos()))
	if err != nil {
		t.Fatal(err)
	}
	m := &mirror{image: image}
	m.Server = httptest.NewServer(m)
	t.Cleanup(m.Close)
	return m
}

func (m *mirror) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.asked = append(m.asked, r.Header.Get("Range"))
	w.Header().Set("ETag", `"v1"`)
	content := m.image
	if r.URL.Path == "/bad" {
		content = m.image[:len(m.image)/2]
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
}

// loopback lets 127.0.0.1 be fetched from.
var loopback = fetch.Guard{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}

func openNear(t *testing.T, dir string) *Catalog {
	t.Helper()
	c, err := Open(dir, clock(), Options{Guard: loopback})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestAFetchThatWasInterruptedGoesOnAfterARestart(t *testing.T) {
	m, dir := newMirror(t), t.TempDir()
	c := openNear(t, dir)
	ctx, stop := context.WithCancel(t.Context())
	reached := int64(0)
	_, err := c.AddURL(ctx, m.URL+"/x.iso", AddOptions{Name: "x", Progress: func(done, _ int64) {
		reached = done
		stop()
	}})
	if !errors.Is(err, context.Canceled) || reached == 0 {
		t.Fatalf("got %v at byte %d", err, reached)
	}
	// What was fetched is cut, as a power cut would: the rest must be asked for.
	if err := os.Truncate(c.part(m.URL+"/x.iso"), 5000); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	c = openNear(t, dir)
	defer c.Close()
	i, err := c.AddURL(t.Context(), m.URL+"/x.iso", AddOptions{Name: "x"})
	if err != nil || i.Family != "kairos" || i.Name != "x" || i.Size != int64(len(m.image)) {
		t.Errorf("got %+v, %v", i, err)
	}
	if diff := cmp.Diff([]string{"", "bytes=5000-"}, m.asked); diff != "" {
		t.Errorf("asked for (-want +got):\n%s", diff)
	}
	if left, err := filepath.Glob(filepath.Join(dir, partDir, "*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if got := read(t, c, i.Digest, "/boot/kernel"); got != "the kernel" {
		t.Errorf("the kernel reads %q", got)
	}
}

func TestWhatIsThereIsNotFetched(t *testing.T) {
	m := newMirror(t)
	c := openNear(t, t.TempDir())
	defer c.Close()
	i, err := c.AddURL(t.Context(), m.URL+"/x.iso", AddOptions{})
	if err != nil {
		t.Fatal(err)
	}
	again, err := c.AddURL(t.Context(), m.URL+"/x.iso", AddOptions{Name: "again", Proof: Proof{SHA256: i.Digest}})
	if err != nil || again.Digest != i.Digest || again.Name != "again" || len(m.asked) != 1 {
		t.Errorf("got %.12s %q, %v after %d requests", again.Digest, again.Name, err, len(m.asked))
	}
	proven := AddOptions{Proof: Proof{SHA256: i.Digest}, Traits: []string{"fips"}}
	for range 2 {
		again, err = c.AddURL(t.Context(), m.URL+"/x.iso", proven)
		if err != nil || !slices.Equal(again.Traits, proven.Traits) || len(m.asked) != 2 {
			t.Errorf("with a trait: %v, %v after %d requests", again.Traits, err, len(m.asked))
		}
	}
	proven.Meta = map[string]string{"agent": "4.9.7"}
	for range 2 {
		again, err = c.AddURL(t.Context(), m.URL+"/x.iso", proven)
		if err != nil || again.Told().Version["agent"] != "4.9.7" || len(m.asked) != 3 {
			t.Errorf("with a version: %v, %v after %d requests", again.Meta, err, len(m.asked))
		}
	}
}

func TestAFetchedImageThatCannotBeKeptLeavesNothing(t *testing.T) {
	m, dir := newMirror(t), t.TempDir()
	c := openNear(t, dir)
	defer c.Close()
	if err := c.reserve(m.URL + "/busy"); err != nil {
		t.Fatal(err)
	}
	var refused *fetch.Refused
	for name, tt := range map[string]struct {
		path string
		o    AddOptions
		is   func(error) bool
	}{
		"cut short":    {"/bad", AddOptions{}, func(err error) bool { return errors.Is(err, iso.ErrTruncated) }},
		"another sum":  {"/x", AddOptions{Proof: Proof{SHA256: strings.Repeat("0", 64)}}, func(err error) bool { return errors.Is(err, ErrUnproven) }},
		"a bad name":   {"/x", AddOptions{Name: "a b"}, func(err error) bool { return err != nil }},
		"twice":        {"/busy", AddOptions{}, func(err error) bool { return errors.Is(err, ErrBusy) }},
		"a bad scheme": {"", AddOptions{}, func(err error) bool { return err != nil }},
	} {
		url := m.URL + tt.path
		if tt.path == "" {
			url = "file:///etc/passwd"
		}
		if _, err := c.AddURL(t.Context(), url, tt.o); !tt.is(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	strict := open(t, t.TempDir())
	if _, err := strict.AddURL(t.Context(), m.URL+"/x", AddOptions{}); !errors.As(err, &refused) {
		t.Errorf("our own address: %v", err)
	}
	if left := tree(t, dir); len(left) > 0 || len(c.List()) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestAFetchOfWhichNothingCameLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	c := openNear(t, dir)
	defer c.Close()
	none := httptest.NewServer(http.NotFoundHandler())
	defer none.Close()
	for _, url := range []string{none.URL + "/x.iso", "http://127.0.0.2/x.iso"} { // not there; not allowed
		if _, err := c.AddURL(t.Context(), url, AddOptions{}); err == nil {
			t.Errorf("%s was fetched", url)
		}
	}
	left, err := os.ReadDir(filepath.Join(dir, partDir))
	if err != nil || len(left) > 0 {
		t.Errorf("left are %v, %v", left, err)
	}
	if g, err := c.Collect(true, func(Image) error { return nil }); err != nil || g.Parts != 0 {
		t.Errorf("%d are said to be fetched in part, %v", g.Parts, err)
	}
}
