package site

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/muster-boot/muster/provisioner/lab"
)

// mountDrive is a CD drive of the guest, and the options by which its medium is
// mounted, once each.
type mountDrive struct {
	name    string
	options []string
}

// The options choose one of an image's trees, see isofs in the kernel's
// documentation; bestNames is the one that a system chooses by itself.
const (
	bestNames   = "ro"
	jolietNames = "norock"
	plainNames  = "norock,nojoliet"
)

const listingsEnd = "all was listed\n"

// mountModules are loaded in this order.
func mountModules() []string {
	return []string{
		"virtio_ring", "virtio", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci", "virtio_blk",
		"scsi_common", "scsi_mod", "virtio_scsi", "cdrom", "sr_mod", "isofs",
	}
}

// mountScript is the guest's init. A file of more than a gigabyte is read where
// its ends and its extents meet; see seams.
func mountScript(drives []mountDrive) string {
	var s strings.Builder
	s.WriteString("#!/bin/busybox sh\n/bin/busybox --install -s /bin\nexport PATH=/bin\nmount -t devtmpfs dev /dev\nmount -t sysfs sys /sys\n")
	for _, m := range mountModules() {
		fmt.Fprintf(&s, "insmod /%s.ko\n", m)
	}
	s.WriteString("seam() { dd if=\"$1\" bs=2048 skip=$2 count=2 2>/dev/null; }\nlist() {\n\techo \"mount $2 $3\"\n\tmount -t iso9660 -o ro,$3 $1 /mnt || return\n")
	s.WriteString("\tfind /mnt -type f ! -size +1048576k -exec sha256sum {} +\n")
	fmt.Fprintf(&s, "\tfind /mnt -type f -size +1048576k | while read -r f; do\n\t\t{ %s; } | sha256sum | sed \"s|-$|$f|\"\n\tdone\n\tumount /mnt\n}\n", seamCommands())
	fmt.Fprintf(&s, "until [ -b /dev/vda ] && [ -b /dev/sr%d ]; do sleep 0.1; done\n{\n", len(drives)-1)
	s.WriteString("for d in /sys/block/sr*; do\n\tcase \"$(cat $d/device/model)\" in\n")
	for i, d := range drives {
		fmt.Fprintf(&s, "\t\"cd%d\"*)", i)
		for _, o := range d.options {
			fmt.Fprintf(&s, " list /dev/${d##*/} %s %s;", d.name, o)
		}
		s.WriteString(";\n")
	}
	fmt.Fprintf(&s, "\tesac\ndone\nprintf '%s\\n'\n} >/dev/vda\nsync\npoweroff -f\n", strings.TrimSpace(listingsEnd))
	return s.String()
}

func seamCommands() string {
	var all []string
	for _, sector := range seams() {
		all = append(all, fmt.Sprintf("seam \"$f\" %d", sector))
	}
	return strings.Join(all, "; ")
}

// mountGuest makes kernel and initrd.
func mountGuest(t *testing.T, dir string, drives []mountDrive) (kernel, initrd string) {
	t.Helper()
	deb, err := lab.KernelDeb()
	if err != nil {
		t.Fatal(err)
	}
	take := "./boot/vmlinuz-*"
	for _, m := range mountModules() {
		take += " */" + m + ".ko"
	}
	unpacked, root := filepath.Join(dir, "deb"), filepath.Join(dir, "root")
	for _, d := range []string{unpacked, root, root + "/bin", root + "/dev", root + "/sys", root + "/mnt"} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	shell(t, unpacked, "set -f; dpkg-deb --fsys-tarfile "+deb+" | tar -x --wildcards "+take)
	if err := os.WriteFile(root+"/init", []byte(mountScript(drives)), 0o755); err != nil {
		t.Fatal(err)
	}
	initrd = filepath.Join(dir, "initrd")
	shell(t, unpacked, "cp $(find . -name '*.ko') "+root+" && cp /bin/busybox "+root+"/bin/ && mv boot/vmlinuz-* ../vmlinuz && cd "+root+" && find . | cpio --quiet -o -H newc >"+initrd)
	return filepath.Join(dir, "vmlinuz"), initrd
}

func shell(t *testing.T, dir, script string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "-ec", script)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", script, err, out)
	}
}

// runInSlot runs QEMU while it holds one of the slots that all labs on this
// machine share, and shows the console if it ends badly.
func runInSlot(ctx context.Context, t *testing.T, console, name string, args ...string) {
	t.Helper()
	slot, err := mountSlot(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer slot.Close()
	if out, err := exec.CommandContext(ctx, name, args...).CombinedOutput(); err != nil {
		words, _ := os.ReadFile(console)
		t.Fatalf("%s: %v\n%s\nconsole:\n%s", name, err, out, words[max(0, len(words)-4000):])
	}
}

// mountSlot locks one of the files by which the lab counts QEMU processes.
func mountSlot(ctx context.Context) (*os.File, error) {
	const slots = "/var/cache/muster-lab/slots"
	if err := os.MkdirAll(slots, 0o755); err != nil {
		return nil, err
	}
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for i := 0; ; i = (i + 1) % (2 * runtime.NumCPU()) {
		f, err := os.OpenFile(filepath.Join(slots, fmt.Sprint(i)), os.O_CREATE|os.O_RDWR, 0o644)
		if err != nil {
			return nil, err
		}
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return f, nil
		}
		f.Close()
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for a QEMU slot: %w", ctx.Err())
		case <-tick.C:
		}
	}
}
