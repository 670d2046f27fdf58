// Package handofftest holds what every hand-off driver must do, as tests that a
// driver's own test runs.
//
// It knows no driver and no place where agents register: how a registration
// comes about is the [Subject]'s to say. What only one driver does is that
// driver's own test. Start at [Run].
package handofftest

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/muster-boot/muster/inventory"
	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/handoff"
)

// Agent is who registers, as the place where it does so sees it.
type Agent struct {
	Attempt           provisioner.AttemptID // whose token it brings
	Serial, UUID, MAC string                // of the machine it runs on
}

// Key is one of the things by which machines are told apart.
type Key string

// The keys.
const (
	BySerial Key = "serial"
	ByUUID   Key = "UUID"
	ByMAC    Key = "MAC"
)

// Subject is a driver under test.
type Subject struct {
	Driver handoff.Driver
	// Batch is the order that the driver is asked for, without hosts and state.
	Batch handoff.Batch
	// Register has an agent register: outside, or as a fact of h, wherever the
	// driver looks for its proof.
	Register func(h *provisioner.Host, a Agent)
	// Sees are the keys that the place of registration tells the driver of.
	Sees []Key
	// Service is what the driver asks over the network; nil: nothing.
	Service *Service
}

// The host of the tests: verified with these, installed by this attempt.
const (
	base    = "http://192.0.2.1:8067/a/a-2/tok3n"
	attempt = provisioner.AttemptID("a-2")
	old     = provisioner.AttemptID("a-1")
	token   = "tok3n"
	serial  = "SN-0001"
	uuid    = "00112233-4455-6677-8899-aabbccddeeff"
	swapped = "33221100-5544-7766-8899-aabbccddeeff" // the same, its first three fields in the other byte order
	mac     = "52:54:00:00:00:01"
)

// Began is when the host's installation began. Whoever registered by an old
// attempt did so before.
var Began = time.Date(2026, 5, 4, 9, 0, 0, 0, time.UTC)

// maxAgain is how long a driver may leave a host that waits for it.
const maxAgain = 10 * time.Minute

func installed(driver string) provisioner.Host {
	h := provisioner.Host{ID: "h-1", Intent: provisioner.Intent{Order: "o1", Handoff: driver, Started: true}}
	h.Status = provisioner.Status{
		Phase: provisioner.Installed, Why: "The installed system called home.",
		Since:   Began.Add(10 * time.Minute),
		Attempt: provisioner.Attempt{ID: attempt, Phase: provisioner.Installing, Token: token, Began: Began},
	}
	report := inventory.Report{Witness: inventory.Scout, System: inventory.System{Serial: serial, UUID: uuid},
		NICs: []inventory.NIC{{Name: "eth0", MAC: mac}}}
	h.Facts.Report = &provisioner.Report{Attempt: old, Report: report}
	h.Facts.Booted = &provisioner.CallHome{Attempt: attempt, Address: "192.0.2.50"}
	return h
}

// Run holds the driver of a subject to the contract. fresh returns a subject
// with which nobody has registered; it is called once a test.
func Run(t *testing.T, fresh func(t *testing.T) Subject) {
	t.Run("Prepare gives the same again and changes nothing", func(t *testing.T) { prepare(t, fresh(t)) })
	present, before := Agent{attempt, serial, uuid, mac}, Agent{old, serial, uuid, mac}
	other := func(edit func(*Agent)) []Agent { a := present; edit(&a); return []Agent{a} }
	for _, c := range []struct {
		name   string
		key    Key // that the driver must see; empty: any
		agents []Agent
		want   string // receipt, again, or a word of what a person is asked
	}{
		{"nobody registered", "", nil, "again"},
		{"the agent registered", "", []Agent{present}, "receipt"},
		{"the agent registered twice", "", []Agent{present, present}, "receipt"},
		{"the serial in other letters", BySerial, other(func(a *Agent) { a.Serial = strings.ToLower(serial) }), "receipt"},
		{"the UUID in the other byte order", ByUUID, other(func(a *Agent) { a.UUID = swapped }), "receipt"},
		{"the MAC in other letters", ByMAC, other(func(a *Agent) { a.MAC = strings.ToUpper(mac) }), "receipt"},
		{"the agent of an old attempt", "", []Agent{before}, "no receipt"},
		{"an old agent, then the present one", "", []Agent{before, present}, "receipt"},
		{"a machine with another serial", BySerial, other(func(a *Agent) { a.Serial = "SN-0002" }), "SN-0002"},
		{"a machine with another UUID", ByUUID, other(func(a *Agent) { a.UUID = "ffeeddcc-bbaa-9988-7766-554433221100" }), "ffeeddcc"},
		{"a machine with another MAC", ByMAC, other(func(a *Agent) { a.MAC = "52:54:00:00:00:99" }), "52:54:00:00:00:99"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := fresh(t)
			if c.key != "" && !slices.Contains(s.Sees, c.key) {
				return // nobody could tell
			}
			confirm(t, open(t, s), c.agents, c.want)
		})
	}
	t.Run("with a service", func(t *testing.T) { runService(t, fresh) })
}

