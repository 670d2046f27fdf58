package localui_test

import (
	"strings"
	"testing"

	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/handoff/handofftest"
	"github.com/muster-boot/muster/provisioner/handoff/localui/localuitest"
)

// TestLocaluiKeepsTheContract: an agent registers by serving its API at the
// address that its attempt's system called from.
func TestLocaluiKeepsTheContract(t *testing.T) {
	handofftest.Run(t, func(t *testing.T) handofftest.Subject {
		s := newSite(t, map[string]any{"port": 9})
		return handofftest.Subject{
			Driver: s.driver, Batch: s.batch, Sees: []handofftest.Key{handofftest.ByMAC},
			Register: func(h *provisioner.Host, a handofftest.Agent) {
				who := good()
				who.ID, who.NICs = strings.ToLower(a.Serial), []localuitest.NIC{{MAC: a.MAC}}
				s.serve(newEdge(t, who))
				h.Facts.Booted = &provisioner.CallHome{Attempt: a.Attempt, Address: "127.0.0.1"}
			},
		}
	})
}
