package bmctest

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// testTimeout is long for anything here.
const testTimeout = time.Minute

// second is a BMC's second in these tests.
const second = 15 * time.Millisecond

// bench is a BMC in front of a paper host, with a server of images.
type bench struct {
	*Emulator
	t     *testing.T
	host  *Paper
	image string // served by http
	tls   string // the same by https
	files *imageServer
}

// newBench sets one up; with changes what is started.
func newBench(t *testing.T, personality string, with ...func(*Options, *PaperOptions)) *bench {
	t.Helper()
	p, err := Named(personality)
	if err != nil {
		t.Fatal(err)
	}
	po := PaperOptions{Identity: p.Identity(7), Second: second, BIOS: p.Boot.Mode == legacy}
	o := Options{Personality: p, Second: second, Password: "initial-secret"}
	for _, f := range with {
		f(&o, &po)
	}
	host := NewPaper(po)
	o.Machine = host
	e, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
		if err := host.PowerOff(context.Background()); err != nil {
			t.Error(err)
		}
	})
	b := &bench{Emulator: e, t: t, host: host, files: &imageServer{content: testDisc(t), tag: `"one"`}}
	b.image = b.serve(httptest.NewServer(b.files)) + "/media/host.iso"
	b.tls = b.serve(httptest.NewTLSServer(b.files)) + "/media/host.iso"
	return b
}

func (b *bench) serve(s *httptest.Server) string {
	s.Config.ErrorLog = silent()
	b.t.Cleanup(s.Close)
	return s.URL
}

// imageServer serves one image under every path, well unless told otherwise.
type imageServer struct {
	mu       sync.Mutex
	content  []byte
	tag      string
	noRanges bool
	redirect string
}

func (s *imageServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	content, tag, noRanges, redirect := s.content, s.tag, s.noRanges, s.redirect
	s.mu.Unlock()
	switch {
	case redirect != "":
		http.Redirect(w, r, redirect, http.StatusFound)
	case noRanges:
		w.Header().Set("Content-Length", fmt.Sprint(len(content)))
		if r.Method == http.MethodGet {
			_, _ = w.Write(content)
		}
	default:
		w.Header().Set("ETag", tag)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
	}
}

func (s *imageServer) set(f func(*imageServer)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s)
}

var discOnce = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "bmctest")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	tree := filepath.Join(dir, "tree")
	for name, content := range map[string]string{
		"boot/grub2/grub.cfg": "menuentry x {\n\tlinux /boot/kernel root=live:CDLABEL=COS_LIVE console=ttyS0\n}\n",
		"boot/kernel":         strings.Repeat("kernel", 50000),
		"rootfs.squashfs":     strings.Repeat("system", 90000),
	} {
		p := filepath.Join(tree, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			return nil, err
		}
		if err := os.WriteFile(p, []byte(content), 0o644); err != nil {
			return nil, err
		}
	}
	out := filepath.Join(dir, "disc.iso")
	if words, err := exec.Command("xorriso", "-as", "mkisofs", "-quiet", "-R", "-V", "COS_LIVE", "-o", out, tree).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("xorriso: %w: %s", err, words)
	}
	return os.ReadFile(out)
})

// testDisc is an ISO image that a paper host boots and that installs nothing.
func testDisc(t *testing.T) []byte {
	t.Helper()
	data, err := discOnce()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// reply is what a BMC answered.
type reply struct {
	status  int
	message string // MessageId of the first message of an error
	text    string
	body    object
	header  http.Header
}

// ask makes one request with Basic login.
func (b *bench) ask(method, path string, body any, with ...string) reply {
	b.t.Helper()
	got, err := b.try(method, path, body, with...)
	if err != nil {
		b.t.Fatal(err)
	}
	return got
}

// try is ask where the connection may break. with are headers, name and value.
func (b *bench) try(method, path string, body any, with ...string) (reply, error) {
	b.t.Helper()
	var data io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			b.t.Fatal(err)
		}
		data = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.URL()+path, data)
	if err != nil {
		b.t.Fatal(err)
	}
	r.SetBasicAuth(b.User(), b.Password())
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(with); i += 2 {
		r.Header.Set(with[i], with[i+1])
		if with[i] == "X-Auth-Token" {
			r.Header.Del("Authorization")
		}
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	resp, err := client.Do(r)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	got := reply{status: resp.StatusCode, header: resp.Header}
	if err := json.NewDecoder(resp.Body).Decode(&got.body); err != nil && err != io.EOF {
		b.t.Fatal(err)
	}
	got.message, got.text = firstMessage(got.body)
	return got, nil
}

