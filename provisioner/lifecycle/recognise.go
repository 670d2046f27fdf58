package lifecycle

import (
	"fmt"
	"slices"

	"github.com/muster-boot/muster/inventory"
	"github.com/muster-boot/muster/inventory/manifest"
	"github.com/muster-boot/muster/provisioner"
)

// Recognition is what a host's keys say of who it is.
type Recognition struct {
	// Row is the listed host, never seen itself, that this one is; empty where
	// nothing is to be joined.
	Row      provisioner.HostID
	Sentence string // how it was recognised
	// Conflict says why nobody may guess, and With names the others concerned.
	Conflict string
	With     []provisioner.HostID
	// Port is the host whose second network port this record is; empty where
	// nothing is to be removed.
	Port provisioner.HostID
}

// ListsUUID tells whether h's row lists this UUID, in either byte order. Makers
// give one UUID to many boards, so only a UUID that a person wrote down names a
// host before it has reported.
func ListsUUID(h provisioner.Host, uuid string) bool {
	same, _ := inventory.SameUUID(h.Intent.Row.UUID, uuid)
	return same
}

// Recognise compares what was seen of h with every other host. It is run again
// at each change of either and remembers nothing, so a corrected manifest or a
// removed host resolves what it caused.
func Recognise(h provisioner.Host, others []provisioner.Host) Recognition {
	keys := seenKeys(h)
	if len(keys) == 0 {
		return Recognition{}
	}
	if whole := portOf(h, others); whole != "" {
		return Recognition{Port: whole}
	}
	if twin, what := twinOf(h, others); twin != "" {
		return Recognition{With: []provisioner.HostID{twin}, Conflict: fmt.Sprintf(
			"This host and %s both say they have %s. Look at both labels; remove the record of the one that is gone with: muster host rm ID", twin, what)}
	}
	if other, why := claimed(h, others); other != "" {
		return Recognition{With: []provisioner.HostID{other}, Conflict: why}
	}
	byID := map[string]provisioner.Host{}
	var rows []manifest.Expected
	for _, o := range append([]provisioner.Host{h}, others...) {
		if o.Intent.Order != "" {
			byID[string(o.ID)] = o
			rows = append(rows, expected(o))
		}
	}
	return recognition(h, manifest.Match(rows, keys), byID)
}

// portOf finds the host that reported every address under which h, which is in
// no order and runs no scout, was seen: h is that host's other port.
func portOf(h provisioner.Host, others []provisioner.Host) provisioner.HostID {
	if h.Intent.Order != "" || h.Facts.Report != nil || h.Facts.Scout != nil || h.Facts.Sighting == nil {
		return ""
	}
	for _, o := range others {
		if o.Facts.Report == nil {
			continue
		}
		foreign := func(mac string) bool { return !hasAny(o.Facts.Report.Report.NICs, []string{mac}) }
		if !slices.ContainsFunc(h.Facts.Sighting.MACs, foreign) {
			return o.ID
		}
	}
	return ""
}

// recognition turns the match of h's keys into what to do about h.
func recognition(h provisioner.Host, m manifest.Result, listed map[string]provisioner.Host) Recognition {
	switch m.Verdict {
	case manifest.NoMatch:
		return Recognition{}
	case manifest.Matched:
		return matchedRow(h, listed[m.ID], m.Sentence)
	case manifest.Conflicted:
		return conflictedRows(h, m)
	}
	return Recognition{}
}

func matchedRow(h, row provisioner.Host, sentence string) Recognition {
	switch {
	case row.ID == h.ID:
		return Recognition{}
	case h.Intent.Order != "":
		// h has a row of its own; the other one is a line that lists it twice.
		return Recognition{With: []provisioner.HostID{row.ID}, Conflict: fmt.Sprintf(
			"This host is listed as %s, but its keys are those of %s: correct the manifest and import it again.", h.ID, row.ID)}
	case len(seenKeys(row)) > 0:
		return Recognition{With: []provisioner.HostID{row.ID}, Conflict: fmt.Sprintf(
			"Its keys are those of %s, which was seen already as another machine. Look at both labels, and correct the manifest.", row.ID)}
	}
	return Recognition{Row: row.ID, Sentence: sentence}
}

// conflictedRows leaves to verification what concerns h's own row alone: there
// it becomes a finding with slot, expected and seen.
func conflictedRows(h provisioner.Host, m manifest.Result) Recognition {
	r := Recognition{Conflict: m.Sentence}
	for _, hit := range m.Hits {
		if id := provisioner.HostID(hit.ID); id != h.ID {
			r.With = append(r.With, id)
		}
	}
	if len(r.With) == 0 {
		return Recognition{}
	}
	return r
}

// claimed finds another host, in no order, that reported keys of h's row though
// h itself was seen: both stop until a person has looked.
func claimed(h provisioner.Host, others []provisioner.Host) (provisioner.HostID, string) {
	if h.Intent.Order == "" {
		return "", ""
	}
	for _, o := range others {
		if o.Intent.Order != "" || o.Facts.Report == nil {
			continue
		}
		if m := manifest.Match([]manifest.Expected{expected(h)}, seenKeys(o)); m.Verdict == manifest.Matched {
			return o.ID, fmt.Sprintf("%s, which is in no order, has keys of this host's row. Look at both labels, and correct the manifest.", o.ID)
		}
	}
	return "", ""
}

// twinOf finds another host that was seen with the same serial or UUID.
func twinOf(h provisioner.Host, others []provisioner.Host) (id provisioner.HostID, what string) {
	if h.Facts.Report == nil {
		return "", ""
	}
	mine := h.Facts.Report.Report.System
	for _, o := range others {
		if o.Facts.Report == nil {
			continue
		}
		theirs := o.Facts.Report.Report.System
		if s := inventory.NormalSerial(mine.Serial); s != "" && s == inventory.NormalSerial(theirs.Serial) {
			return o.ID, "serial " + mine.Serial
		}
		if same, _ := inventory.SameUUID(mine.UUID, theirs.UUID); same {
			return o.ID, "UUID " + mine.UUID
		}
	}
	return "", ""
}

// seenKeys is what h showed of itself, and to whom.
func seenKeys(h provisioner.Host) []manifest.Key {
	var keys []manifest.Key
	if s := h.Facts.Sighting; s != nil {
		for _, mac := range s.MACs {
			keys = append(keys, manifest.Key{Kind: manifest.MAC, Value: mac, Source: "dhcp"})
		}
		keys = append(keys, manifest.Key{Kind: manifest.UUID, Value: s.UUID, Source: "dhcp"})
	}
	if f := h.Facts.Report; f != nil {
		keys = append(keys,
			manifest.Key{Kind: manifest.Serial, Value: f.Report.System.Serial, Source: "scout"},
			manifest.Key{Kind: manifest.UUID, Value: f.Report.System.UUID, Source: "scout"})
		for _, n := range f.Report.NICs {
			keys = append(keys, manifest.Key{Kind: manifest.MAC, Value: n.MAC, Source: "scout"})
		}
	}
	return keys
}

// expected is what h will show. What its BMC tells counts as if the row said it,
// where the row is silent: junk of it is left out as anybody's is.
func expected(h provisioner.Host) manifest.Expected {
	r := h.Listed()
	return manifest.Expected{ID: string(h.ID), Row: manifest.Row{
		Line: r.Line, Serial: r.Serial, UUID: r.UUID, MACs: r.MACs, Name: r.Name,
	}}
}
