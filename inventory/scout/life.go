package scout

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	versionFile = "etc/muster/version" // written by images/ramdisk
	// lastWait is how long the last words of a scout that cannot go on stay on
	// the screen before the host restarts.
	lastWait = 60 * time.Second
)

// Live is the whole life of init, and never returns: it brings the host up,
// runs the loop, and when it cannot go on or panics says why and restarts the
// host after a minute. dial makes the way to the server; version is used where
// the ramdisk does not tell its own.
//
// Started otherwise than as the first process it refuses, since it would
// unsettle a running system.
func Live(version string, dial func(Params) Server, write WriteFunc) {
	if os.Getpid() != 1 {
		fmt.Fprintln(os.Stderr, "scout is the first process of muster's discovery ramdisk and does nothing elsewhere")
		os.Exit(2)
	}
	console := NewConsole(newTerminal(os.Stdout))
	err := guarded(func() error { return live(&console, version, dial, write) })
	console.Say("The scout cannot go on: %v. The host restarts in %s.", err, lastWait)
	pause(context.Background(), lastWait) // in which the terminals print it
	if err := restart(unix.LINUX_REBOOT_CMD_RESTART); err != nil {
		console.Say("%v.", err)
	}
	select {}
}

// guarded turns a panic of f's own goroutine into an error. A panic elsewhere
// ends the process, and with it the kernel, which then restarts the host too:
// see quietKernel.
func guarded(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("a fault in the scout: %v", r)
		}
	}()
	return f()
}

// live is the order of bring-up.
func live(console **Console, version string, dial func(Params) Server, write WriteFunc) error {
	if err := mountAll(); err != nil {
		return err
	}
	c := NewConsole(consoles())
	*console = c
	root := os.DirFS("/")
	version = versionOf(root, version)
	c.Say("The muster scout %s is starting.", version)
	if err := quietKernel(); err != nil {
		c.Say("%v.", err)
	}
	drivers, err := bringUpDrivers(root, c)
	if err != nil {
		return err
	}
	if err := seedEntropy(); err != nil {
		return err
	}
	line, err := fs.ReadFile(root, "proc/cmdline")
	if err != nil {
		return fmt.Errorf("read the kernel command line: %w", err)
	}
	params, err := ParseParams(string(line))
	if err != nil {
		return err
	}
	if err := makeReady(params.Fixed, drivers); err != nil {
		return err
	}
	hands := &linux{root: root, params: params, drivers: drivers, client: HTTPClient(), write: write}
	return serve(context.Background(), c, version, hands, dial(params))
}

// makeReady does what a fixed address needs beside the address: the driver of
// VLANs, which no device asks for, and the name servers.
func makeReady(f Fixed, drivers *loader) error {
	if f.VLAN != 0 {
		if _, err := drivers.load("8021q"); err != nil {
			return fmt.Errorf("make VLAN %d: %w", f.VLAN, err)
		}
	}
	if len(f.DNS) == 0 {
		return nil
	}
	if err := os.WriteFile("/etc/resolv.conf", []byte(f.resolver()), 0o644); err != nil {
		return fmt.Errorf("name the name servers: %w", err)
	}
	return nil
}

// serve finds the server and runs the loop.
func serve(ctx context.Context, c *Console, version string, hands *linux, server Server) error {
	coldplug := func() {
		if _, err := hands.drivers.coldplug(); err != nil {
			c.Say("%v.", err)
		}
	}
	hands.network = &network{links: kernelLinks{hands.root}, console: c, boot: hands.params.Boot, fixed: hands.params.Fixed, coldplug: coldplug}
	if err := hands.network.connect(ctx, func(ctx context.Context) error {
		_, err := server.Time(ctx)
		if denied(err) {
			return nil // a no is an answer: the way there is found
		}
		return err
	}); err != nil {
		return err
	}
	s := &Scout{Server: server, Hands: hands, Console: c, Version: version}
	return s.Run(ctx)
}

