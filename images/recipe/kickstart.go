package recipe

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// kickstartType is the media type of a kickstart.
const kickstartType = "text/plain; charset=utf-8"

// kickstartClaims are commands, or options of commands, that muster says for
// each host. Nearly all commands of anaconda keep the last line that names them.
var kickstartClaims = [...]struct{ command, option string }{
	{"ignoredisk", ""}, {"clearpart", ""}, {"zerombr", ""}, {"reboot", ""}, {"poweroff", ""}, {"shutdown", ""}, {"halt", ""},
	{"network", "--hostname"}, {"bootloader", "--boot-drive"}, {"bootloader", "--driveorder"},
}

// partitioning are the commands any of which says how the disk is divided.
var partitioning = [...]string{"autopart", "part", "partition", "volgroup", "logvol", "raid", "btrfs", "reqpart", "mount", "ostreecontainer"}

// kickstartOwn is what muster's own lines see.
type kickstartOwn struct {
	own
	Partitions bool   // the order divides the disk
	Packages   bool   // the order names packages
	Rest       text   // the order's sections
	Mask       string // of the fixed address
	V6         bool
}

func (w writer) kickstart() (Rendered, error) {
	if err := w.noConfig(); err != nil {
		return Rendered{}, err
	}
	family, order, err := w.texts(inShell)
	if err != nil {
		return Rendered{}, err
	}
	script := kickstartScript{}
	for _, text := range []struct{ what, text string }{{"template of family " + w.recipe.Family, family}, {"template", order}} {
		if err := script.read(text.text); err != nil {
			return Rendered{}, fmt.Errorf("%s: filled in, %w", text.what, err)
		}
	}
	before, err := fileOf("kickstart-before.cfg", inShell, w.values)
	if err != nil {
		return Rendered{}, err
	}
	after, err := w.kickstartAfter(script)
	if err != nil {
		return Rendered{}, err
	}
	content := []byte(before + script.commands.String() + after)
	return w.given(content, Document{MainDocument, kickstartType, content})
}

func (w writer) kickstartAfter(s kickstartScript) (string, error) {
	o, err := w.own()
	if err != nil {
		return "", err
	}
	n := w.values.Network
	return fileOf("kickstart-after.cfg", inShell, kickstartOwn{
		own: o, Partitions: s.partitions, Packages: s.packages, Rest: text(s.sections.String()),
		Mask: n.mask(), V6: strings.Contains(n.Address, ":"),
	})
}

// kickstartScript is a kickstart taken apart: its commands, and the sections
// that must come behind all commands.
type kickstartScript struct {
	commands, sections   strings.Builder
	partitions, packages bool
}

// read takes a text apart, and refuses lines that say what muster decides.
func (s *kickstartScript) read(text string) error {
	section, number := "", 0
	for line := range strings.Lines(text) {
		number++
		if !strings.HasSuffix(line, "\n") {
			line += "\n"
		}
		word, rest := field(strings.TrimSpace(line))
		switch {
		case section != "":
			s.sections.WriteString(line)
			if word == "%end" {
				section = ""
			}
		case word == "%end":
			return fmt.Errorf("line %d: %%end without a section", number)
		case word == "%include" || word == "%ksappend":
			return fmt.Errorf("line %d: %s is not taken, because nobody could check what it brings; write it out", number, word)
		case strings.HasPrefix(word, "%"):
			section = word
			s.packages = s.packages || word == "%packages"
			s.sections.WriteString("\n" + line)
		case claimed(word, rest):
			return fmt.Errorf("line %d: muster decides %s for each host; leave it out", number, word)
		default:
			s.partitions = s.partitions || slices.Contains(partitioning[:], word)
			s.commands.WriteString(line)
		}
	}
	if section != "" {
		return errors.New("a section " + section + " has no %end")
	}
	return nil
}

// claimed tells whether a line says what muster decides.
func claimed(word, rest string) bool {
	for _, c := range kickstartClaims {
		if c.command == word && (c.option == "" || strings.Contains(rest, c.option)) {
			return true
		}
	}
	return false
}
