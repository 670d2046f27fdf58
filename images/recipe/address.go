package recipe

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Medium are the kernel arguments by which a medium of the image differs for
// one host, where that is all it reads: the recipe's, filled in, and the scout's
// words for a fixed address.
func (r Recipe) Medium(b BootURLs, n Network) ([]string, error) {
	if err := r.WhyNot(Medium); err != nil {
		return nil, err
	}
	if err := n.check(); err != nil {
		return nil, err
	}
	var args []string
	for _, template := range r.Media.Cmdline {
		arg, err := r.fill(template, b)
		if err != nil {
			return nil, fmt.Errorf("kernel argument %s: %w", template, err)
		}
		args = append(args, arg)
	}
	return append(args, n.scout()...), nil
}

// scout is the address in the arguments that the scout reads; a port without an
// address asks DHCP.
func (n Network) scout() []string {
	var args []string
	add := func(name, value string) {
		if value != "" {
			args = append(args, "muster."+name+"="+value)
		}
	}
	if n.static() {
		add("address", fmt.Sprintf("%s/%d", n.Address, n.Prefix))
		add("gateway", n.Gateway)
		add("dns", strings.Join(n.DNS, ","))
	}
	if n.VLAN != 0 {
		add("vlan", fmt.Sprint(n.VLAN))
	}
	add("mac", strings.ToLower(n.MAC))
	return args
}

// bootnet is the name that the port of a fixed address is given where it has to
// have one: what a kernel calls it is not what another does.
const bootnet = "bootnet"

// further are the kernel arguments beside the recipe's.
func (w writer) further() ([]string, error) {
	args, err := w.kernelAddress()
	switch w.recipe.Config.Format {
	case Preseed:
		return append(w.netcfg(), args...), err
	case Autoinstall: // the live system has cloud-init set its network up
		if err != nil || !w.values.Network.static() {
			return args, err
		}
		config, err := json.Marshal(w.netplan()) // which is YAML, too
		return append(args, "network-config="+base64.StdEncoding.EncodeToString(config)), err
	case None, CloudConfig, NoCloud, Kickstart, Ignition, Talos:
	}
	return args, err
}

// kernelAddress is the host's fixed address in the installer's own words.
func (w writer) kernelAddress() ([]string, error) {
	if !w.values.Network.static() {
		return nil, nil
	}
	switch w.recipe.Static.Kernel {
	case "":
		return nil, nil
	case Dracut:
		return w.values.dracut()
	case Klibc:
		return w.values.klibc(), nil
	case TalosAddress:
		return w.values.talosAddress()
	}
	return nil, fmt.Errorf("nobody knows the words of %q for an address", w.recipe.Static.Kernel)
}

var errNoPort = errors.New("network: a VLAN needs the MAC of its port; give it in the host's row")

// dracut names the port by its MAC, where that is known, and its name servers
// apart.
func (v Values) dracut() ([]string, error) {
	n, link := v.Network, ""
	var args []string
	if mac := v.bootMAC(); mac != "" {
		link = bootnet
		args = append(args, "ifname="+link+":"+mac)
	}
	if n.VLAN != 0 {
		if link == "" {
			return nil, errNoPort
		}
		tagged := fmt.Sprintf("%s.%d", link, n.VLAN)
		args, link = append(args, "vlan="+tagged+":"+link), tagged
	}
	args = append(args, strings.Join([]string{addressArg + bracketed(n.Address), "", bracketed(n.Gateway), n.netmask(), v.Host.Name, link, "none"}, ":"))
	for _, server := range n.DNS {
		args = append(args, "nameserver="+bracketed(server))
	}
	return args, nil
}

// klibc says it for the port of BOOTIF. What it cannot say is left to
// cloud-init's part.
func (v Values) klibc() []string {
	n := v.Network
	if n.VLAN != 0 || n.v6() {
		return nil
	}
	return []string{strings.TrimRight(strings.Join(append([]string{addressArg + n.Address, "", n.Gateway, n.netmask(), v.Host.Name, "", "off"}, n.two()...), ":"), ":")}
}

