package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/muster-boot/muster/inventory"
	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/handoff"
	"github.com/muster-boot/muster/provisioner/lifecycle"
	"github.com/muster-boot/muster/provisioner/store"
)

// service is a hand-off with a service of its own, which makes one key for an
// order. It outlives the engines that ask it, as a service does.
type service struct {
	mu     sync.Mutex
	keys   map[string]bool // that are valid
	made   int
	closed int // calls of Close
	away   bool
	ask    string
	looks  bool                           // it counts its looks in what it keeps
	seen   map[provisioner.AttemptID]bool // agents that registered
}

func newService() *service {
	return &service{keys: map[string]bool{}, seen: map[provisioner.AttemptID]bool{}}
}

func (s *service) set(edit func(*service)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	edit(s)
}

func (s *service) counts() (valid, made int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.keys), s.made
}

type serviceState struct{ Key string }

func (*service) Name() string { return "service" }

func (*service) Options(options map[string]any) error {
	return handoff.Decode(options, &struct {
		Project string `json:"project"`
	}{})
}

func (s *service) Check(_ context.Context, b handoff.Batch) handoff.Checked {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away {
		return handoff.Checked{Wrong: []string{"The service does not answer."}}
	}
	return handoff.Checked{Notes: []string{fmt.Sprintf("%d hosts.", len(b.Hosts))}}
}

// Open finds the key by the order's name, as a service that lists its keys lets it.
func (s *service) Open(_ context.Context, b handoff.Batch) (handoff.Opened, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away {
		return handoff.Opened{}, errors.New("the service does not answer")
	}
	if len(b.State) > 0 {
		return handoff.Opened{State: b.State}, nil
	}
	for key := range s.keys {
		state, err := json.Marshal(serviceState{key})
		return handoff.Opened{State: state, Note: "Found a key."}, err
	}
	s.made++
	key := fmt.Sprintf("s3cret-%d", s.made)
	s.keys[key] = true
	state, err := json.Marshal(serviceState{key})
	return handoff.Opened{State: state, Note: "Made a key."}, err
}

func (s *service) Prepare(_ context.Context, b handoff.Batch, _ provisioner.Host, _ string) (handoff.Carry, error) {
	if b.Preview {
		return handoff.Carry{Values: map[string]any{"beside": b.Config}}, nil
	}
	var state serviceState
	if err := json.Unmarshal(b.State, &state); err != nil {
		return handoff.Carry{}, err
	}
	return handoff.Carry{Values: map[string]any{"key": state.Key}, Hidden: []provisioner.Secret{provisioner.Secret(state.Key)},
		Note: "It was given the order's key."}, nil
}

func (s *service) Confirm(_ context.Context, b handoff.Batch, h provisioner.Host) (handoff.Result, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.looks {
		return look(b, h), nil
	}
	switch attempt := h.Status.Attempt.ID; {
	case s.away:
		return handoff.Result{Waits: "the service, which does not answer.", Away: true, Again: time.Minute}, nil
	case s.ask != "":
		return handoff.Result{Ask: s.ask, Again: time.Minute}, nil
	case s.seen[attempt]:
		return handoff.Result{Receipt: &provisioner.Receipt{Attempt: attempt, Driver: "service", ID: string(h.ID), At: time.Unix(1_800_000_000, 0).UTC(), Proof: "the service knows it"}}, nil
	}
	return handoff.Result{Waits: "the service to see the host.", Again: time.Minute}, nil
}

// look is a look that counts those before it by what was kept of them.
func look(b handoff.Batch, h provisioner.Host) handoff.Result {
	n := 0
	if k := h.Facts.Kept; k != nil && k.Attempt == h.Status.Attempt.ID {
		_, _ = fmt.Sscan(k.Text, &n)
	}
	return handoff.Result{Waits: fmt.Sprintf("look %d of %d hosts.", n+1, len(b.Hosts)), Keep: fmt.Sprint(n + 1), Again: time.Minute}
}

func (s *service) Close(_ context.Context, b handoff.Batch) (handoff.Closed, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed++
	var state serviceState
	if err := json.Unmarshal(b.State, &state); err != nil {
		return handoff.Closed{}, err
	}
	if s.away {
		return handoff.Closed{Waits: "The service does not answer.", Again: time.Minute}, nil
	}
	delete(s.keys, state.Key)
	return handoff.Closed{Done: "Revoked the key."}, nil
}

