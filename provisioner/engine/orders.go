package engine

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/handoff"
	"github.com/muster-boot/muster/provisioner/lifecycle"
)

// Bounds of what is done for an order as a whole.
const (
	orderPatrol = 10 * time.Second // orders are looked at this often
	closeTime   = 30 * time.Second // for one order
)

// handoffKey is an order and a driver: what is opened and closed as one.
type handoffKey struct {
	order  provisioner.OrderName
	driver string
}

// sealedAs is the context in which the state of an order's hand-off is sealed.
func (k handoffKey) sealedAs() string { return "handoff/" + string(k.order) + "/" + k.driver }

func keyOf(h provisioner.Handoff) handoffKey { return handoffKey{h.Order, h.Driver} }

// openState is the state of an open hand-off; empty where it is not.
func (e *Engine) openState(h provisioner.Handoff) (handoff.State, error) {
	if len(h.State) == 0 {
		return nil, nil
	}
	plain, err := e.Box.Open(h.State, keyOf(h).sealedAs())
	if err != nil {
		return nil, &provisioner.Fault{Kind: provisioner.Operator, Err: fmt.Errorf(
			"what the hand-off %s of order %s keeps is lost (%w); put back what was there and restart muster", h.Driver, h.Order, err)}
	}
	return plain, nil
}

// openOrder has the driver make what the order of h needs of its service, once,
// and returns the order with it.
func (e *Engine) openOrder(ctx context.Context, d handoff.Driver, h provisioner.Host) (handoff.Batch, error) {
	key := handoffKey{h.Intent.Order, d.Name()}
	unlock := e.orders.lock(key)
	defer unlock()
	o, err := e.Store.Order(ctx, h.Intent.Order)
	if err != nil {
		return handoff.Batch{}, err
	}
	kept, err := e.Store.Handoff(ctx, key.order, key.driver)
	if err == nil && len(kept.State) > 0 && !kept.Open() {
		kept, _, err = e.closeOne(ctx, d, kept) // it was begun, so it comes to its end first
	}
	if err != nil {
		return handoff.Batch{}, err
	}
	if len(kept.State) > 0 && !kept.Open() {
		return handoff.Batch{}, &provisioner.Fault{Kind: provisioner.Retry, Err: fmt.Errorf(
			"what order %s had before is still being taken back: %s", key.order, kept.Said)}
	}
	b := e.batch(o, d.Name(), e.handedBy(key.order, key.driver))
	if b.State, err = e.openState(kept); err != nil {
		return b, err
	}
	made, err := d.Open(ctx, b)
	if err != nil {
		return b, fmt.Errorf("open hand-off %s: %w", d.Name(), late(err))
	}
	if bytes.Equal(made.State, b.State) {
		return b, nil
	}
	b.State = made.State
	return b, e.commitHandoff(ctx, provisioner.Handoff{
		Order: key.order, Driver: key.driver, Revision: kept.Revision,
		State: e.Box.Seal(made.State, key.sealedAs()), Opened: e.Now().UTC(), Said: made.Note,
	})
}

// closeOrders takes back, now and then, what orders needed that are over.
func (e *Engine) closeOrders(ctx context.Context) error {
	t := time.NewTicker(orderPatrol)
	defer t.Stop()
	next := map[handoffKey]time.Time{}
	for {
		if err := e.closeDue(ctx, next); err != nil && ctx.Err() == nil {
			e.Log.Error().Err(err).Msg("hand-offs of orders are not closed; trying again")
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
		}
	}
}

// closeDue looks at every open hand-off once: one that cannot be closed keeps no
// other open. next remembers when each that did not close is tried again.
func (e *Engine) closeDue(ctx context.Context, next map[handoffKey]time.Time) error {
	all, err := e.Store.Handoffs(ctx)
	if err != nil {
		return err
	}
	for _, h := range all {
		key := keyOf(h)
		if len(h.State) == 0 || e.Now().Before(next[key]) {
			continue
		}
		again, failed := e.closeIfOver(ctx, key)
		if failed != nil {
			again, err = askAgain, errors.Join(err, failed)
		}
		next[key] = e.Now().Add(again)
	}
	return err
}

