package palette

import (
	"testing"
	"time"

	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/handoff"
	"github.com/muster-boot/muster/provisioner/handoff/palette/palettetest"
)

// waiter is a host that the engine looks at again when its driver said so.
type waiter struct {
	host  provisioner.Host
	batch handoff.Batch
	due   time.Time
}

// TestTwoHundredHostsWaitWithinTheLimitOfTheirSite counts at the stand-in, for
// half an hour by its clock: of two orders, in two projects, every host but one comes.
func TestTwoHundredHostsWaitWithinTheLimitOfTheirSite(t *testing.T) {
	const crowd, while = 200, 1800
	r := newRoom(t)
	first := r.opened(t)
	r.batch.Order, r.batch.Options = "o2", map[string]any{"project": "Default"}
	second := r.opened(t)
	var waiting []*waiter
	for n := range crowd {
		w := &waiter{host: r.host(n), batch: first, due: r.clock.now()}
		if n%2 == 1 {
			w.batch = second
		}
		waiting = append(waiting, w)
	}
	began, looks := r.up.Counts().Requests, 0
	for second := range while {
		arrive(r, second*crowd/(while-60), crowd)
		waiting = lookAtDue(t, r, waiting, &looks)
		r.clock.advance(time.Second)
	}
	c := r.up.Counts()
	if c.MostInSecond > 10 || c.Limited > 0 {
		t.Errorf("%d requests in one second, %d were refused", c.MostInSecond, c.Limited)
	}
	if perSecond := float64(c.Requests-began) / while; perSecond > 1 {
		t.Errorf("%.2f requests a second on the long run", perSecond)
	}
	if len(waiting) != 1 || waiting[0].host.ID != "h-199" {
		t.Errorf("%d hosts are not registered, want the one that never came", len(waiting))
	}
	t.Logf("%d looks at hosts made %d requests in half an hour, at most %d in a second", looks, c.Requests-began, c.MostInSecond)
}

// arrive has the n-th host register, but not the last.
func arrive(r *room, n, crowd int) {
	if n >= crowd-1 {
		return
	}
	h := record(n)
	if _, there := r.up.Host(h.UID); there {
		return
	}
	if n%2 == 1 {
		h.Project = "p-default"
	}
	r.up.Put(h)
}

// lookAtDue asks for each host that is due, and returns those that still wait.
func lookAtDue(t *testing.T, r *room, waiting []*waiter, looks *int) []*waiter {
	t.Helper()
	var left []*waiter
	for _, w := range waiting {
		if w.due.After(r.clock.now()) {
			left = append(left, w)
			continue
		}
		got, err := r.Confirm(t.Context(), w.batch, w.host)
		*looks++
		switch {
		case err != nil || got.Ask != "" || got.Away:
			t.Fatalf("host %s: %+v, %v", w.host.ID, got, err)
		case got.Receipt == nil:
			w.due = r.clock.now().Add(got.Again)
			left = append(left, w)
		}
	}
	return left
}

// TestALimitThatIsReachedIsKeptBack: told to wait, nothing is asked until then.
func TestALimitThatIsReachedIsKeptBack(t *testing.T) {
	r := newRoom(t)
	b, h := r.opened(t), r.host(1)
	r.clock.advance(time.Minute)
	r.up.Fail(palettetest.Faults{Status: 429})
	asked := r.up.Counts().Requests
	got, err := r.Confirm(t.Context(), b, h)
	if err != nil || !got.Away || got.Waits == "" {
		t.Fatalf("%+v, %v", got, err)
	}
	for range 10 {
		r.clock.advance(2 * time.Second)
		if _, err := r.Confirm(t.Context(), b, r.host(2)); err != nil {
			t.Fatal(err)
		}
	}
	if n := r.up.Counts().Requests - asked; n != 1 {
		t.Errorf("%d requests in the 20 seconds after the first refusal", n)
	}
}
