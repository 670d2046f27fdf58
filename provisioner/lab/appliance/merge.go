package main

import "slices"

// merge lays one configuration over another, as the agent of such appliances
// does: maps merge key by key, lists are joined, a null removes, and for
// everything else the upper one stands. Neither argument is changed.
func merge(lower, upper map[string]any) map[string]any {
	out := make(map[string]any, len(lower)+len(upper))
	for key, value := range lower {
		out[key] = value
	}
	for key, value := range upper {
		if value == nil {
			delete(out, key)
			continue
		}
		out[key] = mergeValue(out[key], value)
	}
	return out
}

func mergeValue(lower, upper any) any {
	switch upper := upper.(type) {
	case map[string]any:
		if lower, ok := lower.(map[string]any); ok {
			return merge(lower, upper)
		}
		return merge(nil, upper)
	case []any:
		if lower, ok := lower.([]any); ok {
			return joinLists(lower, upper)
		}
	}
	return upper
}

// joinLists appends the items that are maps or lists, even a doubled one, and
// unites the scalars. So the steps of a stage never override each other.
func joinLists(lower, upper []any) []any {
	out := slices.Clone(lower)
	for _, item := range upper {
		if scalar(item) && slices.ContainsFunc(out, func(o any) bool { return scalar(o) && o == item }) {
			continue
		}
		out = append(out, item)
	}
	return out
}

func scalar(v any) bool {
	switch v.(type) {
	case map[string]any, []any:
		return false
	}
	return true
}
