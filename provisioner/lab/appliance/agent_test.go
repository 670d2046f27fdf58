package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestAgentRegistersOnceAndKeepsTheAnswer(t *testing.T) {
	var calls []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var said registration
		if err := json.NewDecoder(r.Body).Decode(&said); err != nil {
			t.Error(err)
		}
		calls = append(calls, r.Method+" "+r.URL.Path+" "+r.Header.Get("Authorization")+" "+said.Agent)
		if len(calls) == 1 {
			http.Error(w, "the store is busy", http.StatusServiceUnavailable)
			return
		}
		io.WriteString(w, `{"id":"r1"}`)
	}))
	defer server.Close()
	var said []string
	say := func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }
	to := &callhome{URL: server.URL + "/register", Token: "secret"}
	state := filepath.Join(t.TempDir(), "state")
	for range 2 { // two boots
		if err := agent(t.Context(), to, state, say); err != nil {
			t.Fatal(err)
		}
	}
	call := "POST /register Bearer secret " + agentName
	if diff := cmp.Diff([]string{call, call}, calls); diff != "" {
		t.Errorf("calls, -want +got:\n%s", diff)
	}
	if kept, err := os.ReadFile(state); err != nil || string(kept) != "{\"id\":\"r1\"}\n" {
		t.Errorf("kept %q, %v", kept, err)
	}
	want := []string{
		"not registered yet: the server answered 503 Service Unavailable: the store is busy; trying again in 1s",
		`registered: {"id":"r1"}`,
		`registered at an earlier boot: {"id":"r1"}`,
	}
	if diff := cmp.Diff(want, said); diff != "" {
		t.Errorf("said, -want +got:\n%s", diff)
	}
	if slices.ContainsFunc(said, func(s string) bool { return strings.Contains(s, "secret") }) {
		t.Error("the token was printed")
	}
}

func TestAgentWithoutAddressSaysSo(t *testing.T) {
	var said string
	err := agent(t.Context(), nil, filepath.Join(t.TempDir(), "state"), func(format string, args ...any) { said += fmt.Sprintf(format, args...) })
	if err != nil || !strings.Contains(said, "callhome.url") {
		t.Errorf("got %v, said %q", err, said)
	}
}

func TestOnlyARefusalThatSaysSoIsToldOff(t *testing.T) {
	for answer, want := range map[string]bool{
		`{"status": 409, "do": "poweroff"}`: true, `{"status": 409}`: false, `{"do": "stay"}`: false, "poweroff": false, "": false,
	} {
		if got := toldOff([]byte(answer)); got != want {
			t.Errorf("%s: %t", answer, got)
		}
	}
}

func TestRefusalIsAskedAgainSlowly(t *testing.T) {
	for status, want := range map[int]bool{0: false, 401: true, 403: true, 404: false, 410: true, 503: false} {
		if got := refused(status); got != want {
			t.Errorf("status %d counts as refusal: %v, want %v", status, got, want)
		}
	}
}

// requests keeps what a server was asked, across its goroutines.
type requests struct {
	mu   sync.Mutex
	list []string
}

func (r *requests) add(request string) (count int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(r.list, request)
	return len(r.list)
}

// take returns the requests so far and forgets them.
func (r *requests) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := r.list
	r.list = nil
	return list
}

