package localui

import (
	"fmt"
	"slices"
	"strings"

	"github.com/muster-boot/muster/inventory"
	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/handoff/stylus"
)

// wanted is what a host that is ready must say of itself.
type wanted struct {
	id    string
	macs  []string // of the machine that was verified
	agent string   // version; empty: any
	at    string   // where it is asked
}

// local is how a host says that it is managed at its own API.
const local = "local"

// States of a host's configuration (v1Configuration of the API).
const (
	configured = "configured"
	configures = "inprogress"
	unset      = "pending"
)

// unready says why a host is not what is wanted: wait where it may yet become
// so, ask where a person must act. Both are empty when it is ready.
func unready(w wanted, got edgeHost) (wait, ask string) {
	switch seen := got.macs(); {
	case got.Metadata.ID == "":
		return fmt.Sprintf("the ID of the host, which the local API at %s does not know yet.", w.at), ""
	case got.Metadata.ID != w.id:
		return "", fmt.Sprintf("At %s answers edge host %s, but %s was installed: find out which machine has that address, or whether its user-data sets another stylus.site.name.",
			w.at, got.Metadata.ID, w.id)
	case !slices.ContainsFunc(seen, func(mac string) bool { return slices.Contains(w.macs, mac) }):
		return "", fmt.Sprintf("Edge host %s at %s has the network ports %s, and none of them belongs to the machine that was verified (%s): find out which disk is in which machine.",
			w.id, w.at, listed(seen), listed(w.macs))
	case got.Spec.ManagementMode != local:
		return "", fmt.Sprintf("Edge host %s is managed %q and not local: look for another stylus.managementMode in its image's user-data, then install it again.",
			w.id, got.Spec.ManagementMode)
	case w.agent != "" && !stylus.SameVersion(got.Status.AgentVersion, w.agent):
		return "", fmt.Sprintf("Edge host %s has agent %s, and its order wants %s: install it from an image with that agent, or change handoff.agent_version.",
			w.id, got.Status.AgentVersion, w.agent)
	}
	switch got.Status.ConfigurationStatus {
	case configured:
		return "", ""
	case configures, unset, "":
		return fmt.Sprintf("edge host %s, which has not finished its own configuration.", w.id), ""
	}
	return "", fmt.Sprintf("Edge host %s says that its configuration is %q: look at its Local UI at https://%s.", w.id, got.Status.ConfigurationStatus, w.at)
}

// macs are the addresses of the host's network ports, as muster writes them.
func (h edgeHost) macs() []string {
	var macs []string
	for _, n := range h.Spec.NetworkInfo {
		if mac, genuine := inventory.NormalMAC(n.MAC); genuine {
			macs = append(macs, mac)
		}
	}
	return macs
}

// verified are the addresses of the network ports of the machine that was
// verified, and of those that its row names.
func verified(h provisioner.Host) []string {
	all := slices.Clone(h.Intent.Row.MACs)
	if r := h.Facts.Report; r != nil {
		for _, n := range r.Report.NICs {
			all = append(all, n.MAC)
		}
	}
	if s := h.Facts.Sighting; s != nil {
		all = append(all, s.MACs...)
	}
	var macs []string
	for _, text := range all {
		if mac, genuine := inventory.NormalMAC(text); genuine && !slices.Contains(macs, mac) {
			macs = append(macs, mac)
		}
	}
	return macs
}

func listed(all []string) string {
	if len(all) == 0 {
		return "none"
	}
	return strings.Join(all, ", ")
}
