package redfish

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/muster-boot/muster/redfish/quirk"
)

// Outcome is what a run did.
type Outcome struct {
	State   State
	Working Working  // to be kept, and given in [Options] the next time
	Steps   []string // what was done and why, in order, for the journal
	Begun   bool     // nothing was done: an earlier run had begun this attempt's boot
}

// Power reads whether the host is on.
func (b *BMC) Power(ctx context.Context) (Power, error) {
	leave, err := b.enter(ctx)
	if err != nil {
		return Unknown, err
	}
	defer leave()
	var s State
	if err := b.lookSystem(ctx, &s, false); err != nil {
		return Unknown, fmt.Errorf("read the power of %s: %w", b.link.target.Address, err)
	}
	return s.Power, nil
}

// Look reads power, boot override and media slots.
func (b *BMC) Look(ctx context.Context) (State, error) {
	leave, err := b.enter(ctx)
	if err != nil {
		return State{}, err
	}
	defer leave()
	return b.look(ctx, BootMedium)
}

// SetPower brings the host's power to what is wanted and waits until it is.
// goal is one of PoweredOn, PoweredOff and ShutDown.
func (b *BMC) SetPower(ctx context.Context, goal Goal) error {
	_, err := b.Boot(ctx, Want{Goal: goal})
	return err
}

// Boot brings the host to a goal: off, eject, insert, override, on, each read
// back before the next. It may be called again after any failure or crash and
// goes on from what it finds. Done means that the host was switched on; that it
// booted what it should only the boot plane and the host itself can tell.
func (b *BMC) Boot(ctx context.Context, w Want) (Outcome, error) {
	leave, err := b.enter(ctx)
	if err != nil {
		return Outcome{}, err
	}
	defer leave()
	if w.Goal == BootMedium {
		if err := checkURLs(w.URLs); err != nil {
			return Outcome{}, err
		}
	}
	out, err := b.run(ctx, w)
	if err != nil {
		return out, fmt.Errorf("bring %s to %s: %w", b.link.target.Address, w.Goal, err)
	}
	return out, nil
}

// mostActs bounds a run: more than all ladders together need.
const mostActs = 100

// run looks, asks next, acts, and looks at what the act changed.
func (b *BMC) run(ctx context.Context, w Want) (Outcome, error) {
	s, err := b.look(ctx, w.Goal)
	if err != nil {
		return Outcome{}, err
	}
	q, o, pace := b.link.quirk, &b.link.options, b.link.options.Pace
	m := memory{try: tryIn(s.Slots, 0, q)}
	var out Outcome
	for acts, waited := 0, 0; acts < mostActs; {
		out.State, out.Working = s, m.works(s, w, q)
		a := next(s, w, m, q)
		switch a.do {
		case finish:
			out.Begun = len(out.Steps) == 0
			return out, nil
		case refuse:
			return out, a.fault
		case wait:
			if waited++; waited > pace.polls(pace.Settle) {
				m, waited = m.expired(a, s, w, q), 0
				continue
			}
			if err := o.wait(ctx, pace.Poll, a.why); err != nil {
				return out, err
			}
		case reset, eject, insert, override, enable:
			out.Steps = append(out.Steps, a.why)
			acts, waited = acts+1, 0
			r, err := b.perform(ctx, a, s, w)
			if err != nil && CauseOf(err) != Unreachable {
				return out, err
			}
			m = m.after(a, r, s, w, q)
			if !r.ok() {
				if err := o.wait(ctx, pace.Poll, fmt.Sprintf("%s; the BMC said: %s", a.why, r.words())); err != nil {
					return out, err
				}
			}
		}
		if err := b.lookAgain(ctx, a, &s); err != nil {
			return out, err
		}
	}
	return out, retry(Slow, fmt.Sprintf("the BMC did not come to it in %d steps", mostActs), nil)
}

