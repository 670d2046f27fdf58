package lab

import (
	"errors"
	"fmt"
	"path/filepath"
)

// cache is where `make lab` keeps what it fetches and builds, outside of any
// clone of the source.
const cache = "/var/cache/muster-lab"

// KernelDeb is the path of Debian's amd64 kernel package, as fetched and not
// installed.
func KernelDeb() (string, error) {
	return artifact("kernel package", "kernel/current.deb")
}

// Loaders are the paths of Debian's packages of signed boot loaders, as fetched
// and not installed.
func Loaders() (shim, grub string, err error) {
	shim, shimErr := artifact("signed boot loaders", "loaders/shim.deb")
	grub, grubErr := artifact("signed boot loaders", "loaders/grub.deb")
	return shim, grub, errors.Join(shimErr, grubErr)
}

// Appliance is the path of the demo appliance's installer ISO.
func Appliance() (string, error) {
	return artifact("demo appliance", "appliance/current.iso")
}

// CloudImage is the path of the disk image of a Debian system with cloud-init,
// which takes its configuration from a volume with the label CIDATA. The coding
// is raw, zstd (raw, compressed) or qcow2.
func CloudImage(coding string) (string, error) {
	name, ok := map[string]string{"raw": "disk.raw", "zstd": "disk.raw.zst", "qcow2": "disk.qcow2"}[coding]
	if !ok {
		return "", fmt.Errorf("the lab's cloud image is not kept as %q, but as raw, zstd and qcow2", coding)
	}
	return artifact("cloud image", "cloud/current/"+name)
}

// DebianInstaller is the kernel and the initrd of Debian's installer for
// netboot, text frontend, amd64.
func DebianInstaller() (kernel, initrd string, err error) {
	kernel, kernelErr := artifact("Debian installer", "installer/linux")
	initrd, initrdErr := artifact("Debian installer", "installer/initrd.gz")
	return kernel, initrd, errors.Join(kernelErr, initrdErr)
}

// artifact resolves the link that names the newest of its kind.
func artifact(what, link string) (string, error) {
	path, err := filepath.EvalSymlinks(filepath.Join(cache, link))
	if err != nil {
		return "", fmt.Errorf("find the lab's %s: %w: run make lab", what, err)
	}
	return path, nil
}
