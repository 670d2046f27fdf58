package manifest

import (
	"fmt"

	"github.com/muster-boot/muster/inventory"
)

// claims finds what two rows, or two cells of a row, claim and only one can
// have. UUIDs that differ only in byte order are the same.
func (p *reading) claims() {
	c := claimed{reading: p, first: map[string]claim{}}
	for _, r := range p.rows {
		c.once(r, serial, inventory.NormalSerial(r.Serial), r.Serial)
		swapped, _ := inventory.SwapUUID(r.UUID)
		c.once(r, uuid, min(r.UUID, swapped), r.UUID)
		c.once(r, name, r.Name, r.Name)
		for _, m := range r.MACs {
			c.once(r, mac, m, m)
		}
		c.once(r, address, r.Static.host(), r.Static.host())
		c.shared(r, bmcAddress, r.BMC.Address)
		c.shared(r, bmcMAC, r.BMC.MAC)
	}
	c.across()
}

// claimed is who has claimed what so far.
type claimed struct {
	*reading
	first map[string]claim
}

type claim struct {
	line   int
	system string // of a BMC
}

// once refuses a value that another row claims too.
func (c claimed) once(r Row, f field, key, value string) {
	if value == "" {
		return
	}
	before, taken := c.first[keyOf(f, key)]
	if taken && before.line != r.Line {
		c.refuse(r.Line, f, fmt.Sprintf("%q already stands in line %d", value, before.line))
		return
	}
	c.first[keyOf(f, key)] = claim{line: r.Line}
}

// shared refuses a BMC that another row names too, but where each row names a
// system of its own in it.
func (c claimed) shared(r Row, f field, value string) {
	if value == "" {
		return
	}
	before, taken := c.first[keyOf(f, value)]
	switch {
	case taken && (r.BMC.System == "" || before.system == ""):
		c.refuse(r.Line, f, fmt.Sprintf("%q already stands in line %d; where one BMC has several hosts, name the system of each in a column bmc_system", value, before.line))
		return
	case taken && r.BMC.System == before.system:
		c.refuse(r.Line, bmcSystem, fmt.Sprintf("%q of %s already stands in line %d", r.BMC.System, value, before.line))
		return
	}
	c.first[keyOf(f, value)] = claim{r.Line, r.BMC.System}
}

// across finds what a BMC and a host both claim.
func (c claimed) across() {
	for _, r := range c.rows {
		if host, taken := c.first[keyOf(mac, r.BMC.MAC)]; taken && r.BMC.MAC != "" {
			c.refuse(r.Line, bmcMAC, fmt.Sprintf("%q is a MAC of the host in line %d; a BMC has its own", r.BMC.MAC, host.line))
		}
		if host, taken := c.first[keyOf(address, r.BMC.host())]; taken && r.BMC.Address != "" {
			c.refuse(r.Line, bmcAddress, fmt.Sprintf("%q is the address of the host in line %d; a BMC has its own", r.BMC.Address, host.line))
		}
	}
}

func keyOf(f field, value string) string { return fmt.Sprint(f, " ", value) }
