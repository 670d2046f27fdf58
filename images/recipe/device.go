package recipe

import (
	"fmt"
	"strconv"
	"strings"
)

// never is the version since which no installer does a thing.
const never = "never"

// byID tells whether the installer finds a disk by its name below
// /dev/disk/by-id. Where nobody knows which version it is, it may not.
func (w writer) byID() bool {
	for of, since := range w.recipe.Config.ByIDSince {
		if since != never && atLeast(w.values.Version[of], since) {
			return true
		}
	}
	return len(w.recipe.Config.ByIDSince) == 0
}

// device is the disk as the installer finds it. A kernel's name may be another
// disk's at the next boot, so with it comes a command that ends the installation
// where it is: the disk is the one of the verified serial, or of the verified
// name below /dev/disk/by-id.
func (w writer) device() (path, guard string) {
	d := w.values.Disk
	if w.byID() || d.Kernel == "" {
		return d.Path, ""
	}
	path = "/dev/" + d.Kernel
	guard = fmt.Sprintf(`[ "$(readlink -f %s)" = %s ]`, d.Path, path)
	if d.Serial != "" && checkLetters(d.Serial, diskLetters) == nil {
		guard += fmt.Sprintf(` || [ "$(echo $(lsblk -dno SERIAL %s))" = %s ]`, path, d.Serial)
	}
	return path, guard + " || " + noDisk
}

// atLeast compares versions number by number; what does not read is less than
// all.
func atLeast(version, least string) bool {
	have, want := numbers(version), numbers(least)
	if len(have) == 0 {
		return false
	}
	for i, n := range want {
		switch {
		case i >= len(have):
			return false
		case have[i] != n:
			return have[i] > n
		}
	}
	return true
}

// numbers are those of a version: "v3.2.1-rc1" has 3, 2, 1.
func numbers(version string) []int {
	var list []int
	for _, part := range strings.Split(strings.TrimPrefix(version, "v"), ".") {
		digits := part[:len(part)-len(strings.TrimLeft(part, "0123456789"))]
		n, err := strconv.Atoi(digits)
		if err != nil {
			return list
		}
		list = append(list, n)
		if digits != part {
			return list
		}
	}
	return list
}
