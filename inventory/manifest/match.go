package manifest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/muster-boot/muster/inventory"
)

// Expected is one row that a host may turn out to be. ID is the caller's and
// unique.
type Expected struct {
	ID string
	Row
}

// Kind is what a key is made of.
type Kind string

// The kinds of keys, strongest first.
const (
	Serial Kind = "serial"
	UUID   Kind = "uuid"
	MAC    Kind = "mac"
)

// weight orders the kinds: a serial is printed on the host and is what was
// ordered; a UUID changes with the board and is copied by careless makers; a
// MAC goes with a card.
func (k Kind) weight() int {
	switch k {
	case Serial:
		return 100
	case UUID:
		return 60
	case MAC:
		return 40
	}
	return 0
}

// Key is something that was seen of a host, and by whom ("dhcp", "smbios",
// "board", "bmc"). A host may show several of one kind.
type Key struct {
	Kind   Kind
	Value  string
	Source string
}

// Verdict is how a match ended.
type Verdict int

// The verdicts.
const (
	NoMatch    Verdict = iota // no row has any of the keys
	Matched                   // one row, and nothing stronger speaks against it
	Conflicted                // nobody may guess; the sentence says what to correct
)

func (v Verdict) String() string {
	switch v {
	case NoMatch:
		return "no match"
	case Matched:
		return "matched"
	case Conflicted:
		return "conflict"
	}
	return "invalid"
}

// Hit is one key that agrees with one row.
type Hit struct {
	Key
	ID      string // the row's
	Swapped bool   // UUIDs only: they agree in the other byte order
}

// Result is the outcome of looking a host up in the rows.
type Result struct {
	Verdict  Verdict
	ID       string // of the row, when matched
	Score    int    // the sum of the weights of the keys that agree
	Hits     []Hit  // strongest first; in a conflict, those of every row concerned
	Sentence string // what agreed or what is in conflict; never empty
}

// Match recognises a host by its keys. It is run again whenever rows or keys
// change and keeps nothing. Junk keys count nothing. Keys that agree with
// different rows are a conflict, and so is a row of which a stronger key
// differs from what was seen: a MAC that belongs to a row with another serial
// is a card that was moved or a wrong line in the manifest, not a match.
func Match(rows []Expected, seen []Key) Result {
	seen = usable(seen)
	var hits []Hit
	var found []Expected
	for _, row := range rows {
		if h := row.hits(seen); len(h) > 0 {
			hits = append(hits, h...)
			found = append(found, row)
		}
	}
	slices.SortStableFunc(hits, func(a, b Hit) int { return b.Kind.weight() - a.Kind.weight() })
	switch len(found) {
	case 0:
		return Result{Sentence: "No row of a manifest has " + strings.Join(phrases(seen), ", ") + "."}
	case 1:
		return judge(found[0], hits, seen)
	}
	return Result{Verdict: Conflicted, Hits: hits, Sentence: disagreement(found, hits)}
}

// judge decides about the only row that any key agrees with.
func judge(row Expected, hits []Hit, seen []Key) Result {
	against := row.contradictions(seen)
	if len(against) > 0 && against[0].weight() > hits[0].Kind.weight() {
		return Result{Verdict: Conflicted, Hits: hits, Sentence: fmt.Sprintf(
			"%s agrees with %s, but that row says %s %s and the host says %s: correct the manifest, or check which host stands there.",
			strings.Join(hitPhrases(hits), ", "), row.describe(), against[0], row.key(against[0]), values(seen, against[0]))}
	}
	r := Result{Verdict: Matched, ID: row.ID, Hits: hits}
	for _, h := range hits {
		r.Score += h.Kind.weight()
	}
	r.Sentence = fmt.Sprintf("Recognised as %s by %s (score %d).", row.describe(), strings.Join(hitPhrases(hits), ", "), r.Score)
	for _, k := range against {
		r.Sentence += fmt.Sprintf(" Its %s differs: the row says %s, the host %s.", k, row.key(k), values(seen, k))
	}
	return r
}

