package provisioner

import "time"

// What a host shows that is staged for shipment: its installed system is told
// to power off, the host goes off, its record is written.

// Farewell is that the installed system of a host that ships called and was
// told to power off.
type Farewell struct {
	Attempt AttemptID `json:"attempt"`
	First   time.Time `json:"first"`
	Last    time.Time `json:"last"` // written at most every ten seconds
	Address string    `json:"address,omitempty"`
}

// Departure is the proof that a host that ships is off.
type Departure struct {
	Attempt AttemptID `json:"attempt"`
	At      time.Time `json:"at"`
	By      Sign      `json:"by"`
	Proof   string    `json:"proof"` // a sentence
	// Problem is why the record could not be written so far, for people.
	Problem string `json:"problem,omitempty"`
}

// Sign is by what a host was known to be off.
type Sign string

// The signs. A BMC knows; silence is the lack of any packet for a minute after
// the host was told.
const (
	SignBMC     Sign = "bmc"
	SignSilence Sign = "silence"
)

// Record is the file that has all that muster holds of a host.
type Record struct {
	Attempt AttemptID `json:"attempt"`
	At      time.Time `json:"at"`
	File    string    `json:"file"`   // below the data directory
	Digest  string    `json:"digest"` // of the file, "sha256:" and 64 hex digits
}
