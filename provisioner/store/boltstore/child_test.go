package boltstore_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"
)

// childVar makes the test binary play one of children on the directory that it
// names in dirVar, so that a test can kill it or give it a disk of its own.
const (
	childVar = "BOLTSTORE_TEST_CHILD"
	dirVar   = "BOLTSTORE_TEST_DIR"
)

func TestMain(m *testing.M) {
	children := map[string]func(ctx context.Context, dir string) error{
		"":      func(context.Context, string) error { os.Exit(m.Run()); return nil },
		"write": writeForEver,
		"fill":  fillDisk,
	}
	if err := children[os.Getenv(childVar)](context.Background(), os.Getenv(dirVar)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func child(t *testing.T, role, dir string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), childVar+"="+role, dirVar+"="+dir)
	cmd.Stderr = os.Stderr
	return cmd
}