// closeIfOver closes one hand-off if its order needs it no more, and says how
// long it may be left alone.
func (e *Engine) closeIfOver(ctx context.Context, key handoffKey) (again time.Duration, err error) {
	unlock := e.orders.lock(key)
	defer unlock()
	h, err := e.Store.Handoff(ctx, key.order, key.driver)
	if err != nil || len(h.State) == 0 {
		return 0, err
	}
	if h.Open() {
		over, err := e.over(ctx, key)
		if err != nil || !over {
			return 0, err
		}
	}
	d, ok := e.drivers[key.driver]
	if !ok {
		return patrol, nil // its configuration may come back
	}
	_, again, err = e.closeOne(ctx, d, h)
	return again, err
}

func (e *Engine) over(ctx context.Context, key handoffKey) (bool, error) {
	o, err := e.Store.Order(ctx, key.order)
	if err != nil && provisioner.KindOf(err) != provisioner.NotFound {
		return false, err
	}
	if err := e.Mirror.Sync(ctx); err != nil {
		return false, err
	}
	return lifecycle.Over(!o.Started.IsZero(), e.handedBy(key.order, key.driver)), nil
}

// closeOne has the driver take back what it made. That it was begun is written
// first, so that nobody is given what may be gone; it is repeated until it is
// done, each time after again. The caller holds the lock of the order.
func (e *Engine) closeOne(ctx context.Context, d handoff.Driver, h provisioner.Handoff) (_ provisioner.Handoff, again time.Duration, err error) {
	if h.Open() {
		h.Closing = e.Now().UTC()
		if h, err = e.keep(ctx, h); err != nil {
			return h, 0, err
		}
	}
	b, err := e.closingBatch(ctx, h)
	if err != nil {
		return h, 0, err
	}
	asking, cancel := context.WithTimeout(ctx, closeTime)
	defer cancel()
	res, err := d.Close(asking, b)
	if err != nil {
		res = handoff.Closed{Waits: fmt.Sprintf("It is tried again: %v.", late(err))}
	}
	h, err = e.noteClosed(ctx, h, res)
	return h, cmp.Or(res.Again, askAgain), err
}

func (e *Engine) closingBatch(ctx context.Context, h provisioner.Handoff) (handoff.Batch, error) {
	o, err := e.Store.Order(ctx, h.Order)
	if err != nil && provisioner.KindOf(err) != provisioner.NotFound {
		return handoff.Batch{}, err
	}
	o.Name = h.Order
	b := e.batch(o, h.Driver, e.handedBy(h.Order, h.Driver))
	b.State, err = e.openState(h)
	return b, err
}

// noteClosed writes what became of closing, where that is news.
func (e *Engine) noteClosed(ctx context.Context, h provisioner.Handoff, res handoff.Closed) (provisioner.Handoff, error) {
	said, ask := cmp.Or(res.Done, res.Ask, res.Waits), res.Ask != ""
	if res.Done == "" && said == h.Said && h.Ask == ask {
		return h, nil
	}
	h.Said, h.Ask = said, ask
	if res.Done != "" {
		h.State, h.Closed = nil, e.Now().UTC()
	}
	e.Log.Info().Str("order", string(h.Order)).Str("driver", h.Driver).Str("why", said).Msg("order's hand-off is closed, or waits to be")
	return e.keep(ctx, h)
}

// keep writes h and returns it as it is then.
func (e *Engine) keep(ctx context.Context, h provisioner.Handoff) (provisioner.Handoff, error) {
	if err := e.commitHandoff(ctx, h); err != nil {
		return h, err
	}
	return e.Store.Handoff(ctx, h.Order, h.Driver)
}