// served is a site with one host of an order that goes by the service.
func served(t *testing.T, kv store.Engine, c *clock, svc *service) *site {
	t.Helper()
	s := openWith(t, kv, c, "k", with(svc))
	s.list(t, hostID, provisioner.Row{Serial: "SN-1", MACs: []string{mac1}})
	edit(t, s, func(h *provisioner.Host) { h.Intent.Handoff = "service" })
	return s
}

func edit(t *testing.T, s *site, change func(*provisioner.Host)) {
	t.Helper()
	_, err := s.Store.Change(t.Context(), hostID, func(h *provisioner.Host) ([]provisioner.Entry, error) {
		change(h)
		return nil, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s.sync(t)
}

// installs takes the host to where its installed system called home.
func (s *site) installs(t *testing.T) provisioner.AttemptID {
	t.Helper()
	s.see(t, mac1)
	ins := s.ask(t, hostID, report("SN-1", mac1))
	attempt := provisioner.AttemptID(ins.Attempt)
	if ins.Do != inventory.Install {
		t.Fatalf("told %s: %s", ins.Do, ins.Say)
	}
	s.clock.advance(time.Second)
	if err := s.Booted(t.Context(), attempt, "192.0.2.50"); err != nil {
		t.Fatal(err)
	}
	return attempt
}

func (s *site) settled(t *testing.T) provisioner.Host {
	t.Helper()
	if _, err := s.settle(t.Context(), hostID); err != nil {
		t.Fatal(err)
	}
	return s.host(t, hostID)
}

func (s *site) closes(t *testing.T) provisioner.Handoff {
	t.Helper()
	if err := s.closeDue(t.Context(), map[handoffKey]time.Time{}); err != nil {
		t.Fatal(err)
	}
	h, err := s.Store.Handoff(t.Context(), "o1", "service")
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestAnOrderIsOpenedOnceAndClosedWhenAllAreRegistered(t *testing.T) {
	svc := newService()
	s := served(t, bolt(t), newClock(), svc)
	attempt := s.installs(t)

	_, r, err := s.Rendering(t.Context(), attempt)
	if err != nil || !strings.Contains(string(r.Documents[0].Content), "s3cret-1") || len(r.Hidden) != 1 {
		t.Fatalf("rendered %v, %v", r, err)
	}
	kept := s.closes(t)
	if valid, made := svc.counts(); valid != 1 || made != 1 || !kept.Open() {
		t.Errorf("%d keys of %d, kept %+v: an order that goes on keeps its key", valid, made, kept)
	}
	if strings.Contains(string(kept.State), "s3cret") {
		t.Error("the state lies on disk in clear")
	}
	svc.set(func(svc *service) { svc.seen[attempt] = true })
	if h := s.settled(t); h.Status.Phase != provisioner.Registered || h.Facts.Waits != nil {
		t.Fatalf("%s, waits %+v", h.Status.Phase, h.Facts.Waits)
	}
	kept = s.closes(t)
	if valid, _ := svc.counts(); valid != 0 || kept.Closed.IsZero() || len(kept.State) != 0 || kept.Said != "Revoked the key." {
		t.Errorf("%d keys, kept %+v", valid, kept)
	}
	for _, e := range s.checkJournal(t, hostID) {
		if strings.Contains(e.Text, "s3cret") {
			t.Errorf("the journal tells the key: %s", e.Text)
		}
	}
}

func TestAStoppedOrderIsClosedAndOpenedAnewWhenItGoesOn(t *testing.T) {
	svc := newService()
	s := served(t, bolt(t), newClock(), svc)
	s.installs(t)
	o, err := s.Store.Order(t.Context(), "o1")
	if err != nil {
		t.Fatal(err)
	}
	o.Started = time.Time{}
	if err := s.Store.Commit(t.Context(), store.Change{PutOrders: []provisioner.Order{o}}); err != nil {
		t.Fatal(err)
	}
	if kept := s.closes(t); !kept.Open() {
		t.Fatalf("a host still waits for its registration: %+v", kept)
	}
	edit(t, s, func(h *provisioner.Host) { h.Intent.Hold = "wait" })
	s.settled(t)
	if kept := s.closes(t); kept.Closed.IsZero() {
		t.Fatalf("stopped, and nobody is on the way: %+v", kept)
	}
	edit(t, s, func(h *provisioner.Host) { h.Intent.Hold = ""; h.Intent.Requests.Reinstall++ })
	s.settled(t)
	s.installs(t)
	if valid, made := svc.counts(); valid != 1 || made != 2 {
		t.Errorf("%d keys of %d, want a second one", valid, made)
	}
}

func TestClosingThatWasBegunIsDoneBeforeTheOrderIsOpenedAgain(t *testing.T) {
	svc, kv, c := newService(), bolt(t), newClock()
	s := served(t, kv, c, svc)
	attempt := s.installs(t)
	svc.set(func(svc *service) { svc.seen[attempt] = true; svc.away = false })
	s.settled(t)
	svc.set(func(svc *service) { svc.away = true })
	kept := s.closes(t)
	if kept.Closing.IsZero() || !kept.Closed.IsZero() || kept.Said != "The service does not answer." {
		t.Fatalf("kept %+v", kept)
	}
	s.stop()
	s = openWith(t, kv, c, "k", with(svc))
	edit(t, s, func(h *provisioner.Host) { h.Intent.Requests.Reinstall++ })
	s.settled(t)
	s.see(t, mac1)
	for range 2 {
		_ = s.ask(t, hostID, report("SN-1", mac1))
	}
	h := s.host(t, hostID)
	if p := h.Facts.Prepared; h.Status.Phase != provisioner.Installing || p == nil || !strings.Contains(p.Problem, "still being taken back") {
		t.Fatalf("%s, prepared %+v", h.Status.Phase, p)
	}
	svc.set(func(svc *service) { svc.away = false })
	c.advance(2 * time.Minute)
	s.settled(t)
	if valid, made := svc.counts(); valid != 1 || made != 2 {
		t.Errorf("%d keys of %d: the old one is to be revoked and a new one made", valid, made)
	}
}

// TestAKilledServerOpensAndClosesAnOrderAsAHealthyOne: whatever commit it died
// at, no key is left and none was made twice.
func TestAKilledServerOpensAndClosesAnOrderAsAHealthyOne(t *testing.T) {
	const first, commits = 8, 26 // before the first one nothing is opened; a healthy history has fewer
	for n := first; n <= commits; n++ {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d-durable-%t", n, after), func(t *testing.T) {
				svc, kv, c := newService(), bolt(t), newClock()
				served(t, kv, c, svc).stop()
				dying := &crashing{Engine: kv, after: after, left: n + 1}
				p := newProgram(t, openWith(t, dying, c, "k", with(svc)), nil)
				p.calls = p.calls[:len(p.calls)-1] // its agent registers with the service alone
				for !drive(t, p) || !closed(t, p.s, svc, p.attempt) {
					if !dying.dead() {
						t.Fatal("it does not come to its end, and nobody was killed")
					}
					p.s.stop()
					p.s = openWith(t, kv, c, "k", with(svc))
				}
				if valid, made := svc.counts(); valid != 0 || made != 1 {
					t.Errorf("%d keys of %d", valid, made)
				}
				if n == commits && dying.dead() {
					t.Errorf("a healthy history has %d commits or more: kill it later, too", n)
				}
			})
		}
	}
}

