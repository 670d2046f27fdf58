package app

import (
	"context"
	"net"
	"strings"

	"github.com/muster-boot/muster/inventory"
	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/config"
	"github.com/muster-boot/muster/provisioner/lifecycle"
	"github.com/muster-boot/muster/pxe"
)

// hostIndex is what boot decisions are answered from: memory, never a store.
type hostIndex interface {
	ByMAC(mac string) (provisioner.Host, bool)
	ByUUID(uuid string) (provisioner.Host, bool)
	ByBMC(mac string) (provisioner.Host, bool)
}

// decider is the one place that says who is answered.
type decider struct {
	hosts   hostIndex
	unknown map[string]config.Unknown // by interface
}

// Decide implements [pxe.Decider].
func (d *decider) Decide(_ context.Context, c pxe.Client) (pxe.Answer, error) {
	if _, listed := d.hosts.ByBMC(c.MAC.String()); listed {
		return pxe.Answer{Serve: c.Transport == pxe.DHCP}, nil // an address, and nothing to boot
	}
	h, listed := d.find(c)
	answer := pxe.Answer{Serve: true, Script: scriptPath(c.MAC), Name: h.Intent.Row.Name}
	switch d.offer(h, listed, c.Network) {
	case provisioner.BootSilence:
		return pxe.Answer{}, nil
	case provisioner.BootImage:
		answer.Image = mediumPath(h)
	case provisioner.BootDiscover, provisioner.BootInstall, provisioner.BootLocalDisk:
	}
	return answer, nil
}

// offer is what the host may boot on a network. One that nobody has seen before
// is as one that was seen and matches nothing.
func (d *decider) offer(h provisioner.Host, known bool, network string) provisioner.Boot {
	if !known {
		h = provisioner.Host{Status: provisioner.Status{Phase: provisioner.Unknown}}
	}
	return lifecycle.BootFor(h, d.unknown[network] == config.UnknownDiscover)
}

func (d *decider) find(c pxe.Client) (provisioner.Host, bool) {
	if h, ok := d.hosts.ByMAC(c.MAC.String()); ok {
		return h, true
	}
	if uuid := uuidText(c.UUID); uuid != "" {
		h, ok := d.hosts.ByUUID(uuid)
		return h, ok && lifecycle.ListsUUID(h, uuid)
	}
	return provisioner.Host{}, false
}

// uuidText is u as it came in option 97; empty when absent or junk.
func uuidText(u pxe.UUID) string {
	if u.IsZero() {
		return ""
	}
	hex := strings.ReplaceAll(net.HardwareAddr(u[:]).String(), ":", "")
	text, ok := inventory.NormalUUID(hex)
	if !ok || inventory.JunkUUID(text) {
		return ""
	}
	return text
}

// scriptPath is where the client with this MAC finds its boot script. It names
// the host by an address and not by an attempt: which attempt it boots is
// decided when the script is fetched, and everything the script names carries
// the attempt.
func scriptPath(mac net.HardwareAddr) string {
	return scriptPrefix + strings.ReplaceAll(mac.String(), ":", "-") + scriptSuffix
}

const (
	scriptPrefix = "/script/"
	scriptSuffix = ".ipxe"
)
