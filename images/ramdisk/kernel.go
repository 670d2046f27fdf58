package ramdisk

import (
	"archive/tar"
	"context"
	"debug/elf"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
)

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
