package recipe

import (
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
