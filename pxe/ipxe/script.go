package ipxe

import (
	"fmt"
	"net/url"
	"strings"
	"time"
)

// maxCmdline is the kernel's own limit on x86, less its zero byte
// (COMMAND_LINE_SIZE in arch/x86/include/asm/setup.h); it cuts what is longer
// without a word.
const maxCmdline = 2047

// Netboot is a kernel to boot over the network.
type Netboot struct {
	Say     string   // one sentence for the console
	Kernel  string   // URL
	Initrds []string // URLs, handed to the kernel in this order
	Cmdline string   // kernel command line; BOOTIF and initrd= are added
}

// Script writes the script that boots n. BOOTIF names the interface that the
// host booted from, in the form of pxelinux, and stands on every command line:
// it is how the system finds the one of several NICs that reaches muster. A
// failed download is said and tried again; after five, the host reboots and
// asks anew, because what it should boot may have changed. The error names the
// field that cannot stand in a script.
func (n Netboot) Script() (string, error) {
	if err := checkURL(n.Kernel); err != nil {
		return "", fmt.Errorf("kernel: %w", err)
	}
	if err := checkWords(n.Cmdline); err != nil {
		return "", fmt.Errorf("kernel command line: %w", err)
	}
	args := []string{n.Kernel}
	fetch := make([]string, len(n.Initrds))
	for i, u := range n.Initrds {
		if err := checkURL(u); err != nil {
			return "", fmt.Errorf("initrd %d: %w", i+1, err)
		}
		name := fmt.Sprintf("initrd%d", i)
		args = append(args, "initrd="+name) // UEFI kernels find it by this name
		fetch[i] = fmt.Sprintf("initrd --name %s %s || goto failed\n", name, u)
	}
	args = append(append(args, strings.Fields(n.Cmdline)...), "BOOTIF=01-${netX/mac:hexhyp}")
	line := strings.Join(args, " ")
	if len(line)-len(n.Kernel) > maxCmdline {
		return "", fmt.Errorf("kernel command line: %d bytes long, the kernel takes %d", len(line)-len(n.Kernel), maxCmdline)
	}
	return fmt.Sprintf(netbootScript, sentence(n.Say), line, strings.Join(fetch, "")), nil
}

// netbootScript takes a sentence, the kernel's line and the initrds' lines. It
// frees other images first: iPXE hands every one it holds to the kernel, as an
// initrd, and newer ones hold an autoexec.ipxe from the start.
const netbootScript = `#!ipxe
echo %s
set tries:int32 1
:again
imgfree
kernel %s || goto failed
%sboot || goto failed
:failed
iseq ${tries} 5 && goto enough ||
echo muster: the kernel could not be loaded, attempt ${tries} of 5. Trying again in 5 seconds.
inc tries
sleep 5
goto again
:enough
echo muster: giving up on this boot. The host restarts in 10 seconds and asks again.
sleep 10
reboot
`

// LocalDisk writes the script that boots what is installed. BIOS starts its
// first disk; UEFI runs a small program that looks for a boot loader on the
// disks, because an exit to firmware would go through every other network entry
// first, or stop in its setup menu. base is the boot plane's root as the host
// reaches it, such as http://192.0.2.1:8067.
func LocalDisk(base string) (string, error) {
	if err := checkURL(base); err != nil {
		return "", fmt.Errorf("boot server: %w", err)
	}
	return fmt.Sprintf(localDiskScript, strings.TrimSuffix(base, "/")), nil
}

const localDiskScript = `#!ipxe
imgfree
echo muster: this host boots from its local disk
iseq ${platform} efi && goto efi ||
sanboot --no-describe --drive 0x80 || goto failed
:efi
iseq ${buildarch} x86_64 || goto failed
chain --autofree %s/loader/localdisk.efi || goto failed
:failed
echo muster: no boot loader was found on a local disk. The firmware tries its next boot device.
sleep 5
exit 1
`

// Wait writes the script of a host that has nothing to boot yet: it says why,
// pauses, and asks again at the URL given.
func Wait(say string, pause time.Duration, again string) (string, error) {
	if err := checkURL(again); err != nil {
		return "", fmt.Errorf("next script: %w", err)
	}
	return fmt.Sprintf(waitScript, sentence(say), max(1, int(pause.Seconds())), again), nil
}

const waitScript = `#!ipxe
imgfree
echo %s
sleep %d
chain --autofree --replace %s || reboot
`

// Refuse writes the script of a host that is not served any more: it says why
// and lets firmware go on to the next boot device.
func Refuse(say string) string {
	return fmt.Sprintf("#!ipxe\nimgfree\necho %s\nsleep 10\nexit 1\n", sentence(say))
}

// Autoexec writes autoexec.ipxe, which newer iPXE builds fetch unasked from
// where they were loaded: it goes on with the host's own script.
func Autoexec(script string) (string, error) {
	if err := checkURL(script); err != nil {
		return "", fmt.Errorf("boot script: %w", err)
	}
	return fmt.Sprintf("#!ipxe\nchain --autofree %s || exit 1\n", script), nil
}

// checkURL accepts an absolute http or https URL that is one word of a script.
func checkURL(s string) error {
	u, err := url.Parse(s)
	if err != nil {
		return err
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return fmt.Errorf("%q is not an absolute http URL", s)
	}
	if strings.ContainsAny(s, " \t") {
		return fmt.Errorf("%q has a space in it", s)
	}
	return checkWords(s)
}

// checkWords accepts text whose words iPXE passes on as they are: printable
// ASCII, no ${setting}, no word that ends a command or starts a comment.
func checkWords(s string) error {
	for _, r := range s {
		if r < ' ' || r > '~' {
			return fmt.Errorf("%q holds the character %q, which a boot script cannot", s, r)
		}
	}
	if strings.Contains(s, "${") {
		return fmt.Errorf("%q holds ${, which a boot script would replace", s)
	}
	for _, w := range strings.Fields(s) {
		if special(w) {
			return fmt.Errorf("%q holds the word %s, which a boot script would act on; remove it", s, w)
		}
	}
	return nil
}

// special reports whether iPXE gives the word a meaning of its own.
func special(word string) bool {
	return word == "||" || word == "&&" || word == ";" || strings.HasPrefix(word, "#")
}

// sentence makes any text fit for echo: what iPXE would act on is taken out, so
// that a name somebody typed can cost a character and not the boot.
func sentence(s string) string {
	plain := strings.Map(func(r rune) rune {
		switch {
		case r == '\n', r == '\t', r == '\r':
			return ' '
		case r < ' ', r > '~', r == '$':
			return '?'
		}
		return r
	}, s)
	words := strings.Fields(plain)
	for i, w := range words {
		if special(w) {
			words[i] = "?"
		}
	}
	return strings.Join(words, " ")
}
