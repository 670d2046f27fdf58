package tftp

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/muster-boot/muster/pxe"
	"github.com/muster-boot/muster/pxe/pxetest"
)

var (
	testMAC    = net.HardwareAddr{0x52, 0x54, 0, 0, 0, 1}
	testClient = netip.MustParseAddr("192.0.2.50")
	loaders    = files{"ipxe.efi": bytes.Repeat([]byte("0123456789"), 100_000), "empty": {}}
	autoexec   = func(url string) (string, error) { return "chain " + url, nil }
)

// files is a Files in memory.
type files map[string][]byte

func (f files) File(name string) ([]byte, bool) { data, ok := f[name]; return data, ok }

func newServer(a pxe.Answer, opts Options, endpoints ...Endpoint) (*Server, *pxetest.Decider) {
	d := &pxetest.Decider{Answers: map[string]pxe.Answer{testMAC.String(): a}}
	owners := pxetest.Owners{testClient: testMAC}
	return New(endpoints, loaders, autoexec, owners, d, zerolog.Nop(), opts), d
}

func TestNamesCannotLeaveTheRoot(t *testing.T) {
	for in, want := range map[string]string{
		"ipxe.efi":              "ipxe.efi",
		"/ipxe.efi":             "ipxe.efi",
		"//boot//ipxe.efi":      "boot/ipxe.efi",
		`\boot\ipxe.efi`:        "boot/ipxe.efi",
		"../../etc/passwd":      "etc/passwd",
		"/boot/../../../passwd": "passwd",
		`..\..\etc\passwd`:      "etc/passwd",
		"":                      "",
		"..":                    "",
		"./././a":               "a",
	} {
		if got := clean(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}

func FuzzClean(f *testing.F) {
	f.Add(`..\../%2e%2e/x`)
	f.Add("/a//b/../../..")
	f.Fuzz(func(t *testing.T, name string) {
		got := clean(name)
		if strings.HasPrefix(got, "/") || strings.Contains(got, `\`) {
			t.Errorf("%q became %q", name, got)
		}
		for _, part := range strings.Split(got, "/") {
			if part == ".." {
				t.Errorf("%q became %q", name, got)
			}
		}
	})
}

func TestOnlyServedClientsFindFiles(t *testing.T) {
	served := pxe.Answer{Serve: true, Script: "/boot/a/script.ipxe"}
	e := Endpoint{Network: "srv0", Address: netip.MustParseAddrPort("192.0.2.1:69"), BootPort: 8067}
	for _, c := range []struct {
		name   string
		answer pxe.Answer
		from   string
		file   string
		want   string // first bytes; empty when refused
	}{
		{"a loader", served, "192.0.2.50", "ipxe.efi", "01234567"},
		{"a loader by an odd path", served, "192.0.2.50", `/\..//ipxe.efi`, "01234567"},
		{"no such file", served, "192.0.2.50", "etc/passwd", ""},
		{"no lease", served, "192.0.2.51", "ipxe.efi", ""},
		{"not served", pxe.Answer{}, "192.0.2.50", "ipxe.efi", ""},
		{"autoexec", served, "192.0.2.50", "autoexec.ipxe", "chain http://192.0.2.1:8067/boot/a/script.ipxe"},
		{"autoexec beside a loader", served, "192.0.2.50", "boot/autoexec.ipxe", "chain http://192.0.2.1:8067/boot/a/script.ipxe"},
		{"autoexec without a script", pxe.Answer{Serve: true}, "192.0.2.50", "autoexec.ipxe", ""},
	} {
		s, _ := newServer(c.answer, Options{})
		data, err := s.find(t.Context(), e, netip.MustParseAddr(c.from), c.file)
		if !strings.HasPrefix(string(data), c.want) || (err == nil) != (c.want != "") {
			t.Errorf("%s: %.20q, %v; want %q", c.name, data, err, c.want)
		}
	}
}

func TestDeciderIsAskedAboutTheOwnerOfTheAddress(t *testing.T) {
	s, d := newServer(pxe.Answer{Serve: true}, Options{})
	if _, err := s.find(t.Context(), Endpoint{Network: "srv0"}, testClient, "ipxe.efi"); err != nil {
		t.Fatal(err)
	}
	want := []pxe.Client{{MAC: testMAC, Arch: pxe.ArchUnknown, Network: "srv0", Address: testClient, Transport: pxe.TFTP}}
	if diff := cmp.Diff(want, d.Asked(), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
}

func TestGateBoundsAllAndEach(t *testing.T) {
	g := newGate(3, 2)
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	enter := func(c netip.Addr, want bool) {
		t.Helper()
		if got := g.enter(c); got != want {
			t.Errorf("enter(%s) = %t, want %t", c, got, want)
		}
	}
	enter(a, true)
	enter(a, true)
	enter(a, false) // its own share
	enter(b, true)
	enter(b, false) // everybody's
	g.leave(a)
	enter(b, true)
	g.leave(a)
	g.leave(b)
	g.leave(b)
	if g.total != 0 || len(g.by) != 0 {
		t.Errorf("after everybody left: %d, %v", g.total, g.by)
	}
}

func TestSizeProbeIsNoFailure(t *testing.T) {
	for text, want := range map[string]bool{
		"sending block 0: code=8, error: User aborted the transfer": true, // EDK2, as the library reports it
		"sending block 0: code=0, error: ":                          false,
		"sending block 7: code=8, error: ":                          false,
		"read udp 192.0.2.1:69: i/o timeout":                        false,
	} {
		if got := probed(errors.New(text)); got != want {
			t.Errorf("%q: %t, want %t", text, got, want)
		}
	}
}

// onWire serves the wire's client as a says. The log may be read after stop,
// which waits for the transfers under way.
func onWire(t *testing.T, w *pxetest.Wire, a pxe.Answer, opts Options) (log *bytes.Buffer, stop func()) {
	t.Helper()
	w.SetPeer(t, testClient.String()+"/24")
	s, _ := newServer(a, opts, Endpoint{Network: w.Interface, Address: netip.AddrPortFrom(w.Address.Addr(), Port), BootPort: 8067})
	log = &bytes.Buffer{}
	s.log = zerolog.New(zerolog.SyncWriter(log))
	return log, pxetest.Serve(t, s.Run, s.Ready())
}

func TestRealClientsFetchALoader(t *testing.T) {
	w := pxetest.OnWire(t)
	if w == nil {
		return
	}
	fetched := make(chan Fetch, 10)
	onWire(t, w, pxe.Answer{Serve: true}, Options{Fetched: func(f Fetch) { fetched <- f }})
	dir := t.TempDir()
	for name, args := range map[string][]string{
		"curl":    {"curl", "-sS", "--tftp-blksize", "1428", "-o", "OUT", "tftp://192.0.2.1/ipxe.efi"},
		"atftp":   {"atftp", "--option", "blksize 1428", "--option", "tsize 0", "-g", "-r", "ipxe.efi", "-l", "OUT", "192.0.2.1"},
		"busybox": {"busybox", "tftp", "-g", "-r", "/../ipxe.efi", "-l", "OUT", "192.0.2.1"},
	} {
		out := filepath.Join(dir, name)
		for i := range args {
			args[i] = strings.ReplaceAll(args[i], "OUT", out)
		}
		w.Run(t, args[0], args[1:]...)
		got, err := os.ReadFile(out)
		if err != nil || !bytes.Equal(got, loaders["ipxe.efi"]) {
			t.Errorf("%s: %d bytes, %v; want %d", name, len(got), err, len(loaders["ipxe.efi"]))
		}
		if f := <-fetched; f.Err != nil || f.Address != testClient || f.Bytes != len(got) {
			t.Errorf("%s: told %+v", name, f)
		}
	}
}

func TestWritesAndStrangersAreRefused(t *testing.T) {
	w := pxetest.OnWire(t)
	if w == nil {
		return
	}
	onWire(t, w, pxe.Answer{Serve: true}, Options{})
	w.SetPeer(t, "192.0.2.51/24")
	for name, args := range map[string][]string{
		"write":    {"curl", "-sS", "-m", "5", "-T", "/etc/hostname", "tftp://192.0.2.1/new"},
		"stranger": {"curl", "-sS", "-m", "5", "--interface", "192.0.2.51", "tftp://192.0.2.1/ipxe.efi"},
		"no file":  {"curl", "-sS", "-m", "5", "tftp://192.0.2.1/etc/passwd"},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		out, err := w.Client(ctx, args[0], args[1:]...).CombinedOutput()
		cancel()
		if err == nil || strings.Contains(string(out), "timed out") {
			t.Errorf("%s: %v, %s; want a TFTP error at once", name, err, out)
		}
	}
}

// TestProbeOfSizeLogsNoWarning does what EDK2 does before every loader.
func TestProbeOfSizeLogsNoWarning(t *testing.T) {
	w := pxetest.OnWire(t)
	if w == nil {
		return
	}
	log, stop := onWire(t, w, pxe.Answer{Serve: true}, Options{})
	var conn *net.UDPConn
	w.AtPeer(t, func() (err error) {
		conn, err = net.ListenUDP("udp4", &net.UDPAddr{IP: testClient.AsSlice()})
		return err
	})
	defer conn.Close()
	ask := "\x00\x01ipxe.efi\x00octet\x00tsize\x000\x00blksize\x001468\x00"
	if _, err := conn.WriteTo([]byte(ask), &net.UDPAddr{IP: w.Address.Addr().AsSlice(), Port: Port}); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 1500)
	conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	n, from, err := conn.ReadFrom(buf)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(buf[:n]); !strings.HasPrefix(got, "\x00\x06") || !strings.Contains(got, "tsize\x001000000\x00") {
		t.Errorf("no size in %q", got)
	}
	if _, err := conn.WriteTo([]byte("\x00\x05\x00\x08User aborted the transfer\x00"), from); err != nil {
		t.Fatal(err)
	}
	stop()
	if !strings.Contains(log.String(), "asked for the size") || strings.Contains(log.String(), `"level":"warn"`) {
		t.Errorf("logged:\n%s", log)
	}
}

func TestMalformedRequestsLeaveTheServerServing(t *testing.T) {
	w := pxetest.OnWire(t)
	if w == nil {
		return
	}
	onWire(t, w, pxe.Answer{Serve: true}, Options{})
	var conn net.Conn
	w.AtPeer(t, func() (err error) {
		conn, err = net.Dial("udp4", "192.0.2.1:69")
		return err
	})
	defer conn.Close()
	for _, junk := range []string{
		"", "\x00", "\x00\x01", "\x00\x01ipxe.efi", "\x00\x01ipxe.efi\x00", "\x00\x01\x00\x00", "\x00\x01a\x00octet\x00blksize",
		"\x00\x01a\x00octet\x00blksize\x00-1\x00tsize\x00999999999999999999999\x00", "\x00\x02x\x00octet\x00", "\x00\x03\x00\x01data",
		"\x00\x04\x00\x01", "\x00\x05", "\x00\x06", "\xff\xff\xff", strings.Repeat("\x00\x01", 700),
	} {
		if _, err := conn.Write([]byte(junk)); err != nil && !errors.Is(err, net.ErrClosed) {
			t.Logf("%q: %v", junk, err) // an ICMP answer to an earlier one
		}
	}
	out := filepath.Join(t.TempDir(), "out")
	w.Run(t, "curl", "-sS", "-m", "20", "-o", out, "tftp://192.0.2.1/ipxe.efi")
}

func TestTakenPortNamesTheProcess(t *testing.T) {
	taken, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	at := taken.LocalAddr().(*net.UDPAddr).AddrPort()
	s, _ := newServer(pxe.Answer{}, Options{}, Endpoint{Address: at})
	err = s.Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "is taken by tftp.test (pid ") {
		t.Errorf("got %v", err)
	}
}
