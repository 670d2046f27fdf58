package recipe

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// Debian's installer keeps one answer for each question, the last. So muster's
// defaults go before the order's lines and what muster decides behind them, and
// the order's commands, which are answers too, are called from muster's own.

// preseedType is the media type of a preseed.
const preseedType = "text/plain; charset=utf-8"

// The commands that an order and muster both give.
const (
	earlyCommand   = "preseed/early_command"
	partmanCommand = "partman/early_command"
	lateCommand    = "preseed/late_command"
)

// preseedClaims are the questions that muster answers for each host.
var preseedClaims = [...]string{"partman-auto/disk", "grub-installer/bootdev", "netcfg/hostname", "netcfg/get_hostname",
	"debian-installer/exit/halt", "debian-installer/exit/poweroff", "finish-install/reboot_in_progress"}

// preseedBrings are the questions by which a preseed brings further answers, or
// programs, when muster's own have been read.
var preseedBrings = [...]string{"preseed/include", "preseed/include_command", "preseed/run", "preseed/url", "preseed/file"}

// try posts with the wget of the installer, be it GNU's or busybox's: sixty
// times with five seconds between, or until it is refused. Neither tells a no by its exit status from a
// server that restarts, but both print the line of the status. What curl asks
// again after, 408 and 5xx, is asked again here too. Its URL comes behind it.
const try = `try() { n=0; until a=$(wget -q -S -t 1 -T 10 -O /dev/null --post-data= "$1" 2>&1); do case "$a" in *HTTP/1.?" "40[0-79]*|*HTTP/1.?" "41*) return 1;; esac; n=$((n+1)); [ $n -lt 60 ] || return 1; sleep 5; done; }; try`

// preseedOwn is what muster's own lines see beside the rest: the commands of
// the order, each one word of a shell, and files as the commands that print them.
type preseedOwn struct {
	Values
	Try, Refusal, NoDisk text
	Early, Partman, Late text
	Script, Service      text
}

func (w writer) preseed() (Rendered, error) {
	if err := errors.Join(w.noConfig(), w.noVLAN()); err != nil {
		return Rendered{}, err
	}
	family, order, err := w.texts(inPreseed)
	if err != nil {
		return Rendered{}, err
	}
	kept, commands, err := splitPreseed(family, order)
	if err != nil {
		return Rendered{}, err
	}
	before, err := fileOf("preseed-before.cfg", inPreseed, w.values)
	if err != nil {
		return Rendered{}, err
	}
	after, err := w.preseedAfter(commands)
	if err != nil {
		return Rendered{}, err
	}
	content := []byte(before + kept + after)
	return w.given(content, Document{MainDocument, preseedType, content})
}

// preseedAfter are the lines that muster has the last word with.
func (w writer) preseedAfter(commands map[string]string) (string, error) {
	word := func(question string) text {
		if commands[question] == "" {
			return ""
		}
		return text(`'` + strings.ReplaceAll(commands[question], `'`, `'\''`) + `'`)
	}
	o := preseedOwn{Values: w.values, Try: try, Refusal: refusal, NoDisk: noDisk,
		Early: word(earlyCommand), Partman: word(partmanCommand), Late: word(lateCommand)}
	ours, err := w.own()
	if err != nil {
		return "", err
	}
	o.Script, o.Service = echoed(ours.Booted), echoed(ours.Unit)
	return fileOf("preseed-after.cfg", inPreseed, o)
}

// echoed are the commands that print a file of muster's own, a line each. They
// go into an answer of several lines, which ends where a line ends in no
// backslash.
func echoed(file text) text {
	var out strings.Builder
	for line := range strings.Lines(string(file)) {
		fmt.Fprintf(&out, "echo '%s'; \\\n  ", strings.TrimSuffix(line, "\n"))
	}
	return text(out.String())
}

