// Package handoff is the contract of the last step: a driver that makes a
// host's agent able to register and then looks for the proof that it did.
//
// A driver never trusts the install and never writes to the store: it returns
// values, the engine commits them. It keeps nothing that a restart may not
// lose; what must last of an order is its [State], which the engine seals.
// Drivers live in rooms below this one and are listed by hand in app. Start at
// [Driver]; handofftest has what each must do.
package handoff

import (
	"context"
	"time"

	"github.com/muster-boot/muster/provisioner"
)

// Driver hands one kind of host over. All methods may be called concurrently.
// Every call may come again, also after a crash in the middle of it, and gives
// the same answer while the world is the same. Calls that take a context may
// use the network and end soon after it; a service that cannot be reached is an
// answer (wait), not an error.
//
// For one order come, in this order: Check before it starts; Open before the
// first host is given anything; Prepare for each host; Confirm for each host
// until there is a receipt; Close when no host needs the driver any more. An
// order that goes on after Close is opened anew.
//
// An error is a [provisioner.Fault] where somebody other than us must act, and
// its text a sentence for people without a full stop. No text that a driver
// returns holds a secret.
type Driver interface {
	// Name is what orders call it.
	Name() string
	// Options checks what an order says beside the driver's name, and nothing
	// else: it is pure, and asked when an order is linted or imported. Its error
	// begins with the key's path, as "handoff.project: ...".
	Options(options map[string]any) error
	// Check looks over the network whether the order could be handed over, and
	// changes nothing.
	Check(ctx context.Context, b Batch) Checked
	// Open makes, once for an order, what its hosts will need of the service. It
	// is asked before each Prepare with the state as it is, and returns that
	// same state where it will still do. Where a call was lost half-way, it finds
	// what that made instead of making another.
	Open(ctx context.Context, b Batch) (Opened, error)
	// Prepare says, before an install, what the host's user-data must carry
	// beside the recipe's own keys. base is the absolute URL below which the
	// routes of h's attempt lie. In a preview it does not use the network and has
	// no state: stand-ins take the place of what Open would have made.
	Prepare(ctx context.Context, b Batch, h provisioner.Host, base string) (Carry, error)
	// Confirm looks, after the install, for the proof that h is registered.
	Confirm(ctx context.Context, b Batch, h provisioner.Host) (Result, error)
	// Close takes back, at the order's end, what Open made: no host needs it any
	// more. It is asked only while there is state.
	Close(ctx context.Context, b Batch) (Closed, error)
}

// Batch is what a driver is told of one order: its hosts that go by this
// driver. Nobody may change what its slices and maps lead to.
type Batch struct {
	Order   provisioner.OrderName
	Options map[string]any // what the order says beside the driver's name; nil where a row names the driver
	Secrets map[string]provisioner.Secret
	Hosts   []provisioner.Host // not in Prepare
	Images  map[string]Image   // those that its hosts are installed from, by digest
	State   State              // what Open returned last; empty before, and after Close
	// Config is what the order adds to configurations, for a preview to check.
	Config  map[string]any
	Preview bool // only shown to people: see Prepare
}

// Image is what a driver may know of an image.
type Image struct {
	Name    string
	Family  string
	Traits  []string
	Version map[string]string // by what it is of, such as agent
}

// State is what a driver keeps of one order: its own JSON, sealed wherever it
// lies. It prints as what it is not.
type State []byte

// String implements [fmt.Stringer] and gives nothing away.
func (State) String() string { return "[redacted]" }

// GoString implements [fmt.GoStringer] and gives nothing away.
func (State) GoString() string { return "[redacted]" }

// Checked is what a pre-flight found, as sentences. An order with any in Wrong
// is not started.
type Checked struct {
	Wrong []string // each says what to do
	Notes []string // what was found, and what could not be known
}

// Opened is what Open made or found.
type Opened struct {
	State State  // empty: there is nothing to keep, and nothing to close
	Note  string // what was made, as a sentence; empty where nothing was
}

// Carry is what one host is given for its hand-off.
type Carry struct {
	Values map[string]any       // laid over the host's configuration, below muster's own keys
	Hidden []provisioner.Secret // texts in Values that nobody may be shown
	Note   string               // for the host's journal, as a sentence; may be empty
}

// Result is what Confirm found: either Receipt, or after how long to look again.
type Result struct {
	Receipt *provisioner.Receipt // done
	Again   time.Duration
	// Waits says what the proof waits for, as a sentence that is the same while
	// that is; empty: the agent's registration. Ask takes its place where a
	// person must act, and says how.
	Waits, Ask string
	// Away says that the time is not the host's: nobody could look, as the service
	// does not answer or answers with an error of its own, or muster itself is at
	// work on it. The host's deadline stands still meanwhile.
	Away bool
	// Keep is what the driver wants to be told again of this attempt, as
	// [provisioner.Facts] has it then: it is written down before Confirm is asked
	// again. It is short and holds no secret; the empty text leaves what is kept.
	Keep string
}

// Closed is what became of Close: either Done, or after how long to try again
// with Waits or Ask, which says why.
type Closed struct {
	Done       string // what was taken back, or why nothing was, as a sentence
	Again      time.Duration
	Waits, Ask string // Ask: a person must act, and how
}
