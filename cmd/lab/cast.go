package main

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/muster-boot/muster/provisioner/lab"
	"github.com/muster-boot/muster/provisioner/lab/site"
)

// batch is one order of the demo and its hosts. Adding an order to the demo is
// adding a batch to cast.
type batch struct {
	name    string // of the order; empty: its hosts are in no manifest
	handoff string // the driver that must have given each receipt
	options string // what the order says beside the driver, as ", key: value"
	order   string // the order's YAML without name and hand-off
	columns string // of the manifest
	hosts   []role
	// before makes what the hosts find beside muster; nil for nothing.
	before func(ctx context.Context, s *site.Site) error
}

// role is one host of the demo and where it must end.
type role struct {
	spec lab.Spec
	row  string // its cells in the manifest
	end  string // phase
	what string // one line for people
	// boot is how it must have booted; empty: anyhow.
	boot string
	// proof is a text that its receipt must have; empty: any.
	proof string
	// finding is the check that must have blocked a host that ends quarantined.
	finding string
	handoff string // its batch's
}

// cast is the demo: every host differs from the others in what the demo shows.
func cast() []batch {
	return []batch{netboot(), central(), local(), virtualMedia(), shipment(), strays()}
}

// netboot is hosts that are started by a person and boot from their network.
func netboot() batch {
	return batch{
		name: "demo", handoff: "callhome",
		order:   "profile: edge-minimum\nimage: " + site.ApplianceImage + "\nafter: reboot\n",
		columns: "serial,mac,name",
		hosts: []role{
			{spec: small(machine(3, "small-1", lab.BIOS, "line", lab.NVMe)), row: "MD-0003,52:54:00:6d:00:03,small-1",
				end: "quarantined", finding: "memory", what: "BIOS, 2 GiB of memory where 8 are wanted"},
		},
	}
}

// central is hosts that register with Palette: with a stand-in that the demo
// runs at the server's address.
func central() batch {
	return batch{
		name: "central", handoff: "palette", options: ", project: edge, tags: {rack: r4}",
		order:   "profile: edge-minimum\nimage: " + site.ApplianceImage + "\nafter: reboot\n",
		columns: "serial,mac,name",
		hosts: []role{
			{spec: machine(1, "bios-1", lab.BIOS, "line", lab.NVMe), row: "MD-0001,52:54:00:6d:00:01,bios-1",
				end: "registered", boot: "bios-pxe", what: "BIOS, listed by MAC; Palette manages it"},
		},
	}
}

// local is hosts that are managed at their own API, without Palette.
func local() batch {
	return batch{
		name: "local", handoff: "localui", options: ", password: ui, content: {file: " + site.ContentBundle + "}, definition: {file: " + site.ClusterDefinition + "}",
		order:   "profile: edge-minimum\nimage: " + site.ApplianceImage + "\nafter: reboot\nsecrets: {ui: a password of the demo}\n",
		columns: "serial,mac,name",
		hosts: []role{
			{spec: machine(2, "uefi-1", lab.UEFI, "bench", lab.SCSI), row: "MD-0002,,uefi-1", proof: site.ContentBundle,
				end: "registered", boot: "uefi-pxe", what: "UEFI, listed by serial on a discovering network; managed locally, given content"},
		},
	}
}

// shipment is hosts whose agents register elsewhere.
func shipment() batch {
	return batch{
		name: "shipment", handoff: "callhome",
		order:   "profile: edge-minimum\nimage: " + site.ApplianceImage + "\nafter: reboot\nship: true\n",
		columns: "serial,mac,name",
		hosts: []role{
			{spec: machine(7, "ship-1", lab.BIOS, "line", lab.NVMe), row: "MD-0007,52:54:00:6d:00:07,ship-1",
				end: "shipped", boot: "bios-pxe", what: "BIOS, no BMC; installed, told to power off, recorded"},
		},
	}
}

// strays is hosts that nobody listed.
func strays() batch {
	return batch{hosts: []role{
		{spec: machine(4, "stray-1", lab.BIOS, "line", lab.NVMe), end: "unknown", what: "BIOS, in no manifest, on a silent network"},
	}}
}

