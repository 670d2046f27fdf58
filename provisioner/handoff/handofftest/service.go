package handofftest

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/handoff"
)

// Service is what a driver asks over the network, in the hands of a test.
type Service struct {
	// Again is the driver of a server that was started again: it has forgotten
	// all that is not in a batch.
	Again func(t *testing.T) handoff.Driver
	// Fail has the service be in trouble from now on.
	Fail func(Trouble)
	// Pass lets time pass by the driver's clock.
	Pass func(time.Duration)
	// Made counts what Open made and Close did not take back.
	Made func() int
	// Secrets are texts that no sentence may have.
	Secrets func() []string
}

// Trouble is something wrong with a service.
type Trouble string

// The troubles.
const (
	None    Trouble = "none"
	Away    Trouble = "away"    // no connection comes about
	Slow    Trouble = "slow"    // it answers in minutes
	Limited Trouble = "limited" // it wants fewer requests
	Denied  Trouble = "denied"  // the credentials are worth nothing
	Garbled Trouble = "garbled" // something else answers
	Failing Trouble = "failing" // it answers with an error of its own
)

// patient is how long a call may go on after its context ended.
const patient = 5 * time.Second

func runService(t *testing.T, fresh func(*testing.T) Subject) {
	if fresh(t).Service == nil {
		return // it asks nobody, so nobody can fail it
	}
	for _, trouble := range []Trouble{Away, Slow, Limited, Denied, Garbled, Failing} {
		t.Run(string(trouble), func(t *testing.T) { troubled(t, fresh(t), trouble) })
	}
	t.Run("away for a day", func(t *testing.T) { awayForADay(t, fresh(t)) })
	t.Run("the server is started again between any two calls", func(t *testing.T) { restarted(t, fresh(t)) })
	t.Run("the server is killed before what it opened is kept", func(t *testing.T) { lostState(t, fresh(t)) })
	t.Run("cancelled", func(t *testing.T) { cancelled(t, fresh(t)) })
}

// brief bounds a call as the engine does, but in less time.
func brief(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	t.Cleanup(cancel)
	return ctx
}

// troubled holds that trouble is told and waited for, that nothing is taken for
// proof meanwhile, and that all goes on when it is over.
func troubled(t *testing.T, s Subject, trouble Trouble) {
	unopened := s.Batch
	s = open(t, s)
	h := installed(s.Driver.Name())
	s.Register(&h, Agent{attempt, serial, uuid, mac})
	s.Batch.Hosts = []provisioner.Host{h}
	s.Service.Fail(trouble)
	s.Service.Pass(maxAgain) // what it knew is old

	if wrong := s.Driver.Check(brief(t), s.Batch).Wrong; len(wrong) == 0 {
		t.Error("an order may be started")
	} else {
		sentences(t, s, wrong...)
	}
	if same, err := s.Driver.Open(brief(t), s.Batch); err != nil || string(same.State) != string(s.Batch.State) {
		t.Errorf("what is open already is asked for again: %v", err)
	}
	if _, err := s.Driver.Open(brief(t), unopened); err == nil {
		t.Error("an order was opened")
	} else if kind := provisioner.KindOf(err); kind != kindOf(trouble) {
		t.Errorf("opening is a fault of kind %s: %v", kind, err)
	} else {
		sentences(t, s, err.Error()+".")
	}
	unseen(t, s, h, trouble)
	switch got, err := s.Driver.Close(brief(t), s.Batch); {
	case err != nil:
		sentences(t, s, err.Error()+".")
	case got.Done != "" || got.Again <= 0:
		t.Errorf("closed: %+v", got)
	default:
		sentences(t, s, got.Waits+got.Ask)
	}
	s.Service.Fail(None)
	s.Service.Pass(maxAgain)
	ends(t, s, h)
}

func kindOf(trouble Trouble) provisioner.Kind {
	if trouble == Denied {
		return provisioner.Operator
	}
	return provisioner.Retry
}

// unseen holds that a look that shows nothing is told as one.
func unseen(t *testing.T, s Subject, h provisioner.Host, trouble Trouble) handoff.Result {
	t.Helper()
	began := time.Now()
	got, err := s.Driver.Confirm(brief(t), s.Batch, h)
	switch {
	case err != nil:
		t.Fatalf("trouble is no error of a host's: %v", err)
	case got.Receipt != nil, !got.Away, got.Again <= 0, (got.Ask != "") != (trouble == Denied):
		t.Errorf("%+v", got)
	case time.Since(began) > patient+time.Second:
		t.Errorf("it took %s", time.Since(began))
	}
	sentences(t, s, got.Waits+got.Ask)
	return got
}

