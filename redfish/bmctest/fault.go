package bmctest

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// FaultKind is one way to fail.
type FaultKind string

// The faults. Those marked (at once) happen when [Emulator.Fail] is called and
// do not stay; the others stay until they are used up, run out or are cleared.
const (
	FaultUnavailable   FaultKind = "unavailable"   // requests are answered 503, or with Status
	FaultReset         FaultKind = "reset"         // connections are reset instead of answered
	FaultUnauthorized  FaultKind = "unauthorized"  // requests are answered 401
	FaultSlow          FaultKind = "slow"          // answers come Seconds late
	FaultStuckTask     FaultKind = "stuck-task"    // tasks stay Running
	FaultStaleInserted FaultKind = "stale"         // an ejected medium is shown inserted
	FaultEjectIgnored  FaultKind = "eject-ignored" // an eject answers well and does nothing
	FaultSessions      FaultKind = "sessions-full"
	FaultWrongDevice   FaultKind = "wrong-device"  // boots from the disk, whatever it was told
	FaultLostOverride  FaultKind = "lost-override" // a boot override answers well and is not kept
	FaultDeafPower     FaultKind = "deaf-power"    // a reset answers well and does nothing
	FaultMediaSlow     FaultKind = "media-slow"    // each read of an image waits Seconds
	FaultMediaNever    FaultKind = "media-never"   // no image is ever reached
	FaultClock         FaultKind = "clock"         // its clock is Seconds ahead
	FaultLiesSerial    FaultKind = "lies-serial"   // serial numbers are of another machine
	FaultLiesUUID      FaultKind = "lies-uuid"     // the UUID is all ones
	FaultLiesMemory    FaultKind = "lies-memory"   // twice the memory that there is
	FaultLiesNICs      FaultKind = "lies-nics"     // the MACs are of another machine
	FaultReboot        FaultKind = "reboot"        // (at once) sessions and media are gone, then silence for Seconds
	FaultCertificate   FaultKind = "certificate"   // (at once) a new certificate
	FaultForeign       FaultKind = "foreign"       // (at once) somebody else's medium, at URL
)

// faultKinds are all of them.
var faultKinds = []FaultKind{
	FaultUnavailable, FaultReset, FaultUnauthorized, FaultSlow, FaultStuckTask, FaultStaleInserted, FaultEjectIgnored, FaultSessions,
	FaultWrongDevice, FaultLostOverride, FaultDeafPower, FaultMediaSlow, FaultMediaNever, FaultClock,
	FaultLiesSerial, FaultLiesUUID, FaultLiesMemory, FaultLiesNICs, FaultReboot, FaultCertificate, FaultForeign,
}

// Faults lists every kind.
func Faults() []FaultKind { return slices.Clone(faultKinds) }

// Fault is one failure to come.
type Fault struct {
	Kind FaultKind `json:"kind"`
	// Method and Path choose the requests that are struck: the method, and a
	// part of the path. Empty strikes all.
	Method string `json:"method,omitempty"`
	Path   string `json:"path,omitempty"`
	// Skip lets so many of them pass first; Times is how often it strikes, 0
	// until it is cleared.
	Skip  int `json:"skip,omitempty"`
	Times int `json:"times,omitempty"`
	// For is for how many seconds it stays; 0 until it is cleared.
	For     int    `json:"for,omitempty"`
	Seconds int    `json:"seconds,omitempty"`
	Status  int    `json:"status,omitempty"`
	URL     string `json:"url,omitempty"`

	until time.Time
}

// Fail makes the BMC fail from now on.
func (e *Emulator) Fail(f Fault) error {
	if !slices.Contains(faultKinds, f.Kind) {
		return fmt.Errorf("there is no fault %q; there are %v", f.Kind, faultKinds)
	}
	switch f.Kind {
	case FaultCertificate:
		return e.renewCertificate()
	case FaultReboot:
		return e.reboot(f.Seconds)
	case FaultForeign:
		e.plantForeign(f.URL)
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if f.For > 0 {
		f.until = e.opts.Now().Add(e.opts.seconds(f.For))
	}
	e.faults = append(e.faults, f)
	return nil
}

// Heal clears the faults of a kind, or all if none is named.
func (e *Emulator) Heal(kinds ...FaultKind) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.faults = slices.DeleteFunc(e.faults, func(f Fault) bool { return len(kinds) == 0 || slices.Contains(kinds, f.Kind) })
}

// fault uses a fault of a kind, if there is one.
func (e *Emulator) fault(k FaultKind) (Fault, bool) { return e.use(k, nil) }

// strike uses a fault of a kind that is meant for a request.
func (e *Emulator) strike(k FaultKind, r *http.Request) (Fault, bool) { return e.use(k, r) }

func (e *Emulator) use(k FaultKind, r *http.Request) (Fault, bool) {
	now := e.opts.Now()
	for i := range e.faults {
		f := &e.faults[i]
		if f.Kind != k || !f.meant(r) || !f.until.IsZero() && now.After(f.until) {
			continue
		}
		if f.Skip > 0 {
			f.Skip--
			continue
		}
		found := *f
		if f.Times == 1 {
			e.faults = slices.Delete(e.faults, i, i+1)
		} else if f.Times > 1 {
			f.Times--
		}
		return found, true
	}
	return Fault{}, false
}

func (f Fault) meant(r *http.Request) bool {
	return r == nil || (f.Method == "" || f.Method == r.Method) && strings.Contains(r.URL.Path, f.Path)
}

// reboot restarts the BMC, not the machine.
func (e *Emulator) reboot(seconds int) error {
	e.mu.Lock()
	e.auth.sessions, e.tasks = nil, nil
	real := false
	for _, s := range e.slots {
		real = real || s.medium != nil
		e.drop(s)
		s.ghost = false
	}
	e.mu.Unlock()
	if seconds > 0 {
		if err := e.Fail(Fault{Kind: FaultUnavailable, For: seconds}); err != nil {
			return err
		}
	}
	if !real {
		return nil
	}
	return e.machine.EjectMedium(e.ctx)
}

// plantForeign puts a medium in that no client of ours inserted.
func (e *Emulator) plantForeign(image string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, s := range e.slots {
		if s.rules.disc() && !s.rules.Dead && s.rules.Fails == "" {
			s.image, s.inserted, s.ghost = image, true, false
			return
		}
	}
}
