package main

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// The ramdisk carries the scout to every host, so it stays small; it is the
// only program there, so it needs no library.
const largest = 12 << 20

func TestTheScoutIsSmallAndStaticOnBothProcessors(t *testing.T) {
	for arch, machine := range map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64} {
		out := filepath.Join(t.TempDir(), "scout")
		cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w -X main.version=test", "-o", out, ".")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
		if b, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", arch, err, b)
		}
		info, err := os.Stat(out)
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() > largest {
			t.Errorf("%s: %d bytes, more than %d", arch, info.Size(), largest)
		}
		f, err := elf.Open(out)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if libs, err := f.ImportedLibraries(); err != nil || len(libs) != 0 || f.Machine != machine {
			t.Errorf("%s: for %v, needs %q, %v", arch, f.Machine, libs, err)
		}
	}
}

func TestTheScoutRefusesToRunOnARunningSystem(t *testing.T) {
	out := filepath.Join(t.TempDir(), "scout")
	if b, err := exec.Command("go", "build", "-o", out, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, b)
	}
	err := exec.Command(out).Run()
	exit, ok := err.(*exec.ExitError)
	if !ok || exit.ExitCode() != 2 {
		t.Errorf("it ended with %v, want exit code 2", err)
	}
}
