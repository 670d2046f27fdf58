package redfish

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/muster-boot/muster/redfish/quirk"
)

// Ability is whether a BMC can do something, and by what that was seen.
type Ability struct {
	Can bool
	Why string
}

// Check is what a BMC can do for its host. Nothing was changed to find out.
type Check struct {
	About   About
	State   State
	Medium  Ability // boots an ISO
	HTTP    Ability // boots by UEFI HTTP
	Network Ability // boots by PXE once
	Licence Licences
	Skew    *time.Duration // of its clock, ahead of ours; nil if it does not say
}

// Licences are which licence media need, and which are there.
type Licences struct {
	Needs  string   // "" where none is known to be needed
	Has    []string // installed and valid, as the BMC names them
	Listed bool     // it says which are installed
	Brings bool     // one of them brings media; else, where none is listed or its name does not tell, the first insert shows
	Tells  bool     // the name of a licence tells whether it brings media
}

// Check reads what a BMC can do with media at the URLs of w. It changes
// nothing. now is read when the BMC's clock is.
func (b *BMC) Check(ctx context.Context, w Want, now func() time.Time) (Check, error) {
	leave, err := b.enter(ctx)
	if err != nil {
		return Check{}, err
	}
	defer leave()
	s, err := b.look(ctx, BootMedium)
	if err != nil {
		return Check{}, fmt.Errorf("check %s: %w", b.link.target.Address, err)
	}
	c := judge(s, w, b.link.quirk)
	c.About = b.about
	licences := b.licences(ctx)
	for _, path := range b.managers {
		m, _, err := b.link.get(ctx, path)
		licences.add(m)
		if at, bad := time.Parse(time.RFC3339, m.Text("DateTime")); err == nil && bad == nil {
			skew := at.Sub(now())
			c.Skew = &skew
			break
		}
	}
	c.Licence = licences.judge(b.link.quirk.Licence)
	return c, nil
}

// judge says of each way to boot whether it can be tried.
func judge(s State, w Want, q quirk.Quirk) Check {
	can := func(goal Goal, seen string) Ability {
		asked := w
		asked.Goal = goal
		if f := impossible(s, asked, memory{}, q); f != nil {
			return Ability{Why: f.Say}
		}
		return Ability{Can: true, Why: seen}
	}
	c := Check{State: s}
	c.Network = can(BootNetwork, "it has a boot override")
	if c.Network.Can && len(s.Boot.targets) > 0 && !slices.Contains(s.Boot.targets, "Pxe") {
		c.Network = Ability{Why: "its boot override does not list Pxe"}
	}
	c.HTTP = can(BootHTTP, "it lists UefiHttp")
	if c.HTTP.Can && len(s.Boot.targets) == 0 {
		c.HTTP.Why = "it does not list its boot targets: only a try shows"
	}
	c.Medium = can(BootMedium, "")
	if list := usable(s.Slots); c.Medium.Can {
		c.Medium.Why = fmt.Sprintf("slot %s takes a CD by %s", list[0].ID, strings.Join(schemes(list[0], q), " or "))
	}
	return c
}
