package app

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"maps"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/config"
	"github.com/muster-boot/muster/pxe/httpboot"
	"github.com/muster-boot/muster/pxe/ipxe"
	"github.com/muster-boot/muster/pxe/pxetest"
)

var someAddresses = []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("192.0.2.1")}

// own is the certificate of a data directory.
func own(t *testing.T, path string, ours []netip.Addr, now time.Time) tls.Certificate {
	t.Helper()
	c, err := ownCertificate(path, ours, now)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func sameKey(a, b tls.Certificate) bool {
	return bytes.Equal(a.Leaf.RawSubjectPublicKeyInfo, b.Leaf.RawSubjectPublicKeyInfo)
}

func TestMustersOwnCertificateIsMadeOnceAndAnewWhereItNoLongerFits(t *testing.T) {
	path, now := filepath.Join(t.TempDir(), certificateFile), time.Now()
	first := own(t, path, someAddresses, now)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key is in a file of mode %v, %v", info.Mode(), err)
	}
	if first.Leaf.NotBefore.Unix() != 0 || first.Leaf.NotAfter.Before(now.AddDate(9, 11, 0)) {
		t.Errorf("it holds from %s to %s", first.Leaf.NotBefore, first.Leaf.NotAfter)
	}
	if again := own(t, path, someAddresses[:1], now.AddDate(1, 0, 0)); !again.Leaf.Equal(first.Leaf) {
		t.Error("another was made though all that is asked for is named")
	}
	more := append(someAddresses[:2:2], netip.MustParseAddr("198.51.100.1"))
	second := own(t, path, more, now)
	if second.Leaf.Equal(first.Leaf) || len(lacking(second.Leaf, more)) > 0 || !sameKey(first, second) {
		t.Errorf("of a third address: %v is named, with the same key: %t", second.Leaf.IPAddresses, sameKey(first, second))
	}
	third := own(t, path, more, second.Leaf.NotAfter.Add(-certificateSpare/2))
	if !third.Leaf.NotAfter.After(second.Leaf.NotAfter) || !sameKey(first, third) {
		t.Errorf("shortly before its end: holds to %s, before to %s", third.Leaf.NotAfter, second.Leaf.NotAfter)
	}
}

func TestAHalfWrittenCertificateIsMadeAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), certificateFile)
	own(t, path, someAddresses, time.Now())
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 1, len(whole) / 3, len(whole) / 2, len(whole) - 40} {
		if err := os.WriteFile(path, whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path+".new", whole[:n], 0o644); err != nil { // left by a crash
			t.Fatal(err)
		}
		if c := own(t, path, someAddresses, time.Now()); len(lacking(c.Leaf, someAddresses)) > 0 {
			t.Errorf("after %d bytes: %v", n, c.Leaf.IPAddresses)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("after %d bytes the mode is %v, %v", n, info.Mode(), err)
		}
	}
}

func TestAKeyThatOthersMayReadIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), certificateFile)
	own(t, path, someAddresses, time.Now())
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := ownCertificate(path, someAddresses, time.Now()); err == nil || !strings.Contains(err.Error(), "remove "+path) {
		t.Errorf("used, or refused without a word on what to do: %v", err)
	}
}

func TestTheSitesOwnCertificateIsUsedAsItIs(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	site := own(t, filepath.Join(dir, "site.pem"), someAddresses[:1], now)
	cfg := config.Config{Data: dir, BootTLS: config.BootTLS{Certificate: filepath.Join(dir, "site.pem"), Key: filepath.Join(dir, "site.pem")}}
	nets := []network{{address: netip.MustParsePrefix("127.0.0.1/8")}, {address: netip.MustParsePrefix("192.0.2.1/24")}}
	got, err := openCertificate(cfg, nets, now)
	if err != nil || !got.Leaf.Equal(site.Leaf) {
		t.Fatalf("another certificate is used: %v", err)
	}
	said := strings.Join(certificateWords(got.Leaf, addressesOf(nets), now), "\n")
	if !strings.Contains(said, "does not name 192.0.2.1") || strings.Contains(said, "does not name 127.0.0.1") || strings.Contains(said, "ended on") {
		t.Errorf("it is said:\n%s", said)
	}
	if said := strings.Join(certificateWords(got.Leaf, nil, got.Leaf.NotAfter.Add(time.Hour)), "\n"); !strings.Contains(said, "ended on") {
		t.Errorf("of one that ended it is said:\n%s", said)
	}
	cfg.BootTLS.Key = filepath.Join(dir, "none.key")
	if _, err := openCertificate(cfg, nets, now); err == nil || !strings.Contains(err.Error(), "boot.key "+cfg.BootTLS.Key) {
		t.Errorf("without its key: %v", err)
	}
}

// trusting is a client that verifies, and trusts one certificate only.
func trusting(certificate []byte) *http.Client {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(certificate)
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true}}
}