// perform sends one act. The reply is the zero one if its answer got lost.
func (b *BMC) perform(ctx context.Context, a act, s State, w Want) (reply, error) {
	var r reply
	var err error
	switch a.do {
	case reset:
		r, err = b.link.call(ctx, http.MethodPost, b.reset, nil, map[string]string{"ResetType": b.resetType(a.power)})
	case eject:
		r, err = b.ejectSlot(ctx, a.slot)
	case insert:
		r, err = b.insertSlot(ctx, a, w)
	case enable: // AMI; its other clients send the same
		r, err = b.link.call(ctx, http.MethodPost, s.enable, nil, map[string]string{"RMediaState": "Enable"})
	case override:
		r, err = b.writeOverride(ctx, a.write, s.Boot, w)
	case finish, refuse, wait:
	}
	if err != nil {
		return reply{}, err
	}
	return b.link.settle(ctx, r)
}

// resetType is the wanted type, or its nearest that the BMC allows.
func (b *BMC) resetType(want string) string {
	instead := map[string]string{"On": "ForceOn", "ForceOff": "PowerOff", "GracefulShutdown": "PushPowerButton"}[want]
	if !slices.Contains(b.resets, want) && slices.Contains(b.resets, instead) {
		return instead
	}
	return want
}

// ejectSlot sends a body with each eject, as HPE wants one.
func (b *BMC) ejectSlot(ctx context.Context, s Slot) (reply, error) {
	switch {
	case way(s, b.link.quirk) == quirk.VmmControl:
		return b.link.call(ctx, http.MethodPost, s.eject, nil, map[string]string{"VmmControlType": "Disconnect"})
	case s.eject != "":
		return b.link.call(ctx, http.MethodPost, s.eject, nil, struct{}{})
	}
	return b.link.patch(ctx, s.Path, s.etag, map[string]any{"Image": nil, "Inserted": false})
}

func (b *BMC) insertSlot(ctx context.Context, a act, w Want) (reply, error) {
	how := way(a.slot, b.link.quirk)
	body := a.try.body(a.slot, urls(w, a.slot, b.link.quirk)[a.try.url], how)
	switch how {
	case quirk.Patch:
		return b.link.patch(ctx, a.slot.Path, a.slot.etag, body)
	case quirk.IsoConfig:
		r, err := b.link.patch(ctx, a.slot.Path, a.slot.etag, body)
		if err != nil || !r.ok() {
			return r, err
		}
		body = map[string]any{}
	case quirk.Action, quirk.VmmControl:
	}
	return b.link.call(ctx, http.MethodPost, a.slot.insert, nil, body)
}

func (b *BMC) writeOverride(ctx context.Context, write overrideWrite, shown Override, w Want) (reply, error) {
	path, etag := b.system, shown.etag
	switch {
	case write.oem == quirk.DellAttributes:
		path, etag = b.attributes, ""
	case write.settings && shown.pending != nil:
		path, etag = shown.settings, shown.pending.etag
	}
	return b.link.patch(ctx, path, etag, write.body(shown, w))
}

// look reads what a goal needs.
func (b *BMC) look(ctx context.Context, goal Goal) (State, error) {
	var s State
	boots := slices.Contains([]Goal{BootMedium, BootNetwork, BootHTTP, Cleared}, goal)
	if err := b.lookSystem(ctx, &s, boots); err != nil {
		return s, err
	}
	if goal != BootMedium && goal != Cleared {
		return s, nil
	}
	var err error
	s.Slots, err = b.lookSlots(ctx)
	s.enable = b.enable
	return s, err
}

// lookAgain reads what an act may have changed, or what a wait waits for.
func (b *BMC) lookAgain(ctx context.Context, a act, s *State) error {
	if a.do == eject || a.do == insert || (a.do == wait && (a.limit == forEject || a.limit == forInsert)) {
		i := slices.IndexFunc(s.Slots, func(sl Slot) bool { return sl.Path == a.slot.Path })
		o, r, err := b.link.get(ctx, a.slot.Path)
		if err != nil {
			return err
		}
		s.Slots[i] = newSlot(a.slot.Path, a.slot.Place, o, r)
		s.Slots[i].Usable = a.slot.Usable
		return nil
	}
	return b.lookSystem(ctx, s, a.do == override || a.limit == forOverride)
}

