// Package pxetest puts a test of a boot protocol on a wire of its own: a veth
// pair between two new network namespaces, muster's side and a client's, so
// that real clients ask the real ports.
//
// It serves tests only. It touches no interface that it did not make, and
// leaves none behind. It needs root and iproute2. Start at [OnWire].
package pxetest

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// clientEnv tells the test binary, when it runs itself on the wire, the name of
// the client's namespace.
const clientEnv = "MUSTER_PXE_WIRE_CLIENT"

// Wire is the two ends of a link. Our end is in the test's own namespace.
type Wire struct {
	Interface string       // our end
	Address   netip.Prefix // its address
	Peer      string       // the client's end, up and without an IPv4 address
	PeerMAC   net.HardwareAddr
	client    string // the name of the client's namespace
}

// OnWire runs the calling test again, in a child process with a network
// namespace of its own, and there returns the wire; the child's verdict becomes
// the test's. In the parent it returns nil when the child is done, and the test
// must return too. It must be called first, by a test that is no subtest.
func OnWire(t *testing.T) *Wire {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: needs root, to make network namespaces")
	}
	if name := os.Getenv(clientEnv); name != "" {
		return connect(t, name)
	}
	name := fmt.Sprintf("muster-pxe-%d", os.Getpid())
	run(t, "ip", "netns", "add", name)
	t.Cleanup(func() { run(t, "ip", "netns", "delete", name) })
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=2m")
	child.Env = append(os.Environ(), clientEnv+"="+name)
	child.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	out, err := child.CombinedOutput()
	if err != nil {
		t.Errorf("on the wire: %v\n%s", err, out)
	} else if testing.Verbose() {
		t.Logf("on the wire:\n%s", out)
	}
	return nil
}

// connect makes the link from inside our namespace.
func connect(t *testing.T, client string) *Wire {
	w := &Wire{
		Interface: "srv0", Address: netip.MustParsePrefix("192.0.2.1/24"),
		Peer: "cli0", PeerMAC: net.HardwareAddr{0x52, 0x54, 0, 0, 0, 1}, client: client,
	}
	run(t, "ip", "link", "set", "lo", "up")
	run(t, "ip", "link", "add", w.Interface, "type", "veth", "peer", "name", w.Peer, "netns", client)
	if err := noDuplicateDetection(w.Interface); err != nil {
		t.Fatal(err)
	}
	w.AtPeer(t, func() error { return noDuplicateDetection(w.Peer) })
	run(t, "ip", "address", "add", w.Address.String(), "dev", w.Interface)
	run(t, "ip", "link", "set", w.Interface, "up")
	run(t, "ip", "-n", client, "link", "set", "lo", "up")
	run(t, "ip", "-n", client, "link", "set", w.Peer, "address", w.PeerMAC.String(), "up")
	return w
}

// noDuplicateDetection lets an interface's IPv6 link-local address be used at
// once. A kernel without IPv6 has nothing to set.
func noDuplicateDetection(link string) error {
	err := os.WriteFile("/proc/sys/net/ipv6/conf/"+link+"/accept_dad", []byte("0"), 0o644)
	if os.IsNotExist(err) {
		return nil
	}
	return err
}

// Client is a command on the client's side.
func (w *Wire) Client(ctx context.Context, name string, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", w.client, name}, args...)...)
}

// Run runs a command on the client's side and returns what it printed; the test
// ends when it fails.
func (w *Wire) Run(t *testing.T, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	out, err := w.Client(ctx, name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// AtPeer calls f on the client's side: sockets that it opens there stay there.
func (w *Wire) AtPeer(t *testing.T, f func() error) {
	t.Helper()
	done := make(chan error, 1)
	go onOwnThread(func() { done <- inNamespace(w.client, f) })
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// onOwnThread calls f on a thread that ends with the calling goroutine, but
// never on the process's first one: /proc/self/net shows that one's namespace,
// and it does not end.
func onOwnThread(f func()) {
	runtime.LockOSThread()
	if unix.Gettid() != unix.Getpid() {
		f()
		return // still locked, so the thread ends too
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		onOwnThread(f)
	}()
	<-done
	runtime.UnlockOSThread()
}

// inNamespace moves the calling thread to a named network namespace, then
// calls f.
func inNamespace(name string, f func() error) error {
	ns, err := os.Open("/run/netns/" + name)
	if err != nil {
		return err
	}
	defer ns.Close()
	if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter namespace %s: %w", name, err)
	}
	return f()
}

// SetPeer gives the client's end an address by hand.
func (w *Wire) SetPeer(t *testing.T, address string) {
	t.Helper()
	run(t, "ip", "-n", w.client, "address", "add", address, "dev", w.Peer)
}

// run runs a command on our side; the test ends when it fails.
func run(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
}

// Serve runs a server beside the test and waits until ready is closed. The stop
// that it returns ends the server, which must not end with an error; the end of
// the test calls it too.
func Serve(t *testing.T, serve func(context.Context) error, ready <-chan struct{}) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- serve(ctx) }()
	select {
	case <-ready:
	case err := <-done:
		cancel()
		t.Fatalf("the server ended before it was ready: %v", err)
	}
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the server ended with %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}
