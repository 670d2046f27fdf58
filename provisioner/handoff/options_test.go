package handoff_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/muster-boot/muster/provisioner/handoff"
)

type options struct {
	Project string            `json:"project"`
	Tags    map[string]string `json:"tags"`
	Local   struct {
		Port    int  `json:"port"`
		Disable bool `json:"disable"`
	} `json:"local"`
	NTP []string `json:"ntp"`
}

func TestOptionsAreReadByTheirNames(t *testing.T) {
	var got options
	err := handoff.Decode(map[string]any{"project": "edge", "tags": map[string]any{"rack": "r4"}, "local": map[string]any{"port": uint64(5080)}, "ntp": []any{"10.0.0.1"}}, &got)
	if err != nil {
		t.Fatal(err)
	}
	want := options{Project: "edge", Tags: map[string]string{"rack": "r4"}, NTP: []string{"10.0.0.1"}}
	want.Local.Port = 5080
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if err := handoff.Decode(nil, &got); err != nil {
		t.Errorf("no options: %v", err)
	}
}

func TestAWrongOptionIsNamedByItsPath(t *testing.T) {
	for _, tc := range []struct {
		name    string
		options map[string]any
		want    string
	}{
		{"unknown", map[string]any{"projct": "edge"}, "handoff.projct: there is no such option"},
		{"unknown below", map[string]any{"project": "edge", "local": map[string]any{"prt": 1}}, "handoff.local.prt: there is no such option"},
		{"a number for text", map[string]any{"project": 7}, "handoff.project: text (a number or a truth value goes in quotes) is wanted here, not a number"},
		{"a number in a map", map[string]any{"tags": map[string]any{"rack": 4}}, "handoff.tags"},
		{"text for a number", map[string]any{"local": map[string]any{"port": "x"}}, "handoff.local.port: a whole number is wanted here"},
		{"text for a truth value", map[string]any{"local": map[string]any{"disable": "x"}}, "handoff.local.disable: true or false is wanted here"},
		{"text for a list", map[string]any{"ntp": "10.0.0.1"}, "handoff.ntp: a list is wanted here"},
		{"text for a map", map[string]any{"tags": "r4"}, "handoff.tags: a map is wanted here"},
	} {
		var into options
		if err := handoff.Decode(tc.options, &into); err == nil || !strings.HasPrefix(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %s", tc.name, err, tc.want)
		}
	}
}
