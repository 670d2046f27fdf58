package recipe

import (
	"errors"
	"fmt"
)

// Host is what one host's user-data is made of.
type Host struct {
	Name          string // host name
	Disk          string // name under /dev/disk/by-id of the disk to be written
	PowerOff      bool   // when installed; else it reboots
	BeforeInstall string // asked before the disk is written
	AfterInstall  string // called when the installer is done
	Booted        string // called at each boot of the installed system, when its network is up

	Handoff map[string]any // the hand-off driver's own keys
	Config  map[string]any // the order's additions; see [CheckConfig]
}

// UserData renders one host's user-data for Kairos; [Recipe.Render] does it for
// every family.
func UserData(h Host) ([]byte, error) {
	v := Values{Host: Identity{ID: h.Name, Name: h.Name}, Disk: Target{ByID: h.Disk}, After: reboot, Handoff: h.Handoff,
		URL: URLs{Writing: h.BeforeInstall, Written: h.AfterInstall, Booted: h.Booted}}
	if h.PowerOff {
		v.After = powerOff
	}
	out, err := kairos().Render(v, Source{Config: h.Config})
	if err != nil {
		return nil, err
	}
	return out.Documents[0].Content, nil
}

// CheckConfig refuses an order's config that sets what muster decides for each
// host, or that gives a stage in a shape that cannot be added to.
func CheckConfig(config map[string]any) error {
	return kairos().CheckSource(Source{Config: config}, Values{})
}

func kairos() Recipe {
	r, ok := Find("kairos")
	if !ok {
		panic(fmt.Sprint(errors.New("muster brings a family kairos")))
	}
	return r
}
