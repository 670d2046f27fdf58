// Command muster is the server and its command line.
//
// It decides nothing: serve reads a configuration and runs provisioner/app,
// every other command makes one call of provisioner/api/client and prints what
// came. Lint reads files and bmc speaks to BMCs; they need no server. One file
// holds the commands of one noun; start at [root] in root.go.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// version is set at build time by -ldflags "-X main.version=...".
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	s := &session{in: os.Stdin, out: os.Stdout, err: os.Stderr}
	code := s.run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}
