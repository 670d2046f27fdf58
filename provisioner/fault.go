package provisioner

import "errors"

// Kind says who must act on an error; behaviour follows the kind, never the text.
type Kind string

// Kinds of faults.
const (
	Retry    Kind = "retry"     // try again later, nobody needs to act
	Operator Kind = "operator"  // a person must act; the text says how
	Bug      Kind = "bug"       // ours
	NotFound Kind = "not-found" // what was named is not there
	Conflict Kind = "conflict"  // it does not fit the present state
	Invalid  Kind = "invalid"   // the input is wrong
	Denied   Kind = "denied"    // wrong token
	Gone     Kind = "gone"      // of an attempt that is over
)

// Fault is an error that says who must act.
type Fault struct {
	Kind Kind
	Op   string // what was being attempted; may be empty
	Err  error
}

func (f *Fault) Error() string {
	if f.Op == "" {
		return f.Err.Error()
	}
	return f.Op + ": " + f.Err.Error()
}

func (f *Fault) Unwrap() error { return f.Err }

// KindOf returns the kind of the first Fault in err's chain, else Bug.
func KindOf(err error) Kind {
	if f, ok := errors.AsType[*Fault](err); ok {
		return f.Kind
	}
	return Bug
}
