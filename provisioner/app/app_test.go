package app

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/muster-boot/muster/provisioner/api/client"
	"github.com/muster-boot/muster/provisioner/config"
)

// loopback serves boot files on 127.0.0.1 and gives no addresses.
func loopback(t *testing.T, port uint16) config.Config {
	t.Helper()
	dir := t.TempDir()
	return config.Config{
		Data: filepath.Join(dir, "data"), Socket: filepath.Join(dir, "m.sock"), BootPort: port,
		Deadlines: config.Deadlines{Discover: time.Hour, Verify: time.Hour, Install: time.Hour, Register: time.Hour},
		Networks:  []config.Network{{Interface: "lo", DHCP: config.DHCPOff, Unknown: config.UnknownSilent}},
	}
}

func TestAServerThatCannotStartLeavesNothingBehind(t *testing.T) {
	taken, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	cfg := loopback(t, uint16(taken.Addr().(*net.TCPAddr).Port))
	err = Run(t.Context(), cfg, Options{})
	if err == nil || !strings.Contains(err.Error(), "serve boot files on") {
		t.Fatalf("started on a taken port: %v", err)
	}
	if _, err := os.Lstat(cfg.Socket); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the control socket is still there: %v", err)
	}
}

// freePort is one that nobody listens on just now, and that the kernel gives
// nobody who asks for any: else another test's server may have it a moment later,
// or while a server here is started again.
func freePort(t *testing.T) uint16 {
	t.Helper()
	const first, last = 10000, 32000 // below Linux's usual ip_local_port_range
	for range 100 {
		port := first + rand.N(last-first)
		l, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		return uint16(port)
	}
	t.Fatal("a hundred ports are all taken")
	return 0
}

func TestAStartedServerSaysWhatItServesAndStopsWhenAsked(t *testing.T) {
	cfg := loopback(t, 0)
	cfg.BootTLS.Port = freePort(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	reads, writes := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := Run(ctx, cfg, Options{Version: "v0-test", Out: writes})
		_ = writes.Close()
		ended <- err
	}()
	var said []string
	for lines := bufio.NewScanner(reads); lines.Scan(); {
		said = append(said, lines.Text())
		if strings.Contains(lines.Text(), "discovery ramdisk") { // its last
			break
		}
	}
	c, err := client.New(cfg.Socket)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Health(t.Context()); err != nil {
		t.Errorf("it said that it serves and does not: %v", err)
	}
	at := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), cfg.BootTLS.Port).String()
	kept, err := os.ReadFile(filepath.Join(cfg.Data, certificateFile))
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := trusting(kept).Get("https://" + at + "/nothing"); err != nil || resp.StatusCode != http.StatusNotFound {
		t.Errorf("https does not answer as http does: %v, %v", resp, err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	for _, want := range []string{"hosts' own ISOs, with what their scouts and installers ask for", "only its owner can open it", "by https, for BMCs, at https://" + at, "SHA-256 fingerprint"} {
		if !slices.ContainsFunc(said, func(line string) bool { return strings.Contains(line, want) }) {
			t.Errorf("%q was not said:\n%s", want, strings.Join(said, "\n"))
		}
	}
	if strings.Contains(strings.Join(said, "\n"), "boot files at") {
		t.Errorf("boot files are promised to hosts without a lease:\n%s", strings.Join(said, "\n"))
	}
}
