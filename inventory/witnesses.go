package inventory

import (
	"fmt"
	"slices"
	"strings"
)

// Disagreement is something that two witnesses tell differently of one host.
type Disagreement struct {
	What  string `json:"what"` // as a sentence begins: "Memory"
	Scout string `json:"scout"`
	BMC   string `json:"bmc"`
}

// Sentence names both witnesses and what each says.
func (d Disagreement) Sentence() string {
	return fmt.Sprintf("%s: the BMC says %s, the scout says %s. One of them reads another host, or reads this one wrongly.", d.What, d.BMC, d.Scout)
}

// Disagreements compares what a scout and a BMC report of one host, field by
// field. What one of them does not say is no disagreement. Disks are not
// compared: behind a RAID controller each sees others.
func Disagreements(scout, bmc Report) []Disagreement {
	var list []Disagreement
	add := func(what, s, b string, same bool) {
		if s != "" && b != "" && !same {
			list = append(list, Disagreement{what, s, b})
		}
	}
	a, b := scout.System, bmc.System
	add("Maker", a.Manufacturer, b.Manufacturer, sameMaker(a.Manufacturer, b.Manufacturer))
	add("Serial number", NormalSerial(a.Serial), NormalSerial(b.Serial), sharedSerial(scout, bmc))
	uuidScout, _ := NormalUUID(a.UUID)
	uuidBMC, _ := NormalUUID(b.UUID)
	same, _ := SameUUID(a.UUID, b.UUID)
	add("UUID", uuidScout, uuidBMC, same)
	add("Memory", size(scout), size(bmc), sameMemory(scout, bmc))
	add("Processors", number(len(scout.CPUs)), number(len(bmc.CPUs)), len(scout.CPUs) == len(bmc.CPUs))
	if missing := unseen(bmc.NICs, scout.NICs); len(scout.NICs) > 0 && len(missing) > 0 {
		list = append(list, Disagreement{"Network ports", "there is none with " + strings.Join(missing, ", "), "there is " + strings.Join(missing, ", ")})
	}
	return list
}

// makers are names that firmware and BMC have for one maker.
func makers() [][]string {
	return [][]string{
		{"hpe", "hp", "hewlett packard enterprise", "hewlett-packard"},
		{"supermicro", "super micro computer"},
		{"ami", "american megatrends", "american megatrends international"},
		{"gigabyte", "giga-byte technology co.", "giga computing"},
		{"cisco", "cisco systems"},
	}
}

// sameMaker compares names without the words for a company's form.
func sameMaker(a, b string) bool {
	a, b = plainMaker(a), plainMaker(b)
	return a == b || slices.ContainsFunc(makers(), func(names []string) bool {
		return slices.Contains(names, a) && slices.Contains(names, b)
	})
}

func plainMaker(name string) string {
	name = strings.ToLower(strings.TrimSpace(name))
	for _, form := range []string{" inc.", " inc", " corporation", " corp.", " corp", " co., ltd.", " ltd."} {
		name = strings.TrimRight(strings.TrimSuffix(name, form), ", ")
	}
	return name
}

// sharedSerial reports whether any number of one names the host at the other
// too: some BMCs give the board's as the system's, and the tag as SKU.
func sharedSerial(scout, bmc Report) bool {
	names := func(r Report) []string {
		all := []string{NormalSerial(r.System.Serial), NormalSerial(r.System.SKU), NormalSerial(r.Board.Serial)}
		return slices.DeleteFunc(all, func(s string) bool { return s == "" })
	}
	return slices.ContainsFunc(names(scout), func(s string) bool { return slices.Contains(names(bmc), s) })
}

// installed is the sum of the DIMMs; exact is false where only what the system
// can use, or a BMC's rounded summary, is known.
func installed(r Report) (sum Bytes, exact bool) {
	for _, d := range r.DIMMs {
		sum += d.Size
	}
	if sum > 0 {
		return sum, true
	}
	return r.Memory, false
}

// sameMemory compares exactly where both saw DIMMs, else to an eighth: firmware
// keeps some for itself.
func sameMemory(scout, bmc Report) bool {
	a, exactA := installed(scout)
	b, exactB := installed(bmc)
	if exactA && exactB {
		return a == b
	}
	return max(a, b)-min(a, b) <= max(a, b)/8
}

func size(r Report) string {
	const gib = 1 << 30
	sum, _ := installed(r)
	if sum == 0 {
		return ""
	}
	return fmt.Sprintf("%.4g GiB", float64(sum)/gib)
}

func number(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}

// unseen are the addresses of ports that the other did not see.
func unseen(ports, others []NIC) []string {
	var list []string
	for _, p := range ports {
		if !slices.ContainsFunc(others, func(o NIC) bool { return o.MAC == p.MAC }) {
			list = append(list, p.MAC)
		}
	}
	return list
}
