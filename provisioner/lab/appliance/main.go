// Command appliance is the program of the demo appliance: the installer of its
// live system, the agent of the installed one, the runner of configuration
// stages in both, and, under the name curl, as much of curl as such stages use.
//
// It stands in for an appliance installer in a lab and does not pretend to be
// more: README.md beside it says what is left out. It knows nothing of the
// server that boots it and shares no code with it, but for the stand-in of the
// agent's local API, which tests use too.
//
// Start at run, then collector for where the configuration comes from and
// installer for what becomes of it.
package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if filepath.Base(os.Args[0]) == "curl" {
		os.Exit(curl(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "appliance:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New("want one of: network, config, stage NAME..., install, agent")
	}
	cmdline, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return err
	}
	out := uptimeWriter{word: args[0]}
	if args[0] == "network" { // there is none yet, to get a configuration over
		return setUp(ctx, strings.Fields(string(cmdline)), out.say)
	}
	c := collector{cmdline: strings.Fields(string(cmdline)), say: out.say}
	if online() {
		c.fetch = fetcher(http.DefaultClient)
	}
	collected, err := c.collect(ctx)
	if err != nil {
		return err
	}
	switch args[0] {
	case "config":
		out.say("%s", collected)
		return nil
	case "stage":
		return stages(ctx, args[1:], collected.config, out.say)
	case "install":
		i := installer{cmdline: c.cmdline, config: collected, say: uptimeWriter{word: "installer"}.say}
		return i.run(ctx)
	case "agent":
		return agents(ctx, collected.config, out.say)
	}
	return fmt.Errorf("unknown command %q", args[0])
}

// stages runs the named stages of an installed system, in order.
func stages(ctx context.Context, names []string, c config, say func(string, ...any)) error {
	for _, name := range names {
		if name == "initramfs" && c.Hostname != "" {
			if err := unix.Sethostname([]byte(c.Hostname)); err != nil {
				say("set the host name to %s: %v", c.Hostname, err)
			}
		}
		c.runStage(ctx, name, say)
	}
	return nil
}

// uptimeWriter says things on the console, with the seconds since the kernel
// started.
type uptimeWriter struct{ word string }

func (w uptimeWriter) say(format string, args ...any) {
	uptime, err := os.ReadFile("/proc/uptime")
	if err != nil {
		uptime = []byte("?")
	}
	seconds, _, _ := strings.Cut(string(uptime), " ")
	fmt.Printf("%s: [%s] %s\n", w.word, seconds, fmt.Sprintf(format, args...))
}
