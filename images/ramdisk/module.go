package ramdisk

import (
	"bytes"
	"debug/elf"
	"fmt"
	"path"
	"slices"
	"strings"
)

// module is what one .ko file says about itself, and where its bytes lie in
// the spool.
type module struct {
	name     string // with underscores, as the kernel has it
	file     string // below lib/modules/VERSION, e.g. kernel/drivers/net/tun.ko
	depends  []string
	before   []string // softdep "pre": names or aliases
	after    []string // softdep "post"
	aliases  []string
	firmware []string // below lib/firmware; may hold * and ?
	at       extent
}

// moduleName turns a file name or a written name into the kernel's spelling.
func moduleName(file string) string {
	base, _, _ := strings.Cut(path.Base(file), ".ko")
	return strings.ReplaceAll(base, "-", "_")
}

// parseModule reads the .modinfo section of an uncompressed .ko file: a list
// of key=value, each ended by a zero byte.
func parseModule(file string, content []byte) (module, elf.Machine, error) {
	f, err := elf.NewFile(bytes.NewReader(content))
	if err != nil {
		return module{}, 0, fmt.Errorf("read module %s: %w", file, err)
	}
	defer f.Close()
	s := f.Section(".modinfo")
	if s == nil {
		return module{}, 0, fmt.Errorf("read module %s: it has no .modinfo section", file)
	}
	info, err := s.Data()
	if err != nil {
		return module{}, 0, fmt.Errorf("read module %s: %w", file, err)
	}
	return parseModinfo(file, string(info)), f.Machine, nil
}

func parseModinfo(file, info string) module {
	m := module{name: moduleName(file), file: file}
	for line := range strings.SplitSeq(info, "\x00") {
		key, value, _ := strings.Cut(line, "=")
		switch key {
		case "depends":
			for d := range strings.SplitSeq(value, ",") {
				if d != "" {
					m.depends = append(m.depends, moduleName(d))
				}
			}
		case "softdep":
			m.addSoft(value)
		case "alias":
			m.aliases = append(m.aliases, value)
		case "firmware":
			m.firmware = append(m.firmware, value)
		}
	}
	return m
}

// addSoft reads "pre: a b post: c" (modprobe.d(5), softdep).
func (m *module) addSoft(value string) {
	list := &m.before
	for word := range strings.FieldsSeq(value) {
		switch word {
		case "pre:":
			list = &m.before
		case "post:":
			list = &m.after
		default:
			*list = append(*list, word)
		}
	}
}

// library is every module of one kernel package.
type library struct {
	modules map[string]module
	builtin map[string]bool // compiled into the kernel; needs no file
}

// closure is the modules that names need, themselves included, sorted by file.
// absent are the names that this kernel has neither as file nor built in; a
// hard dependency that is missing is an error, a soft one is not.
func (l library) closure(names []string) (found []module, absent []string, err error) {
	seen := map[string]bool{}
	var add func(name, wantedBy string) error
	add = func(name, wantedBy string) error {
		if seen[name] || l.builtin[name] {
			return nil
		}
		m, ok := l.modules[name]
		if !ok {
			return fmt.Errorf("module %s needs %s, which is not in the kernel package; use the package of one single build", wantedBy, name)
		}
		seen[name] = true
		found = append(found, m)
		for _, d := range m.depends {
			if err := add(d, name); err != nil {
				return err
			}
		}
		for _, d := range l.soft(m) {
			if err := add(d, name); err != nil {
				return err
			}
		}
		return nil
	}
	for _, n := range names {
		if n = moduleName(n); !l.has(n) {
			absent = append(absent, n)
			continue
		}
		if err := add(n, "the list"); err != nil {
			return nil, nil, err
		}
	}
	slices.SortFunc(found, func(a, b module) int { return strings.Compare(a.file, b.file) })
	return found, absent, nil
}

func (l library) has(name string) bool {
	_, ok := l.modules[name]
	return ok || l.builtin[name]
}

// soft resolves the soft dependencies of m that exist, by name or by alias.
func (l library) soft(m module) []string {
	var names []string
	for _, want := range slices.Concat(m.before, m.after) {
		if n := moduleName(want); l.has(n) {
			names = append(names, n)
			continue
		}
		for _, other := range l.modules {
			if slices.Contains(other.aliases, want) {
				names = append(names, other.name)
			}
		}
	}
	slices.Sort(names)
	return names
}
