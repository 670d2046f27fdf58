package redfish

import (
	"fmt"
	"slices"
	"strings"

	"github.com/muster-boot/muster/redfish/quirk"
)

// Goal is what a host is to come to.
type Goal string

// The goals. The three that boot end with the power on.
const (
	BootMedium  Goal = "boot-medium"  // once, from the ISO at Want.URLs
	BootNetwork Goal = "boot-network" // once, by PXE
	BootHTTP    Goal = "boot-http"    // once, by UEFI HTTP from Want.URLs[0], or the DHCP's if there is none
	Cleared     Goal = "cleared"      // our media out, no override; the power is not touched
	PoweredOn   Goal = "powered-on"
	PoweredOff  Goal = "powered-off" // by force
	ShutDown    Goal = "shut-down"   // by asking the operating system, which may refuse
)

// Want is a goal with what it needs.
type Want struct {
	Goal Goal
	// URLs name the same ISO, by http and https, best first. They are new for
	// each attempt: a slot that has one was filled by this attempt.
	URLs []string
	Mode Mode // "" leaves it
	// Ours tells by its URL whether a medium is muster's, of any attempt. Nil:
	// only URLs are. Another medium is asked about before it is ejected.
	Ours         func(image string) bool
	EjectForeign bool // a person allowed it
	// Read says that the ISO was read, by the BMC or the host: a host that is on
	// with it in has begun its boot. One that nobody read from, as while its
	// server was away, is started again.
	Read bool
	// Avoid names boot targets that a BMC of this host took and that did not
	// boot the medium, so that the next attempt takes another.
	Avoid []string
}

// verb is a kind of act.
type verb int

const (
	finish verb = iota
	refuse
	wait
	reset
	eject
	insert
	override
	enable // virtual media, which are switched off in the BMC
)

// act is what is to be done next, and why.
type act struct {
	do    verb
	why   string
	limit limit         // of a wait
	slot  Slot          // of eject and insert
	power string        // of reset: a ResetType (DSP0268 Resource)
	try   try           // of insert
	write overrideWrite // of override
	fault *Fault        // of refuse
}

// limit says what a wait waits for.
type limit int

const (
	forPower limit = iota
	forEject
	forInsert
	forOverride
)

// memory is what this run has done. It is empty when a run begins, also after a
// crash: whoever looks at a host that is off and has our medium in ejects and
// inserts it again, as some BMCs say that a medium is in which is not.
type memory struct {
	commanded Power // by a reset that was taken
	resets    int   // that did not help
	ejected   map[string]bool
	ejects    int // that did not help
	try       try
	filled    bool // an insert was taken
	write     int  // of the ladder
	wrote     bool // that write was taken
	posts     int  // refusals because of POST
	disabled  bool // virtual media were found switched off
	enabled   bool // and were told to be on
	given     *Fault
}

// next decides. It looks at the state first and at the memory second, so it
// goes on rightly after a crash between any two acts: off, eject, insert,
// override, on, each believed only when it reads back.
func next(s State, w Want, m memory, q quirk.Quirk) act {
	if m.given != nil {
		return act{do: refuse, fault: m.given}
	}
	switch w.Goal {
	case PoweredOn:
		return power(s, m, On, "On")
	case PoweredOff:
		return power(s, m, Off, "ForceOff")
	case ShutDown:
		return power(s, m, Off, "GracefulShutdown")
	case Cleared:
		return tidy(s, w, m, q)
	case BootMedium, BootNetwork, BootHTTP:
		return boot(s, w, m, q)
	}
	return act{do: refuse, fault: operator(BadTarget, fmt.Sprintf("%q is no goal", w.Goal))}
}

