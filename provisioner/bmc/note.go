package bmc

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/redfish"
)

// note is what is kept of a BMC from call to call, as [provisioner.BMC.Working].
type note struct {
	redfish.Working
	// Medium is the last boot from a medium that nobody has seen yet.
	Medium *mediumBoot `json:"medium,omitempty"`
	// Proven is a boot target by which this host has booted a medium, Avoid are
	// those by which it did not: some BMCs take both alike.
	Proven string   `json:"proven,omitempty"`
	Avoid  []string `json:"avoid,omitempty"`
}

// mediumBoot is a boot from a medium that a BMC says it has begun.
type mediumBoot struct {
	Attempt provisioner.AttemptID `json:"attempt"`
	Target  string                `json:"target"`
}

// readNote reads a note; one that cannot be read is none.
func readNote(b provisioner.BMC) note {
	var n note
	if len(b.Working) == 0 || json.Unmarshal(b.Working, &n) != nil {
		return note{}
	}
	return n
}

func (n note) write() json.RawMessage {
	text, err := json.Marshal(n)
	if err != nil {
		return nil // it holds words only
	}
	return text
}

// started is the note when a boot from a medium has begun. An outcome without a
// slot is of a boot that was begun before.
func (n note) started(attempt provisioner.AttemptID, w redfish.Working) note {
	if w.Slot == "" {
		return n
	}
	n.Working = w
	n.Medium = &mediumBoot{Attempt: attempt, Target: w.Target}
	return n
}

// learn looks at what became of the last boot from a medium. A BMC can take a
// boot target and start the disk; only the host shows that, by never showing
// itself in that attempt. now is the present attempt.
func (n note) learn(h provisioner.Host, now provisioner.AttemptID) note {
	m := n.Medium
	switch {
	case m == nil:
	case shown(h.Facts, m.Attempt):
		n.Medium, n.Proven, n.Avoid = nil, m.Target, nil
	case m.Attempt != now:
		n.Medium = nil
		if m.Target != n.Proven && !slices.Contains(n.Avoid, m.Target) {
			n.Avoid = append(slices.Clone(n.Avoid), m.Target)
		}
	}
	return n
}

// shown reports whether a host was heard of that its medium of an attempt
// started. That the medium was read is no sign: BMCs read it before anything
// boots. Nor is a scout that came by the network; one that came by a medium may
// have reported once more since.
func shown(f provisioner.Facts, attempt provisioner.AttemptID) bool {
	return f.Report != nil && f.Report.Report.Firmware.Medium && (f.Report.Attempt == attempt || f.Report.Received.After(begun(f, attempt))) ||
		f.Booted != nil && f.Booted.Attempt == attempt ||
		f.Registration != nil && f.Registration.Attempt == attempt ||
		slices.ContainsFunc(f.Steps, func(s provisioner.Step) bool {
			return s.Attempt == attempt && !slices.Contains(otherwise, s.Stage)
		})
}

// read tells whether bytes of an attempt's medium were fetched, or the host
// itself was heard of.
func read(f provisioner.Facts, attempt provisioner.AttemptID) bool {
	return shown(f, attempt) || slices.ContainsFunc(f.Progress, func(p provisioner.Progress) bool {
		return p.Attempt == attempt && p.Stage == provisioner.StageMedium && p.Bytes > 0
	}) || slices.ContainsFunc(f.Steps, func(s provisioner.Step) bool {
		return s.Attempt == attempt && s.Stage == provisioner.StageMedium
	})
}

// otherwise are stages that a host shows which did not start its medium.
var otherwise = []string{
	provisioner.StageMedium, provisioner.StageScript, provisioner.StageKernel, provisioner.StageRootfs, provisioner.StageKexec,
}

// begun is when a boot from an attempt's medium was begun; later than anything
// if it is not known.
func begun(f provisioner.Facts, attempt provisioner.AttemptID) time.Time {
	for _, e := range f.Errands {
		if e.Attempt == attempt && e.Do == provisioner.ErrandMedium {
			return e.Began
		}
	}
	return time.Unix(1<<40, 0)
}