// talosAddress is klibc's with the port as Talos has it.
func (v Values) talosAddress() ([]string, error) {
	n, link := v.Network, ""
	if mac := v.bootMAC(); mac != "" {
		link = "enx" + strings.ReplaceAll(mac, ":", "")
	}
	var args []string
	if n.VLAN != 0 {
		if link == "" {
			return nil, errNoPort
		}
		tagged := fmt.Sprintf("%s.%d", link, n.VLAN)
		args, link = append(args, "vlan="+tagged+":"+link), tagged
	}
	words := append([]string{addressArg + bracketed(n.Address), "", bracketed(n.Gateway), n.netmask(), v.Host.Name, link, "off"}, n.two()...)
	return append(args, strings.TrimRight(strings.Join(words, ":"), ":")), nil
}

// two are the name servers for which klibc's words have a place.
func (n Network) two() []string {
	var list []string
	for _, server := range n.DNS[:min(2, len(n.DNS))] {
		list = append(list, bracketed(server))
	}
	return list
}

func (n Network) v6() bool { return strings.Contains(n.Address, ":") }

// netmask is the mask of IPv4, and the prefix's length of IPv6.
func (n Network) netmask() string {
	if n.v6() {
		return fmt.Sprint(n.Prefix)
	}
	return n.mask()
}

// bracketed is an address among words that colons part.
func bracketed(address string) string {
	if strings.Contains(address, ":") {
		return "[" + address + "]"
	}
	return address
}

// systemFile is a file of the installed system that has the address.
type systemFile struct {
	path    string
	mode    int
	content string
}

// systemAddress are the files by which the installed system keeps the host's
// fixed address.
func (w writer) systemAddress() []systemFile {
	if !w.values.Network.static() {
		return nil
	}
	switch w.recipe.Static.System {
	case Networkd:
		return w.values.networkd()
	case NetworkManager:
		return []systemFile{w.values.keyfile()}
	}
	return nil
}

// networkd is in the words of systemd.network(5) and systemd.netdev(5).
func (v Values) networkd() []systemFile {
	const dir, mode = "/etc/systemd/network/", 0o644
	n := v.Network
	var at strings.Builder
	fmt.Fprintf(&at, "[Network]\nAddress=%s/%d\n", n.Address, n.Prefix)
	if n.Gateway != "" {
		fmt.Fprintf(&at, "Gateway=%s\n", n.Gateway)
	}
	for _, server := range n.DNS {
		fmt.Fprintf(&at, "DNS=%s\n", server)
	}
	match := "[Match]\nName=" + anyPort + "\n"
	if mac := v.bootMAC(); mac != "" {
		match = "[Match]\nMACAddress=" + mac + "\nType=ether\n"
	}
	if n.VLAN == 0 {
		return []systemFile{{dir + "10-muster.network", mode, match + "\n" + at.String()}}
	}
	name := fmt.Sprintf("vlan%d", n.VLAN)
	return []systemFile{
		{dir + "10-muster.netdev", mode, fmt.Sprintf("[NetDev]\nName=%s\nKind=vlan\n\n[VLAN]\nId=%d\n", name, n.VLAN)},
		{dir + "10-muster.network", mode, match + "\n[Network]\nVLAN=" + name + "\nLinkLocalAddressing=no\n"},
		{dir + "11-muster.network", mode, "[Match]\nName=" + name + "\n\n" + at.String()},
	}
}

// anyPort is what ports are called by those who name them after their place.
const anyPort = "e*"

// keyfile is in the words of nm-settings-keyfile(5).
func (v Values) keyfile() systemFile {
	n := v.Network
	kind, vlan := "ethernet", ""
	if n.VLAN != 0 {
		kind, vlan = "vlan", fmt.Sprintf("\n[vlan]\nid=%d\nflags=1\n", n.VLAN)
	}
	port := ""
	if mac := v.bootMAC(); mac != "" {
		port = "\n[ethernet]\nmac-address=" + mac + "\n"
	}
	ours, other := "ipv4", "ipv6"
	if n.v6() {
		ours, other = other, ours
	}
	at := fmt.Sprintf("\n[%s]\nmethod=manual\naddress1=%s\n", ours, strings.TrimSuffix(fmt.Sprintf("%s/%d,%s", n.Address, n.Prefix, n.Gateway), ","))
	if len(n.DNS) > 0 {
		at += "dns=" + strings.Join(n.DNS, ";") + ";\n"
	}
	return systemFile{"/etc/NetworkManager/system-connections/muster.nmconnection", 0o600,
		"[connection]\nid=muster\ntype=" + kind + "\nautoconnect-priority=100\n" + port + vlan + at + "\n[" + other + "]\nmethod=disabled\n"}
}
