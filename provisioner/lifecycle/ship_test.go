package lifecycle

import (
	"strings"
	"testing"
	"time"

	"github.com/muster-boot/muster/provisioner"
)

// standing is a host whose system stands on its disk; a shipped one had that
// from its order.
func standing(t *testing.T, phase provisioner.Phase) provisioner.Host {
	t.Helper()
	if phase != provisioner.Shipped {
		return at(t, phase)
	}
	h := at(t, provisioner.Installed)
	h.Intent.Ship = true
	a, now := h.Status.Attempt.ID, start.Add(2*time.Minute)
	h.Facts.Farewell = &provisioner.Farewell{Attempt: a, First: now, Last: now, Address: "192.0.2.50"}
	h.Facts.Departure = &provisioner.Departure{Attempt: a, At: now, By: provisioner.SignSilence, Proof: "Nothing was heard."}
	h.Facts.Record = &provisioner.Record{Attempt: a, At: now, File: "records/h-1.json"}
	if h = settle(t, h, now); h.Status.Phase != provisioner.Shipped {
		t.Fatalf("it is %s: %s", h.Status.Phase, h.Status.Why)
	}
	return h
}

func TestAHostIsShippedByProofAndRecordOfItsPresentAttempt(t *testing.T) {
	for name, c := range map[string]struct {
		edit func(*provisioner.Host)
		want provisioner.Phase
	}{
		"both":                      {func(*provisioner.Host) {}, provisioner.Shipped},
		"no record":                 {func(h *provisioner.Host) { h.Facts.Record = nil }, provisioner.Installed},
		"a record of an attempt":    {func(h *provisioner.Host) { h.Facts.Record.Attempt = "a-before" }, provisioner.Installed},
		"no proof":                  {func(h *provisioner.Host) { h.Facts.Departure = nil }, provisioner.Installed},
		"a proof of an attempt":     {func(h *provisioner.Host) { h.Facts.Departure.Attempt = "a-before" }, provisioner.Installed},
		"its order does not say so": {func(h *provisioner.Host) { h.Intent.Ship = false }, provisioner.Installed},
	} {
		h := standing(t, provisioner.Shipped)
		h.Status.Phase = provisioner.Installed
		c.edit(&h)
		if h = settle(t, h, start.Add(3*time.Minute)); h.Status.Phase != c.want {
			t.Errorf("%s: %s", name, h.Status.Phase)
		}
	}
}

func TestAShippedHostIsLeftByAPersonOnly(t *testing.T) {
	h := standing(t, provisioner.Shipped)
	if h.Status.Key != "" || !h.Status.Deadline.IsZero() {
		t.Error("a shipped host has a scout's key or a deadline")
	}
	later := start.Add(1000 * time.Hour)
	way()[0].on(&h, later)
	if h = settle(t, h, later); h.Status.Phase != provisioner.Shipped {
		t.Errorf("seen again it is %s", h.Status.Phase)
	}
	h.Intent.Requests.Reinstall++
	if h = settle(t, h, later.Add(time.Hour)); h.Status.Phase != provisioner.Expected || !h.Status.Erase {
		t.Errorf("a reinstall leaves it %s", h.Status.Phase)
	}
}

func TestWhatIsAwaitedOfAHostThatShips(t *testing.T) {
	withBMC := func(h *provisioner.Host) {
		h.Intent.BMC, h.Facts.BMC = &provisioner.Controller{Address: "192.0.2.9", Password: []byte("sealed")}, &provisioner.BMC{}
	}
	off := func(h *provisioner.Host) *provisioner.Errand {
		withBMC(h)
		h.Facts.Errands = []provisioner.Errand{{Attempt: h.Status.Attempt.ID, Do: provisioner.ErrandOff, Began: start.Add(3 * time.Minute)}}
		return &h.Facts.Errands[0]
	}
	for want, edit := range map[string]func(*provisioner.Host){
		"the next call":                      func(h *provisioner.Host) { h.Facts.Farewell = nil },
		"a minute of silence. The host":      func(*provisioner.Host) {},
		"BMC reading power Off":              withBMC,
		"The BMC said: busy":                 func(h *provisioner.Host) { off(h).Problem = "busy" },
		"does not switch the host off: dead": func(h *provisioner.Host) { e := off(h); e.Problem, e.Final = "dead", true },
		"its record being written": func(h *provisioner.Host) {
			h.Facts.Departure = &provisioner.Departure{Attempt: h.Status.Attempt.ID}
		},
		"could not be written: no space.": func(h *provisioner.Host) {
			h.Facts.Departure = &provisioner.Departure{Attempt: h.Status.Attempt.ID, Problem: "no space"}
		},
	} {
		h := standing(t, provisioner.Shipped)
		h.Status.Phase = provisioner.Installed
		h.Facts.Departure, h.Facts.Record = nil, nil
		edit(&h)
		if said := Awaiting(h); !strings.Contains(said, want) {
			t.Errorf("%q, want %q in it", said, want)
		}
	}
}
