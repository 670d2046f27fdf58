package callhome_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/handoff"
	"github.com/muster-boot/muster/provisioner/handoff/callhome"
	"github.com/muster-boot/muster/provisioner/handoff/handofftest"
)

func TestCallhomeKeepsTheContract(t *testing.T) {
	handofftest.Run(t, func(*testing.T) handofftest.Subject {
		return handofftest.Subject{
			Driver: callhome.Driver{}, Sees: []handofftest.Key{handofftest.BySerial, handofftest.ByUUID},
			Register: func(h *provisioner.Host, a handofftest.Agent) {
				h.Facts.Registration = &provisioner.Registration{
					Attempt: a.Attempt, At: time.Unix(1_800_000_000, 0).UTC(), Address: "192.0.2.50",
					Claims: map[string]string{"agent": "demo", "serial": a.Serial, "uuid": a.UUID},
				}
			},
		}
	})
}

func TestTheAgentIsGivenItsURLAndToken(t *testing.T) {
	h := provisioner.Host{}
	h.Status.Attempt = provisioner.Attempt{ID: "a-1", Token: "tok3n"}
	got, err := callhome.Driver{}.Prepare(t.Context(), handoff.Batch{}, h, "http://192.0.2.1/a/a-1/tok3n")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"callhome": map[string]any{"url": "http://192.0.2.1/a/a-1/tok3n/register", "token": "tok3n"}}
	if diff := cmp.Diff(want, got.Values); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestAnAgentThatSaysLittleIsBelievedByItsToken: claims may contradict, but they
// need not be there.
func TestAnAgentThatSaysLittleIsBelievedByItsToken(t *testing.T) {
	h := provisioner.Host{ID: "h-1"}
	h.Status.Attempt.ID = "a-1"
	at := time.Unix(1_800_000_000, 0).UTC()
	h.Facts.Registration = &provisioner.Registration{Attempt: "a-1", At: at, Address: "192.0.2.50"}
	got, err := callhome.Driver{}.Confirm(t.Context(), handoff.Batch{}, h)
	if err != nil {
		t.Fatal(err)
	}
	want := &provisioner.Receipt{Attempt: "a-1", Driver: "callhome", ID: "h-1", At: at,
		Proof: "an agent called from 192.0.2.50 with the token of attempt a-1"}
	if diff := cmp.Diff(want, got.Receipt); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
