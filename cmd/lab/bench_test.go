package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
	"time"
)

func TestCPUTimeIsReadWhateverTheProgramIsCalled(t *testing.T) {
	const rest = " S 1 2 3 4 5 6 7 8 9 10 120 31 0 0 20 0 3 0 100"
	for _, name := range []string{"(lab)", "(a b) c)", "()"} {
		got, err := statCPU("4711 " + name + rest)
		if err != nil || got != 1510*time.Millisecond {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	for _, stat := range []string{"", "1 (x) S 1 2", "1 (x) S 1 2 3 4 5 6 7 8 9 10 x 31 0"} {
		if _, err := statCPU(stat); err == nil {
			t.Errorf("%q is taken", stat)
		}
	}
}

func TestServingIsJudgedByItsMedianRatios(t *testing.T) {
	nginx := []outcome{{bytes: 1 << 30, took: time.Second, cpu: time.Second}, {bytes: 1 << 30, took: 2 * time.Second, cpu: time.Second}, {bytes: 1 << 30, took: time.Second, cpu: time.Second}}
	for _, tt := range []struct {
		name   string
		muster []outcome
		good   bool
	}{
		{"the same", nginx, true},
		{"one round is bad", []outcome{{bytes: 1 << 20, took: time.Second, cpu: time.Second}, nginx[1], nginx[2]}, true},
		{"slow", []outcome{{bytes: 1 << 29, took: time.Second, cpu: time.Second / 2}, nginx[1], {bytes: 1 << 29, took: time.Second, cpu: time.Second / 2}}, false},
		{"dear", []outcome{{bytes: 1 << 30, took: time.Second, cpu: 2 * time.Second}, {bytes: 1 << 30, took: 2 * time.Second, cpu: 2 * time.Second}, nginx[2]}, false},
	} {
		var out strings.Builder
		if err := printServing(&out, "load", "muster", nginx, tt.muster); (err == nil) != tt.good || strings.Contains(out.String(), "MISSED") == tt.good {
			t.Errorf("%s: %v\n%s", tt.name, err, out.String())
		}
	}
}

// TestClientsCountTheBodiesTheyDrop has the clients ask a server of the standard
// library, in a process of its own as far as its figures go: a sleep.
func TestClientsCountTheBodiesTheyDrop(t *testing.T) {
	const size = 3 << 20
	image := make([]byte, size)
	if _, err := rand.Read(image); err != nil {
		t.Fatal(err)
	}
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(image))
	}))
	defer site.Close()
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s := server{cmd, site.Listener.Addr().(*net.TCPAddr).String()}
	defer s.stop()
	for _, l := range []load{{name: "whole", clients: 2}, {name: "ranges", clients: 5, length: 64 << 10}} {
		window := 200 * time.Millisecond
		got, err := l.on(t.Context(), s, "/", size, window)
		for err == nil && got.bytes < size && window < time.Minute { // a busy machine needs longer
			window *= 2
			got, err = l.on(t.Context(), s, "/", size, window)
		}
		if err != nil || got.bytes < size || got.took < window {
			t.Errorf("%s: %+v, %v", l.name, got, err)
		}
		if _, err := l.on(t.Context(), s, "/", size+4096, time.Minute); l.length == 0 && err == nil {
			t.Error("an answer of another length is taken")
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := loads()[0].on(ctx, s, "/", size, time.Minute); err == nil {
		t.Error("a cancelled run has figures")
	}
}
