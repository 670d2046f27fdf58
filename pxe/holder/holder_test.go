package holder

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

// table is /proc/net/udp of a Debian 12 host where dnsmasq holds port 67.
const table = `   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  417: 00000000:0043 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 7710 2 0000000000000000 0
  990: 0100007F:0282 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 7711 2 0000000000000000 0
`

func TestHolderIsNamedFromProc(t *testing.T) {
	proc := fstest.MapFS{
		"net/udp":  {Data: []byte(table)},
		"1/comm":   {Data: []byte("systemd\n")},
		"1/fd/0":   {Data: []byte("/dev/null"), Mode: os.ModeSymlink},
		"812/comm": {Data: []byte("dnsmasq\n")},
		"812/fd/4": {Data: []byte("socket:[7710]"), Mode: os.ModeSymlink},
	}
	got, ok := Find(proc, UDP, 67)
	if diff := cmp.Diff(Process{PID: 812, Name: "dnsmasq"}, got); !ok || diff != "" {
		t.Errorf("found %t (-want +got):\n%s", ok, diff)
	}
	if p, ok := Find(proc, UDP, 69); ok {
		t.Errorf("port 69 is free, but held by %v", p)
	}
	err := Explain(proc, UDP, 67, fmt.Errorf("bind: %w", syscall.EADDRINUSE))
	if want := "udp port 67 is taken by dnsmasq (pid 812); stop it: bind: address already in use"; err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
}

func TestHolderUnseenStillSaysWhatToDo(t *testing.T) {
	proc := fstest.MapFS{"net/udp": {Data: []byte(table)}}
	err := Explain(proc, UDP, 67, syscall.EADDRINUSE)
	if err == nil || !strings.Contains(err.Error(), "ss -lnp sport = 67") {
		t.Errorf("got %v", err)
	}
}

func TestOtherErrorsPassUnchanged(t *testing.T) {
	want := errors.New("permission denied")
	if got := Explain(fstest.MapFS{}, UDP, 67, want); got != want {
		t.Errorf("got %v", got)
	}
}

func TestHolderOnThisSystem(t *testing.T) {
	u, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	l, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		l, err = net.Listen("tcp4", "127.0.0.1:0") // no IPv6 here
	}
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for kind, port := range map[Protocol]int{UDP: u.LocalAddr().(*net.UDPAddr).Port, TCP: l.Addr().(*net.TCPAddr).Port} {
		got, ok := Find(os.DirFS("/proc"), kind, uint16(port))
		if !ok || got.PID != os.Getpid() {
			t.Errorf("holder of our own %s port: %v, %t; want pid %d", kind, got, ok, os.Getpid())
		}
	}
}
