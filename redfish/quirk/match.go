package quirk

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Product is what a BMC says of itself. What it does not say is empty.
type Product struct {
	Vendor   string   // service root
	Name     string   // service root, Product
	Redfish  string   // service root, RedfishVersion
	OEM      []string // keys below Oem in the service root
	Maker    string   // system, Manufacturer
	Model    string   // system, Model
	Manager  string   // manager, Model
	Firmware string   // manager, FirmwareVersion
}

// Match returns the first row that fits, with a sentence that says why. Order
// is policy: narrower rows stand before wider ones.
func (b Book) Match(p Product) (Quirk, string) {
	for _, q := range b.rows {
		if why, ok := q.Match.fits(p); ok {
			return q, fmt.Sprintf("%s: %s", q.Family, why)
		}
	}
	return Standard(), fmt.Sprintf("standard: no row is for vendor %q, maker %q, model %q", p.Vendor, p.Maker, p.Model)
}

// fits says by which words a row fits.
func (m Match) fits(p Product) (why string, ok bool) {
	maker, ok := m.maker(p)
	if !ok {
		return "", false
	}
	reasons := []string{maker}
	for _, c := range []struct {
		name, seen string
		patterns   []string
	}{{"product", p.Name, m.Product}, {"model", p.Model, m.Model}, {"manager", p.Manager, m.Manager}} {
		if len(c.patterns) == 0 {
			continue
		}
		i := slices.IndexFunc(c.patterns, func(pattern string) bool { return like(pattern, c.seen) })
		if i < 0 {
			return "", false
		}
		reasons = append(reasons, fmt.Sprintf("%s %q is like %q", c.name, c.seen, c.patterns[i]))
	}
	if m.Firmware == (Range{}) {
		return strings.Join(reasons, ", "), true
	}
	if !m.Firmware.holds(p.Firmware) {
		return "", false
	}
	return strings.Join(append(reasons, fmt.Sprintf("firmware %q is %s", p.Firmware, m.Firmware)), ", "), true
}

// maker finds the maker's name in what the BMC says.
func (m Match) maker(p Product) (string, bool) {
	for _, name := range m.Vendor {
		for _, said := range []string{p.Vendor, p.Maker} {
			if hasWords(said, name) {
				return fmt.Sprintf("vendor %q", said), true
			}
		}
	}
	for _, key := range m.OEM {
		if slices.ContainsFunc(p.OEM, func(k string) bool { return strings.EqualFold(k, key) }) {
			return fmt.Sprintf("oem key %q", key), true
		}
	}
	return "", false
}

// hasWords reports whether the words of name stand in text one after the other,
// any case: "AMI" is in "AMI Inc." and not in "General Dynamics".
func hasWords(text, name string) bool {
	spaced := func(s string) string {
		words := strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
		return " " + strings.Join(words, " ") + " "
	}
	return strings.Contains(spaced(text), spaced(name))
}

// like matches a pattern with * and ? against a text, any case.
func like(pattern, text string) bool {
	// A slash is a letter here, path.Match stops at it.
	flat := strings.NewReplacer("/", "|")
	ok, err := path.Match(flat.Replace(strings.ToLower(pattern)), flat.Replace(strings.ToLower(text)))
	return err == nil && ok
}

func anyLike(patterns []string, text string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return like(p, text) })
}

// Skips reports whether a slot is one that never boots.
func (m Media) Skips(slot string) bool { return anyLike(m.Skip, slot) }

// Rank is a slot's place in the order in which slots are tried; ok is false for
// one that is not tried.
func (m Media) Rank(slot string) (rank int, ok bool) {
	if len(m.Slots) == 0 {
		return 0, true
	}
	rank = slices.IndexFunc(m.Slots, func(pattern string) bool { return like(pattern, slot) })
	return rank, rank >= 0
}

// Brings reports whether a licence of that name brings media.
func (l Licence) Brings(name string) bool {
	return slices.ContainsFunc(l.Has, func(word string) bool { return hasWords(name, word) })
}

func (r Range) String() string {
	switch {
	case r.Below == "":
		return r.From + " or later"
	case r.From == "":
		return "before " + r.Below
	}
	return fmt.Sprintf("from %s to before %s", r.From, r.Below)
}

func (r Range) check() []error {
	var wrong []error
	for _, v := range []string{r.From, r.Below} {
		if v != "" && len(numbers(v)) == 0 {
			wrong = append(wrong, fmt.Errorf("match.firmware: %q is not a version", v))
		}
	}
	return wrong
}

// holds compares number by number; a version without numbers is in no range.
func (r Range) holds(version string) bool {
	v := numbers(version)
	if len(v) == 0 {
		return false
	}
	if r.From != "" && slices.Compare(v, numbers(r.From)) < 0 {
		return false
	}
	return r.Below == "" || slices.Compare(v, numbers(r.Below)) < 0
}

// numbers are the numbers of the first dotted version in a text: 2 and 72 of
// "iLO 5 v2.72", 6, 0, 30 and 0 of "6.00.30.00".
func numbers(text string) []int {
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return r != '.' && (r < '0' || r > '9') }) {
		var list []int
		for part := range strings.SplitSeq(word, ".") {
			n, err := strconv.Atoi(part)
			if err != nil {
				list = nil
				break
			}
			list = append(list, n)
		}
		if len(list) > 1 {
			return list
		}
	}
	return nil
}