// ends holds that the host is registered and its order closed, once and again.
func ends(t *testing.T, s Subject, h provisioner.Host) {
	t.Helper()
	got, err := s.Driver.Confirm(t.Context(), s.Batch, h)
	if err != nil || got.Receipt == nil {
		t.Fatalf("it is over, and there is no receipt: %+v, %v", got, err)
	}
	checkReceipt(t, s.Driver.Name(), *got.Receipt)
	sentences(t, s, got.Receipt.Proof+".")
	for range 2 { // again, as after a crash in between
		if got, err := s.Driver.Close(t.Context(), s.Batch); err != nil || got.Done == "" {
			t.Errorf("not closed: %+v, %v", got, err)
		}
	}
	if n := s.Service.Made(); n != 0 {
		t.Errorf("%d things are left at the service", n)
	}
}

// sentences are for people, and hold no secret.
func sentences(t *testing.T, s Subject, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.HasSuffix(text, ".") || strings.HasSuffix(text, "..") {
			t.Errorf("no sentence: %q", text)
		}
		if slices.ContainsFunc(s.Service.Secrets(), func(secret string) bool { return secret != "" && strings.Contains(text, secret) }) {
			t.Errorf("a secret is told: %q", text)
		}
	}
}

func awayForADay(t *testing.T, s Subject) {
	s = open(t, s)
	h := installed(s.Driver.Name())
	s.Service.Fail(Away)
	s.Service.Pass(maxAgain)
	first := unseen(t, s, h, Away)
	for passed := time.Duration(0); passed < 24*time.Hour; {
		step := max(first.Again, 30*time.Minute) // a day of short steps shows no more
		s.Service.Pass(step)
		passed += step
		if got := unseen(t, s, h, Away); got.Waits != first.Waits {
			t.Fatalf("other words for the same: %q, %q", first.Waits, got.Waits)
		}
	}
	s.Service.Fail(None)
	s.Register(&h, Agent{attempt, serial, uuid, mac})
	s.Service.Pass(maxAgain)
	ends(t, s, h)
}

func restarted(t *testing.T, s Subject) {
	s = open(t, s)
	h := installed(s.Driver.Name())
	h.Status.Phase = provisioner.Installing
	first, err := s.Driver.Prepare(t.Context(), s.Batch, h, base)
	if err != nil {
		t.Fatal(err)
	}
	s.Driver = s.Service.Again(t)
	s = open(t, s)
	second, err := s.Driver.Prepare(t.Context(), s.Batch, h, base)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first.Values, second.Values); diff != "" {
		t.Errorf("another server prepares another host (-first +second):\n%s", diff)
	}
	h.Status.Phase = provisioner.Installed
	s.Register(&h, Agent{attempt, serial, uuid, mac})
	s.Driver = s.Service.Again(t)
	ends(t, s, h)
}

func lostState(t *testing.T, s Subject) {
	first, err := s.Driver.Open(t.Context(), s.Batch)
	if err != nil {
		t.Fatal(err)
	}
	made := s.Service.Made()
	s.Driver = s.Service.Again(t)
	second, err := s.Driver.Open(t.Context(), s.Batch)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(first.State), string(second.State)); diff != "" || s.Service.Made() != made {
		t.Errorf("made %d and then %d things (-first +second):\n%s", made, s.Service.Made(), diff)
	}
}

func cancelled(t *testing.T, s Subject) {
	opened := open(t, s)
	made := s.Service.Made()
	h := installed(s.Driver.Name())
	s.Service.Pass(maxAgain)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	began := time.Now()
	s.Driver.Check(ctx, s.Batch)
	if _, err := s.Driver.Open(ctx, s.Batch); err == nil {
		t.Error("an order was opened")
	}
	if got, err := s.Driver.Confirm(ctx, opened.Batch, h); err == nil && (got.Receipt != nil || got.Ask != "") {
		t.Errorf("confirmed %+v", got)
	}
	if got, err := s.Driver.Close(ctx, opened.Batch); err == nil && got.Done != "" {
		t.Errorf("closed %+v", got)
	}
	if s.Service.Made() != made || time.Since(began) > patient {
		t.Errorf("%d things are there, there were %d; it took %s", s.Service.Made(), made, time.Since(began))
	}
	s.Register(&h, Agent{attempt, serial, uuid, mac})
	s.Service.Pass(maxAgain)
	ends(t, opened, h)
}
