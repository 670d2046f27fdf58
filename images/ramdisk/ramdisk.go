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
	"archive/tar"
	"context"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"
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

// kernelPackage is what was found in a linux-image package.
type kernelPackage struct {
	version string
	machine elf.Machine
	image   extent
	library library
}

func readKernel(ctx context.Context, o Options, s *spool) (kernelPackage, error) {
	info, err := os.Stat(o.KernelDeb)
	if err != nil {
		return kernelPackage{}, fmt.Errorf("open kernel package: %w", err)
	}
	p := kernelPackage{library: library{modules: map[string]module{}, builtin: map[string]bool{}}}
	progress := func(done int64) { o.Progress("kernel package", done, info.Size()) }
	if err := visitDeb(ctx, o.KernelDeb, progress, func(name string, h *tar.Header, r io.Reader) error {
		if h.Typeflag != tar.TypeReg {
			return nil
		}
		return p.take(name, r, s)
	}); err != nil {
		return kernelPackage{}, err
	}
	if p.version == "" || len(p.library.modules) == 0 {
		return kernelPackage{}, fmt.Errorf("%s holds no kernel with modules; give a linux-image-VERSION package, not a metapackage", o.KernelDeb)
	}
	return p, nil
}

// take looks at one file of the package and keeps what may be needed.
func (p *kernelPackage) take(name string, r io.Reader, s *spool) error {
	if v, ok := strings.CutPrefix(name, "boot/vmlinuz-"); ok {
		p.version = v
		content, err := io.ReadAll(r)
		if err != nil {
			return fmt.Errorf("unpack %s: %w", name, err)
		}
		p.image, err = s.add(content)
		return err
	}
	_, file, ok := cutModules(name)
	switch {
	case !ok:
		return nil
	case file == "modules.builtin":
		return p.takeBuiltin(r)
	case strings.Contains(path.Base(file), ".ko"):
		return p.takeModule(file, r, s)
	}
	return nil
}

// cutModules splits lib/modules/VERSION/FILE.
func cutModules(name string) (version, file string, ok bool) {
	below, ok := strings.CutPrefix(name, "lib/modules/")
	if !ok {
		return "", "", false
	}
	return strings.Cut(below, "/")
}

func (p *kernelPackage) takeBuiltin(r io.Reader) error {
	list, err := io.ReadAll(r)
	if err != nil {
		return fmt.Errorf("unpack modules.builtin: %w", err)
	}
	for file := range strings.FieldsSeq(string(list)) {
		p.library.builtin[moduleName(file)] = true
	}
	return nil
}

func (p *kernelPackage) takeModule(file string, r io.Reader, s *spool) error {
	plain, done, err := decompress(file, r)
	if err != nil {
		return fmt.Errorf("unpack %s: %w", file, err)
	}
	defer done()
	content, err := io.ReadAll(io.LimitReader(plain, maxMember))
	if err != nil {
		return fmt.Errorf("unpack %s: %w", file, err)
	}
	bare, _, _ := strings.Cut(file, ".ko")
	m, machine, err := parseModule(bare+".ko", content)
	if err != nil {
		return err
	}
	p.machine = machine
	if m.at, err = s.add(content); err != nil {
		return err
	}
	m.after = append(m.after, companions()[m.name]...)
	p.library.modules[m.name] = m
	return nil
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

// writeInitrd writes the archive twice: once into a digest, which names the
// build, and once, with that name inside, into the compressor.
func writeInitrd(ctx context.Context, o Options, c choice, s *spool, w io.Writer) (Manifest, error) {
	sum := sha256.New()
	total, err := writeTree(ctx, sum, o, c, s, "", func(int64) {})
	if err != nil {
		return Manifest{}, err
	}
	if o.Version == "" {
		o.Version = "dev"
	}
	m := c.manifest
	m.Version = o.Version + "+" + hex.EncodeToString(sum.Sum(nil))[:12]
	var out tally
	z, err := zstd.NewWriter(io.MultiWriter(w, &out), zstd.WithEncoderLevel(zstd.SpeedBetterCompression), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return Manifest{}, fmt.Errorf("start compressor: %w", err)
	}
	progress := func(done int64) { o.Progress("initramfs", done, total) }
	if _, err := writeTree(ctx, z, o, c, s, m.Version, progress); err != nil {
		return Manifest{}, errors.Join(err, z.Close())
	}
	if err := z.Close(); err != nil {
		return Manifest{}, fmt.Errorf("write initramfs: %w", err)
	}
	m.InitrdBytes = out.n
	return m, nil
}

// writeTree writes the whole archive and returns its size in bytes.
func writeTree(ctx context.Context, w io.Writer, o Options, c choice, s *spool, version string, progress func(done int64)) (int64, error) {
	scout, err := os.Open(o.Scout)
	if err != nil {
		return 0, fmt.Errorf("open scout: %w", err)
	}
	defer scout.Close()
	info, err := scout.Stat()
	if err != nil {
		return 0, fmt.Errorf("open scout: %w", err)
	}
	entries := append(tree(c, s, version), fileEntry("init", 0o755, info.Size(), scout))
	n := &newcWriter{w: w}
	for _, e := range withParents(entries) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		if err := n.write(e); err != nil {
			return 0, err
		}
		progress(n.pos)
	}
	return n.pos, n.Close()
}

// tree is every file of the ramdisk but the scout, in no order.
func tree(c choice, s *spool, version string) []newcEntry {
	entries := []newcEntry{
		charEntry("dev/console", 5, 1), // devices.txt of the kernel
		charEntry("dev/null", 1, 3),
		textEntry(VersionFile, version+"\n"),
	}
	for _, d := range []string{"proc", "sys", "run", "tmp", "mnt", "etc"} {
		entries = append(entries, dirEntry(d))
	}
	lib := "lib/modules/" + c.manifest.Kernel + "/"
	entries = append(entries,
		textEntry(lib+"modules.dep", depTable(c.modules)),
		textEntry(lib+"modules.alias", aliasTable(c.modules)),
		textEntry(lib+"modules.softdep", softTable(c.modules)))
	for _, m := range c.modules {
		entries = append(entries, fileEntry(lib+m.file, 0o644, m.at.size, s.open(m.at)))
	}
	for name, at := range c.firmware {
		entries = append(entries, fileEntry("lib/firmware/"+name, 0o644, at.size, s.open(at)))
	}
	return entries
}

func textEntry(name, text string) newcEntry {
	return fileEntry(name, 0o644, int64(len(text)), strings.NewReader(text))
}

// withParents adds the directories above each entry and sorts, so that a
// directory comes before what lies in it.
func withParents(entries []newcEntry) []newcEntry {
	have := map[string]bool{".": true}
	for _, e := range entries {
		have[e.name] = true
	}
	for _, e := range slices.Clone(entries) {
		for dir := path.Dir(e.name); !have[dir]; dir = path.Dir(dir) {
			have[dir] = true
			entries = append(entries, dirEntry(dir))
		}
	}
	slices.SortFunc(entries, func(a, b newcEntry) int { return strings.Compare(a.name, b.name) })
	return entries
}

// tally counts the bytes that pass.
type tally struct{ n int64 }

func (t *tally) Write(p []byte) (int, error) {
	t.n += int64(len(p))
	return len(p), nil
}
