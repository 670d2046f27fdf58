package recipe

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// BootURLs fill a recipe's kernel arguments in for one boot of one host. Those
// that the recipe does not name may be empty.
type BootURLs struct {
	Files  string // URL under which the image's files are served, without a slash at the end
	ISO    string // URL of the whole ISO
	Config string // URL of the host's configuration
	Seed   string // URL of the directory with user-data and meta-data, without a slash at the end
	Server string // URL that the scout talks to
	Token  string // the scout's
	Host   string // the host's id
	Disk   string // name below /dev/disk/by-id
	Label  string // volume label of the medium
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

// Netboot fills the recipe in; args are put last. It refuses values that could
// end an argument or mean something to a boot script, and installers that would
// get nothing to read.
func (r Recipe) Netboot(b BootURLs, args []string) (Boot, error) {
	if err := r.boots(); err != nil {
		return Boot{}, err
	}
	if err := checkURL("files", b.Files); err != nil {
		return Boot{}, err
	}
	all, err := r.arguments(b, args)
	if err != nil {
		return Boot{}, err
	}
	boot := Boot{Kernel: b.Files + r.Kernel, Cmdline: strings.Join(all, " ")}
	if len(boot.Cmdline) > maxCmdline {
		return Boot{}, fmt.Errorf("the kernel command line has %d bytes, more than %d", len(boot.Cmdline), maxCmdline)
	}
	for _, path := range r.Initrds {
		boot.Initrds = append(boot.Initrds, b.Files+path)
	}
	return boot, nil
}

// addressArg begins the argument that asks DHCP, or else says an address.
const addressArg = "ip="

func hasAddress(args []string) bool {
	return slices.ContainsFunc(args, func(arg string) bool { return strings.HasPrefix(arg, addressArg) })
}

// arguments are the kernel's, filled in. An address among the further ones takes
// the place of DHCP.
func (r Recipe) arguments(b BootURLs, further []string) ([]string, error) {
	args := make([]string, 0, len(r.Cmdline)+len(further))
	for _, template := range r.Cmdline {
		if hasAddress(further) && strings.HasPrefix(template, addressArg) {
			continue
		}
		arg, err := r.fill(template, b)
		if err != nil {
			return nil, fmt.Errorf("kernel argument %s: %w", template, err)
		}
		args = append(args, arg)
	}
	for _, arg := range further {
		if err := checkLetters(arg, letters+"=,+@[]"); err != nil {
			return nil, fmt.Errorf("extra kernel argument: %w", err)
		}
		args = append(args, arg)
	}
	return args, nil
}

// words are what may stand in braces in an argument.
var words = [...]string{"files", "rootfs", "iso", "config", "seed", "server", "token", "host", "disk", "source"}

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

func (r Recipe) fill(arg string, v BootURLs) (string, error) {
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
	case "disk":
		value, err = v.Disk, checkLetters(v.Disk, diskLetters)
	case "source":
		value = source(v.Label)
	default:
		err = fmt.Errorf("there is no value {%s}", name)
	}
	return before + value + after, err
}

// source is how dracut's installers name their medium: by its label, which also
// finds it in memory, or else any CD.
func source(label string) string {
	if checkLetters(label, letters) != nil {
		return "cdrom"
	}
	return "hd:LABEL=" + label
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
