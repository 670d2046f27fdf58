package handoff

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Decode reads the options of an order into the struct that into points to, by
// its json names. Keys are strict; the error begins with the path of the key
// that is wrong, below "handoff".
func Decode(options map[string]any, into any) error {
	text, err := json.Marshal(options)
	if err != nil {
		return fmt.Errorf("handoff: %w", err)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	err = d.Decode(into)
	if err == nil {
		return nil
	}
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Errorf("handoff.%s: %s is wanted here, not a %s", wrong.Field, article(wrong.Type.String()), wrong.Value)
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		key := strings.Trim(name, `"`)
		return fmt.Errorf("handoff.%s: there is no such option", strings.Join(pathOf(options, key), "."))
	}
	return fmt.Errorf("handoff: %w", err)
}

// article says what a Go type is to people.
func article(kind string) string {
	switch {
	case kind == "string":
		return "text (a number or a truth value goes in quotes)"
	case kind == "bool":
		return "true or false"
	case strings.HasPrefix(kind, "int"), strings.HasPrefix(kind, "uint"):
		return "a whole number"
	case strings.HasPrefix(kind, "["):
		return "a list"
	}
	return "a map"
}

// pathOf is where in the options a key stands; the decoder names only the key.
func pathOf(options map[string]any, key string) []string {
	if _, here := options[key]; here {
		return []string{key}
	}
	for _, name := range slices.Sorted(maps.Keys(options)) {
		below, _ := options[name].(map[string]any)
		if path := pathOf(below, key); len(path) > 0 && len(below) > 0 && has(below, path) {
			return append([]string{name}, path...)
		}
	}
	return []string{key}
}

// has tells whether a path leads to something.
func has(options map[string]any, path []string) bool {
	value, here := options[path[0]]
	if !here || len(path) == 1 {
		return here
	}
	below, _ := value.(map[string]any)
	return has(below, path[1:])
}