// splitPreseed takes the commands out of the order's lines, and refuses answers
// to what muster decides.
func splitPreseed(texts ...string) (kept string, commands map[string]string, err error) {
	commands = map[string]string{}
	var out strings.Builder
	for n, text := range texts {
		what := []string{"template of the family", "template"}[min(n, 1)]
		for _, l := range preseedLines(text) {
			switch {
			case l.question == "" && l.wrong != "":
				return "", nil, fmt.Errorf("%s: filled in, line %d: %s", what, l.number, l.wrong)
			case slices.Contains(preseedClaims[:], l.question):
				return "", nil, fmt.Errorf("%s: filled in, line %d: muster decides %s for each host; leave it out", what, l.number, l.question)
			case slices.Contains(preseedBrings[:], l.question):
				return "", nil, fmt.Errorf("%s: filled in, line %d: %s is not taken, because nobody could check what it brings; write it out", what, l.number, l.question)
			case l.question == earlyCommand || l.question == partmanCommand || l.question == lateCommand:
				commands[l.question] = l.answer
			default:
				out.WriteString(l.text)
			}
		}
	}
	return out.String(), commands, nil
}

// preseedLine is an answer, or what stands between answers.
type preseedLine struct {
	number           int    // of its first line, from 1
	text             string // as it stands, with its ends of lines
	question, answer string
	wrong            string
}

// preseedLines reads a preseed as the installer does: a line that ends in a
// backslash goes on in the next.
func preseedLines(text string) []preseedLine {
	var lines []preseedLine
	var whole []string
	open := preseedLine{}
	number := 0
	for line := range strings.Lines(text) {
		number++
		if open.text == "" {
			open.number = number
		}
		bare := strings.TrimSpace(line)
		if !strings.HasSuffix(line, "\n") {
			line += "\n"
		}
		open.text += line
		part, more := strings.CutSuffix(bare, `\`)
		if strings.HasPrefix(bare, "#") {
			more = false
		}
		whole = append(whole, strings.TrimSpace(part))
		if more {
			continue
		}
		lines = append(lines, open.read(strings.Join(whole, " ")))
		open, whole = preseedLine{}, nil
	}
	if open.text != "" {
		open.wrong = "it ends in a backslash, and nothing follows"
		lines = append(lines, open)
	}
	return lines
}

// read finds question and answer in a line.
func (l preseedLine) read(line string) preseedLine {
	if line == "" || strings.HasPrefix(line, "#") {
		return l
	}
	_, rest := field(line)
	question, rest := field(rest)
	kind, answer := field(rest)
	if kind == "" {
		l.wrong = fmt.Sprintf("%q has not the form: owner question type answer", line)
		return l
	}
	l.question, l.answer = question, answer
	return l
}

// field splits a line behind its first word.
func field(line string) (first, rest string) {
	line = strings.TrimLeft(line, " \t")
	end := strings.IndexAny(line, " \t")
	if end < 0 {
		return line, ""
	}
	return line[:end], strings.TrimLeft(line[end:], " \t")
}

// netcfg are the answers that the installer needs before it can read others.
func (w writer) netcfg() []string {
	domain := w.values.Site.Values["domain"]
	if checkLetters(domain, nameLetters+".") != nil {
		domain = "unassigned-domain"
	}
	args := []string{"hostname=" + w.values.Host.Name, "domain=" + domain}
	n := w.values.Network
	if !n.static() {
		return args
	}
	if mac := w.values.bootMAC(); mac != "" && w.recipe.Form == ISO { // by netboot, the boot loader says it
		args = append(args, "interface=auto", "BOOTIF=01-"+strings.ReplaceAll(mac, ":", "-"))
	}
	args = append(args, "netcfg/disable_autoconfig=true", "netcfg/confirm_static=true",
		"netcfg/get_ipaddress="+n.Address, "netcfg/get_netmask="+n.mask())
	if n.Gateway != "" {
		args = append(args, "netcfg/get_gateway="+n.Gateway)
	}
	if len(n.DNS) > 0 {
		args = append(args, "netcfg/get_nameservers="+n.DNS[0]) // one: a kernel argument has no spaces
	}
	return args
}

// mask is the prefix's length in the form of an address.
func (n Network) mask() string {
	bits := 128
	if address, err := netip.ParseAddr(n.Address); err == nil {
		bits = address.BitLen()
	}
	return net.IP(net.CIDRMask(n.Prefix, bits)).String()
}

// noVLAN refuses what the installer cannot do.
func (w writer) noVLAN() error {
	if w.values.Network.VLAN != 0 {
		return errors.New("network: Debian's installer makes no VLAN; give the host an untagged port, or set the VLAN up in the installed system by late_command")
	}
	return nil
}