// boot is the safest order of all BMCs: nothing changes on a host that runs.
func boot(s State, w Want, m memory, q quirk.Quirk) act {
	if m.commanded == On {
		return power(s, m, On, "On")
	}
	if w.Goal == BootMedium && w.Read && m.commanded == "" && s.Power == On && slices.ContainsFunc(s.Slots, func(sl Slot) bool { return holdsAny(sl, w.URLs) }) {
		return act{do: finish, why: "the host is on with this attempt's medium in, which was read: its boot was begun before"}
	}
	if f := impossible(s, w, m, q); f != nil {
		return act{do: refuse, fault: f}
	}
	if s.Power != Off {
		return power(s, m, Off, "ForceOff")
	}
	if w.Goal == BootMedium {
		if a, needed := medium(s, w, m, q); needed {
			return a
		}
	}
	if a, needed := overridden(s, w, m, q); needed {
		return a
	}
	return act{do: reset, power: "On", why: "the override reads back, the host is started"}
}

// impossible says why not, before anything is touched.
func impossible(s State, w Want, m memory, q quirk.Quirk) *Fault {
	if !s.Boot.exists && q.Boot.OEM == "" {
		return operator(Refused, "this BMC cannot choose what the host boots: set the boot order in the firmware, or start the host by hand")
	}
	if w.Goal == BootHTTP && len(s.Boot.targets) > 0 && !slices.Contains(s.Boot.targets, "UefiHttp") {
		return operator(Refused, "this BMC does not offer UEFI HTTP boot (in legacy mode some do not list it); boot the host by PXE or from a medium")
	}
	if w.Goal != BootMedium {
		return nil
	}
	if q.Media.Refuse != "" {
		return operator(NoMedia, q.Media.Refuse)
	}
	if len(usable(s.Slots)) == 0 {
		return operator(NoMedia, "this BMC has no slot that takes a CD from a URL (a licence or newer firmware may bring one): boot this host by PXE")
	}
	if len(urls(w, s.Slots[0], q)) == 0 {
		taken := schemes(s.Slots[0], q)
		remedy := "boot this host by PXE"
		if slices.Contains(taken, "https") {
			remedy = "set up the boot plane's https, or " + remedy
		}
		return operator(Scheme, fmt.Sprintf("this BMC takes media by %s only, and muster gives none by that: %s", strings.Join(taken, " or "), remedy))
	}
	return foreign(s, w, m)
}

// foreign asks about a medium that somebody else put in, and about one that
// only its viewer can take out.
func foreign(s State, w Want, m memory) *Fault {
	for _, sl := range s.Slots {
		switch {
		case !sl.Connected() || m.ejected[sl.Path] || holdsAny(sl, w.URLs) || (w.Ours != nil && w.Ours(sl.Image)):
		case sl.eject == "" && !sl.Usable:
			return operator(ForeignMedium, fmt.Sprintf("slot %s holds a medium (%s) that only the one who put it in can take out: close that viewer", sl.ID, sl.Image))
		case strings.Contains(sl.Image, "://") && !w.EjectForeign:
			f := operator(ForeignMedium, fmt.Sprintf("somebody else's medium is in slot %s: %s; eject it, or allow muster to eject it", sl.ID, sl.Image))
			f.Medium = sl.Image
			return f
		}
	}
	return nil
}

// power brings the host on or off. A reset that was taken and whose effect is
// awaited is not repeated.
func power(s State, m memory, want Power, resetType string) act {
	switch {
	case s.Power == want:
		return act{do: finish, why: "the host is " + string(want)}
	case m.commanded == want:
		return act{do: wait, limit: forPower, why: fmt.Sprintf("the host is told to be %s and is %q", want, s.Power)}
	}
	return act{do: reset, power: resetType, why: fmt.Sprintf("the host is %q and is to be %s", s.Power, want)}
}

