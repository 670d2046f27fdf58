package lab

import (
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

// Appliance is the path of the demo appliance's installer ISO.
func Appliance() (string, error) {
	return artifact("demo appliance", "appliance/current.iso")
}

// artifact resolves the link that names the newest of its kind.
func artifact(what, link string) (string, error) {
	path, err := filepath.EvalSymlinks(filepath.Join(cache, link))
	if err != nil {
		return "", fmt.Errorf("find the lab's %s: %w: run make lab", what, err)
	}
	return path, nil
}
