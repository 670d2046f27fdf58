package recipe

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Values fill a recipe in for one boot of one host. Those that the recipe does
// not name may be empty.
type Values struct {
	Files  string   // URL under which the image's files are served, without a slash at the end
	ISO    string   // URL of the whole ISO
	Config string   // URL of the host's configuration
	Seed   string   // URL of the directory with user-data and meta-data, without a slash at the end
	Server string   // URL that the scout talks to
	Token  string   // the scout's
	Host   string   // the host's id
	Extra  []string // further kernel arguments, put last
}

// Boot is a kernel to start, by absolute URLs. BOOTIF and initrd= are for the
// boot loader to add.
type Boot struct {
	Kernel  string
	Initrds []string
	Cmdline string
}

// maxCmdline is what a recipe may use of the 2048 bytes (with the closing NUL)
// that x86 kernels take (COMMAND_LINE_SIZE); the rest is for the boot loader's
// BOOTIF and initrd names.
const maxCmdline = 2047 - 127

// Netboot fills the recipe in. It refuses values that could end an argument
// or mean something to a boot script, and installers that would get nothing to
// read.
func (r Recipe) Netboot(v Values) (Boot, error) {
	if err := r.Installs(); err != nil {
		return Boot{}, err
	}
	if err := checkURL("files", v.Files); err != nil {
		return Boot{}, err
	}
	args, err := r.arguments(v)
	if err != nil {
		return Boot{}, err
	}
	b := Boot{Kernel: v.Files + r.Kernel, Cmdline: strings.Join(args, " ")}
	if len(b.Cmdline) > maxCmdline {
		return Boot{}, fmt.Errorf("the kernel command line has %d bytes, more than %d", len(b.Cmdline), maxCmdline)
	}
	for _, path := range r.Initrds {
		b.Initrds = append(b.Initrds, v.Files+path)
	}
	return b, nil
}

// Installs says why no host can be installed from an image of the family, or
// nothing.
func (r Recipe) Installs() error {
	switch {
	case r.Family == "":
		return errors.New("the image is of no known family, so nobody knows how it boots from the network")
	case r.Kernel == "":
		return fmt.Errorf("a %s (%s) does not boot from the network: %s", r.About, r.Family, strings.Join(r.Cannot, "; "))
	case !r.Config.Format.written():
		return fmt.Errorf("muster does not write the configuration of a %s (%s)", r.About, r.Config.Format)
	}
	return nil
}

// arguments are the kernel's, filled in.
func (r Recipe) arguments(v Values) ([]string, error) {
	args := make([]string, 0, len(r.Cmdline)+len(v.Extra))
	for _, template := range r.Cmdline {
		arg, err := r.fill(template, v)
		if err != nil {
			return nil, fmt.Errorf("kernel argument %s: %w", template, err)
		}
		args = append(args, arg)
	}
	for _, arg := range v.Extra {
		if err := checkLetters(arg, letters+"=,+@"); err != nil {
			return nil, fmt.Errorf("extra kernel argument: %w", err)
		}
		args = append(args, arg)
	}
	return args, nil
}

// words are what may stand in braces in an argument.
var words = [...]string{"files", "rootfs", "iso", "config", "seed", "server", "token", "host"}

// word splits an argument around the one {word} that it may have.
func word(arg string) (before, name, after string, has bool) {
	before, rest, has := strings.Cut(arg, "{")
	if !has {
		return arg, "", "", false
	}
	name, after, closed := strings.Cut(rest, "}")
	if !closed {
		name, after = "", rest
	}
	return before, name, after, true
}

// checkTemplate refuses an argument that a command line would take for two, or
// that wants a value nobody has.
func checkTemplate(arg string) error {
	before, name, after, has := word(arg)
	if has && !slices.Contains(words[:], name) {
		return fmt.Errorf("kernel argument %s: there is no value {%s}; there are %s", arg, name, strings.Join(words[:], ", "))
	}
	if before+after == "" && has {
		return nil
	}
	if err := checkLetters(before+after, letters+"=,+@;!"); err != nil {
		return fmt.Errorf("kernel argument %s: %w", arg, err)
	}
	return nil
}

func (r Recipe) fill(arg string, v Values) (string, error) {
	before, name, after, has := word(arg)
	if !has {
		return arg, nil
	}
	value, err := "", error(nil)
	switch name {
	case "files":
		value = v.Files
	case "rootfs":
		value = v.Files + r.Rootfs
	case "iso":
		value, err = v.ISO, checkURL(name, v.ISO)
	case "config":
		value, err = v.Config, checkURL(name, v.Config)
	case "seed":
		value, err = v.Seed, checkURL(name, v.Seed)
	case "server":
		value, err = v.Server, checkURL(name, v.Server)
	case "token":
		value, err = v.Token, checkLetters(v.Token, letters)
	case "host":
		value, err = v.Host, checkLetters(v.Host, letters)
	default:
		err = fmt.Errorf("there is no value {%s}", name)
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