// open has the order of s opened.
func open(t *testing.T, s Subject) Subject {
	t.Helper()
	made, err := s.Driver.Open(t.Context(), s.Batch)
	if err != nil {
		t.Fatalf("the order is not opened: %v", err)
	}
	s.Batch.State = made.State
	return s
}

func prepare(t *testing.T, s Subject) {
	s = open(t, s)
	h := installed(s.Driver.Name())
	h.Status.Phase = provisioner.Installing
	before := text(t, h)
	first, err := s.Driver.Prepare(t.Context(), s.Batch, h, base)
	if err != nil {
		t.Fatal(err)
	}
	second, err := s.Driver.Prepare(t.Context(), s.Batch, h, base)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first, second); diff != "" {
		t.Errorf("asked twice (-first +second):\n%s", diff)
	}
	if diff := cmp.Diff(before, text(t, h)); diff != "" {
		t.Errorf("the host was changed (-before +after):\n%s", diff)
	}
}

// confirm asks three times: the answer is that of the facts, not of the asking.
func confirm(t *testing.T, s Subject, agents []Agent, want string) {
	h := installed(s.Driver.Name())
	for _, a := range agents {
		s.Register(&h, a)
	}
	first := settle(t, s, &h)
	before := text(t, h)
	check(t, s.Driver.Name(), first, want)
	for range 2 {
		again, err := s.Driver.Confirm(t.Context(), s.Batch, h)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(first, again); diff != "" {
			t.Errorf("asked again (-first +again):\n%s", diff)
		}
	}
	if diff := cmp.Diff(before, text(t, h)); diff != "" {
		t.Errorf("the host was changed (-before +after):\n%s", diff)
	}
}

// settle asks as the engine does: what is to be kept is written down, and then
// the driver is asked again.
func settle(t *testing.T, s Subject, h *provisioner.Host) handoff.Result {
	t.Helper()
	const most = 10
	for range most {
		before := text(t, *h)
		r, err := s.Driver.Confirm(t.Context(), s.Batch, *h)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(before, text(t, *h)); diff != "" {
			t.Fatalf("the host was changed (-before +after):\n%s", diff)
		}
		if k := h.Facts.Kept; r.Keep == "" || k != nil && k.Text == r.Keep {
			return r
		}
		h.Facts.Kept = &provisioner.Kept{Attempt: h.Status.Attempt.ID, Text: r.Keep}
	}
	t.Fatalf("after %d looks the driver still wants other things kept", most)
	return handoff.Result{}
}

func check(t *testing.T, driver string, got handoff.Result, want string) {
	t.Helper()
	if (got.Receipt == nil) == (got.Again == 0) || got.Waits != "" && got.Ask != "" {
		t.Fatalf("it is neither done nor to be looked at again, or both: %+v", got)
	}
	switch want {
	case "receipt":
		if got.Receipt == nil {
			t.Fatalf("no receipt: %+v", got)
		}
		checkReceipt(t, driver, *got.Receipt)
	case "again":
		if got.Ask != "" || got.Again > maxAgain {
			t.Errorf("looks again after %s: %+v", got.Again, got)
		}
	case "no receipt":
		if got.Receipt != nil {
			t.Errorf("it is registered by %+v", got.Receipt)
		}
	default:
		if !strings.Contains(got.Ask, want) || !strings.HasSuffix(got.Ask, ".") {
			t.Errorf("asks a person %q, want a sentence with %q", got.Ask, want)
		}
	}
}

func checkReceipt(t *testing.T, driver string, r provisioner.Receipt) {
	t.Helper()
	if r.Attempt != attempt || r.Driver != driver || r.ID == "" || r.At.IsZero() || r.Proof == "" {
		t.Errorf("the receipt lacks something: %+v", r)
	}
	if strings.Contains(r.ID+r.Proof, token) {
		t.Errorf("the receipt tells the token: %+v", r)
	}
}

func text(t *testing.T, h provisioner.Host) string {
	t.Helper()
	data, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
