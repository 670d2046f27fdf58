package scout

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
)

// Params is what the boot script told this boot, on the kernel's command line.
type Params struct {
	Server string // muster.server: base of the boot plane, e.g. "http://10.0.0.1:8067"
	Token  string // muster.token: opens this host's routes and no others
	Host   string // muster.host: the id by which muster knows it
	Boot   net.HardwareAddr
	Medium bool // muster.medium: the firmware booted this from a CD
	Fixed  Fixed
}

// bootifEthernet is the hardware type that starts BOOTIF (syslinux, IPAPPEND 2).
const bootifEthernet = "01-"

// Base is the address of this host's own routes on the boot plane, without the
// token.
func (p Params) Base() string { return p.Server + "/scout/" + url.PathEscape(p.Host) }

// ParseParams reads a kernel command line. A missing or unreadable BOOTIF is
// no error: every port is tried then.
func ParseParams(cmdline string) (Params, error) {
	var p Params
	var wrong []error
	for word := range strings.FieldsSeq(cmdline) {
		key, value, _ := strings.Cut(word, "=")
		switch key {
		case "muster.server":
			p.Server = value
		case "muster.token":
			p.Token = value
		case "muster.host":
			p.Host = value
		case "BOOTIF":
			p.Boot = parseBootif(value)
		case "muster.medium":
			p.Medium = true
		default:
			wrong = append(wrong, p.Fixed.take(key, value))
		}
	}
	return p, errors.Join(append(wrong, p.check())...)
}

func (p Params) check() error {
	if p.Server == "" || p.Token == "" || p.Host == "" {
		return errors.New("the kernel command line lacks muster.server=, muster.token= or muster.host=; this ramdisk is started by muster's boot script")
	}
	u, err := url.Parse(p.Server)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return fmt.Errorf("muster.server=%s is no address such as http://10.0.0.1:8067", p.Server)
	}
	return p.Fixed.check()
}

func parseBootif(value string) net.HardwareAddr {
	mac, err := net.ParseMAC(strings.TrimPrefix(strings.ToLower(value), bootifEthernet))
	if err != nil || len(mac) != 6 {
		return nil
	}
	return mac
}

// bootif is the word that hands the booting port on to the next kernel.
func bootif(mac net.HardwareAddr) string {
	return "BOOTIF=" + bootifEthernet + strings.ReplaceAll(mac.String(), ":", "-")
}
