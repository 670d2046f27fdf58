package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMergeFollowsTheRulesOfTheOriginal(t *testing.T) {
	tests := map[string]struct{ lower, upper, want string }{
		"maps merge key by key":       {"a: {b: 1, c: 2}", "a: {c: 3, d: 4}", "a: {b: 1, c: 3, d: 4}"},
		"a later scalar wins":         {"a: 1", "a: x", "a: x"},
		"lists of scalars are united": {"a: [x, y]", "a: [y, z]", "a: [x, y, z]"},
		"lists of maps are appended":  {"a: [{n: 1}]", "a: [{n: 1}, {n: 2}]", "a: [{n: 1}, {n: 1}, {n: 2}]"},
		"null removes":                {"a: {b: 1, c: 2}", "a: {b: null}", "a: {c: 2}"},
		"null of nothing is nothing":  {"a: 1", "b: {c: null}", "a: 1\nb: {}"},
		"stages all run": {
			"stages: {boot: [{commands: [one]}]}",
			"stages: {boot: [{commands: [two]}], network: [{commands: [three]}]}",
			"stages: {boot: [{commands: [one]}, {commands: [two]}], network: [{commands: [three]}]}",
		},
		"a scalar gives way to a map": {"a: 1", "a: {b: 2}", "a: {b: 2}"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			lower, upper := mustParse(t, tt.lower), mustParse(t, tt.upper)
			got := merge(lower, upper)
			if diff := cmp.Diff(mustParse(t, tt.want), got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if diff := cmp.Diff(mustParse(t, tt.lower), lower); diff != "" {
				t.Errorf("merge changed its argument:\n%s", diff)
			}
		})
	}
}

func mustParse(t *testing.T, text string) map[string]any {
	t.Helper()
	values, err := parse([]byte("#cloud-config\n" + text))
	if err != nil {
		t.Fatal(err)
	}
	return values
}

// web is a site that answers some URLs and counts what it is asked.
type web struct {
	bodies map[string]string
	asked  []string
}

func (w *web) fetch(_ context.Context, url string) ([]byte, error) {
	w.asked = append(w.asked, url)
	body, ok := w.bodies[url]
	if !ok {
		return nil, errors.New("no answer")
	}
	return []byte(body), nil
}

