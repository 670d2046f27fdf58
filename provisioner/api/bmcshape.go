package api

import (
	"cmp"

	"github.com/muster-boot/muster/provisioner"
	v1 "github.com/muster-boot/muster/provisioner/api/v1"
)

// bmcShape is the BMC of h as people see it; nil where it has none.
func bmcShape(h provisioner.Host) *v1.BMC {
	c := h.Intent.BMC
	if c == nil {
		return nil
	}
	shape := &v1.BMC{
		Driver: cmp.Or(c.Driver, "redfish"), Address: h.BMCAddress(), MAC: c.MAC, User: c.User, System: c.System,
		Fingerprint: c.Fingerprint, Eject: c.Eject, Missing: h.BMCLacks(), Abilities: []string{}, Cannot: []string{},
	}
	switch {
	case h.BMCRenewed():
		shape.Renewal = v1.RenewalDone
	case len(c.NewPassword) > 0:
		shape.Renewal = v1.RenewalReady
	}
	if seen := h.SeenBMC(); seen != nil {
		shape.Seen = moment(seen.At)
		shape.Driver, shape.Fingerprint = cmp.Or(seen.Driver, shape.Driver), cmp.Or(shape.Fingerprint, seen.Fingerprint)
		shape.Vendor, shape.Model, shape.Firmware, shape.Power, shape.Quirks = seen.Vendor, seen.Model, seen.Firmware, seen.Power, seen.Quirks
		shape.Abilities, shape.Cannot = abilities(seen.Abilities), texts(seen.Cannot)
	}
	if n := len(h.Facts.Errands); n > 0 {
		shape.Errand = errand(h.Facts.Errands[n-1])
	}
	return shape
}

func abilities(a provisioner.Abilities) []string {
	list := []string{}
	for _, can := range []struct {
		does bool
		word string
	}{{a.Media, "media"}, {a.HTTP, "http"}, {a.Network, "network"}} {
		if can.does {
			list = append(list, can.word)
		}
	}
	return list
}

func errand(e provisioner.Errand) *v1.Errand {
	return &v1.Errand{
		Do: string(e.Do), Attempt: string(e.Attempt), Began: e.Began, Done: moment(e.Done),
		Tries: e.Tries, Doing: e.Doing, Problem: e.Problem, Final: e.Final,
	}
}

// staticShape is the address that h was listed with; nil where all is by DHCP.
func staticShape(s provisioner.Static) *v1.Static {
	if s.Address == "" && s.MAC == "" && s.VLAN == 0 {
		return nil
	}
	return &v1.Static{MAC: s.MAC, Address: s.Address, Gateway: s.Gateway, DNS: texts(s.DNS), VLAN: s.VLAN}
}
