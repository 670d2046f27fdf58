// Package store keeps what muster must not forget: hosts, orders, the journal,
// leases, sealed renderings and hand-offs, each under a revision that only rises.
//
// It decides nothing about what it keeps and repairs nothing: a change that
// does not fit is refused whole. It hands out what people may not see (tokens)
// and leaves it to the API to withhold them. Start at [Store.Commit], the one
// way in, and [Mirror], the way out for whoever must answer at once; beneath
// both lies an [Engine], which storetest holds to its contract.
package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/muster-boot/muster/provisioner"
)

// Store keeps hosts, orders, journal and leases in an engine. It has no state
// of its own; all methods may be called concurrently. Errors are
// [provisioner.Fault] where somebody other than us must act.
type Store struct {
	engine Engine
	now    func() time.Time
	box    Box // nil: orders are kept in clear
}

// New returns a store on e, which stays the caller's to close. now dates
// journal entries that come without a time.
func New(e Engine, now func() time.Time) *Store {
	return &Store{engine: e, now: now}
}

// Revision returns the newest revision.
func (s *Store) Revision(ctx context.Context) (uint64, error) {
	_, revision, err := s.engine.List(ctx, Query{Limit: 1})
	return revision, fault("read the revision", err)
}

// Host returns the host of exactly this id, as it is now. Ids of hosts that
// were absorbed are not followed; [Mirror.Resolve] does.
func (s *Store) Host(ctx context.Context, id provisioner.HostID) (provisioner.Host, error) {
	item, err := s.engine.Get(ctx, hostKey(id))
	if err != nil && !errors.Is(err, ErrBounds) {
		return provisioner.Host{}, fault("read host "+string(id), err)
	}
	if item.Revision == 0 {
		return provisioner.Host{}, notFound("no host has the id %q", id)
	}
	return decodeHost(item)
}

// Hosts returns all hosts in the order of their ids. It reads and decodes them
// all (about a second for 10,000); [Mirror.Hosts] has them ready.
func (s *Store) Hosts(ctx context.Context) ([]provisioner.Host, error) {
	return all(ctx, s.engine, hostPrefix, decodeHost)
}

// Order returns the order of this name, as it is now.
func (s *Store) Order(ctx context.Context, name provisioner.OrderName) (provisioner.Order, error) {
	item, err := s.engine.Get(ctx, orderKey(name))
	if err != nil && !errors.Is(err, ErrBounds) {
		return provisioner.Order{}, fault("read order "+string(name), err)
	}
	if item.Revision == 0 {
		return provisioner.Order{}, notFound("no order has the name %q", name)
	}
	return s.decodeOrder(item)
}

// Orders returns all orders.
func (s *Store) Orders(ctx context.Context) ([]provisioner.Order, error) {
	return all(ctx, s.engine, orderPrefix, s.decodeOrder)
}

func all[T any](ctx context.Context, e Engine, prefix string, decode func(Item) (T, error)) ([]T, error) {
	items, _, err := e.List(ctx, Query{Prefix: prefix})
	if err != nil {
		return nil, fault("list "+prefix, err)
	}
	values := make([]T, 0, len(items))
	for _, item := range items {
		v, err := decode(item)
		if err != nil {
			return nil, err
		}
		values = append(values, v)
	}
	return values, nil
}

// Where things lie. Hosts and orders share a prefix so that one list has both
// at one revision.
const (
	statePrefix     = "state/"
	hostPrefix      = statePrefix + "host/"
	orderPrefix     = statePrefix + "order/"
	journalPrefix   = "journal/"
	leasePrefix     = "lease/"
	renderingPrefix = "rendering/"
	handoffPrefix   = "handoff/"
)

// Names are escaped: people choose those of orders, and a key takes no blanks.

func hostKey(id provisioner.HostID) string { return hostPrefix + url.PathEscape(string(id)) }

func orderKey(name provisioner.OrderName) string { return orderPrefix + url.PathEscape(string(name)) }

// unescape returns the name in a key with this prefix.
func unescape(key, prefix string) (string, bool) {
	escaped, ok := strings.CutPrefix(key, prefix)
	if !ok {
		return "", false
	}
	name, err := url.PathUnescape(escaped)
	return name, err == nil
}

func decodeHost(item Item) (h provisioner.Host, err error) {
	if err := json.Unmarshal(item.Value, &h); err != nil {
		return h, fmt.Errorf("%s does not read as a host: %w", item.Key, err)
	}
	h.Revision = item.Revision
	return h, nil
}

func notFound(format string, args ...any) error {
	return &provisioner.Fault{Kind: provisioner.NotFound, Err: fmt.Errorf(format, args...)}
}

func invalid(format string, args ...any) error {
	return &provisioner.Fault{Kind: provisioner.Invalid, Err: fmt.Errorf(format, args...)}
}

// fault says of an engine's error who must act.
func fault(op string, err error) error {
	if err == nil {
		return nil
	}
	kind := provisioner.Bug
	switch {
	case errors.Is(err, ErrConflict):
		kind = provisioner.Conflict
	case errors.Is(err, ErrBounds):
		kind = provisioner.Invalid
	case errors.Is(err, ErrFull):
		kind = provisioner.Operator
	case errors.Is(err, ErrDeposed), errors.Is(err, ErrCompacted), errors.Is(err, ErrClosed),
		errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		kind = provisioner.Retry
	}
	return &provisioner.Fault{Kind: kind, Op: op, Err: err}
}
