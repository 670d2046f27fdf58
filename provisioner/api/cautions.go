package api

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/muster-boot/muster/inventory/manifest"
	"github.com/muster-boot/muster/provisioner"
	v1 "github.com/muster-boot/muster/provisioner/api/v1"
)

// Site is what the networks of muster do for hosts that an order lists.
type Site struct {
	Discover bool         // some network gives the scout to unlisted hosts
	Leases   bool         // some network gives addresses
	Own      []netip.Addr // muster's own addresses
}

// cautions are what an import takes and what a person should know of it.
func (im importer) cautions(wants []provisioner.Intent) []v1.Remark {
	var silent, locked, lost []string
	var said []v1.Remark
	for i, row := range im.Rows {
		line := strconv.Itoa(row.Line)
		c := wants[i].BMC
		switch {
		case row.NeedsDiscovery() && c == nil:
			silent = append(silent, line)
		case c != nil && len(c.Password) == 0:
			locked = append(locked, line)
		}
		if c != nil && c.Address == "" {
			lost = append(lost, line)
		}
		said = append(said, im.ours(row)...)
	}
	if !im.site.Discover {
		said = append(said, ofLines(silent, "no MAC and no UUID in lines %s, and every network is unknown: silent: these hosts will not be answered. List their MACs, or set unknown: discover on their network")...)
	}
	if !im.site.Leases {
		said = append(said, ofLines(lost, "no address for the BMCs in lines %s, and no network of muster's is dhcp: full: give a column bmc_address")...)
	}
	return append(said, ofLines(locked, lockedRows)...)
}

const lockedRows = "no password for the BMCs in lines %s: muster does not log in there. Give columns bmc_user and bmc_password, bmc: {user: ..., password_file: ...} in the order, or later muster bmc add HOST"

// Locked warns, without a server, of rows whose BMC nobody can enter: a server
// may know a password from before.
func (d Draft) Locked() []v1.Remark {
	var locked []string
	for _, row := range d.Rows {
		if row.BMC.Listed() && row.BMC.Password == "" {
			locked = append(locked, strconv.Itoa(row.Line))
		}
	}
	return ofLines(locked, lockedRows)
}

// ofLines is one remark about some lines of a manifest, if there are any.
func ofLines(numbers []string, format string) []v1.Remark {
	if len(numbers) == 0 {
		return nil
	}
	return []v1.Remark{{Source: "manifest", Text: fmt.Sprintf(format, abridge(numbers))}}
}

// ours warns of a row that lists an address of muster itself.
func (im importer) ours(row manifest.Row) []v1.Remark {
	var said []v1.Remark
	for _, listed := range []struct{ what, address string }{{"BMC", hostOf(row.BMC.Address)}, {"host", prefixless(row.Static.Address)}} {
		for _, own := range im.site.Own {
			if listed.address == own.String() {
				said = append(said, v1.Remark{Source: "manifest", Line: row.Line, Text: fmt.Sprintf(
					"%s is muster's own address, and that of the %s in this row: one of them must change", own, listed.what)})
			}
		}
	}
	return said
}

// hostOf is the address of a BMC without scheme and port.
func hostOf(address string) string {
	rest := strings.TrimPrefix(address, "http://")
	if host, _, err := net.SplitHostPort(rest); err == nil {
		return host
	}
	return strings.Trim(rest, "[]")
}

func prefixless(address string) string {
	host, _, _ := strings.Cut(address, "/")
	return host
}

// lockedHosts warns of hosts that their BMC does not start.
func lockedHosts(names []string) []string {
	if len(names) == 0 {
		return []string{}
	}
	return []string{fmt.Sprintf(
		"muster cannot enter the BMCs of %s: their address or password is not known, so a person starts these hosts, or gives what is missing with muster bmc add HOST", abridge(names))}
}

// unopened warns of an order of which nothing can be rendered.
func unopened(o provisioner.Order) []string {
	if len(o.Sealed) == 0 {
		return nil
	}
	return []string{"its template, config and secrets do not open with the key in the data directory: put back the one that was there, or import the order again"}
}

// damagedImages warns of images of an order that a scrub found damaged: nothing
// of them is served.
func damagedImages(o provisioner.Order, images []v1.Image) []string {
	var said []string
	for _, i := range images {
		if len(i.Damage) > 0 && (i.Digest == o.Image || slices.Contains(o.RowImages, i.Digest)) {
			said = append(said, fmt.Sprintf("image %s is damaged, so nothing of it is served: add it again", cmp.Or(i.Name, i.Digest)))
		}
	}
	return said
}

func abridge(names []string) string {
	const shown = 10
	if len(names) > shown {
		return strings.Join(names[:shown], ", ") + ", ..."
	}
	return strings.Join(names, ", ")
}