// virtualMedia is hosts that muster reaches by their BMCs alone: their network
// has somebody else's DHCP server, and nothing boots from it.
func virtualMedia() batch {
	return batch{
		name: "rack", handoff: "callhome",
		order:   "profile: edge-minimum\nimage: " + site.ApplianceImage + "\ntransport: media\n",
		columns: "serial,mac,name,bmc_address,bmc_user,bmc_password,address",
		hosts: []role{
			{spec: behind(machine(5, "media-1", lab.UEFI, "rack", lab.NVMe), "openbmc", 31, true),
				row: "MD-0005,52:54:00:6d:00:05,media-1,10.77.3.31,admin,initial-secret,10.77.3.51/24",
				end: "registered", boot: "virtual-media", what: "no netboot; a BMC like OpenBMC's, https only; a static address"},
			{spec: behind(machine(6, "media-2", lab.UEFI, "rack", lab.NVMe), "supermicro-x11", 32, false),
				row: "MD-0006,52:54:00:6d:00:06,media-2,10.77.3.32,admin,initial-secret,",
				end: "registered", boot: "virtual-media", what: "no netboot; a BMC like Supermicro's; an address from dnsmasq"},
		},
		before: func(ctx context.Context, s *site.Site) error {
			return s.Lab.ServeDHCP(ctx, "rack", netip.MustParsePrefix("10.77.3.2/24"), netip.MustParseAddr("10.77.3.100"), netip.MustParseAddr("10.77.3.120"))
		},
	}
}

// machine is the n-th host of the demo, which fits edge-minimum.
func machine(n int, name string, firmware lab.Firmware, network string, disk lab.DiskKind) lab.Spec {
	return lab.Spec{
		Name: name, Firmware: firmware, Serial: fmt.Sprintf("MD-%04d", n), UUID: fmt.Sprintf("6d757374-%04d-4000-8000-%012[1]d", n),
		NICs:  []lab.NIC{{MAC: fmt.Sprintf("52:54:00:6d:00:%02x", n), Network: network}},
		Disks: []lab.Disk{{Kind: disk, GB: 100}},
	}
}

// small takes memory out of a host.
func small(s lab.Spec) lab.Spec {
	s.MemoryMiB = 2048
	return s
}

// behind gives a host a BMC at the last number of its network's addresses. By
// itself it boots from its disk alone.
func behind(s lab.Spec, personality string, last byte, secure bool) lab.Spec {
	s.Boot = []lab.Device{lab.FromDisk}
	s.BMC = &lab.BMC{
		Personality: personality, Network: s.NICs[0].Network, Address: netip.AddrFrom4([4]byte{10, 77, 3, last}),
		User: "admin", Password: "initial-secret", HTTPSOnly: secure,
	}
	return s
}

func demoNetworks() []site.Network {
	at := func(name, address string) site.Network {
		return site.Network{Network: lab.Network{Name: name, Address: netip.MustParsePrefix(address)}}
	}
	line, bench, rack := at("line", "10.77.1.1/24"), at("bench", "10.77.2.1/24"), at("rack", "10.77.3.1/24")
	bench.Discover = true
	rack.DHCPOff = true
	return []site.Network{line, bench, rack}
}

// roles are all hosts of the batches, each with its hand-off.
func roles(batches []batch) []role {
	var all []role
	for _, b := range batches {
		for _, r := range b.hosts {
			r.handoff = b.handoff
			all = append(all, r)
		}
	}
	return all
}

// files are the batch's order and manifest as people write them.
func (b batch) files() (order, manifest string) {
	rows := []string{b.columns}
	for _, r := range b.hosts {
		rows = append(rows, r.row)
	}
	return fmt.Sprintf("name: %s\nhandoff: {driver: %s%s}\n%s", b.name, b.handoff, b.options, b.order), strings.Join(rows, "\n") + "\n"
}

// by finds a role by its host's name.
func by(name string, all []role) role {
	i := slices.IndexFunc(all, func(r role) bool { return r.spec.Name == name })
	return all[i]
}
