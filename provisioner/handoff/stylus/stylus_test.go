package stylus

import (
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// over is what a hand-off lays over an order's configuration.
var over = map[string]any{"stylus": map[string]any{
	"managementMode": "central", "localUI": map[string]any{"port": 5080},
	"site": map[string]any{"name": "plant7-sn1", "ntpServers": []any{"10.0.0.1"}, "tags": map[string]any{"rack": "r4"}},
}}

func TestAMistakeInTheAgentsKeysIsSaid(t *testing.T) {
	for _, tc := range []struct{ name, config, want string }{
		{"a name that is nearly one", "stylus: {site: {tag: {a: b}}}", "config: stylus.site.tag is no key that muster knows of Palette's agent, which leaves aside what it does not know; is it to be tags? Correct it, or say other_keys: allowed below handoff"},
		{"another case", "stylus: {disableTUI: true}", "is it to be disableTui?"},
		{"a level that is nearly one", "stylus: {sit: {tags: {a: b}}}", "config: stylus.sit is no key that muster knows of Palette's agent, which leaves aside what it does not know; is it to be site?"},
		{"nothing alike", "stylus: {colour: red}", "config: stylus.colour is no key that muster knows of Palette's agent, which leaves aside what it does not know. Correct it"},
		{"in a list", "stylus: {externalRegistries: {registries: [{domain: a}, {domian: b}]}}", "config: stylus.externalRegistries.registries[1].domian is no key"},
		{"a whole part of the document", "instal: {grub_options: {}}", "config: instal is no key that muster knows; is it to be install?"},
		{"no map", "stylus: central", "config: stylus is to be a map"},
		{"a number for a text", "stylus: {site: {clusterId: 7}}", "config: stylus.site.clusterId is to be text (a number or a truth value goes in quotes)"},
		{"a number for a tag", "stylus: {site: {tags: {line: 3}}}", "config: stylus.site.tags.line is to be text"},
		{"a text for a truth value", `stylus: {debug: "yes"}`, "config: stylus.debug is to be true or false"},
		{"a text for a list", "stylus: {site: {ntpServers: 10.0.0.1}}", "config: stylus.site.ntpServers is to be a list"},
		{"a text for a number", "stylus: {site: {tagsFromScript: {timeout: soon}}}", "config: stylus.site.tagsFromScript.timeout is to be a number"},
		{"a text for a map", "stylus: {site: {network: dhcp}}", "config: stylus.site.network is to be a map"},
		{"what the hand-off says otherwise", "stylus: {managementMode: local}", "config: stylus.managementMode would not count, as the hand-off says another value"},
		{"deeper", "stylus: {site: {name: mine}}", "config: stylus.site.name would not count"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if err := check(t, tc.config, Refused); err == nil || !strings.HasPrefix(err.Error(), "config: ") || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v, want %s", err, tc.want)
			}
		})
	}
}

func check(t *testing.T, text, others string) error {
	t.Helper()
	var config map[string]any
	if err := yaml.Unmarshal([]byte(text), &config); err != nil {
		t.Fatal(err)
	}
	return Check(config, over, others)
}

func TestWhatTheAgentReadsIsTaken(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":                "",
		"keys of other programs": "hostname: a\nwrite_files: []\nusers: []\nk3s: {enabled: true}",
		"a template":             `stylus: {debug: "{{.Order.Values.debug}}", site: {tags: {serial: "{{.Host.Serial}}"}}}`,
		"a null":                 "stylus: {managementMode: null, site: {ntpServers: null}}",
		"the hand-off's value":   "stylus: {managementMode: central, localUI: {port: 5080}}",
		"more tags and servers":  "stylus: {site: {tags: {line: a}, ntpServers: [10.0.0.2]}}",
		"parts that are free":    "stylus: {vip: {skip: true}, localUI: {login: {maxAttempts: 5}}, site: {remoteShell: {disable: true}, users: [{name: ops}]}}",
	} {
		if err := check(t, text, Refused); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestAnOrderMayNameKeysOfANewerAgent, but not of another kind, nor in vain.
func TestAnOrderMayNameKeysOfANewerAgent(t *testing.T) {
	if err := check(t, "stylus: {site: {tag: {a: b}, colour: red}}\ninstal: {}", Allowed); err != nil {
		t.Error(err)
	}
	for _, text := range []string{"stylus: {debug: 1}", "stylus: {site: {name: mine}}"} {
		if check(t, text, Allowed) == nil {
			t.Errorf("%s is taken", text)
		}
	}
}

func TestDistanceIsHowManyLettersDiffer(t *testing.T) {
	for pair, want := range map[[2]string]int{
		{"", ""}: 0, {"", "abc"}: 3, {"abc", ""}: 3, {"tag", "tags"}: 1, {"domian", "domain"}: 2, {"kitten", "sitting"}: 3,
	} {
		if got := distance(pair[0], pair[1]); got != want {
			t.Errorf("%q is %d from %q, want %d", pair[0], got, pair[1], want)
		}
	}
}
