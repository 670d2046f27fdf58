package app

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/muster-boot/muster/provisioner/api"
	"github.com/muster-boot/muster/provisioner/config"
	"github.com/muster-boot/muster/pxe/dhcp"
)

// network is a configured network joined to the interface it is on.
type network struct {
	config.Network
	address netip.Prefix // ours
	base    string       // root of the boot plane as hosts on this network reach it
	secure  string       // the same by https
}

// findNetworks looks up our own address on every configured interface. muster
// never sets one; the error names the command that does.
func findNetworks(cfg config.Config) ([]network, error) {
	var found []network
	for _, n := range cfg.Networks {
		iface, err := net.InterfaceByName(n.Interface)
		if err != nil {
			return nil, fmt.Errorf("network %s: there is no such interface (list them with: ip -br link): %w", n.Interface, err)
		}
		address, err := ipv4Of(iface, n)
		if err != nil {
			return nil, err
		}
		if n.Router.IsValid() && !address.Contains(n.Router) {
			return nil, fmt.Errorf("network %s: router %s is not on the link, whose network is %s; correct it or leave it out",
				n.Interface, n.Router, address.Masked())
		}
		found = append(found, network{
			Network: n, address: address,
			base:   "http://" + netip.AddrPortFrom(address.Addr(), cfg.BootPort).String(),
			secure: "https://" + netip.AddrPortFrom(address.Addr(), cfg.BootTLS.Port).String(),
		})
	}
	return found, nil
}

// siteOf is what the networks do, as people are told of it.
func siteOf(cfg config.Config, nets []network) api.Site {
	site := api.Site{Discover: cfg.Discovers()}
	for _, n := range nets {
		site.Leases = site.Leases || n.DHCP == config.DHCPFull
		site.Own = append(site.Own, n.address.Addr())
	}
	return site
}

func ipv4Of(iface *net.Interface, n config.Network) (netip.Prefix, error) {
	addrs, err := iface.Addrs()
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("network %s: read its addresses: %w", n.Interface, err)
	}
	for _, a := range addrs {
		p, err := netip.ParsePrefix(a.String())
		if err != nil || !p.Addr().Is4() {
			continue
		}
		if n.DHCP == config.DHCPFull && !p.Masked().Contains(n.Pool.From) {
			continue
		}
		return p, nil
	}
	return netip.Prefix{}, fmt.Errorf("network %s: the interface has no IPv4 address that fits; muster never sets one, so set it: %s",
		n.Interface, addressCommand(n))
}

// addressCommand is what a person types to give the interface an address
// beside the pool.
func addressCommand(n config.Network) string {
	suggestion := "192.0.2.1/24"
	if n.DHCP == config.DHCPFull {
		a := n.Pool.From.As4()
		a[3] = 1
		if own := netip.AddrFrom4(a); own != n.Pool.From {
			suggestion = own.String() + "/24"
		}
	}
	return fmt.Sprintf("ip addr add %s dev %s", suggestion, n.Interface)
}

// addressesOf are ours on those networks.
func addressesOf(nets []network) []netip.Addr {
	var out []netip.Addr
	for _, n := range nets {
		out = append(out, n.address.Addr())
	}
	return out
}

// dhcpNetworks are those on which we give addresses.
func dhcpNetworks(nets []network, bootPort uint16) []dhcp.Network {
	var out []dhcp.Network
	for _, n := range nets {
		if n.DHCP != config.DHCPFull {
			continue
		}
		out = append(out, dhcp.Network{
			Interface: n.Interface, Address: n.address, From: n.Pool.From, To: n.Pool.To,
			Router: n.Router, DNS: n.DNS, NTP: n.NTP,
			LoaderAlways: n.Loader == config.LoaderAlways, BootPort: bootPort,
		})
	}
	return out
}