func TestCollectLaysTheSourcesOverEachOther(t *testing.T) {
	const header = "#cloud-config\n"
	tests := map[string]struct {
		files   map[string]string
		cmdline []string
		web     map[string]string
		sources []string
		asked   []string
		value   any // what the key "v" ends as
	}{
		"nothing": {},
		"the medium in lexical order of paths": {
			files: map[string]string{
				"/run/initramfs/live/config.yaml":           header + "v: root",
				"/run/initramfs/live/files-iso/config.yaml": header + "v: deeper",
				"/run/initramfs/live/zz.txt":                header + "v: no yaml",
			},
			sources: []string{"/run/initramfs/live/config.yaml", "/run/initramfs/live/files-iso/config.yaml"},
			value:   "deeper",
		},
		"the command line wins": {
			files:   map[string]string{"/oem/90_custom.yaml": header + "v: disk"},
			cmdline: []string{"quiet", "config_url=http://s/c"},
			web:     map[string]string{"http://s/c": header + "v: url"},
			sources: []string{"/oem/90_custom.yaml", "http://s/c"},
			asked:   []string{"http://s/c"},
			value:   "url",
		},
		"a file's own URL is laid over it, and followed on": {
			files: map[string]string{"/run/initramfs/live/a.yaml": header + "v: file\nconfig_url: http://s/1"},
			web: map[string]string{
				"http://s/1": header + "v: one\nconfig_url: http://s/2",
				"http://s/2": header + "v: two\nconfig_url: http://s/1",
			},
			sources: []string{"/run/initramfs/live/a.yaml", "http://s/1", "http://s/2"},
			asked:   []string{"http://s/1", "http://s/2"},
			value:   "two",
		},
		"a body without header is dropped": {
			cmdline: []string{"config_url=http://s/c"},
			web:     map[string]string{"http://s/c": "v: url"},
			asked:   []string{"http://s/c"},
		},
		"a URL that does not answer is gone without": {
			files:   map[string]string{"/oem/90_custom.yaml": header + "v: disk\nconfig_url: http://s/gone"},
			sources: []string{"/oem/90_custom.yaml"},
			asked:   []string{"http://s/gone"},
			value:   "disk",
		},
		"a broken file is left out": {
			files: map[string]string{
				"/oem/1.yaml": header + "v: [",
				"/oem/2.yaml": header + "v: whole",
			},
			sources: []string{"/oem/2.yaml"},
			value:   "whole",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := &web{bodies: tt.web}
			c := collector{root: t.TempDir(), cmdline: tt.cmdline, fetch: w.fetch, say: t.Logf}
			for path, body := range tt.files {
				if err := writeFile(filepath.Join(c.root, path), []byte(body), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			got, err := c.collect(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]any{tt.sources, tt.asked, tt.value}, []any{got.sources, w.asked, got.merged["v"]}); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestInstalledConfigurationKeepsEverything(t *testing.T) {
	c := collector{root: t.TempDir(), cmdline: []string{"config_url=http://s/c"}, say: t.Logf,
		fetch: (&web{bodies: map[string]string{"http://s/c": "#cloud-config\nstylus: {site: {name: x}}\nhostname: h"}}).fetch}
	first, err := c.collect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	text, err := first.file()
	if err != nil {
		t.Fatal(err)
	}
	kept, err := parse(text)
	if err != nil {
		t.Fatalf("%v in:\n%s", err, text)
	}
	want := map[string]any{"config_url": "http://s/c", "hostname": "h", "stylus": map[string]any{"site": map[string]any{"name": "x"}}}
	if diff := cmp.Diff(want, kept); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestInstallationNeedsAWordThatAsksForIt(t *testing.T) {
	tests := map[string]struct {
		config  string
		cmdline string
		refused string // empty: installs
	}{
		"auto":                        {"install: {auto: true, device: auto}", "", ""},
		"install-mode":                {"install: {device: auto}", "netboot install-mode", ""},
		"pairing entry of the medium": {"install: {device: auto}", "nodepair.enable", ""},
		"neither":                     {"install: {device: auto}", "netboot", "neither"},
		"auto false is a no":          {"install: {auto: false}", "install-mode", "install.auto is false"},
		"no section":                  {"hostname: x", "install-mode", "no install section"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := collection{merged: mustParse(t, tt.config), sources: []string{"x"}}
			if err := c.decode(); err != nil {
				t.Fatal(err)
			}
			got := refusal(c, strings.Fields(tt.cmdline))
			if (got == "") != (tt.refused == "") || !strings.Contains(got, tt.refused) {
				t.Errorf("refusal is %q, want %q in it", got, tt.refused)
			}
		})
	}
	if got := refusal(collection{}, []string{"install-mode"}); !strings.Contains(got, "no valid configuration") {
		t.Errorf("without a configuration the refusal is %q", got)
	}
}

func TestStageRunsItsStepsInOrderAndPastFailures(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	say := func(word string) string { return fmt.Sprintf("echo %s >>%s", word, log) }
	c := config{Stages: map[string][]step{
		"boot":         {{Commands: []string{say("one"), "false", say("two")}}, {If: "false", Commands: []string{say("never")}}},
		"boot.before":  {{If: "true", Commands: []string{say("before")}}},
		"boot.after":   {{Commands: []string{say("after")}}},
		"boot.another": {{Commands: []string{say("never")}}},
	}}
	c.runStage(t.Context(), "boot", t.Logf)
	got, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	if want := "before\none\ntwo\nafter\n"; string(got) != want {
		t.Errorf("ran %q, want %q", got, want)
	}
}
