package httpboot

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/muster-boot/muster/pxe"
	"github.com/muster-boot/muster/pxe/pxetest"
)

// newSecureSite is newSite over TLS, and a client that trusts its certificate
// and would speak HTTP/2.
func newSecureSite(t *testing.T, a pxe.Answer, mounts ...Mount) (*site, *http.Client) {
	t.Helper()
	lender := httptest.NewTLSServer(nil) // of a certificate for 127.0.0.1
	lender.Close()
	client := lender.Client()
	client.Transport.(*http.Transport).ForceAttemptHTTP2 = true
	st := &site{decider: &pxetest.Decider{Answers: map[string]pxe.Answer{testMAC.String(): a}}, served: make(chan Request, 100)}
	endpoint := Endpoint{Network: "srv0", Address: netip.AddrPortFrom(loopback, 0), TLS: &tls.Config{Certificates: lender.TLS.Certificates}}
	s := New([]Endpoint{endpoint}, files{"ipxe.efi": loader}, autoexec, mounts, pxetest.Owners{loopback: testMAC}, st.decider, zerolog.Nop(),
		Options{Served: func(r Request) { st.served <- r }})
	pxetest.Serve(t, s.Run, s.Ready())
	st.addr = s.Bound()[0].String()
	return st, client
}

func TestTheSameIsServedByHTTPS(t *testing.T) {
	whole := newParts(t)
	st, client := newSecureSite(t, pxe.Answer{Serve: true, Script: "/s"}, Mount{Prefix: "/direct", Direct: true, Handler: whole})
	for path, want := range map[string]string{
		"/loader/ipxe.efi": string(loader),
		"//direct/./a":     string(loader),
		"/autoexec.ipxe":   "chain https://" + st.addr + "/s",
	} {
		for range 2 { // on one connection
			resp, err := client.Get("https://" + st.addr + path)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			if resp.Body.Close(); err != nil || string(body) != want || resp.StatusCode != http.StatusOK || resp.ProtoMajor != 1 {
				t.Errorf("%s: %s %s with %d bytes, want %d: %v", path, resp.Proto, resp.Status, len(body), len(want), err)
			}
			if r := <-st.served; r.Bytes != int64(len(want)) || r.Stopped {
				t.Errorf("%s is told of as %+v", path, r)
			}
		}
	}
}

func TestPlainHTTPOnThePortOfHTTPSIsToldSo(t *testing.T) {
	st, _ := newSecureSite(t, pxe.Answer{Serve: true})
	conn, err := net.Dial("tcp4", st.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: muster\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	said, err := io.ReadAll(conn)
	if err != nil || !strings.HasPrefix(string(said), "HTTP/1.0 400 ") {
		t.Errorf("answered with %.200q, %v", said, err)
	}
}