func firstMessage(body object) (id, text string) {
	e, _ := body["error"].(object)
	info, _ := e["@Message.ExtendedInfo"].([]any)
	if len(info) == 0 {
		return "", ""
	}
	m := info[0].(object)
	return m["MessageId"].(string), m["Message"].(string)
}

// good is ask for an answer that must be well.
func (b *bench) good(method, path string, body any, with ...string) reply {
	b.t.Helper()
	got := b.ask(method, path, body, with...)
	if got.status >= 300 {
		b.t.Fatalf("%s %s: %d %s: %s", method, path, got.status, got.message, got.text)
	}
	return got
}

// refused wants an answer with a status and the end of a MessageId.
func (b *bench) refused(got reply, status int, message string) {
	b.t.Helper()
	if got.status != status || !strings.HasSuffix(got.message, message) {
		b.t.Errorf("answered %d %q %q, want %d %q", got.status, got.message, got.text, status, message)
	}
}

// members are the paths of a collection.
func (b *bench) members(path string) []string {
	b.t.Helper()
	list, _ := b.good("GET", path, nil).body["Members"].([]any)
	var out []string
	for _, m := range list {
		out = append(out, m.(object)["@odata.id"].(string))
	}
	return out
}

// await waits until ok is true.
func (b *bench) await(what string, ok func() bool) {
	b.t.Helper()
	deadline := time.NewTimer(testTimeout)
	defer deadline.Stop()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline.C:
			b.t.Fatalf("waited in vain for %s; the host did %q; %q", what, b.host.History(), b.Problems())
		case <-tick.C:
		}
	}
}

// tag is the If-Match header of a resource, where it has one.
func (b *bench) tag(path string) []string {
	b.t.Helper()
	if tag := b.good("GET", path, nil, "Accept-Encoding", "identity").header.Get("ETag"); tag != "" {
		return []string{"If-Match", tag}
	}
	return nil
}

// reset gives a reset and waits for its effect.
func (b *bench) reset(kind string) {
	b.t.Helper()
	before := len(b.Boots())
	b.good("POST", b.systemPath()+"/Actions/ComputerSystem.Reset", object{"ResetType": kind})
	switch kind {
	case "On", "ForceRestart":
		b.await("a boot", func() bool { return len(b.Boots()) > before && b.host.On() })
	case "ForceOff":
		b.await("power off", func() bool { return !b.host.On() })
	}
	b.await("the end of the change", func() bool { return !b.State().Moving })
}

// lastBoot is what the firmware was told last.
func (b *bench) lastBoot() Device {
	b.t.Helper()
	boots := b.Boots()
	if len(boots) == 0 {
		b.t.Fatal("it never booted")
	}
	return boots[len(boots)-1].Device
}

// says waits for a line of the paper host.
func (b *bench) says(part string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), testTimeout)
	defer cancel()
	if err := b.host.Await(ctx, func(line string) bool { return strings.Contains(line, part) }); err != nil {
		b.t.Fatal(err)
	}
}

// insert posts an image alone to a slot's standard action.
func (b *bench) insert(slot string, body object) reply {
	b.t.Helper()
	return b.ask("POST", slot+"/Actions/VirtualMedia.InsertMedia", body)
}

// bootOnce is the override that everybody sends.
func bootOnce(target string) object {
	return object{"Boot": object{overrideTarget: target, overrideEnabled: once}}
}

// untilReset makes requests on one connection until it breaks, n at most.
func (b *bench) untilReset(n int) error {
	b.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(b.URL(), "http://"))
	if err != nil {
		b.t.Fatal(err)
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	for range n {
		if _, err := fmt.Fprintf(conn, "GET /redfish/v1 HTTP/1.1\r\nHost: bmc\r\n\r\n"); err != nil {
			return err
		}
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			return err
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			return err
		}
	}
	return nil
}

func jsonOf(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