func TestCurlDoesWhatStagesAskOfIt(t *testing.T) {
	var got requests
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		count := got.add(strings.TrimSpace(fmt.Sprintf("%s %s %s|%s", r.Method, r.URL.Path, r.Header.Get("X-Key"), body)))
		switch r.URL.Path {
		case "/no":
			http.NotFound(w, r)
		case "/busy":
			if count < 3 {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
		case "/slow":
			<-r.Context().Done()
		default:
			io.WriteString(w, "ok")
		}
	}))
	defer server.Close()
	file := filepath.Join(t.TempDir(), "body")
	if err := os.WriteFile(file, []byte("from file"), 0o644); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		args string
		code int
		want []string
		out  string
	}{
		"report":                {"-fsS -m 5 -X POST URL/report", curlDone, []string{"POST /report |"}, "ok"},
		"data and header":       {"-sS -m5 -d a=1 -H X-Key:v URL/x", curlDone, []string{"POST /x v|a=1"}, "ok"},
		"data from a file":      {"-fsS --data-binary @FILE URL/x", curlDone, []string{"POST /x |from file"}, "ok"},
		"data from standard in": {"-fsS -X PUT -d @- URL/x", curlDone, []string{"PUT /x |from stdin"}, "ok"},
		"refusal with -f":       {"-fsS URL/no", curlHTTP, []string{"GET /no |"}, ""},
		"refusal without -f":    {"-sS URL/no", curlDone, []string{"GET /no |"}, "404 page not found\n"},
		"retry":                 {"-fsS --retry 3 --retry-delay 0.01 URL/busy", curlDone, []string{"GET /busy |", "GET /busy |", "GET /busy |"}, ""},
		"time limit":            {"-fsS -m 0.05 URL/slow", curlTimeout, []string{"GET /slow |"}, ""},
		"nobody there":          {"-fsS http://127.0.0.1:1/x", curlConnect, nil, ""},
		"unknown option":        {"--proxy x URL/x", curlUsage, nil, ""},
		"no URL":                {"-fsS", curlUsage, nil, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var out, complaint strings.Builder
			args := strings.Fields(strings.NewReplacer("URL", server.URL, "FILE", file).Replace(tt.args))
			code := curl(t.Context(), args, strings.NewReader("from stdin"), &out, &complaint)
			if code != tt.code || out.String() != tt.out {
				t.Errorf("exit %d, printed %q, want %d, %q; it complained %q", code, out.String(), tt.code, tt.out, complaint.String())
			}
			if diff := cmp.Diff(tt.want, got.take()); diff != "" {
				t.Errorf("requests, -want +got:\n%s", diff)
			}
			if (code != curlDone) != (complaint.Len() > 0) {
				t.Errorf("exit %d with the complaint %q", code, complaint.String())
			}
		})
	}
}

// TestCurlOutlastsAServerThatIsAway has nobody listen until the first try was
// refused, with the options of muster's own calls.
func TestCurlOutlastsAServerThatIsAway(t *testing.T) {
	tests := map[string]struct {
		options string
		tries   int
	}{
		"asked again until the server is there":  {"--retry 60 --retry-delay 5 --retry-connrefused --retry-max-time 300", 4},
		"asked again until the time is over":     {"--retry 60 --retry-delay 5 --retry-connrefused --retry-max-time 9", 3},
		"not asked again where that is not said": {"--retry 60 --retry-delay 5", 1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tries := 0
				r, err := parseCurl(append(strings.Fields(tt.options), "-fsS", "-m", "10", "-X", "POST", "http://s/step/written"))
				if err != nil {
					t.Fatal(err)
				}
				code, _ := r.run(t.Context(), nil, io.Discard, func(*http.Request) (*http.Response, error) {
					tries++
					if tries < 4 {
						return nil, syscall.ECONNREFUSED
					}
					return &http.Response{StatusCode: http.StatusNoContent, Body: http.NoBody}, nil
				})
				if want := map[bool]int{true: curlDone, false: curlConnect}[tt.tries == 4]; tries != tt.tries || code != want {
					t.Errorf("%d tries and exit %d, want %d and %d", tries, code, tt.tries, want)
				}
			})
		})
	}
}

// roundTrip is a server without a network, so that time can be the test's own.
type roundTrip func() (status int, body string)

func (f roundTrip) RoundTrip(*http.Request) (*http.Response, error) {
	status, body := f()
	return &http.Response{StatusCode: status, Status: http.StatusText(status), Body: io.NopCloser(strings.NewReader(body))}, nil
}

func TestFetchTriesThreeTimesASecondApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked []time.Duration
		start := time.Now()
		client := &http.Client{Transport: roundTrip(func() (int, string) {
			asked = append(asked, time.Since(start))
			return http.StatusInternalServerError, ""
		})}
		if _, err := fetcher(client)(t.Context(), "http://s/c"); err == nil || !strings.Contains(err.Error(), "tried 3 times") {
			t.Errorf("got %v", err)
		}
		if diff := cmp.Diff([]time.Duration{0, time.Second, 2 * time.Second}, asked); diff != "" {
			t.Errorf("asked at, -want +got:\n%s", diff)
		}
	})
}

func TestEndlessConfigurationIsRefused(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Write(make([]byte, fetchLimit+1))
	}))
	defer server.Close()
	if _, err := get(t.Context(), server.Client(), server.URL); err == nil || !strings.Contains(err.Error(), "longer than") {
		t.Errorf("got %v", err)
	}
}
