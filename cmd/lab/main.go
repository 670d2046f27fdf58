// Command lab shows muster at work on virtual machines, measures it, and
// reports test runs: what the Makefile's demo, bench and test call.
//
// It is no part of what users run, and needs root and what `make lab` prepares.
// Start at demo.go.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
)

// errUsage is wrong use, said after the usage was printed.
var errUsage = errors.New("say what to do")

const usage = `usage: lab demo | bench [hosts | bmcs | images | serving [IMAGE]] | report
  demo    virtual machines from power-on to their verdict; build/demo/result.json
          DEMO_KEEP=1 leaves the site up and prints where it is
  bench   time per stage of an installation, and the share that muster adds;
          200 emulated BMCs surveyed and powered on by one server;
          serving and importing images, against nginx and sha256sum; "serving"
          measures only that part of "images", with an ISO of 2 GB that it makes,
          or with IMAGE
  report  reads go test -json from standard input and prints what it came to
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "lab:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	switch strings.Join(args, " ") {
	case "demo":
		return demo(ctx, os.Stdout)
	case "bench":
		return errors.Join(benchHosts(ctx, os.Stdout), benchManagers(ctx, os.Stdout), benchImages(ctx, os.Stdout))
	case "bench hosts":
		return benchHosts(ctx, os.Stdout)
	case "bench bmcs":
		return benchManagers(ctx, os.Stdout)
	case "bench images":
		return benchImages(ctx, os.Stdout)
	case "bench serving":
		return withBenchImage(ctx, func(image string) error { return benchServing(ctx, os.Stdout, image) })
	case "report":
		good, err := report(os.Stdin, os.Stdout, os.Geteuid() == 0)
		if err == nil && !good {
			return errors.New("the test run is not good; see above")
		}
		return err
	}
	if image, ok := after(args, "bench", "serving"); ok {
		return benchServing(ctx, os.Stdout, image)
	}
	if image, ok := after(args, serveVerb); ok { // for bench's own use
		return serveMedia(ctx, image, os.Stdout)
	}
	fmt.Fprint(os.Stderr, usage)
	return errUsage
}

// after is the one argument behind those words.
func after(args []string, words ...string) (string, bool) {
	if len(args) != len(words)+1 || !slices.Equal(args[:len(words)], words) {
		return "", false
	}
	return args[len(words)], true
}
