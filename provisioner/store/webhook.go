package store

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"github.com/muster-boot/muster/provisioner"
)

// The journal is the outbox of webhooks: whatever is committed is in it, and
// stays when its host goes. Each webhook keeps a cursor for each host, and a
// mark of when it began, before which nothing is delivered.

const webhookPrefix = "webhook/"

func webhookRoot(hook string) string { return webhookPrefix + url.PathEscape(hook) + "/" }

func markKey(hook string) string { return webhookRoot(hook) + "began" }

func cursorPrefix(hook string) string { return webhookRoot(hook) + "host/" }

func cursorKey(hook string, id provisioner.HostID) string {
	return cursorPrefix(hook) + url.PathEscape(string(id))
}

// Deliveries is how far a webhook is.
type Deliveries struct {
	// Began is the revision at which it began; what was written up to then is
	// none of its business.
	Began uint64
	// Delivered is the number of the last journal entry of each host that its
	// receiver has taken.
	Delivered map[provisioner.HostID]uint64
}

// Deliveries returns how far a webhook is. One that was never asked for begins
// now.
func (s *Store) Deliveries(ctx context.Context, hook string) (Deliveries, error) {
	d := Deliveries{Delivered: map[provisioner.HostID]uint64{}}
	mark, err := s.engine.Get(ctx, markKey(hook))
	if err == nil && mark.Revision == 0 {
		mark.Revision, err = s.engine.Txn(ctx, []Cond{{Key: markKey(hook)}}, []Op{Put(markKey(hook), []byte("{}"))})
	}
	if err != nil {
		return d, fault("begin webhook "+hook, err)
	}
	d.Began = mark.Revision
	items, _, err := s.engine.List(ctx, Query{Prefix: cursorPrefix(hook)})
	if err != nil {
		return d, fault("read how far webhook "+hook+" is", err)
	}
	for _, item := range items {
		var seq uint64
		id, ok := unescape(item.Key, cursorPrefix(hook))
		if err := json.Unmarshal(item.Value, &seq); err != nil || !ok {
			return d, fmt.Errorf("%s does not read as a cursor: %w", item.Key, err)
		}
		d.Delivered[provisioner.HostID(id)] = seq
	}
	return d, nil
}

// Deliver notes that the receiver of a webhook took the entries of a host up to
// this number. Only one may do so for a webhook and host at a time.
func (s *Store) Deliver(ctx context.Context, hook string, id provisioner.HostID, seq uint64) error {
	_, err := s.engine.Txn(ctx, nil, []Op{Put(cursorKey(hook, id), fmt.Appendf(nil, "%d", seq))})
	return fault("note how far webhook "+hook+" is with host "+string(id), err)
}

// Outgoing returns the entries of a host's journal that are numbered above after
// and were written after a revision, oldest first: limit of them, or all that
// are left.
func (s *Store) Outgoing(ctx context.Context, id provisioner.HostID, after, began uint64, limit int) ([]provisioner.Entry, error) {
	var entries []provisioner.Entry
	for {
		items, _, err := s.engine.List(ctx, Query{Prefix: entryPrefix(id), After: entryKey(id, after), Limit: limit})
		if err != nil {
			return nil, fault("read the journal of host "+string(id), err)
		}
		for _, item := range items {
			e, err := decodeEntry(item.Key, item.Value)
			if err != nil {
				return nil, err
			}
			after = e.Seq
			if item.Revision > began {
				entries = append(entries, e)
			}
		}
		if len(entries) >= limit || len(items) < limit {
			return entries[:min(len(entries), limit)], nil
		}
	}
}

// Journaled returns the ids of all hosts that have a journal, also of those that
// were removed or absorbed. It takes one look at the disk for each.
func (s *Store) Journaled(ctx context.Context) ([]provisioner.HostID, error) {
	var ids []provisioner.HostID
	after := ""
	for {
		items, _, err := s.engine.List(ctx, Query{Prefix: journalPrefix, After: after, Limit: 1})
		if err != nil {
			return nil, fault("list the journals", err)
		}
		if len(items) == 0 {
			return ids, nil
		}
		word, _, _ := strings.Cut(strings.TrimPrefix(items[0].Key, journalPrefix), "/")
		id, ok := unescape(journalPrefix+word, journalPrefix)
		if !ok {
			return nil, fmt.Errorf("%s does not read as the key of a journal entry", items[0].Key)
		}
		ids = append(ids, provisioner.HostID(id))
		after = journalPrefix + word + "/~" // behind its last entry: their keys end in digits
	}
}
