package engine

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/handoff"
	"github.com/muster-boot/muster/provisioner/lifecycle"
	"github.com/muster-boot/muster/provisioner/store"
)

// Bounds of what a hand-off's driver is asked.
const (
	confirmTime = 2 * time.Minute // for one host: it may be the one that asks for all
	checkTime   = time.Minute     // for one order
	askAgain    = time.Minute     // where a driver does not say when
)

// driver is that of h's hand-off.
func (e *Engine) driver(h provisioner.Host) (handoff.Driver, error) {
	d, ok := e.drivers[h.Intent.Handoff]
	if !ok {
		return nil, &provisioner.Fault{Kind: provisioner.Operator, Err: fmt.Errorf(
			"order %s names the hand-off %q, which this muster does not have; import the order with another", h.Intent.Order, h.Intent.Handoff)}
	}
	return d, nil
}

// batch is an order as its driver is told of it. What the order says below its
// hand-off is for the driver that it names, not for those that its rows name.
func (e *Engine) batch(o provisioner.Order, driver string, hosts []provisioner.Host) handoff.Batch {
	b := handoff.Batch{Order: o.Name, Secrets: o.Secrets, Hosts: hosts, Images: map[string]handoff.Image{}}
	if o.Handoff == driver {
		b.Options = o.Options
	}
	for _, h := range hosts {
		if image, ok := e.Installer.Image(h.Intent.Image); ok {
			b.Images[h.Intent.Image] = image
		}
	}
	return b
}

// handedBy are the hosts of an order that go by one driver.
func (e *Engine) handedBy(order provisioner.OrderName, driver string) []provisioner.Host {
	var hosts []provisioner.Host
	for _, h := range e.Mirror.Hosts() {
		if h.Intent.Order == order && h.Intent.Handoff == driver && h.Intent.Image != "" {
			hosts = append(hosts, h)
		}
	}
	return hosts
}

// carry is what h's hand-off adds to its configuration, when all that its order
// needs is there.
func (e *Engine) carry(ctx context.Context, h provisioner.Host) (handoff.Carry, error) {
	d, err := e.driver(h)
	if err != nil {
		return handoff.Carry{}, err
	}
	b, err := e.openOrder(ctx, d, h)
	if err != nil {
		return handoff.Carry{}, err
	}
	carry, err := d.Prepare(ctx, b, h, e.Installer.Base(h))
	if err != nil {
		return carry, fmt.Errorf("prepare hand-off %s: %w", d.Name(), late(err))
	}
	return carry, nil
}

// confirm is the duty of a host whose system stands: look for the proof of
// registration.
func (e *Engine) confirm(ctx context.Context, h provisioner.Host) (moved bool, again time.Time, err error) {
	by, res, err := e.look(ctx, h)
	if err != nil {
		return false, time.Time{}, err
	}
	attempt := h.Status.Attempt.ID
	now, err := e.observe(ctx, h.ID, by, func(h *provisioner.Host) (string, error) {
		if h.Status.Attempt.ID != attempt {
			return "", nil // it tries anew, and this was of before
		}
		return noteResult(h, res, e.at(*h)), nil
	})
	if err != nil || res.Receipt != nil {
		return err == nil, time.Time{}, err
	}
	return false, soonest(e.Now().Add(cmp.Or(res.Again, askAgain)), lifecycle.Due(now)), nil
}

// look asks the driver of h, and says who answers. What keeps it from being
// asked until a person mends it is an answer too.
func (e *Engine) look(ctx context.Context, h provisioner.Host) (by string, res handoff.Result, err error) {
	res, err = e.asked(ctx, h)
	if err != nil && provisioner.KindOf(err) == provisioner.Operator {
		return "engine", handoff.Result{Ask: "The hand-off cannot be confirmed: " + words(err.Error()) + ".", Away: true}, nil
	}
	return h.Intent.Handoff, res, err
}

func (e *Engine) asked(ctx context.Context, h provisioner.Host) (handoff.Result, error) {
	d, err := e.driver(h)
	if err != nil {
		return handoff.Result{}, err
	}
	b, err := e.confirmBatch(ctx, d, h)
	if err != nil {
		return handoff.Result{}, err
	}
	asking, cancel := context.WithTimeout(ctx, confirmTime)
	defer cancel()
	res, err := d.Confirm(asking, b, h)
	if err != nil {
		return res, fmt.Errorf("confirm hand-off %s: %w", d.Name(), err)
	}
	return res, nil
}

