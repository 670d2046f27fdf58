package site

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Programs are the built programs of a site.
type Programs struct {
	Muster string // the server and its CLI
	Scout  string // the init of the discovery ramdisk
}

// Built returns the programs that `make build` left in a directory.
func Built(dir string) (Programs, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return Programs{}, err
	}
	p := Programs{Muster: filepath.Join(dir, "muster"), Scout: filepath.Join(dir, "scout")}
	for _, f := range []string{p.Muster, p.Scout} {
		if _, err := os.Stat(f); err != nil {
			return Programs{}, fmt.Errorf("%s is not built; run: make build", f)
		}
	}
	return p, nil
}

// Build builds the programs from the source around the working directory, as
// `make build` does, so that a test never runs yesterday's.
func Build(ctx context.Context, dir string) (Programs, error) {
	root, err := moduleRoot()
	if err != nil {
		return Programs{}, err
	}
	p := Programs{Muster: filepath.Join(dir, "muster"), Scout: filepath.Join(dir, "scout")}
	for out, pkg := range map[string]string{p.Muster: "./cmd/muster", p.Scout: "./cmd/scout"} {
		cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w -X main.version=test", "-o", out, pkg)
		cmd.Dir, cmd.Env = root, append(os.Environ(), "CGO_ENABLED=0")
		if words, err := cmd.CombinedOutput(); err != nil {
			return Programs{}, fmt.Errorf("build %s: %w\n%s", pkg, err, words)
		}
	}
	return p, nil
}

// moduleRoot is the nearest directory above that has a go.mod.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("no go.mod above the working directory")
		}
	}
}
