// Package recipe says, as data, how one family of images is recognised, how it
// boots from the network and how it takes its per-host configuration.
//
// It reads no image and serves nothing: a caller shows it what an image holds
// and gives it addresses, it gives back values. It puts no text into a command
// line or a shell command that it has not checked letter by letter. Start at
// [Recognise], then [Recipe.Netboot] and [UserData].
package recipe

import (
	"embed"
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
)

// Recipe is one family of images.
type Recipe struct {
	Family       string   `yaml:"family"`
	About        string   `yaml:"about"`
	Form         Form     `yaml:"form"`
	Needs        []string `yaml:"needs"`  // files that every image of the family has
	Labels       []string `yaml:"labels"` // usual volume labels; a supporting witness, not a condition
	Kernel       string   `yaml:"kernel"`
	Initrds      []string `yaml:"initrds"`
	Rootfs       string   `yaml:"rootfs"`
	Cmdline      []string `yaml:"cmdline"` // with {rootfs}, {config}, {server}, {token}, {host} to be filled in
	LeavesBehind []Left   `yaml:"leaves_behind"`
}

// Left is something that an image may hold and that netboot does not carry.
type Left struct {
	Path string `yaml:"path"`
	What string `yaml:"what"`
}

// Form is how an image is kept.
type Form string

// The forms.
const (
	ISO Form = "iso" // one ISO 9660 image
	Set Form = "set" // several plain files
)

// Listing is what an image holds.
type Listing interface {
	Form() Form
	Label() string        // volume label, empty for a set
	Has(path string) bool // whether there is such a file or directory
}

// families holds one file for each; they are tried in the order of their names.
//
//go:embed families/*.yaml
var families embed.FS

// Families returns all recipes.
func Families() []Recipe {
	entries, err := families.ReadDir("families")
	if err != nil {
		panic(err) // it is in the binary
	}
	var all []Recipe
	for _, e := range entries {
		data, err := families.ReadFile("families/" + e.Name())
		if err != nil {
			panic(err)
		}
		var r Recipe
		if err := yaml.UnmarshalWithOptions(data, &r, yaml.Strict()); err != nil {
			panic(fmt.Sprintf("%s: %v", e.Name(), err)) // a test parses them all
		}
		all = append(all, r)
	}
	return all
}

// Find returns the recipe of a family.
func Find(family string) (Recipe, bool) {
	for _, r := range Families() {
		if r.Family == family {
			return r, true
		}
	}
	return Recipe{}, false
}

// Recognise finds the family that an image belongs to. why says what it was
// told by. lacks says what is missing: for an image of no known family, from
// the one it resembles most (the recipe is then its zero value); else what the
// image holds that does not travel by netboot.
func Recognise(l Listing) (r Recipe, why, lacks []string) {
	nearest, missing := Recipe{}, []string(nil)
	for _, r := range Families() {
		if r.Form != l.Form() {
			continue
		}
		absent := r.absent(l)
		if len(absent) == 0 {
			return r, r.why(l), r.left(l)
		}
		if missing == nil || len(absent) < len(missing) {
			nearest, missing = r, absent
		}
	}
	if missing == nil {
		return Recipe{}, nil, []string{fmt.Sprintf("no family of images has the form %q", l.Form())}
	}
	for _, path := range missing {
		lacks = append(lacks, fmt.Sprintf("it has no %s, which every %s (%s) has", path, nearest.About, nearest.Family))
	}
	return Recipe{}, nil, lacks
}

func (r Recipe) absent(l Listing) []string {
	var absent []string
	for _, path := range r.Needs {
		if !l.Has(path) {
			absent = append(absent, path)
		}
	}
	return absent
}

func (r Recipe) why(l Listing) []string {
	why := []string{"it has " + strings.Join(r.Needs, ", ")}
	for _, label := range r.Labels {
		if l.Label() == label {
			why = append(why, "its volume label is "+label)
		}
	}
	return why
}

