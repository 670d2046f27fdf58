package app

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/muster-boot/muster/images/iso"
	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/handoff"
)

// withMedium is a rig with a host that is installed from its own ISO.
func withMedium(t *testing.T, way provisioner.Way) (*rig, provisioner.Host) {
	t.Helper()
	r := newRig(t)
	h := installing("h-1", firstMAC, "a-1", r.kairos(t))
	h.Intent.Way = way
	r.list(t, h)
	return r, r.prepared(t, "h-1")
}

func TestAHostsISOIsItsOwnAndForWhoeverHasItsURL(t *testing.T) {
	r, h := withMedium(t, provisioner.WayMedia)
	name := mediumPath(h)
	resp, body := r.askFor(t, http.MethodGet, strangerAddress, name, nil)
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "application/vnd.efi-iso" || resp.Header.Get("ETag") == "" {
		t.Fatalf("status %d, header %v", resp.StatusCode, resp.Header)
	}
	v, err := iso.Open(strings.NewReader(body), int64(len(body)))
	if err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{
		"/zz_muster.yaml": lineBase + "/a/a-1/tokenofh1/booted", "/boot/grub2/grub.cfg": "install-mode", "/boot/kernel": "the kernel",
	} {
		f, err := v.Lookup(file)
		if err != nil {
			t.Fatal(err)
		}
		text := make([]byte, f.Size)
		if _, err := f.Content(strings.NewReader(body)).Read(text); err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s has no %q: %v\n%s", file, want, err, text)
		}
	}
	for _, c := range []struct {
		name, path string
		status     int
	}{
		{"another token", strings.Replace(name, "tokenofh1", "tokenofh2", 1), http.StatusNotFound},
		{"no token", "/m/a-1.iso", http.StatusNotFound},
		{"an empty token", "/m/a-1-.iso", http.StatusNotFound},
		{"another attempt", strings.Replace(name, "a-1", "a-2", 1), http.StatusNotFound},
		{"another ending", strings.TrimSuffix(name, ".iso") + ".img", http.StatusNotFound},
		{"deeper", strings.Replace(name, "/m/", "/m/x/", 1), http.StatusNotFound},
		{"all of them", "/m/", http.StatusNotFound},
	} {
		if status, _ := r.ask(t, http.MethodGet, strangerAddress, c.path); status != c.status {
			t.Errorf("%s: status %d, want %d", c.name, status, c.status)
		}
	}
	if status, _ := r.ask(t, http.MethodPut, strangerAddress, name); status != http.StatusMethodNotAllowed {
		t.Errorf("to write it: status %d", status)
	}
}

// TestTheSameURLGivesTheSameBytes edits the order between two ranges, and
// forgets what was made of it.
func TestTheSameURLGivesTheSameBytes(t *testing.T) {
	r, h := withMedium(t, provisioner.WayMedia)
	name := mediumPath(h)
	resp, whole := r.askFor(t, http.MethodGet, strangerAddress, name, nil)
	tag := resp.Header.Get("ETag")
	half := len(whole) / 2
	header := http.Header{"Range": {"bytes=0-" + strconv.Itoa(half-1)}}
	_, first := r.askFor(t, http.MethodGet, strangerAddress, name, header)
	r.order(t, provisioner.Order{Name: "o1", Template: "#cloud-config\nnote: another\n"})
	r.boots.site.TimeZone = "Europe/Oslo"
	again := &mediums{engine: r.engine, mirror: r.mirror, store: r.store, boots: r.boots, overlays: &overlays{make: r.boots.overlay}, reads: r.reads, counts: r.counts}
	_, rendering, err := r.engine.Rendering(t.Context(), "a-1")
	if err != nil {
		t.Fatal(err)
	}
	made, err := again.overlays.of(rendering)
	if err != nil || made.etag != tag {
		t.Errorf("made again its ETag is %s and was %s: %v", made.etag, tag, err)
	}
	resp, second := r.askFor(t, http.MethodGet, strangerAddress, name, http.Header{"Range": {"bytes=" + strconv.Itoa(half) + "-"}, "If-Range": {tag}})
	if resp.StatusCode != http.StatusPartialContent || resp.Header.Get("ETag") != tag || first+second != whole {
		t.Errorf("status %d, ETag %s, was %s; the halves are the whole: %t", resp.StatusCode, resp.Header.Get("ETag"), tag, first+second == whole)
	}
}

