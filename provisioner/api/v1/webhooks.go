package v1

import "time"

// Webhook is a system that is told what happens to hosts, and how far that is.
type Webhook struct {
	Name      string     `json:"name"`
	URL       string     `json:"url"`       // without its query, which may be secret
	Events    []string   `json:"events"`    // that it wants; empty: all; never null
	State     string     `json:"state"`     // ok, retrying, or stopped: its receiver answered 410 Gone
	Queued    uint64     `json:"queued"`    // entries of the journal that it has not looked through yet: at most so many events are due
	Delivered uint64     `json:"delivered"` // since muster started
	LastID    string     `json:"last_id"`   // of the event that was delivered last, since muster started
	Last      *time.Time `json:"last"`      // when; null: none since muster started
	Problem   string     `json:"problem"`   // a sentence; empty: none
	Since     *time.Time `json:"since"`     // of the problem
	Next      *time.Time `json:"next"`      // when it is tried again
}

// HostEvent is the data of an event that a webhook is told.
type HostEvent struct {
	Host  *Host `json:"host"` // as it was when the event was sent; null: it was removed
	Entry Entry `json:"entry"`
}
