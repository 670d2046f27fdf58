package discover

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestAddressesAreThoseThatWereNamed(t *testing.T) {
	for name, want := range map[string]string{
		"192.0.2.7":             "192.0.2.7",
		"192.0.2.0/30":          "192.0.2.1 192.0.2.2",
		"192.0.2.6/31":          "192.0.2.6 192.0.2.7",
		"192.0.2.9/32":          "192.0.2.9",
		"192.0.2.1-192.0.2.3":   "192.0.2.1 192.0.2.2 192.0.2.3",
		"192.0.2.3 - 192.0.2.3": "192.0.2.3",
		"2001:db8::/127":        "2001:db8:: 2001:db8::1",
		"192.0.2.255-192.0.3.0": "192.0.2.255 192.0.3.0",
		"0.0.0.0/0":             "", "192.0.2.3-192.0.2.1": "", "bmc.example": "", "": "", "10.0.0.0/19": "", "192.0.2.1-2001:db8::1": "",
		"255.255.255.254-255.255.255.255": "255.255.255.254 255.255.255.255",
	} {
		got, err := Addresses(name)
		if words := strings.Trim(fmt.Sprint(got), "[]"); words != want || (err == nil) != (want != "") {
			t.Errorf("%q is %s, %v; want %s", name, words, err, want)
		}
	}
}

func TestAnAddressNamedTwiceIsAskedOnce(t *testing.T) {
	got, err := Addresses("192.0.2.2", "192.0.2.1-192.0.2.2")
	if err != nil || len(got) != 2 {
		t.Errorf("%v, %v", got, err)
	}
}

// at serves on one address of the loopback network.
func at(t *testing.T, address string, port int, h http.HandlerFunc) int {
	t.Helper()
	l, err := net.Listen("tcp", fmt.Sprintf("%s:%d", address, port))
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(h)
	s.Listener.Close()
	s.Listener = l
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return l.Addr().(*net.TCPAddr).Port
}

func TestOnlyBMCsAreFoundAndNobodyIsLoggedInto(t *testing.T) {
	var asked atomic.Int32
	root := func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.Method != http.MethodGet || r.URL.Path != "/redfish/v1/" || r.Header.Get("Authorization") != "" {
			t.Errorf("asked %s %s", r.Method, r.URL.Path)
		}
		fmt.Fprint(w, `{"RedfishVersion":"1.6.0","Vendor":"Contoso","UUID":"u"}`)
	}
	port := at(t, "127.0.0.2", 0, root)
	at(t, "127.0.0.3", port, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") })
	at(t, "127.0.0.5", port, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	addresses, err := Addresses("127.0.0.2-127.0.0.6")
	if err != nil {
		t.Fatal(err)
	}
	found, err := Scan(t.Context(), addresses, Options{Port: port, AtOnce: 2})
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, f := range found {
		lines = append(lines, strings.Replace(f.String(), fmt.Sprint(port), "PORT", 1))
	}
	if len(lines) != 2 || lines[0] != `127.0.0.2:PORT: "Contoso" "", Redfish 1.6.0` || !strings.Contains(lines[1], "127.0.0.5:PORT: ") || !strings.Contains(lines[1], "busy") {
		t.Errorf("found %q", lines)
	}
	if asked.Load() != 1 || len(found[0].About.Fingerprint) != 64 {
		t.Errorf("asked %d times, %+v", asked.Load(), found[0])
	}
}

func TestAScanEndsWithItsContextAndItsTimeouts(t *testing.T) {
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	port := at(t, "127.0.0.2", 0, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	silent := []netip.Addr{netip.MustParseAddr("127.0.0.2")}
	if found, err := Scan(t.Context(), silent, Options{Port: port, Timeout: 20 * time.Millisecond}); err != nil || len(found) != 0 {
		t.Errorf("found %v, %v", found, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Scan(ctx, silent, Options{Port: port}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestTheVendorClassIsAHint(t *testing.T) {
	got := map[string]string{}
	for _, class := range []string{"iDRAC", "CPQRIB3 (HP Proliant DL360)", "NVIDIA/BF/BMC", "NVIDIA/OOB", "PXEClient", "", "idrac"} {
		h, ok := ByVendorClass(class)
		if ok != (h != Hint{}) {
			t.Errorf("%q: %v %t", class, h, ok)
		}
		got[class] = h.Vendor
	}
	want := map[string]string{"iDRAC": "Dell", "CPQRIB3 (HP Proliant DL360)": "HPE", "NVIDIA/BF/BMC": "NVIDIA", "NVIDIA/OOB": "NVIDIA", "PXEClient": "", "": "", "idrac": ""}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func FuzzAddresses(f *testing.F) {
	for _, seed := range []string{"192.0.2.0/24", "192.0.2.1-192.0.2.9", "::/0", "fe80::1%eth0-fe80::2", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		list, err := Addresses(name)
		if err == nil && (len(list) == 0 || len(list) > maxAddresses) {
			t.Errorf("%q gives %d addresses", name, len(list))
		}
	})
}
