// Package stylus knows which keys of a host's user-data the agent of Palette
// reads, so that a mistake is said when an order is imported: the agent leaves
// aside what it does not know, and nobody hears of it.
//
// It also knows by which names people say the agent's version. It renders
// nothing, and says nothing of the keys of Kairos but that one is nearly called
// like another. Start at [Check]; keys.go is the list.
package stylus

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Others are what an order may say of keys that are not in the list.
const (
	Refused = "refused" // the default
	Allowed = "allowed" // for an agent that is newer than the list
)

// Check says what is wrong with the configuration that an order adds for a host:
// keys that the agent does not read, values of another kind than it takes, and
// values that would not count, because the hand-off lays over says another. It
// is pure. The error begins with "config: " and quotes no value.
func Check(config, over map[string]any, others string) error {
	if others != Allowed {
		if err := checkTop(config); err != nil {
			return err
		}
	}
	given, is := config[agent].(map[string]any)
	if config[agent] != nil && !is {
		return fmt.Errorf("config: %s is to be a map", agent)
	}
	if err := (node{keys: keys()}).check(agent, given, others == Allowed); err != nil {
		return err
	}
	laid, _ := over[agent].(map[string]any)
	return covered(agent, given, laid)
}

// agent is the key below which the agent reads.
const agent = "stylus"

// checkTop finds keys of the document that are nearly called like those that
// matter here. All others are for other programs.
func checkTop(config map[string]any) error {
	mine := []string{agent, "install", "stages"}
	for _, key := range slices.Sorted(maps.Keys(config)) {
		if like, near := nearest(key, mine); near && key != like {
			return fmt.Errorf("config: %s is no key that muster knows; is it to be %s? Correct it, or say other_keys: allowed below handoff", key, like)
		}
	}
	return nil
}

// check says what is wrong with a value, by its path.
func (n node) check(path string, value any, others bool) error {
	if text, is := value.(string); value == nil || is && strings.Contains(text, "{{") {
		return nil // a null takes away; what a template makes is known later
	}
	if wanted := n.kind.wants(value); wanted != "" {
		return fmt.Errorf("config: %s is to be %s", path, wanted)
	}
	switch value := value.(type) {
	case map[string]any:
		return n.checkMap(path, value, others)
	case []any:
		return n.checkList(path, value, others)
	}
	return nil
}

func (n node) checkList(path string, value []any, others bool) error {
	if n.keys == nil {
		return nil
	}
	for i, item := range value {
		if err := (node{keys: n.keys}).check(fmt.Sprintf("%s[%d]", path, i), item, others); err != nil {
			return err
		}
	}
	return nil
}

func (n node) checkMap(path string, value map[string]any, others bool) error {
	for _, key := range slices.Sorted(maps.Keys(value)) {
		child, known := n.keys[key]
		switch {
		case n.kind == texts:
			child = node{kind: text}
		case n.keys == nil, !known && others:
			continue
		case !known:
			return unknown(path+"."+key, key, n.keys)
		}
		if err := child.check(path+"."+key, value[key], others); err != nil {
			return err
		}
	}
	return nil
}

func unknown(path, key string, known map[string]node) error {
	said := fmt.Sprintf("config: %s is no key that muster knows of Palette's agent, which leaves aside what it does not know", path)
	if like, near := nearest(key, slices.Sorted(maps.Keys(known))); near {
		said += "; is it to be " + like + "?"
	} else {
		said += "."
	}
	return fmt.Errorf("%s Correct it, or say other_keys: allowed below handoff", said)
}

// covered finds single values that both say: the one that is laid over counts.
func covered(path string, given, over map[string]any) error {
	for _, key := range slices.Sorted(maps.Keys(over)) {
		mine, both := given[key]
		at := path + "." + key
		below, isMap := over[key].(map[string]any)
		_, isList := over[key].([]any)
		switch {
		case !both, mine == nil, isList: // a null gives way, and lists follow each other
		case isMap:
			here, _ := mine.(map[string]any)
			if err := covered(at, here, below); err != nil {
				return err
			}
		case fmt.Sprint(mine) != fmt.Sprint(over[key]):
			return fmt.Errorf("config: %s would not count, as the hand-off says another value: leave it out, and say it below handoff where there is a key for it", at)
		}
	}
	return nil
}

// nearest is the word of a list that somebody may have meant.
func nearest(word string, list []string) (like string, near bool) {
	least := 3 // letters that differ: more is another word
	for _, candidate := range list {
		d := distance(strings.ToLower(word), strings.ToLower(candidate))
		if d < least && d < len(candidate)/2 {
			like, least, near = candidate, d, true
		}
	}
	return like, near
}

// distance is how many letters are to be put in, taken out or changed to make b
// of a (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := before
			if a[i] != b[j] {
				cost++
			}
			before = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
