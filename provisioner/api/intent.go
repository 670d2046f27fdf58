package api

import (
	"slices"
	"strings"

	"github.com/muster-boot/muster/inventory"
	"github.com/muster-boot/muster/provisioner"
)

// What people may want of a host. Each wish changes the intent of h and says so
// in a sentence for the journal, or says why it does not fit. They are pure:
// the store runs one again where somebody else changed the host meanwhile.
type wish func(h *provisioner.Host) (sentence string, err error)

// maxReason bounds a person's words, in bytes.
const maxReason = 1024

func hold(reason string) wish {
	return func(h *provisioner.Host) (string, error) {
		h.Intent.Hold = reason
		return "Held: " + reason, nil
	}
}

// release lets a held or quarantined host go. The request is counted only where
// quarantine is to be left: one that waited would undo a later quarantine.
func release(h *provisioner.Host) (string, error) {
	held := h.Intent.Hold != ""
	if !held && h.Status.Phase != provisioner.Quarantined {
		return "", conflict("host %s is %s and not held: there is nothing to release it from", h.ID, h.Status.Phase)
	}
	if h.Facts.Conflict != "" {
		return "", conflict("host %s cannot be told from another: %s Mend that first", h.ID, h.Facts.Conflict)
	}
	h.Intent.Hold = ""
	if h.Status.Phase == provisioner.Quarantined {
		h.Intent.Requests.Release++
	}
	return "Released.", nil
}

// retry begins anew. An installed host's disk is in use, so it takes a reinstall.
func retry(h *provisioner.Host) (string, error) {
	may := []provisioner.Phase{provisioner.Discovered, provisioner.Verifying, provisioner.Ready,
		provisioner.Installing, provisioner.Failed}
	if h.Intent.BMC != nil { // it may have refused
		may = append(may, provisioner.Expected)
	}
	if err := inPhase(*h, "retried", may...); err != nil {
		return "", err
	}
	h.Intent.Requests.Retry++
	return "Asked to try again.", nil
}

// reinstall grants erasing the disk to one attempt.
func reinstall(h *provisioner.Host) (string, error) {
	may := []provisioner.Phase{provisioner.Ready, provisioner.Installed, provisioner.Registered, provisioner.Shipped,
		provisioner.Failed, provisioner.Quarantined}
	if err := inPhase(*h, "reinstalled", may...); err != nil {
		return "", err
	}
	switch {
	case h.Intent.Hold != "":
		return "", conflict("host %s is held (%s): release it first", h.ID, h.Intent.Hold)
	case h.Facts.Conflict != "":
		return "", conflict("host %s cannot be told from another: %s Mend that first", h.ID, h.Facts.Conflict)
	case h.Intent.Image == "":
		return "", conflict("host %s has no image to install: its order names none", h.ID)
	}
	h.Intent.Requests.Reinstall++
	return "Asked to be installed anew; its disk may be erased once.", nil
}

// approve gives an unlisted host the intent of an order.
func approve(order provisioner.Order, want provisioner.Intent) wish {
	return func(h *provisioner.Host) (string, error) {
		if h.Intent.Order != "" {
			return "", conflict("host %s is in order %s already", h.ID, h.Intent.Order)
		}
		kept := h.Intent
		h.Intent = want
		h.Intent.Row = rowOf(*h)
		h.Intent.Hold, h.Intent.Requests = kept.Hold, kept.Requests
		return "Approved for order " + string(order.Name) + ".", nil
	}
}

// rowOf makes a row of what was seen of a host. Junk identifies nobody.
func rowOf(h provisioner.Host) provisioner.Row {
	row := provisioner.Row{}
	if s := h.Facts.Sighting; s != nil {
		row.MACs = slices.Clone(s.MACs)
		row.UUID = s.UUID
	}
	if r := h.Facts.Report; r != nil {
		if !inventory.Junk(r.Report.System.Serial) {
			row.Serial = r.Report.System.Serial
		}
		if uuid, genuine := inventory.NormalUUID(r.Report.System.UUID); genuine {
			row.UUID = uuid
		}
		for _, n := range r.Report.NICs {
			if mac, genuine := inventory.NormalMAC(n.MAC); genuine && !slices.Contains(row.MACs, mac) {
				row.MACs = append(row.MACs, mac)
			}
		}
	}
	return row
}

// busy tells whether muster is at work on the host, so that taking it away
// would leave something half done.
func busy(h provisioner.Host) bool {
	switch h.Status.Phase {
	case provisioner.Verifying, provisioner.Installing, provisioner.Installed:
		return true
	case provisioner.Unknown, provisioner.Expected, provisioner.Discovered, provisioner.Ready,
		provisioner.Registered, provisioner.Shipped, provisioner.Failed, provisioner.Quarantined:
	}
	return false
}

func inPhase(h provisioner.Host, what string, may ...provisioner.Phase) error {
	if slices.Contains(may, h.Status.Phase) {
		return nil
	}
	words := make([]string, 0, len(may))
	for _, p := range may {
		words = append(words, string(p))
	}
	return conflict("host %s is %s; only a host that is %s can be %s", h.ID, h.Status.Phase, strings.Join(words, ", "), what)
}
