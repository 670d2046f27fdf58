package redfish

import (
	"cmp"
	"context"
	"slices"

	"github.com/muster-boot/muster/redfish/quirk"
)

// installed are the licences that a BMC says it has.
type installed struct {
	names  []string
	listed bool
}

// licences reads the licences of the service (DSP0268 LicenseService). Many BMCs
// have no such list; what cannot be read is not there.
func (b *BMC) licences(ctx context.Context) *installed {
	l := &installed{}
	path := b.link.root.Link("LicenseService")
	if path == "" {
		return l
	}
	service, _, err := b.link.get(ctx, path)
	if err != nil || service.Link("Licenses") == "" {
		return l
	}
	members, err := b.link.members(ctx, service.Link("Licenses"))
	if err != nil {
		return l
	}
	l.listed = true
	for _, member := range members {
		o, _, err := b.link.get(ctx, member)
		if state := o.Text("Status", "State"); err == nil && (state == "" || state == "Enabled") {
			l.names = append(l.names, cmp.Or(o.Text("Description"), o.Text("Name"), o.Text("Id"))) // iDRAC's Name is a number
		}
	}
	return l
}

// add takes in what a manager says itself: iLO names its one licence there.
func (l *installed) add(manager Object) {
	for _, maker := range manager.Keys("Oem") {
		if name := manager.Text("Oem", maker, "License", "LicenseString"); name != "" && !slices.Contains(l.names, name) {
			l.names, l.listed = append(l.names, name), true
		}
	}
}

// judge says whether what is installed brings media.
func (l *installed) judge(q quirk.Licence) Licences {
	return Licences{
		Needs: q.Name, Has: l.names, Listed: l.listed, Brings: slices.ContainsFunc(l.names, q.Brings), Tells: len(q.Has) > 0,
	}
}
