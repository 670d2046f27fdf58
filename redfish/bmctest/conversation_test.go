package bmctest

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// exchange is one line of a recorded conversation; see testdata/README.md.
type exchange struct {
	Method string `json:"method"`
	Path   string `json:"path"`
	Body   object `json:"body"`
	Status int    `json:"status"`
	Answer string `json:"answer"`
}

func recorded(t *testing.T) []exchange {
	t.Helper()
	f, err := os.Open("testdata/pxe-conversation.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var list []exchange
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e exchange
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Fatal(err)
		}
		list = append(list, e)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return list
}

// plain makes a recorded text one that can stand in a URL.
func plain(s string) string {
	return regexp.MustCompile(`\{([a-z]+[0-9]?)\}`).ReplaceAllString(s, "$1")
}

// replay answers each request as it was answered when it was recorded, in turn
// for those asked more than once, and keeps what it was asked.
type replay struct {
	t     *testing.T
	root  string
	mu    sync.Mutex
	left  []exchange
	asked []exchange
}

func (s *replay) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := exchange{Method: r.Method, Path: version.ReplaceAllString(r.URL.RequestURI(), "version=V")}
	if data, err := io.ReadAll(r.Body); err == nil && len(data) > 0 {
		if err := json.Unmarshal(data, &e.Body); err != nil {
			s.t.Errorf("%s %s: %v", r.Method, r.URL, err)
		}
	}
	s.asked = append(s.asked, e)
	i := slices.IndexFunc(s.left, func(x exchange) bool { return x.Method == e.Method && x.Path == e.Path })
	if i < 0 {
		http.NotFound(w, r)
		return
	}
	e = s.left[i]
	s.left = slices.Delete(s.left, i, i+1)
	w.WriteHeader(e.Status)
	_, _ = io.WriteString(w, strings.ReplaceAll(e.Answer, "{root}", s.root))
}

var version = regexp.MustCompile(`version=[^&]*`)

// replayed is the recording with every name made plain.
func replayed(t *testing.T) []exchange {
	list := recorded(t)
	for i := range list {
		e := &list[i]
		e.Path = version.ReplaceAllString(plain(e.Path), "version=V")
		root := strings.ReplaceAll(e.Answer, "{root}", "\x00")
		e.Answer = strings.ReplaceAll(plain(root), "\x00", "{root}")
		if a, ok := e.Body["attempt"].(string); ok {
			e.Body["attempt"] = plain(a)
		}
	}
	return list
}

// lines are requests without their bodies.
func lines(list []exchange) []string {
	var out []string
	for _, e := range list {
		out = append(out, e.Method+" "+e.Path)
	}
	return out
}

// TestThePaperHostSaysWhatTheRecordedHostSaid lets a paper host boot from the
// network against the answers that a QEMU host got, and wants the same requests
// in the same order, and bodies of the same form.
func TestThePaperHostSaysWhatTheRecordedHostSaid(t *testing.T) {
	want := replayed(t)
	s := &replay{t: t, left: slices.Clone(want)}
	server := httptest.NewServer(s)
	defer server.Close()
	s.root = server.URL
	p := NewPaper(PaperOptions{
		Second: second, BIOS: true, Script: server.URL + "/script/52-54-00-74-00-01.ipxe",
		Identity: Identity{
			Serial: "SN-0001", UUID: "74657374-0000-4000-8000-000000000001", NICs: []NIC{{"52:54:00:74:00:01", 1000}},
			CPUs: []CPU{{"pc-i440fx-7.2", 2, 2}}, DIMMs: []DIMM{{"DIMM 0", 8192, "SN-0001-M"}},
			Disks: []Disk{{Model: "QEMU NVMe Ctrl", Serial: "SN-0001-D0", Bytes: 100e9, NVMe: true}},
		},
	})
	if err := p.PowerOn(t.Context(), func() Boot { return Boot{Legacy: true} }); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	waited := p.Await(ctx, func(line string) bool { return line == "registered" })
	if err := p.PowerOff(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if diff := cmp.Diff(lines(want), lines(s.asked)); diff != "" || waited != nil {
		t.Fatalf("-recorded +paper:\n%s\n%v", diff, waited)
	}
	for i, e := range want {
		if diff := cmp.Diff(form(e.Body), form(s.asked[i].Body)); diff != "" {
			t.Errorf("%s %s: form of the body, -recorded +paper:\n%s", e.Method, e.Path, diff)
		}
	}
}

// form is a JSON value with its keys, the lengths of its lists and no values;
// null, and a list without members, stay what they are.
func form(v any) any {
	switch v := v.(type) {
	case object:
		out := object{}
		for k, x := range v {
			if k != "by_id" && k != "board" && k != "address" { // as many as a host happens to have
				out[k] = form(x)
			}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = form(x)
		}
		return out
	case nil:
		return nil
	}
	return "value"
}