// medium empties all slots, then fills one. A medium that is in is ejected even
// if its URL is ours, and a slot that seems empty too: what BMCs say of it is
// not believed before they were told.
func medium(s State, w Want, m memory, q quirk.Quirk) (act, bool) {
	chosen := s.Slots[m.try.slot]
	for _, sl := range s.Slots {
		mine := sl.Path == chosen.Path
		if mine && m.filled {
			continue
		}
		if !m.ejected[sl.Path] && (sl.Connected() || (mine && sl.eject != "")) {
			return act{do: eject, slot: sl, why: "slot " + sl.ID + " is emptied first"}, true
		}
		if sl.Connected() {
			return act{do: wait, limit: forEject, slot: sl, why: "slot " + sl.ID + " still has a medium"}, true
		}
	}
	if m.disabled && !m.enabled {
		return act{do: enable, slot: chosen, why: "virtual media are switched on in the BMC"}, true
	}
	if !m.filled {
		return act{do: insert, slot: chosen, try: m.try, why: "the medium goes into slot " + chosen.ID}, true
	}
	if chosen.silent() {
		return act{}, false // there is nothing to wait for; the boot plane sees whether it is read
	}
	if !chosen.Connected() || (chosen.Image != "" && !holdsAny(chosen, w.URLs)) {
		return act{do: wait, limit: forInsert, slot: chosen, why: "slot " + chosen.ID + " does not show the medium yet"}, true
	}
	return act{}, false
}

// overridden writes the override and waits until it reads back.
func overridden(s State, w Want, m memory, q quirk.Quirk) (act, bool) {
	ladder := writes(s.Boot, w, q)
	if m.write >= len(ladder) {
		return act{do: refuse, fault: operator(Refused, fmt.Sprintf("the BMC took the boot override and shows another (target %q, %q): set the boot order in the firmware, or boot this host by PXE", s.Boot.Target, s.Boot.Enabled))}, true
	}
	write := ladder[m.write]
	if !m.wrote {
		return act{do: override, write: write, why: "the host boots " + write.target + " once"}, true
	}
	if !write.holds(s.Boot) {
		return act{do: wait, limit: forOverride, why: fmt.Sprintf("the override does not read back yet: target %q, %q, mode %q", s.Boot.Target, s.Boot.Enabled, s.Boot.Mode)}, true
	}
	return act{}, false
}

// tidy takes our media out and the override away.
func tidy(s State, w Want, m memory, q quirk.Quirk) act {
	for _, sl := range s.Slots {
		if !sl.Connected() || !(holdsAny(sl, w.URLs) || (w.Ours != nil && w.Ours(sl.Image))) {
			continue
		}
		if !m.ejected[sl.Path] {
			return act{do: eject, slot: sl, why: "the medium is not needed any more"}
		}
		return act{do: wait, limit: forEject, slot: sl, why: "slot " + sl.ID + " still has a medium"}
	}
	if a, needed := overridden(s, w, m, q); needed && s.Boot.exists && !normal(s.Boot) {
		return a
	}
	return act{do: finish, why: "no medium of muster's is in and no override waits"}
}

// normal reports whether the next boot is as the firmware's own order says.
func normal(b Override) bool {
	pending := b.pending == nil || normal(*b.pending)
	return pending && (b.Enabled == "Disabled" || b.Target == "None" || b.Target == "" || b.Target == "Hdd")
}

// holdsAny reports whether a slot has one of the URLs.
func holdsAny(s Slot, urls []string) bool {
	return s.Connected() && slices.ContainsFunc(urls, func(u string) bool { return sameFile(s.Image, u) })
}

// sameFile compares what a BMC shows with a URL. BMCs rewrite the scheme or cut
// the host off, some show the end of the path only; the path holds the
// attempt's token.
func sameFile(image, url string) bool {
	shown, whole := pathOf(image), pathOf(url)
	if strings.Contains(image, "://") {
		return shown == whole
	}
	return shown != "" && (shown == whole || strings.HasSuffix(whole, "/"+shown))
}

// pathOf is the path of a URL, or of what a BMC left of one.
func pathOf(url string) string {
	if _, rest, ok := strings.Cut(url, "://"); ok {
		_, url, _ = strings.Cut(rest, "/")
	}
	return strings.Trim(url, "/")
}
