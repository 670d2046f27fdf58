package redfish

import (
	"slices"

	"github.com/muster-boot/muster/redfish/quirk"
)

// Working is the combination that a BMC took. Its caller keeps it as a fact of
// the host and gives it back in [Options]: it is tried first then. The zero
// value is that of a BMC that nothing is known of.
type Working struct {
	Slot     string        `json:"slot,omitempty"`   // path
	Fields   []quirk.Field `json:"fields,omitempty"` // sent beside Image
	Scheme   string        `json:"scheme,omitempty"` // of the medium's URL
	Target   string        `json:"target,omitempty"` // of the boot override
	Settings bool          `json:"settings,omitempty"`
	Full     bool          `json:"full,omitempty"`
}

// over lays what worked before over a row. A row's own boot targets stay: they
// are there because others are taken and do not boot.
func (k Working) over(q quirk.Quirk) quirk.Quirk {
	if k.Slot != "" {
		q.Media.Fields = k.Fields
	}
	if k.Scheme != "" {
		rest := q.Media.Schemes
		if len(rest) == 0 {
			rest = []string{"http", "https"}
		}
		q.Media.Schemes = slices.Concat([]string{k.Scheme}, slices.DeleteFunc(slices.Clone(rest), func(s string) bool { return s == k.Scheme }))
	}
	if k.Target != "" {
		q.Boot.Settings, q.Boot.Full = k.Settings, k.Full
	}
	return q
}

// works is what this run found to work.
func (m memory) works(s State, w Want, q quirk.Quirk) Working {
	var k Working
	if m.filled && m.try.slot < len(s.Slots) {
		slot := s.Slots[m.try.slot]
		k.Slot, k.Fields = slot.Path, m.try.fields
		if list := urls(w, slot, q); m.try.url < len(list) {
			k.Scheme = scheme(list[m.try.url])
		}
	}
	if ladder := writes(s.Boot, w, q); m.wrote && m.write < len(ladder) {
		step := ladder[m.write]
		k.Target, k.Settings, k.Full = step.target, step.settings, step.full
	}
	return k
}
