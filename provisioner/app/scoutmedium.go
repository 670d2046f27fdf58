package app

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/muster-boot/muster/images"
	"github.com/muster-boot/muster/images/recipe"
	"github.com/muster-boot/muster/provisioner"
)

// ScoutMedium implements [engine.Installer]: the newest discovery ramdisk, which
// stays that of the attempt when a newer one is built.
func (b *boots) ScoutMedium(_ context.Context, h provisioner.Host) (provisioner.Rendering, error) {
	image, ok := newestScout(b.catalog)
	if !ok {
		return provisioner.Rendering{}, operator("%s", noRamdisk)
	}
	r, err := b.scoutMedium(image, h)
	if err != nil {
		return r, operator("start the scout of host %s from a medium: %w", h.ID, discreet(err, h.Status.Key.Reveal()))
	}
	return r, nil
}

// noLoader is said of a ramdisk of two files.
const noLoader = "the discovery ramdisk %s has no boot loader of its own, so that no CD can be made of it; build it again with --shim and --grub"

// scoutMedium is how the ISO of the scout differs for h.
func (b *boots) scoutMedium(image images.Image, h provisioner.Host) (provisioner.Rendering, error) {
	r := provisioner.Rendering{Way: provisioner.WayMedia, Image: image.Digest}
	if image.Family != scoutISOFamily {
		return r, fmt.Errorf(noLoader, title(image))
	}
	rec, err := b.recipe(image)
	if err != nil {
		return r, err
	}
	root, err := b.root(h)
	if err != nil {
		return r, err
	}
	urls := recipe.BootURLs{Server: root, Token: h.Status.Key.Reveal(), Host: string(h.ID)}
	args, err := rec.Medium(urls, fixed(h.Intent.Row.Static))
	if err != nil {
		return r, err
	}
	r.Medium = []provisioner.Change{{Args: args}}
	_, err = b.overlay(r) // that it can be made is known before the host is started
	return r, err
}

// fixed is a row's address as recipes have it. What cannot be one they refuse.
func fixed(s provisioner.Static) recipe.Network {
	n := recipe.Network{MAC: s.MAC, Address: s.Address, Gateway: s.Gateway, DNS: s.DNS, VLAN: s.VLAN}
	if p, err := netip.ParsePrefix(s.Address); err == nil {
		n.Address, n.Prefix = p.Addr().String(), p.Bits()
	}
	return n
}

// root is the boot plane as h reaches it: our address on the network that its
// own address is of, else where it was seen last, else where its scout or its
// BMC is. Whoever serves a request of h's knows its network better.
func (b *boots) root(h provisioner.Host) (string, error) {
	if n, ok := within(b.served(), addressOf(h.Intent.Row.Static.Address)); ok {
		return n.base, nil
	}
	if s := h.Facts.Sighting; s != nil {
		n, ok := b.networks[s.Network]
		if !ok {
			return "", operator("host %s was last seen on %s, which muster no longer serves: add that network to the configuration, or boot the host on another",
				h.ID, s.Network)
		}
		return n.base, nil
	}
	if n, ok := b.unseen(h); ok {
		return n.base, nil
	}
	return "", operator("host %s was not seen on any network: boot it from the network", h.ID)
}

// unseen is the network of a host whose packets nobody saw: that of its scout, or
// of its BMC.
func (b *boots) unseen(h provisioner.Host) (network, bool) {
	if c := h.Facts.Scout; c != nil {
		if n, ok := within(b.served(), addressOf(c.Address)); ok {
			return n, true
		}
	}
	if h.Intent.BMC == nil {
		return network{}, false
	}
	var to bmcRoute
	to.local, to.remote = routeTo(h.BMCAddress())
	return to.by(b.served())
}

// served are the networks in the order of their names.
func (b *boots) served() []network {
	return slices.SortedFunc(maps.Values(b.networks), func(a, b network) int { return strings.Compare(a.Interface, b.Interface) })
}

// addressOf reads an address, with or without a prefix length; what is none is in
// no network.
func addressOf(text string) netip.Addr {
	if p, err := netip.ParsePrefix(text); err == nil {
		return p.Addr().Unmap()
	}
	a, _ := netip.ParseAddr(text)
	return a.Unmap()
}
