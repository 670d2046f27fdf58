package redfish

import "errors"

// Kind says who must act on a [Fault].
type Kind string

// The kinds.
const (
	Retry    Kind = "retry"    // the same call may work later
	Operator Kind = "operator" // it will not, until a person changes something
)

// Cause is what is wrong, for a caller that acts by it. New causes may come.
type Cause string

// The causes.
const (
	Unreachable    Cause = "unreachable"     // no answer, or none that is Redfish
	Busy           Cause = "busy"            // the BMC says so, for longer than we wait
	Slow           Cause = "slow"            // accepted, and did not happen in time
	Sessions       Cause = "sessions"        // all sessions are taken
	WrongPassword  Cause = "password"        // the account or password is refused
	NewPassword    Cause = "new-password"    // the BMC wants its password changed first
	Rights         Cause = "rights"          // the account may not do this
	Certificate    Cause = "certificate"     // not the pinned one
	Licence        Cause = "licence"         // a licence is missing
	MediaOff       Cause = "media-off"       // virtual media are switched off
	NoMedia        Cause = "no-media"        // no way to boot a medium
	Scheme         Cause = "scheme"          // the URL's scheme is not taken
	ForeignMedium  Cause = "foreign-medium"  // somebody else's medium is in
	POST           Cause = "post"            // refused while the host starts
	SeveralSystems Cause = "several-systems" // say which
	Refused        Cause = "refused"         // for any other reason, in the BMC's words
	BadTarget      Cause = "bad-target"      // address, fingerprint or URL cannot be used
)

// Fault is why a BMC did not do what was asked. Say is one sentence that a
// person can act on; Err, if any, is what lies below.
type Fault struct {
	Kind  Kind
	Cause Cause
	Say   string
	Err   error
	// Medium is, of ForeignMedium, what a person may allow to be ejected; "" where
	// nobody but its viewer can.
	Medium string

	account string // of NewPassword: the path of the account, where the BMC says it
}

func (f *Fault) Error() string {
	if f.Err == nil {
		return f.Say
	}
	return f.Say + " (" + f.Err.Error() + ")"
}

func (f *Fault) Unwrap() error { return f.Err }

// CauseOf returns the cause of the fault in err, or "".
func CauseOf(err error) Cause {
	var f *Fault
	if errors.As(err, &f) {
		return f.Cause
	}
	return ""
}

// ForOperator reports whether err is a fault that time alone does not mend.
func ForOperator(err error) bool {
	var f *Fault
	return errors.As(err, &f) && f.Kind == Operator
}

func operator(c Cause, say string) *Fault { return &Fault{Kind: Operator, Cause: c, Say: say} }

func retry(c Cause, say string, err error) *Fault {
	return &Fault{Kind: Retry, Cause: c, Say: say, Err: err}
}
