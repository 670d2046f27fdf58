// Package lifecycle is the one brain of the engine: an ordered table that says
// which move a host makes next, and what a boot client is offered.
//
// Everything in it is a pure function of a host and the time: no logger, no
// clock, no context, no I/O, and no memory of what was asked before. It never
// acts; engine commits its moves and does the duties. Start at [Next] and the
// table in table.go; docs/lifecycle.md is the table's own drawing.
package lifecycle

import (
	"slices"
	"time"

	"github.com/muster-boot/muster/inventory/profile"
	"github.com/muster-boot/muster/provisioner"
)

// MaxTries is how many attempts of a host may fail before a person must speak.
const MaxTries = 3

// Move is one step of a host along the table.
type Move struct {
	From, To provisioner.Phase
	Why      string // a sentence for people; never empty
	Exit     Exit
	Effect   Effect
}

// Exit says by what a rule leaves its phase.
type Exit string

// The ways out of a phase. Every working phase has all of Success, Deadline and
// Operator; a test holds the table to it.
const (
	Success  Exit = "success"
	Deadline Exit = "deadline"
	Operator Exit = "operator"
	Refusal  Exit = "refusal" // the hardware said no
	Failure  Exit = "failure" // the attempt itself said that it did not work
)

// Effect is what a move changes beside the phase.
type Effect struct {
	Findings []profile.Finding // of the verdict, with moves out of verifying
	Disk     string            // by-id name, with moves to installing
	Handled  provisioner.Requests
	Erase    bool // a person granted erasing to the next install attempt
	Reset    bool // a person spoke: tries count from zero
	// Unreached is a way by which the image did not reach the host, with moves to
	// failed.
	Unreached provisioner.Way
}

// Next returns the move that h makes at now, by the first rule that matches;
// false when it stays where it is.
func Next(h provisioner.Host, now time.Time) (Move, bool) {
	for _, r := range table {
		if !r.from(h.Status.Phase) {
			continue
		}
		if why, ok := r.If(h, now); ok {
			m := Move{From: h.Status.Phase, To: r.To, Why: why, Exit: r.Exit}
			if r.Effect != nil {
				m.Effect = r.Effect(h)
			}
			return m, true
		}
	}
	return Move{}, false
}

// Mint is what a move may need that is not derived: fresh identities, made by
// the caller so that [Apply] stays pure.
type Mint struct {
	Attempt provisioner.AttemptID
	Token   provisioner.Secret // of an attempt
	Key     provisioner.Secret // of a scout's run
}

// Deadlines are how long a host may stay in each working phase.
type Deadlines struct {
	Discover, Verify, Install, Register time.Duration
}

// Apply returns h after move m at now. Only what the phase it enters needs is
// taken from mint.
func Apply(h provisioner.Host, m Move, now time.Time, d Deadlines, mint Mint) provisioner.Host {
	s, was := &h.Status, h.Status.Attempt.ID
	s.Before = ""
	if m.To == provisioner.Quarantined {
		s.Before = m.From
	}
	s.Phase, s.Since, s.Why = m.To, now, m.Why
	s.Deadline = deadline(h, now, d)
	s.Handled = raise(s.Handled, m.Effect.Handled)
	if m.Effect.Reset {
		s.Tries, s.Erase, s.Unreached = 0, m.Effect.Erase, nil
	}
	if way := m.Effect.Unreached; way != "" && !slices.Contains(s.Unreached, way) {
		s.Unreached = append(slices.Clone(s.Unreached), way)
	}
	if m.Effect.Findings != nil || m.To == provisioner.Ready {
		s.Findings = m.Effect.Findings
	}
	begin(s, m, now, mint)
	if s.Attempt.ID != was {
		h.Facts.Progress = nil // it was the last attempt's
	}
	return h
}

