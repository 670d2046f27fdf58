package scout

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// catalog is the modules of the ramdisk: tables in the format of depmod(8).
type catalog struct {
	dir     string              // e.g. lib/modules/6.1.0-56-amd64
	files   map[string]string   // module name to file below dir
	needs   map[string][]string // module name to the files it needs, in loading order
	aliases map[string][]alias  // by the alias's bus, the part before the first ":"
	before  map[string][]string // soft dependencies, names or aliases
	after   map[string][]string
}

type alias struct{ pattern, module string }

// readCatalog reads the tables under dir of the root file system.
func readCatalog(root fs.FS, dir string) (*catalog, error) {
	c := &catalog{
		dir: dir, files: map[string]string{}, needs: map[string][]string{},
		aliases: map[string][]alias{}, before: map[string][]string{}, after: map[string][]string{},
	}
	return c, errors.Join(
		eachLine(root, path.Join(dir, "modules.dep"), c.addDep),
		eachLine(root, path.Join(dir, "modules.alias"), c.addAlias),
		eachLine(root, path.Join(dir, "modules.softdep"), c.addSoft))
}

func eachLine(root fs.FS, name string, add func(line string)) error {
	f, err := root.Open(name)
	if err != nil {
		return fmt.Errorf("read the list of drivers: %w", err)
	}
	defer f.Close()
	s := bufio.NewScanner(f)
	for s.Scan() {
		if line := strings.TrimSpace(s.Text()); line != "" && line[0] != '#' {
			add(line)
		}
	}
	return s.Err()
}

func (c *catalog) addDep(line string) {
	file, rest, _ := strings.Cut(line, ":")
	needs := strings.Fields(rest)
	slices.Reverse(needs) // depmod puts what is loaded first last
	name := moduleName(file)
	c.files[name], c.needs[name] = file, needs
}

func (c *catalog) addAlias(line string) {
	f := strings.Fields(line)
	if len(f) != 3 || f[0] != "alias" {
		return
	}
	bus := busOf(f[1])
	c.aliases[bus] = append(c.aliases[bus], alias{pattern: f[1], module: f[2]})
}

// addSoft reads "softdep NAME pre: A B post: C" (modprobe.d(5)).
func (c *catalog) addSoft(line string) {
	f := strings.Fields(line)
	if len(f) < 2 || f[0] != "softdep" {
		return
	}
	list := c.before
	for _, word := range f[2:] {
		switch word {
		case "pre:":
			list = c.before
		case "post:":
			list = c.after
		default:
			list[f[1]] = append(list[f[1]], word)
		}
	}
}

// busOf is what an alias and a pattern must have in common: "pci" of
// "pci:v00008086d...". A pattern with a wildcard there is kept under "".
func busOf(s string) string {
	bus, _, ok := strings.Cut(s, ":")
	if !ok || strings.ContainsAny(bus, "*?[") {
		return ""
	}
	return bus
}

// matching is the modules whose patterns cover a device's modalias, each once.
func (c *catalog) matching(modalias string) []string {
	var names []string
	buses := []string{busOf(modalias), ""}
	for _, bus := range slices.Compact(buses) {
		for _, a := range c.aliases[bus] {
			if ok, err := path.Match(a.pattern, modalias); err == nil && ok && !slices.Contains(names, a.module) {
				names = append(names, a.module)
			}
		}
	}
	return names
}

// loadList is the files to load for the named module, in order, itself and its
// soft dependencies included. An unknown name gives nothing: it is built into
// the kernel, or this ramdisk does not have it.
func (c *catalog) loadList(name string) []string {
	var files []string
	seen := map[string]bool{}
	var add func(name string)
	add = func(name string) {
		file, ok := c.files[name]
		if !ok || seen[name] {
			return
		}
		seen[name] = true
		for _, soft := range c.resolve(c.before[name]) {
			add(soft)
		}
		for _, need := range c.needs[name] {
			add(moduleName(need))
		}
		files = append(files, file)
		for _, soft := range c.resolve(c.after[name]) {
			add(soft)
		}
	}
	add(moduleName(name))
	return files
}

// resolve turns names or aliases into names.
func (c *catalog) resolve(words []string) []string {
	var names []string
	for _, w := range words {
		if n := moduleName(w); c.files[n] != "" {
			names = append(names, n)
			continue
		}
		names = append(names, c.matching(w)...)
	}
	return names
}

// moduleName is the kernel's spelling of a file or written name.
func moduleName(file string) string {
	base, _, _ := strings.Cut(path.Base(file), ".ko")
	return strings.ReplaceAll(base, "-", "_")
}

// modaliases is every device's modalias below sys, each once, sorted.
func modaliases(root fs.FS) []string {
	var all []string
	names, err := fs.Glob(root, "sys/bus/*/devices/*/modalias")
	if err != nil {
		return nil
	}
	for _, name := range names {
		if b, err := fs.ReadFile(root, name); err == nil {
			all = append(all, strings.TrimSpace(string(b)))
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}
