package lab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// namespaces is where iproute2 keeps named network namespaces; see ip-netns(8).
const namespaces = "/run/netns"

// Namespace is one network namespace, known to iproute2 by its name.
type Namespace struct {
	name string
}

// Name is the name under which `ip netns` knows the namespace.
func (ns *Namespace) Name() string { return ns.name }

// Command is exec.CommandContext inside the namespace. The process started is
// the named program itself, so a signal sent to it reaches no wrapper.
func (ns *Namespace) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", ns.name, name}, args...)...)
}

// Do runs f inside the namespace: sockets that f opens itself, on its own
// goroutine, belong there for as long as they live. Goroutines that f starts
// are outside.
func (ns *Namespace) Do(f func() error) error {
	done := make(chan error)
	go func() { done <- onThreadOfItsOwn(func() error { return ns.enterAnd(f) }) }()
	return <-done
}

// onThreadOfItsOwn runs f on a thread that ends with the calling goroutine, as
// it is never unlocked. The process's first thread cannot end so, and a process
// counts as being where that thread is: if it comes up, it is held while
// another one is taken.
func onThreadOfItsOwn(f func() error) error {
	runtime.LockOSThread()
	if unix.Gettid() != unix.Getpid() {
		return f()
	}
	defer runtime.UnlockOSThread()
	done := make(chan error)
	go func() { done <- onThreadOfItsOwn(f) }()
	return <-done
}

func (ns *Namespace) enterAnd(f func() error) error {
	file, err := os.Open(filepath.Join(namespaces, ns.name))
	if err != nil {
		return err
	}
	defer file.Close()
	if err := unix.Setns(int(file.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter network namespace %s: %w", ns.name, err)
	}
	return f()
}

// create makes the namespace. Duplicate address detection is off in it: an
// address that is tentative for its first second would only blur timings. An
// address that goes takes none of its network with it.
func (ns *Namespace) create(ctx context.Context) error {
	if err := run(exec.CommandContext(ctx, "ip", "netns", "add", ns.name)); err != nil {
		return err
	}
	if err := ipBatch(ctx, ns.name, []string{"link set lo up"}); err != nil {
		return err
	}
	return run(ns.Command(ctx, "sysctl", "-q", "-w", "net.ipv6.conf.default.accept_dad=0",
		"net.ipv4.conf.all.promote_secondaries=1"))
}

// bridgeScript makes a network's bridge and the server's link to it.
func bridgeScript(n Network, server string) []string {
	script := []string{
		fmt.Sprintf("link add %s type bridge stp_state 0 forward_delay 0 mcast_snooping 0", n.Name),
		fmt.Sprintf("link set %s up", n.Name),
		fmt.Sprintf("link add %s-srv type veth peer name %s netns %s", n.Name, n.Name, server),
		fmt.Sprintf("link set %s-srv master %s up", n.Name, n.Name),
	}
	if n.BMC.IsValid() {
		script = append(script, fmt.Sprintf("addr add %s dev %s", n.BMC, n.Name))
	}
	return script
}

func serverScript(n Network) []string {
	return []string{
		fmt.Sprintf("addr add %s dev %s", n.Address, n.Name),
		fmt.Sprintf("link set %s up", n.Name),
	}
}

func clientWireScript(network string, client int, ns string) []string {
	port := fmt.Sprintf("client%d", client)
	return []string{
		fmt.Sprintf("link add %s type veth peer name eth0 netns %s", port, ns),
		fmt.Sprintf("link set %s master %s up", port, network),
	}
}

func clientScript(address netip.Prefix) []string {
	return []string{
		fmt.Sprintf("addr add %s dev eth0", address),
		"link set eth0 up",
	}
}

func tapScript(tap, network string) []string {
	return []string{
		fmt.Sprintf("tuntap add dev %s mode tap", tap),
		fmt.Sprintf("link set %s master %s up", tap, network),
	}
}

func (n Network) check() error {
	if !regexp.MustCompile(`^[a-z][a-z0-9]{0,9}$`).MatchString(n.Name) {
		return fmt.Errorf("network name %q: want 1 to 10 letters and digits, it names interfaces", n.Name)
	}
	if !n.Address.Addr().Is4() {
		return fmt.Errorf("network %s: address %q is not an IPv4 address with its prefix length", n.Name, n.Address)
	}
	if n.BMC.IsValid() && (n.BMC.Addr() == n.Address.Addr() || !n.Address.Contains(n.BMC.Addr())) {
		return fmt.Errorf("network %s: BMC address %s is not another one in %s", n.Name, n.BMC, n.Address.Masked())
	}
	return nil
}

// ipBatch gives iproute2 a list of commands to carry out in the namespace; the
// first that fails ends it.
func ipBatch(ctx context.Context, ns string, script []string) error {
	cmd := exec.CommandContext(ctx, "ip", "-n", ns, "-batch", "-")
	cmd.Stdin = strings.NewReader(strings.Join(script, "\n") + "\n")
	return run(cmd)
}

// run runs a command to its end; its error carries what the command printed.
func run(cmd *exec.Cmd) error {
	out, err := cmd.CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) {
		return fmt.Errorf("%w: run make lab", err)
	}
	if err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