// serveHTTPS serves what the rig serves over https, too, and tells where and
// the file of the certificate.
func (r *rig) serveHTTPS(t *testing.T) (address, certificate string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), certificateFile)
	c := own(t, path, someAddresses, time.Now())
	d := &decider{hosts: r.mirror}
	parts := planeParts{engine: r.engine, store: r.store, mirror: r.mirror, boots: r.boots, reads: r.reads, counts: r.counts, log: zerolog.Nop()}
	endpoint := httpboot.Endpoint{Network: line, Address: netip.MustParseAddrPort("127.0.0.1:0"), TLS: bootTLS(c)}
	s := httpboot.New([]httpboot.Endpoint{endpoint}, ipxe.NewLoaders(), ipxe.Autoexec, parts.mounts(d, testNetworks()), pxetest.Owners{}, d, zerolog.Nop(), httpboot.Options{})
	pxetest.Serve(t, s.Run, s.Ready())
	return s.Bound()[0].String(), path
}

// TestAHostsISOIsTheSameByHTTPS compares what Go's client and curl get over both,
// each verifying the address by the site's own certificate.
func TestAHostsISOIsTheSameByHTTPS(t *testing.T) {
	r, h := withMedium(t, provisioner.WayMedia)
	secure, certificate := r.serveHTTPS(t)
	trusted, err := os.ReadFile(certificate)
	if err != nil {
		t.Fatal(err)
	}
	name := mediumPath(h)
	_, whole := r.askFor(t, http.MethodGet, strangerAddress, name, nil)
	for _, c := range []struct {
		name   string
		method string
		ranges string
	}{
		{"all of it", http.MethodGet, ""},
		{"its size", http.MethodHead, ""},
		{"the beginning", http.MethodGet, "bytes=0-65535"},
		{"the middle", http.MethodGet, "bytes=100001-900001"},
		{"the end", http.MethodGet, "bytes=-2049"},
		{"two parts", http.MethodGet, "bytes=0-9,100-199"},
		{"beyond the end", http.MethodGet, "bytes=999999999-"},
	} {
		header := http.Header{}
		if c.ranges != "" {
			header.Set("Range", c.ranges)
		}
		plain, plainBody := r.askFor(t, c.method, strangerAddress, name, header)
		req, err := http.NewRequestWithContext(t.Context(), c.method, "https://"+secure+name, nil)
		if err != nil {
			t.Fatal(err)
		}
		maps.Copy(req.Header, header)
		resp, body := answerOf(t, trusting(trusted), req)
		if resp.StatusCode != plain.StatusCode || resp.Header.Get("ETag") != plain.Header.Get("ETag") || resp.Header.Get("Content-Range") != plain.Header.Get("Content-Range") ||
			resp.ContentLength != plain.ContentLength || c.ranges != "bytes=0-9,100-199" && body != plainBody { // boundaries of parts are random
			t.Errorf("%s: by https %d %v, by http %d %v; the bodies are equal: %t", c.name, resp.StatusCode, resp.Header, plain.StatusCode, plain.Header, body == plainBody)
		}
	}
	got, err := exec.CommandContext(t.Context(), "curl", "-sS", "-f", "-m", "60", "--cacert", certificate, "https://"+secure+name).Output()
	if err != nil || string(got) != whole {
		t.Errorf("curl got %d of %d bytes: %v", len(got), len(whole), err)
	}
	if said, err := exec.CommandContext(t.Context(), "curl", "-sS", "-m", "60", "https://"+secure+name).CombinedOutput(); err == nil {
		t.Errorf("curl took a certificate that nobody vouches for: %.100s", said)
	}
}

// TestOldClientsHaveACipherByHTTPS speaks as they do: OpenSSL of firmware without
// elliptic curves, and TLS before 1.2, which is refused.
func TestOldClientsHaveACipherByHTTPS(t *testing.T) {
	secure, certificate := newRig(t).serveHTTPS(t)
	for _, c := range []struct {
		name string
		args []string
		ok   bool
	}{
		{"key exchange by RSA", []string{"-tls1_2", "-cipher", "AES128-SHA"}, true},
		{"CBC with curves", []string{"-tls1_2", "-cipher", "ECDHE-RSA-AES128-SHA"}, true},
		{"TLS 1.3", []string{"-tls1_3"}, true},
		{"TLS 1.1", []string{"-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"}, false},
	} {
		args := append([]string{"s_client", "-connect", secure, "-CAfile", certificate, "-verify_ip", "127.0.0.1", "-verify_return_error", "-brief"}, c.args...)
		said, err := exec.CommandContext(t.Context(), "openssl", args...).CombinedOutput()
		verified := err == nil && strings.Contains(string(said), "Verification: OK")
		if verified != c.ok {
			t.Errorf("%s: %v\n%s", c.name, err, said)
		}
	}
}