func TestWhoReadsAHostsISOIsEvidence(t *testing.T) {
	r, h := withMedium(t, provisioner.WayMedia)
	name := mediumPath(h)
	if status, _ := r.ask(t, http.MethodHead, strangerAddress, name); status != http.StatusOK {
		t.Fatalf("HEAD: status %d", status)
	}
	if fetched(r.host(t, "h-1"), provisioner.StageMedium) || len(r.reads.readers("a-1")) > 0 {
		t.Error("who asks for the size only counts as a reader")
	}
	for range 2 {
		for _, from := range []string{strangerAddress, secondAddress} {
			r.askFor(t, http.MethodGet, from, name, http.Header{"Range": {"bytes=0-65535"}})
		}
	}
	_, whole := r.ask(t, http.MethodGet, secondAddress, name)
	r.counts.tell(t.Context())
	got := r.host(t, "h-1")
	if !fetched(got, provisioner.StageMedium) || len(got.Facts.Progress) != 1 || got.Facts.Progress[0].Bytes != int64(len(whole)) || got.Facts.Progress[0].Total != int64(len(whole)) {
		t.Errorf("steps %v, progress %+v of %d bytes", got.Facts.Steps, got.Facts.Progress, len(whole))
	}
	bytes := map[string]int64{}
	for _, who := range r.reads.readers("a-1") {
		bytes[who.address] = who.spans.bytes
	}
	if diff := cmp.Diff(map[string]int64{strangerAddress: 65536, secondAddress: int64(len(whole))}, bytes); diff != "" {
		t.Errorf("readers (-want +got):\n%s", diff)
	}
	entries, err := r.store.Journal(t.Context(), "h-1", 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	said := map[string]int{}
	for _, e := range entries {
		if strings.Contains(e.Text, "is being read from") {
			said[e.Text]++
		}
	}
	want := map[string]int{"The host's ISO is being read from " + strangerAddress + ".": 1, "The host's ISO is being read from " + secondAddress + ".": 1}
	if diff := cmp.Diff(want, said); diff != "" {
		t.Errorf("journal (-want +got):\n%s", diff)
	}
}

// repeating is the ResponseWriter of a connection that repeats.
type repeating struct {
	*httptest.ResponseRecorder
	send func(w http.ResponseWriter, offset, length int64) error
}

func (w *repeating) SendFile(f *os.File, offset, length int64) (int64, error) {
	return io.Copy(w.ResponseRecorder, io.NewSectionReader(f, offset, length))
}

func (w *repeating) Repeat(send func(w http.ResponseWriter, offset, length int64) error) {
	w.send = send
}

// TestWhatAConnectionRepeatsIsDecidedAndCountedLikeAnyRequest has it read the
// whole ISO in two parts, and go on when the attempt is over.
func TestWhatAConnectionRepeatsIsDecidedAndCountedLikeAnyRequest(t *testing.T) {
	r, h := withMedium(t, provisioner.WayMedia)
	_, whole := r.askFor(t, http.MethodGet, secondAddress, mediumPath(h), nil)
	m := &mediums{engine: r.engine, mirror: r.mirror, store: r.store, boots: r.boots, overlays: &overlays{make: r.boots.overlay}, reads: r.reads, counts: r.counts}
	req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, mediumPath(h), nil)
	req.RemoteAddr = strangerAddress + ":4711"
	req.Header.Set("Range", "bytes=0-99")
	first := &repeating{ResponseRecorder: httptest.NewRecorder()}
	m.ServeHTTP(first, req)
	if first.Body.String() != whole[:100] || first.send == nil {
		t.Fatalf("status %d, %d bytes; it may repeat: %t", first.Code, first.Body.Len(), first.send != nil)
	}
	rest := &repeating{ResponseRecorder: httptest.NewRecorder()}
	if err := first.send(rest, 100, int64(len(whole)-100)); err != nil || rest.Body.String() != whole[100:] {
		t.Errorf("the rest has %d of %d bytes: %v", rest.Body.Len(), len(whole)-100, err)
	}
	for _, who := range r.reads.readers("a-1") {
		if who.address == strangerAddress && who.spans.bytes != int64(len(whole)) {
			t.Errorf("%d of %d bytes are counted", who.spans.bytes, len(whole))
		}
	}
	later := r.host(t, "h-1")
	later.Status.Attempt.ID = "a-2"
	r.list(t, later)
	if err := first.send(rest, 0, 1); err == nil || rest.Body.Len() != len(whole)-100 {
		t.Errorf("an attempt that is over is read on: %v", err)
	}
}