// closed registers the agent and closes the order; false when the server died.
func closed(t *testing.T, s *site, svc *service, attempt provisioner.AttemptID) bool {
	t.Helper()
	svc.set(func(svc *service) { svc.seen[attempt] = true })
	_, err := s.settle(t.Context(), hostID)
	if err == nil {
		err = s.closeDue(t.Context(), map[handoffKey]time.Time{})
	}
	if err != nil && !errors.Is(err, errCrashed) {
		t.Fatalf("an answer that no crash explains: %v", err)
	}
	return err == nil
}

func TestWhyOfAHostSaysWhatItsDriverWaitsFor(t *testing.T) {
	svc := newService()
	s := served(t, bolt(t), newClock(), svc)
	attempt := s.installs(t)
	if h := s.settled(t); lifecycle.Awaiting(h) != "Awaited: the service to see the host." {
		t.Errorf("%s", lifecycle.Awaiting(h))
	}
	lines := len(s.checkJournal(t, hostID))
	svc.set(func(svc *service) { svc.ask = "Put the key right." })
	for range 3 {
		if h := s.settled(t); lifecycle.Awaiting(h) != "Awaited: a person. Put the key right." {
			t.Errorf("%s", lifecycle.Awaiting(h))
		}
	}
	if more := len(s.checkJournal(t, hostID)) - lines; more != 1 {
		t.Errorf("%d lines of one question", more)
	}
	svc.set(func(svc *service) { svc.ask = ""; svc.seen[attempt] = true })
	if h := s.settled(t); h.Status.Phase != provisioner.Registered || h.Facts.Ask != nil {
		t.Errorf("%s, asks %+v", h.Status.Phase, h.Facts.Ask)
	}
}

