package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"time"
)

// ErrDeposed says that a lease is no longer held: somebody else took it over.
var ErrDeposed = errors.New("another muster took over")

// Lease is the right of one holder to do one thing, until it is silent for
// longer than its time. It is immutable.
//
// A lease does not stop a holder that lost it without noticing; a commit
// guarded by it does. The guard is the revision of a key that is written only
// when the lease changes hands, so renewing disturbs no commit.
type Lease struct {
	name   string
	holder string
	ttl    time.Duration
	fence  uint64
}

func (l *Lease) cond() Cond { return Cond{Key: fenceKey(l.name), Revision: l.fence} }

// The two keys of a lease: one written when it changes hands, and one at every
// sign of life, the first included.

func fenceKey(name string) string { return leasePrefix + url.PathEscape(name) + "/fence" }

func beatKey(name string) string { return leasePrefix + url.PathEscape(name) + "/beat" }

// beat is a sign of life: who has the lease.
type beat struct {
	Holder string        `json:"holder"`
	TTL    time.Duration `json:"ttl"`
	At     time.Time     `json:"at"` // for people; nothing is decided by another host's clock
}

// standing is a lease as it was at one revision.
type standing struct {
	last     beat
	beaten   uint64 // revision of the last beat; 0: the lease is free
	revision uint64
}

// Acquire waits until the lease is free, or its holder gave no sign of life
// for its ttl as measured here, and takes it. A holder that comes again, as
// after a crash, has it at once. Holders have different names.
func (s *Store) Acquire(ctx context.Context, name, holder string, ttl time.Duration) (*Lease, error) {
	for {
		st, err := s.standing(ctx, name)
		if err != nil {
			return nil, fault("take lease "+name, err)
		}
		if st.beaten != 0 && st.last.Holder != holder {
			silent, err := s.silent(ctx, name, st)
			if err != nil {
				return nil, fault(fmt.Sprintf("take lease %s from %s", name, st.last.Holder), err)
			}
			if !silent {
				continue
			}
		}
		l, err := s.take(ctx, name, holder, ttl, st)
		if !errors.Is(err, ErrConflict) {
			return l, fault("take lease "+name, err)
		}
	}
}

func (s *Store) standing(ctx context.Context, name string) (standing, error) {
	items, revision, err := s.engine.List(ctx, Query{Prefix: beatKey(name), Limit: 1})
	st := standing{revision: revision}
	if err != nil || len(items) == 0 {
		return st, err
	}
	st.beaten = items[0].Revision
	if err := json.Unmarshal(items[0].Value, &st.last); err != nil {
		return st, fmt.Errorf("%s does not read as a lease: %w", items[0].Key, err)
	}
	return st, nil
}

var errBeat = errors.New("a sign of life")

// silent waits for the holder's ttl and reports whether it gave no sign.
func (s *Store) silent(ctx context.Context, name string, st standing) (bool, error) {
	waiting, cancel := context.WithTimeout(ctx, st.last.TTL)
	defer cancel()
	err := s.engine.Watch(waiting, beatKey(name), st.revision, func(Batch) error { return errBeat })
	switch {
	case errors.Is(err, errBeat), errors.Is(err, ErrCompacted):
		return false, nil
	case ctx.Err() == nil && waiting.Err() != nil:
		return true, nil
	}
	return false, err
}

func (s *Store) take(ctx context.Context, name, holder string, ttl time.Duration, st standing) (*Lease, error) {
	value, err := json.Marshal(beat{Holder: holder, TTL: ttl, At: s.now()})
	if err != nil {
		return nil, err
	}
	fence, err := s.engine.Txn(ctx,
		[]Cond{{Key: beatKey(name), Revision: st.beaten}},
		[]Op{Put(fenceKey(name), value), Put(beatKey(name), value)})
	if err != nil {
		return nil, err
	}
	return &Lease{name: name, holder: holder, ttl: ttl, fence: fence}, nil
}

// Renew gives a sign of life; do it several times in a ttl. ErrDeposed means
// that the lease is lost for good.
func (s *Store) Renew(ctx context.Context, l *Lease) error {
	value, err := json.Marshal(beat{Holder: l.holder, TTL: l.ttl, At: s.now()})
	if err != nil {
		return err
	}
	_, err = s.engine.Txn(ctx, []Cond{l.cond()}, []Op{Put(beatKey(l.name), value)})
	return fault("renew lease "+l.name, deposed(err))
}

// Release gives the lease back, so that the next holder need not wait.
func (s *Store) Release(ctx context.Context, l *Lease) error {
	_, err := s.engine.Txn(ctx, []Cond{l.cond()}, []Op{Delete(fenceKey(l.name)), Delete(beatKey(l.name))})
	return fault("release lease "+l.name, deposed(err))
}

// deposed names what a conflict means where the lease is the only condition.
func deposed(err error) error {
	if errors.Is(err, ErrConflict) {
		return ErrDeposed
	}
	return err
}

// blameGuard tells a conflict over a guard from one over what it guarded. The
// two mean different things: give up, or look again.
func (s *Store) blameGuard(ctx context.Context, l *Lease, conflict error) error {
	item, err := s.engine.Get(ctx, fenceKey(l.name))
	if err == nil && item.Revision != l.fence {
		return ErrDeposed
	}
	return conflict
}
