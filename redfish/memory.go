package redfish

import (
	"fmt"
	"maps"

	"github.com/muster-boot/muster/redfish/quirk"
)

// Bounds on what is repeated within one run.
const (
	mostResets = 3
	mostEjects = 3
	mostPOSTs  = 40 // times Pace.Poll: a server's POST may take minutes
)

// after is the memory once an act was answered. An answer that got lost
// (status 0) counts as taken: what reads back decides, and nothing that may
// have acted is sent twice unseen.
func (m memory) after(a act, r reply, s State, w Want, q quirk.Quirk) memory {
	taken := r.ok() || r.status == 0
	switch a.do {
	case reset:
		if taken {
			m.commanded = aim(a.power)
			return m
		}
		m.resets++
		if m.resets >= mostResets || final(r.cause(q)) {
			m.given = r.fault("switch the power", q)
		}
	case eject:
		m.ejected = maps.Clone(m.ejected)
		if m.ejected == nil {
			m.ejected = map[string]bool{}
		}
		m.ejected[a.slot.Path] = true // also if refused: a slot that is empty is what counts
		if !taken && a.slot.Connected() && final(r.cause(q)) {
			m.given = r.fault("eject the medium", q)
		}
	case enable:
		m.enabled = true
	case insert:
		if m.filled = taken; !taken && s.enable != "" && !m.disabled && r.cause(q) == MediaOff {
			m.disabled = true
			return m
		}
		if !taken {
			return m.tryNext(r, s, w, q)
		}
	case override:
		m.wrote = taken
		if !taken {
			return m.writeNext(r, s, w, q)
		}
	case finish, refuse, wait:
	}
	return m
}

// expired is the memory once a wait was in vain.
func (m memory) expired(a act, s State, w Want, q quirk.Quirk) memory {
	switch a.limit {
	case forPower:
		if m.resets++; m.resets >= mostResets || w.Goal == ShutDown {
			m.given = retry(Slow, fmt.Sprintf("the host should be %s and is %q: look at its power supply, or at what its operating system is doing", m.commanded, s.Power), nil)
		}
		m.commanded = ""
	case forEject:
		m.ejected = maps.Clone(m.ejected)
		delete(m.ejected, a.slot.Path)
		if m.ejects++; m.ejects >= mostEjects {
			m.given = retry(Slow, fmt.Sprintf("slot %s shows a medium (%s) after %d ejects; eject it in the BMC's web page, or restart the BMC", a.slot.ID, a.slot.Image, m.ejects), nil)
		}
	case forInsert:
		m.filled = false
		return m.tryNext(reply{}, s, w, q)
	case forOverride:
		m.write, m.wrote = m.write+1, false // when the ladder ends, next says so
	}
	return m
}

// tryNext goes on to the next way to insert. Where the last may have acted, the
// slot is emptied again first.
func (m memory) tryNext(r reply, s State, w Want, q quirk.Quirk) memory {
	const conflict, internal = 409, 500
	if r.status == 0 || r.status == conflict || r.status >= internal {
		m.ejected = maps.Clone(m.ejected)
		delete(m.ejected, s.Slots[m.try.slot].Path)
	}
	m.try, m.given = m.try.after(r, s, w, q)
	return m
}

// writeNext goes on to the next way to write the override, or stays while the
// host starts.
func (m memory) writeNext(r reply, s State, w Want, q quirk.Quirk) memory {
	cause := r.cause(q)
	if cause == POST {
		if m.posts++; m.posts > mostPOSTs {
			m.given = r.fault("set the boot override", q)
		}
		return m
	}
	if m.write++; final(cause) || m.write >= len(writes(s.Boot, w, q)) {
		m.given = r.fault("set the boot override", q)
	}
	return m
}

// final reports whether another way would be refused alike.
func final(c Cause) bool {
	switch c {
	case Licence, MediaOff, Rights, WrongPassword, NewPassword:
		return true
	case Unreachable, Busy, Slow, Sessions, Certificate, NoMedia, Scheme, ForeignMedium, POST, SeveralSystems, Refused, BadTarget:
	}
	return false
}

// aim is the state that a ResetType leads to.
func aim(resetType string) Power {
	if resetType == "On" {
		return On
	}
	return Off
}
