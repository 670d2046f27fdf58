package store

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"

	"github.com/muster-boot/muster/provisioner"
)

func entryPrefix(id provisioner.HostID) string {
	return journalPrefix + url.PathEscape(string(id)) + "/"
}

// entryKey has all digits that a number can have, so that keys sort as numbers.
func entryKey(id provisioner.HostID, seq uint64) string {
	return fmt.Sprintf("%s%020d", entryPrefix(id), seq)
}

// Journal returns a host's entries with numbers above after, oldest first, at
// most limit of them (0: all). The journal of a host outlives it.
func (s *Store) Journal(ctx context.Context, id provisioner.HostID, after uint64, limit int) ([]provisioner.Entry, error) {
	items, _, err := s.engine.List(ctx, Query{Prefix: entryPrefix(id), After: entryKey(id, after), Limit: limit})
	if err != nil {
		return nil, fault("read the journal of host "+string(id), err)
	}
	entries := make([]provisioner.Entry, 0, len(items))
	for _, item := range items {
		e, err := decodeEntry(item.Key, item.Value)
		if err != nil {
			return nil, err
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// History returns the journal of h: first, by their time, the entries of the ids
// under which it was seen before it was recognised, then its own; at most limit
// of each (0: all). The numbers are each id's own.
func (s *Store) History(ctx context.Context, h provisioner.Host, limit int) ([]provisioner.Entry, error) {
	var all []provisioner.Entry
	for _, id := range h.Aliases {
		entries, err := s.Journal(ctx, id, 0, limit)
		if err != nil {
			return nil, err
		}
		all = append(all, entries...)
	}
	slices.SortStableFunc(all, func(a, b provisioner.Entry) int { return a.At.Compare(b.At) })
	own, err := s.Journal(ctx, h.ID, 0, limit)
	return append(all, own...), err
}

// Follow calls each with the journal entries of all hosts as they are
// committed, commit by commit, from after the given revision on; the revision
// that comes with them is enough to resume. It returns only with an error:
// that of each or ctx, or ErrCompacted where the revision lies too far back,
// also because each was too slow.
func (s *Store) Follow(ctx context.Context, after uint64, each func(revision uint64, entries []provisioner.Entry) error) error {
	return s.engine.Watch(ctx, journalPrefix, after, func(b Batch) error {
		entries := make([]provisioner.Entry, 0, len(b.Events))
		for _, ev := range b.Events {
			if ev.Deleted {
				continue
			}
			e, err := decodeEntry(ev.Key, ev.Value)
			if err != nil {
				return err
			}
			entries = append(entries, e)
		}
		return each(b.Revision, entries)
	})
}

func decodeEntry(key string, value []byte) (e provisioner.Entry, err error) {
	if err := json.Unmarshal(value, &e); err != nil {
		return e, fmt.Errorf("%s does not read as a journal entry: %w", key, err)
	}
	return e, nil
}
