package ramdisk

import (
	"archive/tar"
	"bytes"
	"context"
	"debug/elf"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
)

// Loader is the signed chain by which UEFI firmware starts the kernel from a
// CD, with Secure Boot on or off: shim, which carries Microsoft's signature,
// and the distribution's GRUB and kernel, which carry its own. Each is a Debian
// package or the signed program itself.
type Loader struct {
	Shim string // of shim-signed
	GRUB string // of grub-efi-amd64-signed or grub-efi-arm64-signed: the one made for a CD
}

// mediumLabel is the volume label of the ISO.
const mediumLabel = "MUSTER_SCOUT"

// menu starts the scout at once. A host's own medium has its arguments behind
// the kernel; without them the scout says that it misses them.
const menu = `# muster's discovery ramdisk.
set timeout=0
menuentry "muster scout" {
	linux /kernel
	initrd /initrd
}
`

// Names in the ISO. GRUB for a CD takes the medium that has /.disk/info for its
// own, and reads its menu there.
const (
	kernelFile = "/kernel"
	initrdFile = "/initrd"
	fatFile    = "/efi.img"
	menuFile   = "/boot/grub/grub.cfg"
	markFile   = "/.disk/info"
)

// chain is what the programs of an architecture are called: in packages, and
// where firmware and shim look for them.
type chain struct{ shim, grub, boot, second string }

func chainOf(m elf.Machine) (chain, error) {
	switch m {
	case elf.EM_X86_64:
		return chain{"shimx64.efi.signed", "gcdx64.efi.signed", "BOOTX64.EFI", "grubx64.efi"}, nil
	case elf.EM_AARCH64:
		return chain{"shimaa64.efi.signed", "gcdaa64.efi.signed", "BOOTAA64.EFI", "grubaa64.efi"}, nil
	default:
		return chain{}, fmt.Errorf("no signed boot loader is known for %v; build without one", m)
	}
}

// BuildMedium writes an ISO that holds kernel and initramfs as files: UEFI
// firmware boots it from a CD, and for netboot they are taken out of it. See
// [Build] for the rest.
func BuildMedium(ctx context.Context, o Options, l Loader, iso io.Writer) (m Manifest, err error) {
	machine, err := checkScout(o.Scout)
	if err != nil {
		return m, err
	}
	programs, err := l.read(ctx, machine)
	if err != nil {
		return m, err
	}
	fat, err := fatImage(programs)
	if err != nil {
		return m, err
	}
	kernel, err := newSpool()
	if err != nil {
		return m, err
	}
	defer kernel.close()
	initrd, err := newSpool()
	if err != nil {
		return m, err
	}
	defer initrd.close()
	if m, err = Build(ctx, o, kernel.f, initrd.f); err != nil {
		return m, err
	}
	mark := "muster scout " + m.Version + "\n"
	image, err := layout(mediumLabel, fatFile, []isoFile{
		{markFile, int64(len(mark)), strings.NewReader(mark)},
		{menuFile, int64(len(menu)), strings.NewReader(menu)},
		{fatFile, int64(len(fat)), bytes.NewReader(fat)},
		{kernelFile, m.KernelBytes, kernel.open(extent{0, m.KernelBytes})},
		{initrdFile, m.InitrdBytes, initrd.open(extent{0, m.InitrdBytes})},
	})
	if err != nil {
		return m, fmt.Errorf("lay out the medium: %w", err)
	}
	if err := image.write(iso); err != nil {
		return m, fmt.Errorf("write the medium: %w", err)
	}
	return m, nil
}

// read gets both programs.
func (l Loader) read(ctx context.Context, m elf.Machine) ([]program, error) {
	c, err := chainOf(m)
	if err != nil {
		return nil, err
	}
	shim, err := readProgram(ctx, l.Shim, c.shim)
	if err != nil {
		return nil, err
	}
	grub, err := readProgram(ctx, l.GRUB, c.grub)
	return []program{{c.boot, shim}, {c.second, grub}}, err
}

// readProgram reads a signed EFI program out of a package, or as it is.
func readProgram(ctx context.Context, from, name string) ([]byte, error) {
	if !strings.HasSuffix(from, ".deb") {
		content, err := os.ReadFile(from)
		if err != nil {
			return nil, fmt.Errorf("read boot loader: %w", err)
		}
		return content, checkProgram(from, content)
	}
	var content []byte
	err := visitDeb(ctx, from, func(int64) {}, func(file string, h *tar.Header, r io.Reader) (err error) {
		if h.Typeflag == tar.TypeReg && path.Base(file) == name {
			content, err = io.ReadAll(r)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if content == nil {
		return nil, fmt.Errorf("%s holds no %s; give the package shim-signed for shim, and grub-efi-amd64-signed (or -arm64-) for GRUB", from, name)
	}
	return content, checkProgram(name, content)
}

// checkProgram refuses what no firmware starts: an EFI program is a PE image,
// which begins as those of DOS do.
func checkProgram(name string, content []byte) error {
	if !strings.HasPrefix(string(content), "MZ") {
		return fmt.Errorf("%s is no EFI program; give the signed one, or its Debian package", name)
	}
	return nil
}