func TestADriverIsToldAgainWhatItKeptOfAnAttempt(t *testing.T) {
	svc := newService()
	s := served(t, bolt(t), newClock(), svc)
	svc.set(func(svc *service) { svc.looks = true })
	attempt := s.installs(t)
	looks := func(h provisioner.Host) (n int) {
		k := h.Facts.Kept
		if k == nil || k.Attempt != attempt || h.Facts.Waits.Text != "look "+k.Text+" of 1 hosts." {
			t.Fatalf("kept %+v, waits %+v", k, h.Facts.Waits)
		}
		_, _ = fmt.Sscan(k.Text, &n)
		return n
	}
	first, lines := looks(s.settled(t)), len(s.checkJournal(t, hostID))
	s.settled(t)
	if last := looks(s.settled(t)); last < first+2 {
		t.Errorf("two looks later it counts %d, and before %d", last, first)
	}
	if more := len(s.checkJournal(t, hostID)) - lines; more != 0 {
		t.Errorf("%d lines of what is the driver's own", more)
	}
}

func TestADeadlineStandsStillWhileTheServiceIsAway(t *testing.T) {
	svc := newService()
	s := served(t, bolt(t), newClock(), svc)
	attempt := s.installs(t)
	svc.set(func(svc *service) { svc.away = true })
	s.settled(t)
	s.clock.advance(48 * time.Hour)
	if h := s.settled(t); h.Status.Phase != provisioner.Installed || !lifecycle.Due(h).IsZero() {
		t.Fatalf("after two days without its service: %s, due %s", h.Status.Phase, lifecycle.Due(h))
	}
	svc.set(func(svc *service) { svc.away = false })
	if h := s.settled(t); h.Status.Phase != provisioner.Installed || !lifecycle.Due(h).After(s.clock.now()) {
		t.Fatalf("the service is back: %s, due %s", h.Status.Phase, lifecycle.Due(h))
	}
	s.clock.advance(16 * time.Minute)
	if h := s.settled(t); h.Status.Phase != provisioner.Failed {
		t.Fatalf("the service is there and the host does not come: %s", h.Status.Phase)
	}
	svc.set(func(svc *service) { svc.seen[attempt] = true })
	if h := s.settled(t); h.Status.Phase != provisioner.Registered {
		t.Errorf("it came after all: %s", h.Status.Phase)
	}
}