func TestAnAttemptWithoutAnISOGivesNone(t *testing.T) {
	r := newRig(t)
	image := r.kairos(t)
	netbooted, unprepared := installing("h-1", firstMAC, "a-1", image), installing("h-2", secondMAC, "a-2", image)
	unprepared.Intent.Way, unprepared.Facts.Sighting.Network = provisioner.WayMedia, "gone0"
	r.list(t, netbooted, unprepared)
	r.prepared(t, "h-1")
	if status, _ := r.ask(t, http.MethodGet, firstAddress, mediumPath(netbooted)); status != http.StatusNotFound {
		t.Errorf("of a netboot: status %d", status)
	}
	h := r.until(t, "h-2", func(h provisioner.Host) bool { return h.Facts.Prepared != nil })
	if status, _ := r.ask(t, http.MethodGet, firstAddress, mediumPath(h)); status != http.StatusServiceUnavailable {
		t.Errorf("that is not prepared: status %d", status)
	}
}

func TestAPathInALogHasNoToken(t *testing.T) {
	for path, want := range map[string]string{
		"/m/a-1-tokenofh1.iso":        "/m/a-1-....iso",
		"/m/a-1-tokenofh1.iso/x":      "/m/...",
		"/m/a-1-tokenofh1":            "/m/...",
		"/M/A-1-TOKENOFH1.ISO":        "/m/...",
		"/":                           "/",
		"/a/a-1/tokenofh1/config":     "/a/a-1/.../config",
		"/A/a-1/tokenofh1":            "/A/a-1/...",
		"/scout/h-1/key/instruction":  "/scout/h-1/.../instruction",
		"/image/a-1/digest/x-y.iso":   "/image/a-1/digest/x-y.iso",
		"/script/52-54-00-00-00.ipxe": "/script/52-54-00-00-00.ipxe",
	} {
		if got := withoutToken(path); got != want {
			t.Errorf("%s is logged as %s, want %s", path, got, want)
		}
	}
}

func FuzzMediumKey(f *testing.F) {
	for _, seed := range []string{"/m/a-1-token.iso", "/m/.iso", "/m/-.iso", "/m/a/b-c.iso", "/m/a-b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		attempt, token, ok := mediumKey(name)
		h := provisioner.Host{Status: provisioner.Status{Attempt: provisioner.Attempt{ID: attempt, Token: provisioner.Secret(token)}}}
		if ok && strings.HasPrefix(name, mediumPrefix) && mediumPath(h) != name {
			t.Errorf("%q is read as %q", name, mediumPath(h))
		}
		if ok && (strings.ContainsRune(token, '/') || strings.ContainsRune(string(attempt), '/') || bytes.ContainsRune([]byte(token), '-')) {
			t.Errorf("%q has the token %q of attempt %q", name, token, attempt)
		}
	})
}

// TestNothingIsGivenOfADamagedImage flips a bit while a host has its ISO, and
// has the catalog look.
func TestNothingIsGivenOfADamagedImage(t *testing.T) {
	r, h := withMedium(t, provisioner.WayMedia)
	name, digest := mediumPath(h), h.Intent.Image
	if status, _ := r.ask(t, http.MethodGet, strangerAddress, name); status != http.StatusOK {
		t.Fatalf("status %d", status)
	}
	base, err := r.catalog.Base(digest)
	if err != nil {
		t.Fatal(err)
	}
	defer base.Close()
	f, err := os.OpenFile(base.Name(), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte("x"), 200<<10); err != nil {
		t.Fatal(err)
	}
	if damaged, err := r.catalog.Scrub(t.Context(), nil); err != nil || len(damaged) != 1 {
		t.Fatalf("%d are damaged, %v", len(damaged), err)
	}
	if status, body := r.ask(t, http.MethodGet, strangerAddress, name); status != http.StatusInternalServerError {
		t.Errorf("the host's ISO: status %d, %d bytes", status, len(body))
	}
	const says = "its content is damaged: add it again"
	for _, way := range []provisioner.Way{"", provisioner.WayNetboot, provisioner.WayMedia} {
		_, err := r.viewer().Try(provisioner.Order{Name: "o1"}, provisioner.Intent{Image: digest, Way: way})
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("an order by %q is let in: %v", way, err)
		}
	}
	if _, err := r.boots.Render(t.Context(), h, handoff.Carry{}); provisioner.KindOf(err) != provisioner.Operator || !strings.Contains(err.Error(), says) {
		t.Errorf("an attempt begins: %v", err)
	}
	shown, err := catalog{r.catalog}.Get(t.Context(), digest)
	if err != nil || len(shown.Recipe.Ways) < 3 {
		t.Fatalf("%v: %+v", err, shown.Recipe)
	}
	for _, w := range shown.Recipe.Ways {
		if w.WhyNot == "" {
			t.Errorf("the image is said to go by %s", w.Transport)
		}
	}
}
