package overlay

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// Syntax is that of a boot loader's configuration.
type Syntax string

// The syntaxes.
const (
	GRUB     Syntax = "grub"     // grub.cfg: linux KERNEL ARGUMENTS
	Syslinux Syntax = "syslinux" // isolinux.cfg: APPEND ARGUMENTS
	Entry    Syntax = "entry"    // Boot Loader Specification, type 1: options ARGUMENTS
)

// maxConfig bounds a configuration, in bytes.
const maxConfig = 256 << 10

// syntaxOf tells by a file's name whether it can be a configuration.
func syntaxOf(name string) (Syntax, bool) {
	dir, base := path.Split(strings.ToLower(name))
	switch {
	case strings.HasSuffix(dir, "/loader/entries/") && strings.HasSuffix(base, ".conf"):
		return Entry, true
	case !strings.HasSuffix(base, ".cfg"):
		return "", false
	case strings.Contains(dir, "linux/") || strings.HasSuffix(base, "linux.cfg"): // isolinux, syslinux, extlinux
		return Syslinux, true
	case strings.Contains(dir, "grub") || strings.Contains(dir, "/efi/") || strings.Contains(dir, "/boot/") || base == "grub.cfg":
		return GRUB, true
	}
	return "", false
}

// arguments are what to change about a kernel's.
type arguments struct {
	set  []string // put last, where an argument is not there already
	drop []string // by whole word, or by name before "="
}

// checkArgument refuses what would end an argument, or mean different things to
// different boot loaders.
func checkArgument(arg string) error {
	if arg == "" {
		return fmt.Errorf("%w: a kernel argument is empty", ErrCannot)
	}
	for _, c := range arg {
		if c <= ' ' || c >= 0x7f || strings.ContainsRune(`'"\$`, c) {
			return fmt.Errorf("%w: the kernel argument %q holds %q, which boot loaders take for more than a letter", ErrCannot, arg, c)
		}
	}
	return nil
}

// edit changes the kernel arguments in a configuration, and counts the places
// that it found. All else keeps every byte.
func (a arguments) edit(s Syntax, config string) (edited string, places int) {
	lines := logicalLines(config, s == GRUB)
	for i, line := range lines {
		if !takesArguments(s, lines, i) {
			continue
		}
		places++
		lines[i] = a.line(s, line)
	}
	return strings.Join(lines, ""), places
}

// logicalLines splits a text behind its newlines, but not behind those that a
// backslash takes back.
func logicalLines(text string, continued bool) []string {
	var lines []string
	for line := range strings.Lines(text) {
		last := len(lines) - 1
		if continued && last >= 0 && (strings.HasSuffix(lines[last], "\\\n") || strings.HasSuffix(lines[last], "\\\r\n")) {
			lines[last] += line
			continue
		}
		lines = append(lines, line)
	}
	return lines
}

// takesArguments tells whether a line starts a Linux kernel.
func takesArguments(s Syntax, lines []string, i int) bool {
	words := strings.Fields(lines[i])
	if len(words) == 0 {
		return false
	}
	switch s {
	case GRUB:
		return len(words) > 1 && slices.Contains([]string{"linux", "linuxefi", "linux16", "$linux", "$linuxefi"}, words[0])
	case Syslinux:
		return strings.EqualFold(words[0], "append") && len(words) > 1 && words[1] != "-" && startsLinux(lines, i)
	case Entry:
		return words[0] == "options"
	}
	return false
}

// startsLinux looks at the label around an APPEND line: its KERNEL may be a menu
// or a memory test.
func startsLinux(lines []string, i int) bool {
	isLabel := func(line string) bool {
		words := strings.Fields(line)
		return len(words) > 0 && strings.EqualFold(words[0], "label")
	}
	from := i
	for from > 0 && !isLabel(lines[from]) {
		from--
	}
	for j := from; j < len(lines) && (j <= i || !isLabel(lines[j])); j++ {
		words := strings.Fields(lines[j])
		if len(words) > 1 && (strings.EqualFold(words[0], "kernel") || strings.EqualFold(words[0], "linux")) {
			name := strings.ToLower(words[1])
			return !strings.HasSuffix(name, ".c32") && !strings.HasSuffix(name, ".bin") && !strings.Contains(name, "memtest")
		}
	}
	return false
}

// line changes one. New arguments go before "---" or "--", behind which Debian
// and Ubuntu keep those of the installed system, else to the end.
func (a arguments) line(s Syntax, line string) string {
	text, ending := cutEnding(line)
	spans := words(text)
	first := 1 // argument; the word before is the command
	if s == GRUB {
		first = 2 // behind the kernel
	}
	var kept strings.Builder // with the space before each word
	var have []string
	split, end := -1, 0
	for i, span := range spans {
		space, word := text[end:span[0]], text[span[0]:span[1]]
		end = span[1]
		if i >= first && a.drops(word) {
			continue
		}
		if split < 0 && (word == "---" || word == "--") {
			split = kept.Len()
		}
		kept.WriteString(space + word)
		have = append(have, word)
	}
	if split < 0 {
		split = kept.Len()
	}
	return kept.String()[:split] + a.added(s, have) + kept.String()[split:] + ending
}

// added are the arguments that are not there yet.
func (a arguments) added(s Syntax, have []string) string {
	var b strings.Builder
	for _, arg := range a.set {
		if arg = quote(s, arg); !slices.Contains(have, arg) {
			b.WriteString(" " + arg)
		}
	}
	return b.String()
}

func (a arguments) drops(word string) bool {
	name, _, _ := strings.Cut(strings.Trim(word, `'"`), "=")
	return slices.Contains(a.drop, word) || slices.Contains(a.drop, name)
}

// cutEnding parts a line from its newline and the spaces before it.
func cutEnding(line string) (text, ending string) {
	text = strings.TrimRight(line, " \t\r\n")
	return text, strings.TrimLeft(line[len(text):], " \t")
}

// words finds the words of a line, by GRUB's quotes and backslashes.
func words(line string) [][2]int {
	var out [][2]int
	start, quoted := -1, byte(0)
	for i := 0; i < len(line); i++ {
		c := line[i]
		space := quoted == 0 && (c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\\' && i+1 < len(line) && (line[i+1] == '\n' || line[i+1] == '\r'))
		switch {
		case space && start >= 0:
			out, start = append(out, [2]int{start, i}), -1
			continue
		case space:
			continue
		case start < 0:
			start = i
		}
		switch {
		case c == quoted:
			quoted = 0
		case quoted == 0 && (c == '\'' || c == '"'):
			quoted = c
		case quoted != '\'' && c == '\\':
			i++
		}
	}
	if start >= 0 {
		out = append(out, [2]int{start, len(line)})
	}
	return out
}

// quote keeps GRUB from reading more into an argument; the other loaders take
// the line as it is.
func quote(s Syntax, arg string) string {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:/._~-=,+@%"
	if s == GRUB && strings.Trim(arg, plain) != "" {
		return "'" + arg + "'"
	}
	return arg
}