// disagreement says which rows the keys point to.
func disagreement(found []Expected, hits []Hit) string {
	var parts []string
	for _, row := range found {
		mine := slices.DeleteFunc(slices.Clone(hits), func(h Hit) bool { return h.ID != row.ID })
		parts = append(parts, strings.Join(hitPhrases(mine), ", ")+" agrees with "+row.describe())
	}
	return "The host cannot be told apart: " + strings.Join(parts, "; ") + ". Correct the manifest, or check which host stands there."
}

// hits lists the keys that agree with the row.
func (e Expected) hits(seen []Key) []Hit {
	var hits []Hit
	for _, k := range seen {
		agree, swapped := false, false
		switch k.Kind {
		case Serial:
			agree = inventory.NormalSerial(e.Serial) == k.Value
		case UUID:
			agree, swapped = inventory.SameUUID(e.UUID, k.Value)
		case MAC:
			agree = slices.Contains(e.MACs, k.Value)
		}
		if agree {
			hits = append(hits, Hit{Key: k, ID: e.ID, Swapped: swapped})
		}
	}
	return hits
}

// contradictions lists, strongest first, the kinds of keys that the row and
// the host both have and that do not agree.
func (e Expected) contradictions(seen []Key) []Kind {
	var kinds []Kind
	for _, kind := range []Kind{Serial, UUID, MAC} {
		mine := slices.DeleteFunc(slices.Clone(seen), func(k Key) bool { return k.Kind != kind })
		if len(mine) > 0 && e.key(kind) != "" && len(e.hits(mine)) == 0 {
			kinds = append(kinds, kind)
		}
	}
	return kinds
}

func (e Expected) key(kind Kind) string {
	switch kind {
	case Serial:
		if inventory.Junk(e.Serial) {
			return ""
		}
		return e.Serial
	case UUID:
		return e.UUID
	case MAC:
		return strings.Join(e.MACs, " ")
	}
	return ""
}

// describe names the row by what a person finds it by.
func (e Expected) describe() string {
	for _, label := range []struct{ word, value string }{
		{"", e.Name}, {"serial ", e.key(Serial)}, {"", e.key(MAC)}, {"UUID ", e.UUID},
	} {
		if label.value != "" {
			return fmt.Sprintf("line %d of the manifest (%s%s)", e.Line, label.word, label.value)
		}
	}
	return fmt.Sprintf("line %d of the manifest", e.Line)
}

// usable brings keys into the form in which they are compared, leaves junk
// out, and joins what several sources saw alike.
func usable(seen []Key) []Key {
	var keys []Key
	for _, k := range seen {
		if k.Value = k.normal(); k.Value == "" {
			continue
		}
		i := slices.IndexFunc(keys, func(o Key) bool { return o.Kind == k.Kind && o.Value == k.Value })
		if i < 0 {
			keys = append(keys, k)
		} else if k.Source != "" && !slices.Contains(strings.Split(keys[i].Source, " and "), k.Source) {
			keys[i].Source += " and " + k.Source
		}
	}
	return keys
}

func (k Key) normal() string {
	value := ""
	switch k.Kind {
	case Serial:
		value = inventory.NormalSerial(k.Value)
	case UUID:
		value, _ = inventory.NormalUUID(k.Value)
	case MAC:
		value, _ = inventory.NormalMAC(k.Value)
	}
	return value
}

func (k Key) phrase() string {
	if k.Source == "" {
		return string(k.Kind) + " " + k.Value
	}
	return string(k.Kind) + " " + k.Value + " (" + k.Source + ")"
}

func phrases(keys []Key) []string {
	words := make([]string, len(keys))
	for i, k := range keys {
		words[i] = k.phrase()
	}
	if len(words) == 0 {
		return []string{"anything of what this host shows: it shows no usable key"}
	}
	return words
}

func hitPhrases(hits []Hit) []string {
	words := make([]string, len(hits))
	for i, h := range hits {
		words[i] = h.phrase()
		if h.Swapped {
			words[i] += " in the other byte order"
		}
	}
	return words
}

func values(seen []Key, kind Kind) string {
	var words []string
	for _, k := range seen {
		if k.Kind == kind {
			words = append(words, k.Value)
		}
	}
	return strings.Join(words, " ")
}
