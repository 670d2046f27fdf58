package lifecycle

import (
	"fmt"
	"slices"

	"github.com/muster-boot/muster/provisioner"
)

// An Offer is a way by which an image goes, or why it does not go by it to a
// host.
type Offer struct {
	Way    provisioner.Way
	Barred string // empty: it goes
	Leaves string // what of the image does not come by it, as a part of a sentence; empty: nothing that matters
}

// ChooseWay chooses how an image reaches h in its next attempt, from the ways of
// the image in the order of its recipe. A host without a BMC takes the first
// that goes. One with a BMC takes what it and its BMC can do without a person,
// and after a way by which nothing came another one. because is a part of a
// sentence, where another than the first was chosen; without an offer that goes
// way is empty.
func ChooseWay(h provisioner.Host, offers []Offer) (way provisioner.Way, because string) {
	goes := slices.DeleteFunc(slices.Clone(offers), func(o Offer) bool { return o.Barred != "" })
	if len(goes) == 0 {
		return "", ""
	}
	if h.Intent.BMC == nil {
		return goes[0].Way, ""
	}
	chosen := slices.MinFunc(goes, func(a, b Offer) int { return against(h, a).weight - against(h, b).weight }).Way
	if chosen == offers[0].Way {
		return chosen, ""
	}
	why := offers[0].Barred
	if why == "" {
		why = against(h, offers[0]).why
	}
	return chosen, fmt.Sprintf("not by %s: %s", offers[0].Way, why)
}

// objection is what speaks against a way; the zero one is nothing.
type objection struct {
	weight int
	why    string
}

// against is what speaks against a way for a host with a BMC. Each weighs more
// than those below it.
func against(h provisioner.Host, o Offer) objection {
	if slices.Contains(h.Status.Unreached, o.Way) {
		return objection{3, "nothing of the image reached the host by it in the attempt before"}
	}
	switch o.Way {
	case provisioner.WayMedia:
		if !abilities(h).Media {
			return objection{2, "its BMC cannot start it from a medium"}
		}
	case provisioner.WayNetboot, provisioner.WayUEFIHTTP:
		return againstNetwork(h, o)
	case provisioner.WayWrite: // the scout does it, wherever it came from
	}
	return objection{}
}

func againstNetwork(h provisioner.Host, o Offer) objection {
	switch {
	case ownAddress(h):
		return objection{1, "the host has an address of its own, so no DHCP server tells it what to boot"}
	case h.Facts.Sighting == nil || h.Facts.Sighting.Netboot.IsZero():
		return objection{1, "the host was never seen to boot from the network"}
	case o.Way == provisioner.WayUEFIHTTP && !abilities(h).HTTP:
		return objection{1, "its BMC does not offer UEFI HTTP boot"}
	case o.Leaves != "":
		return objection{1, "it leaves " + o.Leaves + " behind"}
	}
	return objection{}
}

// unreached is the way of an install attempt of which the host showed nothing.
func unreached(h provisioner.Host) Effect {
	way, prepared := Way(h)
	ran := slices.ContainsFunc([]string{provisioner.StageRootfs, provisioner.StageConfig, provisioner.StageEarly, provisioner.StageWriting},
		func(stage string) bool { return Reached(h, stage) })
	if !prepared || ran {
		return Effect{}
	}
	return Effect{Unreached: way}
}