// begin opens the attempt and the keys that the entered phase works with.
func begin(s *provisioner.Status, m Move, now time.Time, mint Mint) {
	switch m.To {
	case provisioner.Discovered:
		s.Attempt = provisioner.Attempt{ID: mint.Attempt, Phase: m.To, Began: now, Token: mint.Token}
		s.Findings = nil
		if s.Key == "" { // else a scout may be running with it
			s.Key = mint.Key
		}
	case provisioner.Verifying:
		s.Attempt = provisioner.Attempt{ID: mint.Attempt, Phase: m.To, Began: now, Token: mint.Token}
	case provisioner.Installing:
		s.Attempt = provisioner.Attempt{ID: mint.Attempt, Phase: m.To, Began: now,
			Token: mint.Token, Disk: m.Effect.Disk, Erase: s.Erase}
		s.Erase = false
	case provisioner.Installed, provisioner.Registered, provisioner.Shipped:
		s.Key = ""
	case provisioner.Failed, provisioner.Quarantined:
		s.Erase = false // it was granted to this run
		if m.To == provisioner.Failed {
			s.Tries++
		}
		if s.Key == "" {
			s.Key = mint.Key
		}
	case provisioner.Unknown, provisioner.Expected, provisioner.Ready:
	}
}

func deadline(h provisioner.Host, now time.Time, d Deadlines) time.Time {
	switch h.Status.Phase {
	case provisioner.Discovered:
		return now.Add(d.Discover)
	case provisioner.Verifying:
		return now.Add(d.Verify)
	case provisioner.Installing:
		return now.Add(d.Install)
	case provisioner.Installed:
		return now.Add(d.Register)
	case provisioner.Unknown, provisioner.Expected, provisioner.Ready, provisioner.Registered, provisioner.Shipped,
		provisioner.Failed, provisioner.Quarantined:
	}
	return time.Time{}
}

// Due is when h must be looked at again if nothing happens; zero where it waits
// for a person, or for its BMC, whose errands have bounds of their own.
func Due(h provisioner.Host) time.Time {
	_, starting := BootOpen(h)
	switch {
	case h.Status.Phase == provisioner.Discovered && reportIsCurrent(h):
		return time.Time{}
	case h.Status.Deadline.IsZero():
		return time.Time{}
	case working(h) && (starting || turnAwaited(h)):
		return time.Time{}
	case h.Status.Phase == provisioner.Installing:
		return dueInstall(h)
	case h.Status.Phase == provisioner.Installed:
		return dueReceipt(h)
	}
	return dueStarted(h)
}

// working are the phases in which a BMC starts its host.
func working(h provisioner.Host) bool {
	switch h.Status.Phase {
	case provisioner.Discovered, provisioner.Verifying, provisioner.Installing:
		return true
	case provisioner.Unknown, provisioner.Expected, provisioner.Ready, provisioner.Installed, provisioner.Registered,
		provisioner.Shipped, provisioner.Failed, provisioner.Quarantined:
	}
	return false
}

// dueStarted is the deadline of h, counted from when its BMC started it.
func dueStarted(h provisioner.Host) time.Time {
	due := h.Status.Deadline
	for _, e := range h.Facts.Errands {
		if after := e.Done.Add(due.Sub(h.Status.Since)); Boots(e.Do) && e.Attempt == h.Status.Attempt.ID && after.After(due) {
			return after
		}
	}
	return due
}

// Bounds of how bytes that flow put the install deadline off.
const (
	flowPatience = 2 * time.Minute // after the last byte
	maxStretch   = 12              // times as long as the phase may take without: a transfer that always begins again ends too
)

// dueInstall is the deadline of h, or somewhat after the last byte that it was
// given where that is later: a BMC may read an ISO for hours.
func dueInstall(h provisioner.Host) time.Time {
	due := dueStarted(h)
	last := h.Status.Since.Add(maxStretch * h.Status.Deadline.Sub(h.Status.Since))
	for _, p := range h.Facts.Progress {
		if flows := p.At.Add(flowPatience); p.Attempt == h.Status.Attempt.ID && flows.After(due) {
			due = flows
		}
	}
	if due.After(last) {
		return last
	}
	return due
}

// raise never lowers a counter, so an old move cannot undo what was handled.
func raise(have, to provisioner.Requests) provisioner.Requests {
	return provisioner.Requests{
		Retry:     max(have.Retry, to.Retry),
		Release:   max(have.Release, to.Release),
		Reinstall: max(have.Reinstall, to.Reinstall),
	}
}