// lookSystem reads power and boot override, which are one resource, and with
// pending also what the settings object says.
func (b *BMC) lookSystem(ctx context.Context, s *State, pending bool) error {
	o, r, err := b.link.get(ctx, b.system)
	if err != nil {
		return err
	}
	s.Power = Power(o.Text("PowerState"))
	if !pending {
		return nil
	}
	s.Boot = newOverride(o, r)
	if b.link.quirk.Boot.OEM == quirk.DellAttributes {
		if o, _, err := b.link.get(ctx, b.attributes); err == nil {
			s.Boot.pending = dellOverride(o)
		}
		return nil
	}
	if s.Boot.settings == "" {
		return nil
	}
	o, r, err = b.link.get(ctx, s.Boot.settings)
	if CauseOf(err) == Refused {
		s.Boot.settings = "" // listed, and not there
		return nil
	}
	if err != nil {
		return err
	}
	p := newOverride(o, r)
	s.Boot.pending = &p
	s.Boot.exists = s.Boot.exists || p.exists
	if len(s.Boot.targets) == 0 {
		s.Boot.targets = p.targets
	}
	return nil
}

// lookSlots reads all slots of both places and sorts them, best first.
func (b *BMC) lookSlots(ctx context.Context) ([]Slot, error) {
	q := b.link.quirk
	places := q.Media.Places
	if len(places) == 0 {
		places = []quirk.Place{quirk.Systems, quirk.Managers}
	}
	var slots []Slot
	seen := map[string]bool{}
	for _, place := range places {
		owners := b.managers
		if place == quirk.Systems {
			owners = []string{b.system}
		}
		for _, owner := range owners {
			list, err := b.slotsOf(ctx, owner, place, seen)
			if err != nil {
				return nil, err
			}
			slots = append(slots, list...)
		}
	}
	return arrange(slots, q, b.link.options.Working.Slot), nil
}

// slotsOf reads the CD slots below one system or manager. What cannot be read
// costs that slot.
func (b *BMC) slotsOf(ctx context.Context, owner string, place quirk.Place, seen map[string]bool) ([]Slot, error) {
	o, _, err := b.link.get(ctx, owner)
	if err != nil {
		return nil, err
	}
	if path := action(o, "EnableRMedia"); path != "" {
		b.enable = path
	}
	collection := o.Link("VirtualMedia")
	if collection == "" || seen[collection] {
		return nil, nil
	}
	seen[collection] = true
	paths, err := b.link.members(ctx, collection)
	if err != nil && CauseOf(err) != Refused {
		return nil, err
	}
	var slots []Slot
	for _, path := range paths {
		key := strings.TrimSuffix(path, "/")
		if seen[key] {
			continue
		}
		seen[key] = true
		o, r, err := b.link.get(ctx, path)
		if CauseOf(err) == Refused {
			continue
		}
		if err != nil {
			return nil, err
		}
		if takesCD(o) {
			slots = append(slots, newSlot(path, place, o, r))
		}
	}
	return slots, nil
}

// arrange marks the slots that can be filled and that the row does not rule
// out, and puts them first: the one that worked, the row's order, then systems
// before managers as they were read, by path.
func arrange(slots []Slot, q quirk.Quirk, worked string) []Slot {
	list := slices.Clone(slots)
	for i, s := range list {
		_, ranked := q.Media.Rank(s.ID)
		list[i].Usable = ranked && way(s, q) != "" && !q.Media.Skips(s.ID)
	}
	rank := func(s Slot) (worst, place int) {
		r, _ := q.Media.Rank(s.ID)
		switch {
		case !s.Usable:
			r = len(q.Media.Slots) + 1
		case s.Path == worked:
			r = -1
		}
		return r, slices.IndexFunc(slots, func(first Slot) bool { return first.Place == s.Place })
	}
	slices.SortStableFunc(list, func(a, b Slot) int {
		aRank, aPlace := rank(a)
		bRank, bPlace := rank(b)
		return cmp.Or(aRank-bRank, aPlace-bPlace, strings.Compare(a.Path, b.Path))
	})
	return list
}
