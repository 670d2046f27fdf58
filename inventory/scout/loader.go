package scout

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// rounds bounds the search for devices behind devices: a disk behind a
// controller behind a bridge is three deep.
const rounds = 12

// loader puts modules into the kernel. It remembers what it did, so a second
// Coldplug costs only what has appeared since.
type loader struct {
	root    fs.FS
	catalog *catalog
	insert  func(file string) error
	done    map[string]bool // files tried
	asked   map[string]bool // modaliases looked up
	failed  []string        // what went wrong since the start, a sentence each
}

func newLoader(root fs.FS, c *catalog, insert func(string) error) *loader {
	return &loader{root: root, catalog: c, insert: insert, done: map[string]bool{}, asked: map[string]bool{}}
}

// coldplug loads the drivers of every device that is there, and again of every
// device that shows itself through them, until nothing new comes. It returns
// how many modules it loaded; errors of single modules are joined.
func (l *loader) coldplug() (int, error) {
	loaded := 0
	var errs []error
	for range rounds {
		fresh := 0
		for _, m := range modaliases(l.root) {
			if l.asked[m] {
				continue
			}
			l.asked[m] = true
			for _, name := range l.catalog.matching(m) {
				n, err := l.load(name)
				fresh += n
				errs = append(errs, err)
			}
		}
		loaded += fresh
		if fresh == 0 {
			break
		}
	}
	return loaded, errors.Join(errs...)
}

// load puts one module and what it needs into the kernel.
func (l *loader) load(name string) (int, error) {
	loaded := 0
	var errs []error
	for _, file := range l.catalog.loadList(name) {
		if l.done[file] {
			continue
		}
		l.done[file] = true
		switch err := l.insert(filepath.Join("/", l.catalog.dir, file)); {
		case err == nil:
			loaded++
		case errors.Is(err, unix.EEXIST), errors.Is(err, unix.ENODEV):
			// Already there; or the driver looked and its device is absent.
		default:
			errs = append(errs, fmt.Errorf("load driver %s: %w", name, err))
			l.failed = append(l.failed, fmt.Sprintf("The driver %s did not load: %v.", name, err))
		}
	}
	return loaded, errors.Join(errs...)
}

// insertModule is finit_module(2). It returns once the module's devices are
// probed, those found asynchronously included: the kernel waits for them.
func insertModule(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.FinitModule(int(f.Fd()), "", 0)
}

// kernelRelease is the running kernel's version, as in /lib/modules.
func kernelRelease() (string, error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "", fmt.Errorf("ask the kernel's version: %w", err)
	}
	return strings.TrimRight(string(u.Release[:]), "\x00"), nil
}