func (r Recipe) left(l Listing) []string {
	var left []string
	for _, thing := range r.LeavesBehind {
		if l.Has(thing.Path) {
			left = append(left, fmt.Sprintf("netboot leaves %s behind (%s); boot it from virtual media if the host needs that", thing.What, thing.Path))
		}
	}
	return left
}

// Values fill a recipe in for one boot of one host. Those that the recipe does
// not name may be empty.
type Values struct {
	Files  string   // URL under which the image's files are served, without a slash at the end
	Config string   // URL of the host's user-data
	Server string   // URL that the scout talks to
	Token  string   // the scout's
	Host   string   // the host's id
	Extra  []string // further kernel arguments, put last
}

// Netboot is a kernel to start, by absolute URLs. BOOTIF and initrd= are for
// the boot loader to add.
type Netboot struct {
	Kernel  string
	Initrds []string
	Cmdline string
}

// maxCmdline is what a recipe may use of the 2048 bytes (with the closing NUL)
// that x86 kernels take (COMMAND_LINE_SIZE); the rest is for the boot loader's
// BOOTIF and initrd names.
const maxCmdline = 2047 - 127

// Netboot fills the recipe in. It refuses values that could end an argument
// or mean something to a boot script.
func (r Recipe) Netboot(v Values) (Netboot, error) {
	if r.Kernel == "" {
		return Netboot{}, errors.New("the image is of no known family, so nobody knows how it boots from the network")
	}
	if err := checkURL("files", v.Files); err != nil {
		return Netboot{}, err
	}
	args := make([]string, 0, len(r.Cmdline)+len(v.Extra))
	for _, template := range r.Cmdline {
		arg, err := r.fill(template, v)
		if err != nil {
			return Netboot{}, fmt.Errorf("kernel argument %s: %w", template, err)
		}
		args = append(args, arg)
	}
	for _, arg := range v.Extra {
		if err := checkLetters(arg, letters+"=,+@"); err != nil {
			return Netboot{}, fmt.Errorf("extra kernel argument: %w", err)
		}
		args = append(args, arg)
	}
	n := Netboot{Kernel: v.Files + r.Kernel, Cmdline: strings.Join(args, " ")}
	if len(n.Cmdline) > maxCmdline {
		return Netboot{}, fmt.Errorf("the kernel command line has %d bytes, more than %d", len(n.Cmdline), maxCmdline)
	}
	for _, path := range r.Initrds {
		n.Initrds = append(n.Initrds, v.Files+path)
	}
	return n, nil
}

// fill replaces the one {word} that an argument may have.
func (r Recipe) fill(arg string, v Values) (string, error) {
	before, rest, ok := strings.Cut(arg, "{")
	if !ok {
		return arg, nil
	}
	word, after, _ := strings.Cut(rest, "}")
	value, err := "", error(nil)
	switch word {
	case "rootfs":
		value = v.Files + r.Rootfs
	case "config":
		value, err = v.Config, checkURL(word, v.Config)
	case "server":
		value, err = v.Server, checkURL(word, v.Server)
	case "token":
		value, err = v.Token, checkLetters(v.Token, letters)
	case "host":
		value, err = v.Host, checkLetters(v.Host, letters)
	default:
		err = fmt.Errorf("there is no value {%s}", word)
	}
	return before + value + after, err
}

// letters may stand in any value: they mean nothing to a kernel command line,
// to an iPXE script or to a shell.
const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:/._~-"

func checkLetters(value, allowed string) error {
	if value == "" {
		return errors.New("the value is empty")
	}
	if i := strings.IndexFunc(value, func(c rune) bool { return !strings.ContainsRune(allowed, c) }); i >= 0 {
		return fmt.Errorf("%q may not hold %q", value, value[i:i+1])
	}
	return nil
}

func checkURL(name, url string) error {
	if !strings.HasPrefix(url, "http://") && !strings.HasPrefix(url, "https://") {
		return fmt.Errorf("%s: %q is not an http URL", name, url)
	}
	if strings.HasSuffix(url, "/") {
		return fmt.Errorf("%s: %q ends in a slash", name, url)
	}
	if err := checkLetters(url, letters); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}
