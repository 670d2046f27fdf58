// Package ramdisk makes the discovery ramdisk: a kernel and an initramfs with
// the scout as init, from a Debian kernel package and a static scout binary.
//
// It calls no external program, resolves no package and downloads nothing; it
// does not judge the kernel it is given. The same inputs give the same bytes,
// save for what a newer compressor does. Modules and firmware are stored
// unpacked, since the whole archive is compressed once. It does not store its
// output: the caller gives two writers.
//
// Start at [Build]; what goes in is the list in drivers.go.
package ramdisk

import (
	"context"
	"debug/elf"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
)

// VersionFile is where the ramdisk says which build it is. The scout reads it
// and sends it with each request for an instruction; it equals
// [Manifest.Version].
const VersionFile = "etc/muster/version"

// Options says what to build from.
type Options struct {
	KernelDeb string   // path of a linux-image package, of any release with modules inside
	Scout     string   // path of the static binary that becomes /init
	Version   string   // first part of the version that the build gets, e.g. muster's own; "" is "dev"
	Firmware  []string // directories that mirror /lib/firmware, or paths of packages

	// Progress, where set, is told how many bytes of a stage's input are done.
	// Stages follow each other: "kernel package", then "initramfs".
	Progress func(stage string, done, total int64)
}

// Manifest tells what a ramdisk holds. It travels as JSON beside the image.
type Manifest struct {
	Version  string   `json:"version"`  // of this build: Options.Version and a digest of the content
	Kernel   string   `json:"kernel"`   // e.g. "6.1.0-56-amd64"
	Modules  []string `json:"modules"`  // by name, sorted by file
	Absent   []string `json:"absent"`   // wanted, but this kernel does not have them
	Firmware []string `json:"firmware"` // blobs inside, below /lib/firmware
	Missing  []Blob   `json:"missing"`  // blobs that modules inside may ask for and will not get

	KernelBytes int64 `json:"kernel_bytes"`
	InitrdBytes int64 `json:"initrd_bytes"`
}

// Build writes the kernel image and the initramfs (newc, zstd). It needs
// temporary space for the unpacked package, 400 MB for Debian's. On an error
// or a cancelled context what was written is worthless.
func Build(ctx context.Context, o Options, kernel, initrd io.Writer) (Manifest, error) {
	if o.Progress == nil {
		o.Progress = func(string, int64, int64) {}
	}
	machine, err := checkScout(o.Scout)
	if err != nil {
		return Manifest{}, err
	}
	s, err := newSpool()
	if err != nil {
		return Manifest{}, err
	}
	defer s.close()
	pkg, err := readKernel(ctx, o, s)
	if err != nil {
		return Manifest{}, err
	}
	if pkg.machine != machine {
		return Manifest{}, fmt.Errorf("the scout %s is built for %v, the kernel for %v; build both for one architecture", o.Scout, machine, pkg.machine)
	}
	fw, err := readFirmware(ctx, o.Firmware, s)
	if err != nil {
		return Manifest{}, err
	}
	c, err := choose(pkg, fw)
	if err != nil {
		return Manifest{}, err
	}
	n, err := io.Copy(kernel, s.open(pkg.image))
	if err != nil {
		return Manifest{}, fmt.Errorf("write kernel: %w", err)
	}
	c.manifest.KernelBytes = n
	return writeInitrd(ctx, o, c, s, initrd)
}

// checkScout refuses what the kernel could not start as init, where no other
// file is at hand, and says for which processor the scout is built.
func checkScout(scout string) (elf.Machine, error) {
	if _, err := os.Stat(scout); err != nil {
		return 0, fmt.Errorf("open scout: %w", err)
	}
	f, err := elf.Open(scout)
	if err != nil {
		return 0, fmt.Errorf("%s is no Linux program; build cmd/scout with CGO_ENABLED=0 and give that file", scout)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return 0, fmt.Errorf("%s needs shared libraries, which the ramdisk does not have; build cmd/scout with CGO_ENABLED=0", scout)
		}
	}
	return f.Machine, nil
}

// choice is what a ramdisk will hold, before it is written.
type choice struct {
	modules  []module
	firmware map[string]extent
	manifest Manifest
}

// choose decides which modules and blobs go in.
func choose(p kernelPackage, fw firmware) (choice, error) {
	modules, absent, err := p.library.closure(drivers())
	if err != nil {
		return choice{}, err
	}
	here, missing := fw.wanted(modules)
	m := Manifest{Kernel: p.version, Absent: absent, Missing: missing, Firmware: slices.Sorted(maps.Keys(here))}
	for _, mod := range modules {
		m.Modules = append(m.Modules, mod.name)
	}
	return choice{modules: modules, firmware: here, manifest: m}, nil
}
