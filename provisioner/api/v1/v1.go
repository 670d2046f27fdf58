// Package v1 holds the JSON shapes of muster's HTTP interface, version 1: what
// the server writes and the client reads.
//
// It holds no logic and never a secret: no token, no key, no user-data value. The
// one exception is [Medium], which is for operators.
// It imports nothing of the domain, so the shapes change only on purpose; the
// conversions are in the api room. Start at [Host], then [Problem].
package v1

import "time"

// Version is the answer to GET /v1/version.
type Version struct {
	Muster string `json:"muster"` // of the server
	Go     string `json:"go"`
}

// Health is the answer to GET /v1/health.
type Health struct {
	Status  string   `json:"status"` // "ok", or "degraded" when Problems is not empty
	Hosts   int      `json:"hosts"`
	Orders  int      `json:"orders"`
	Reasons []string `json:"reasons"` // sentences, e.g. that there is no ramdisk yet
}

// Clock is what a scout asks before anything else: muster's time.
type Clock struct {
	Time time.Time `json:"time"`
}

// Registered is the answer to an agent's registration.
type Registered struct {
	ID string `json:"id"`
}
