package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"

	"github.com/muster-boot/muster/provisioner"
)

func handoffKey(order provisioner.OrderName, driver string) string {
	return handoffPrefix + url.PathEscape(string(order)) + "/" + url.PathEscape(driver)
}

func decodeHandoff(item Item) (h provisioner.Handoff, err error) {
	if err := json.Unmarshal(item.Value, &h); err != nil {
		return h, fmt.Errorf("%s does not read as a hand-off: %w", item.Key, err)
	}
	h.Revision = item.Revision
	return h, nil
}

// Handoff returns what is kept of an order's hand-off by one driver. Where
// there is nothing it is a record without revision, to be put.
func (s *Store) Handoff(ctx context.Context, order provisioner.OrderName, driver string) (provisioner.Handoff, error) {
	none := provisioner.Handoff{Order: order, Driver: driver}
	item, err := s.engine.Get(ctx, handoffKey(order, driver))
	if err != nil && !errors.Is(err, ErrBounds) {
		return none, fault("read hand-off "+driver+" of order "+string(order), err)
	}
	if item.Revision == 0 {
		return none, nil
	}
	return decodeHandoff(item)
}

// Handoffs returns those of all orders.
func (s *Store) Handoffs(ctx context.Context) ([]provisioner.Handoff, error) {
	return all(ctx, s.engine, handoffPrefix, decodeHandoff)
}

func planHandoffs(c Change) ([]unit, error) {
	var units []unit
	for _, h := range c.PutHandoffs {
		value, err := json.Marshal(h)
		if err != nil {
			return nil, invalid("encode hand-off %s of order %s: %w", h.Driver, h.Order, err)
		}
		u := unit{}
		u.need(handoffKey(h.Order, h.Driver), h.Revision)
		u.do(Put(handoffKey(h.Order, h.Driver), value))
		units = append(units, u)
	}
	return units, nil
}
