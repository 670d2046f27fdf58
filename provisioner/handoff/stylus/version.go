package stylus

import "strings"

// agentNames are what the version of an image's agent may be said to be of.
func agentNames() []string { return []string{"agent", "stylus", "pe"} }

// AgentIn is the version of Palette's agent among those of an image; empty where
// it is not known.
func AgentIn(versions map[string]string) string {
	for _, name := range agentNames() {
		if v := versions[name]; v != "" {
			return v
		}
	}
	return ""
}

// SameVersion tells whether two mean one version: some put a letter before it.
func SameVersion(a, b string) bool { return plain(a) == plain(b) }

func plain(version string) string { return strings.TrimPrefix(strings.TrimSpace(version), "v") }