// HTTPClient is the client for the boot plane: no proxy, no waiting for ever
// on a connection, but no limit on the length of a download.
func HTTPClient() *http.Client {
	return &http.Client{Transport: &http.Transport{
		MaxIdleConnsPerHost:   2,
		IdleConnTimeout:       30 * time.Second,
		ResponseHeaderTimeout: 30 * time.Second,
	}}
}

// mountAll mounts what the rest reads. EFI variables come later: their file
// system is a module.
func mountAll() error {
	for _, m := range []struct{ kind, at string }{
		{"proc", "/proc"}, {"sysfs", "/sys"}, {"devtmpfs", "/dev"}, {"tmpfs", "/run"}, {"tmpfs", "/tmp"},
	} {
		if err := unix.Mount(m.kind, m.at, m.kind, 0, ""); err != nil && !errors.Is(err, unix.EBUSY) {
			return fmt.Errorf("mount %s: %w", m.at, err)
		}
	}
	return nil
}

// consoles opens every console of the kernel and the screen, so that the
// person before the host reads the same as the one at the serial line.
func consoles() io.Writer {
	active, _ := os.ReadFile("/sys/class/tty/console/active")
	var all everyTerminal
	for _, name := range consoleNames(string(active)) {
		if f, err := os.OpenFile(path.Join("/dev", name), os.O_WRONLY|unix.O_NOCTTY, 0); err == nil {
			all = append(all, newTerminal(f))
		}
	}
	return all
}

// consoleNames is the kernel's consoles and the screen, each once.
func consoleNames(active string) []string {
	names := strings.Fields(active)
	for _, n := range names {
		if n == "tty0" {
			return names
		}
	}
	return append(names, "tty0")
}

// versionOf is what the ramdisk says about itself, else what the binary says.
func versionOf(root fs.FS, binary string) string {
	b, err := fs.ReadFile(root, versionFile)
	if v := strings.TrimSpace(string(b)); err == nil && v != "" {
		return v
	}
	return binary
}

// quietKernel keeps driver messages off the console, where they would bury the
// scout's sentences, and makes a panic of the kernel restart the host.
func quietKernel() error {
	if err := os.WriteFile("/proc/sys/kernel/printk", []byte("4"), 0); err != nil {
		return fmt.Errorf("quiet the kernel: %w", err)
	}
	seconds := fmt.Sprint(int(lastWait.Seconds()))
	if err := os.WriteFile("/proc/sys/kernel/panic", []byte(seconds), 0); err != nil {
		return fmt.Errorf("make a kernel panic restart the host: %w", err)
	}
	return nil
}

// bringUpDrivers loads the drivers of all devices, and those that no device
// asks for.
func bringUpDrivers(root fs.FS, c *Console) (*loader, error) {
	release, err := kernelRelease()
	if err != nil {
		return nil, err
	}
	list, err := readCatalog(root, path.Join("lib/modules", release))
	if err != nil {
		return nil, err
	}
	l := newLoader(root, list, insertModule)
	start := time.Now()
	n, err := l.coldplug()
	if err != nil {
		c.Say("Some drivers did not load: %v.", err)
	}
	for _, name := range []string{"efivarfs", "ipmi_devintf"} {
		if _, err := l.load(name); err != nil {
			c.Say("%v.", err)
		}
	}
	if _, err := os.Stat(efivarsDir); err == nil {
		if err := unix.Mount("efivarfs", efivarsDir, "efivarfs", 0, ""); err != nil {
			c.Say("The firmware's variables cannot be read: %v.", err)
		}
	}
	c.Say("%d drivers loaded in %.1f s.", n, time.Since(start).Seconds())
	return l, nil
}

// seedEntropy waits until the kernel has random numbers. Without this one
// blocking read, hosts without a hardware source fail later in odd places:
// the DHCP client waits for ever without an error.
func seedEntropy() error {
	b := make([]byte, 1)
	if _, err := unix.Getrandom(b, 0); err != nil {
		return fmt.Errorf("wait for random numbers: %w", err)
	}
	return nil
}
