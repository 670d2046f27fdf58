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

func TestAnOrderSaysWhichCallCounts(t *testing.T) {
	d := callhome.Driver{}
	for _, call := range []string{"agent", "phonehome", "boot"} {
		if err := d.Options(map[string]any{"call": call}); err != nil {
			t.Error(err)
		}
	}
	for key, want := range map[string]string{"call": `handoff.call: "x" is not one of agent, phonehome, boot`, "cal": "handoff.cal: there is no such option"} {
		if err := d.Options(map[string]any{key: "x"}); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestKairosAgentIsGivenItsPhonehomeAndNoCommands(t *testing.T) {
	h := provisioner.Host{}
	h.Status.Attempt = provisioner.Attempt{ID: "a-1", Token: "tok3n"}
	b := handoff.Batch{Options: map[string]any{"call": "phonehome"}}
	got, err := callhome.Driver{}.Prepare(t.Context(), b, h, "http://192.0.2.1/a/a-1/tok3n")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"phonehome": map[string]any{"url": "http://192.0.2.1/a/a-1/tok3n", "registration_token": "tok3n", "allowed_commands": []any{}}}
	if diff := cmp.Diff(want, got.Values); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestASystemWithoutAnAgentIsRegisteredByItsBoot and only where its order says
// so: else the boot would take the place of an agent that never came.
func TestASystemWithoutAnAgentIsRegisteredByItsBoot(t *testing.T) {
	at := time.Unix(1_800_000_000, 0).UTC()
	h := provisioner.Host{ID: "h-1"}
	h.Status.Attempt.ID = "a-1"
	h.Facts.Booted = &provisioner.CallHome{Attempt: "a-1", At: at, Address: "192.0.2.50"}
	boot := handoff.Batch{Options: map[string]any{"call": "boot"}}
	if carry, err := (callhome.Driver{}).Prepare(t.Context(), boot, h, "http://192.0.2.1/a/a-1/tok3n"); err != nil || carry.Values != nil {
		t.Errorf("it is given %v, %v", carry.Values, err)
	}
	got, err := callhome.Driver{}.Confirm(t.Context(), boot, h)
	want := &provisioner.Receipt{Attempt: "a-1", Driver: "callhome", ID: "h-1", At: at,
		Proof: "the installed system, which has no agent, called from 192.0.2.50 with the token of attempt a-1"}
	if diff := cmp.Diff(want, got.Receipt); diff != "" || err != nil {
		t.Errorf("%v, -want +got:\n%s", err, diff)
	}
	if got, err := (callhome.Driver{}).Confirm(t.Context(), handoff.Batch{}, h); err != nil || got.Receipt != nil {
		t.Errorf("where an agent is awaited: %+v, %v", got, err)
	}
	h.Facts.Booted.Attempt = "a-0"
	if got, err := (callhome.Driver{}).Confirm(t.Context(), boot, h); err != nil || got.Receipt != nil {
		t.Errorf("the boot of an old attempt: %+v, %v", got, err)
	}
}
