package fetch

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"
)

// TestAPublicServerCannotSendUsInside runs in a network namespace of its own,
// where a public and a private address are both at hand.
func TestAPublicServerCannotSendUsInside(t *testing.T) {
	if os.Getenv("MUSTER_TEST_NAMESPACE") != "" {
		fetchAcross(t)
		return
	}
	if os.Geteuid() != 0 {
		t.Skip("a network namespace needs root")
	}
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
	child.Env = append(os.Environ(), "MUSTER_TEST_NAMESPACE=1")
	child.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if out, err := child.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func fetchAcross(t *testing.T) {
	const public, private = "198.51.100.1", "10.1.0.6"
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	for _, addr := range []string{public, private} {
		a, err := netlink.ParseAddr(addr + "/32")
		if err := errors.Join(err, netlink.AddrAdd(lo, a)); err != nil {
			t.Fatal(err)
		}
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/x", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	urls := map[string]string{}
	for _, addr := range []string{public, private} {
		l, err := net.Listen("tcp", addr+":0")
		if err != nil {
			t.Fatal(err)
		}
		server := &http.Server{Handler: mux}
		done := make(chan error, 1)
		go func() { done <- server.Serve(l) }()
		t.Cleanup(func() {
			if err := errors.Join(server.Close(), <-done); !errors.Is(err, http.ErrServerClosed) {
				t.Error(err)
			}
		})
		urls[addr] = "http://" + l.Addr().String()
	}
	mux.HandleFunc("/inside", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, urls[private]+"/x", http.StatusFound)
	})
	mux.HandleFunc("/outside", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, urls[public]+"/x", http.StatusFound) })
	mux.HandleFunc("/around", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, urls[public]+"/inside", http.StatusFound)
	})

	f := New(Guard{Own: func() ([]netip.Addr, error) { return nil, nil }})
	for url, allowed := range map[string]bool{
		urls[public] + "/x": true, urls[private] + "/x": true, urls[private] + "/inside": true, urls[private] + "/outside": true,
		urls[public] + "/inside": false, urls[private] + "/around": false,
	} {
		err := f.File(t.Context(), url, filepath.Join(t.TempDir(), "p"), Options{})
		var refused *Refused
		if allowed && err != nil || !allowed && !errors.As(err, &refused) {
			t.Errorf("%s: %v", url, err)
		}
	}
	if err := New(Guard{}).File(t.Context(), urls[public]+"/x", filepath.Join(t.TempDir(), "p"), Options{}); err == nil {
		t.Error("this host's own address was fetched from")
	}
}