// confirmBatch is the order of h with the state that was opened for it.
func (e *Engine) confirmBatch(ctx context.Context, d handoff.Driver, h provisioner.Host) (handoff.Batch, error) {
	o, err := e.Store.Order(ctx, h.Intent.Order)
	if err != nil && provisioner.KindOf(err) != provisioner.NotFound {
		return handoff.Batch{}, err
	}
	o.Name = h.Intent.Order
	b := e.batch(o, d.Name(), e.handedBy(o.Name, d.Name()))
	kept, err := e.Store.Handoff(ctx, o.Name, d.Name())
	if err == nil {
		b.State, err = e.openState(kept)
	}
	return b, err
}

// noteResult writes down what a driver found, and returns what is new of it as
// a line of the journal.
func noteResult(h *provisioner.Host, res handoff.Result, now time.Time) (line string) {
	attempt := h.Status.Attempt.ID
	if res.Keep != "" {
		h.Facts.Kept = &provisioner.Kept{Attempt: attempt, Text: res.Keep}
	}
	if res.Receipt != nil {
		h.Facts.Receipt, h.Facts.Ask, h.Facts.Waits = res.Receipt, nil, nil
		return "Receipt: " + res.Receipt.Proof + "."
	}
	h.Facts.Waits = waited(h.Facts.Waits, attempt, res, now)
	was := h.Facts.Ask
	if h.Facts.Ask = nil; res.Ask != "" {
		h.Facts.Ask = &provisioner.Ask{Attempt: attempt, Text: res.Ask}
		if was != nil && *was == *h.Facts.Ask {
			return ""
		}
	}
	return res.Ask
}

// waited is what a driver waits for, and since when it cannot look; nil where it
// says nothing that a person did not know.
func waited(was *provisioner.Waits, attempt provisioner.AttemptID, res handoff.Result, now time.Time) *provisioner.Waits {
	w := provisioner.Waits{Attempt: attempt, Text: res.Waits}
	if was != nil && was.Attempt == attempt {
		w.Away, w.Blind = was.Away, was.Blind
	}
	switch {
	case res.Away && w.Away.IsZero():
		w.Away = now
	case !res.Away && !w.Away.IsZero():
		w.Blind += now.Sub(w.Away)
		w.Away = time.Time{}
	}
	if w == (provisioner.Waits{Attempt: attempt}) {
		return nil
	}
	return &w
}

// Check asks the drivers of an order whether it could be handed over, over the
// network. Nothing is changed.
func (e *Engine) Check(ctx context.Context, o provisioner.Order) (handoff.Checked, error) {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	if err := e.Mirror.Sync(ctx); err != nil {
		return handoff.Checked{}, err
	}
	var all handoff.Checked
	for _, d := range e.Drivers {
		hosts := e.handedBy(o.Name, d.Name())
		if len(hosts) == 0 {
			continue
		}
		b := e.batch(o, d.Name(), hosts)
		kept, err := e.Store.Handoff(ctx, o.Name, d.Name())
		if err == nil {
			b.State, err = e.openState(kept)
		}
		if err != nil {
			return all, err
		}
		got := d.Check(ctx, b)
		all.Wrong, all.Notes = append(all.Wrong, got.Wrong...), append(all.Notes, got.Notes...)
	}
	return all, nil
}

// CheckOptions says what is wrong with what an order says below its hand-off.
func (e *Engine) CheckOptions(driver string, options map[string]any) error {
	d, ok := e.drivers[driver]
	if !ok {
		return nil // that there is no such driver is said elsewhere
	}
	return d.Options(options)
}

// Carry is what h's hand-off would add to its configuration, for people to see.
// The error is a NotFound fault where muster does not have it.
func (e *Engine) Carry(ctx context.Context, o provisioner.Order, h provisioner.Host, base string) (handoff.Carry, error) {
	d, ok := e.drivers[h.Intent.Handoff]
	if !ok {
		return handoff.Carry{}, &provisioner.Fault{Kind: provisioner.NotFound, Err: fmt.Errorf("there is no hand-off %q", h.Intent.Handoff)}
	}
	b := e.batch(o, d.Name(), nil)
	if image, ok := e.Installer.Image(h.Intent.Image); ok {
		b.Images[h.Intent.Image] = image
	}
	b.Preview, b.Config = true, o.Config
	return d.Prepare(ctx, b, h, base)
}

// commitHandoff writes what is kept of an order's hand-off.
func (e *Engine) commitHandoff(ctx context.Context, h provisioner.Handoff) error {
	guard, err := e.guard()
	if err != nil {
		return err
	}
	return e.Store.Commit(ctx, store.Change{PutHandoffs: []provisioner.Handoff{h}, Guard: guard})
}