func TestCheckAsksTheDriversOfAnOrdersHosts(t *testing.T) {
	svc := newService()
	s := served(t, bolt(t), newClock(), svc)
	o := provisioner.Order{Name: "o1", Handoff: "service"}
	if got, err := s.Check(t.Context(), o); err != nil || len(got.Wrong) != 0 || len(got.Notes) != 1 || got.Notes[0] != "1 hosts." {
		t.Errorf("%+v, %v", got, err)
	}
	svc.set(func(svc *service) { svc.away = true })
	if got, err := s.Check(t.Context(), o); err != nil || len(got.Wrong) != 1 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestADriverSeesWhatItsOrderAddsInAPreview(t *testing.T) {
	s := served(t, bolt(t), newClock(), newService())
	config := map[string]any{"stylus": map[string]any{"debug": true}}
	h := provisioner.Host{Intent: provisioner.Intent{Handoff: "service"}}
	carry, err := s.Carry(t.Context(), provisioner.Order{Name: "o1", Config: config}, h, "")
	if diff := cmp.Diff(map[string]any{"beside": config}, carry.Values); diff != "" || err != nil {
		t.Errorf("%v, -want +got:\n%s", err, diff)
	}
}

// TestOneHandoffThatCannotBeClosedKeepsNoOtherOpen: what one order keeps may be
// lost with its key.
func TestOneHandoffThatCannotBeClosedKeepsNoOtherOpen(t *testing.T) {
	svc := newService()
	s := served(t, bolt(t), newClock(), svc)
	attempt := s.installs(t)
	svc.set(func(svc *service) { svc.seen[attempt] = true })
	s.settled(t)
	lost := provisioner.Handoff{Order: "a-first", Driver: "service", State: []byte("damaged"), Opened: s.clock.now()}
	if err := s.Store.Commit(t.Context(), store.Change{PutHandoffs: []provisioner.Handoff{lost}}); err != nil {
		t.Fatal(err)
	}
	next := map[handoffKey]time.Time{}
	err := s.closeDue(t.Context(), next)
	if err == nil || !strings.Contains(err.Error(), "order a-first") {
		t.Errorf("of the order whose state is lost it says %v", err)
	}
	if valid, _ := svc.counts(); valid != 0 {
		t.Error("the key of the other order is not revoked")
	}
	if err := s.closeDue(t.Context(), next); err != nil {
		t.Errorf("at once it is tried again: %v", err)
	}
}

// TestAHandoffThatOnlyAPersonCanMendIsSaidToOne: what the order keeps is lost.
func TestAHandoffThatOnlyAPersonCanMendIsSaidToOne(t *testing.T) {
	svc := newService()
	s := served(t, bolt(t), newClock(), svc)
	s.installs(t)
	kept, err := s.Store.Handoff(t.Context(), "o1", "service")
	if err != nil {
		t.Fatal(err)
	}
	good := kept.State
	kept.State = []byte("damaged")
	if err := s.Store.Commit(t.Context(), store.Change{PutHandoffs: []provisioner.Handoff{kept}}); err != nil {
		t.Fatal(err)
	}
	h := s.settled(t)
	if says := lifecycle.Awaiting(h); !strings.HasPrefix(says, "Awaited: a person. ") || !strings.Contains(says, "put back what was there") {
		t.Errorf("it says %q", says)
	}
	if kept, err = s.Store.Handoff(t.Context(), "o1", "service"); err != nil {
		t.Fatal(err)
	}
	kept.State = good
	if err := s.Store.Commit(t.Context(), store.Change{PutHandoffs: []provisioner.Handoff{kept}}); err != nil {
		t.Fatal(err)
	}
	if says := lifecycle.Awaiting(s.settled(t)); says != "Awaited: the service to see the host." {
		t.Errorf("put back, it says %q", says)
	}
}

// silent is a hand-off whose hosts do not answer: whoever asks waits.
type silent struct {
	*service
	asked chan struct{} // gets one for each that waits
}

func (s silent) Confirm(ctx context.Context, _ handoff.Batch, _ provisioner.Host) (handoff.Result, error) {
	select {
	case s.asked <- struct{}{}:
	default:
	}
	<-ctx.Done()
	return handoff.Result{Waits: "the host to answer."}, nil
}

func TestHostsThatDoNotAnswerTheirHandoffHoldNobodyUp(t *testing.T) {
	const quiet = 20 // as many may restart at once on a line
	d := silent{newService(), make(chan struct{}, quiet)}
	s, bmcs := bmcSite(t, nil, with(d))
	s.untilDone(t, hostID, provisioner.ErrandNetwork)
	for i := range quiet {
		h := provisioner.Host{ID: provisioner.HostID(fmt.Sprintf("h-q%d", i)), Intent: provisioner.Intent{Order: "o1", Handoff: "service", Image: "d1"}}
		h.Intent.Row.Serial = fmt.Sprintf("SN-q%d", i)
		h.Status = provisioner.Status{Phase: provisioner.Installed, Since: s.clock.now(), Deadline: s.clock.now().Add(time.Hour),
			Attempt: provisioner.Attempt{ID: provisioner.AttemptID(fmt.Sprintf("a-q%d", i)), Phase: provisioner.Installing}}
		if err := s.Store.Commit(t.Context(), change(h)); err != nil {
			t.Fatal(err)
		}
	}
	for range min(quiet, workers) {
		<-d.asked
	}
	s.change(t, func(h *provisioner.Host) { h.Intent.Requests.Retry++ })
	s.until(t, hostID, "another survey", func(provisioner.Host) bool {
		surveys := slices.DeleteFunc(bmcs.sent(hostID), func(do provisioner.ErrandKind) bool { return do != provisioner.ErrandSurvey })
		return len(surveys) == 2
	})
}
