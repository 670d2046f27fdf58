package recipe

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAnImageTellsWhatItIs(t *testing.T) {
	const (
		old   = "its root file system does not say which kairos it is, so it counts as an old one; image add --version kairos=VERSION says it"
		noise = "its root file system does not say whether it is fips; if it is, image add --trait fips says so"
	)
	version := func(of ...string) map[string]string {
		m := map[string]string{}
		for i := 0; i < len(of); i += 2 {
			m[of[i]] = of[i+1]
		}
		return m
	}
	tells := named(t, "kairos").Tells
	for _, tc := range []struct {
		name      string
		variables map[string]string
		said      Told
		want      Told
		unsaid    []string
	}{
		{"nothing", nil, Told{}, Told{Version: version()}, []string{old, noise}},
		{"the distribution alone", version("VERSION_ID", "24.04", "KAIROS_NAME", "kairos-core-ubuntu"), Told{}, Told{Version: version()}, []string{old, noise}},
		{"nothing but what was said", nil, Told{version("kairos", "4.0.3"), []string{"fips"}}, Told{version("kairos", "4.0.3"), []string{"fips"}}, nil},
		{"built by Kairos", version("KAIROS_RELEASE", "v4.0.3", "KAIROS_VERSION", "v4.0.3-k3s1", "KAIROS_FIPS", "false", "KAIROS_INIT_VERSION", "v0.8.4"), Told{},
			Told{Version: version("kairos", "v4.0.3", "kairos-init", "v0.8.4")}, nil},
		{"before there was a release", version("KAIROS_VERSION", "v2.4.3-k3sv1.28.2+k3s1"), Told{}, Told{Version: version("kairos", "v2.4.3-k3sv1.28.2+k3s1")}, []string{noise}},
		{"a FIPS build", version("KAIROS_RELEASE", "v3.4.2", "KAIROS_FIPS", "true"), Told{}, Told{version("kairos", "v3.4.2"), []string{"fips"}}, nil},
		{"the same said again", version("KAIROS_RELEASE", "v3.4.2", "KAIROS_FIPS", "true"), Told{version("kairos", "3.4.2"), []string{"fips"}}, Told{version("kairos", "3.4.2"), []string{"fips"}}, nil},
		{"something else and more said", version("KAIROS_RELEASE", "v3.1.0", "KAIROS_FIPS", "false"), Told{version("kairos", "4.0.3", "agent", "4.9.7"), []string{"content"}},
			Told{version("kairos", "4.0.3", "agent", "4.9.7"), []string{"content"}},
			[]string{"its root file system says kairos v3.1.0, who added it said 4.0.3, and that counts"}},
	} {
		if diff := cmp.Diff(tc.want, tc.said.And(tells.Read(tc.variables))); diff != "" {
			t.Errorf("%s: %s", tc.name, diff)
		}
		if diff := cmp.Diff(tc.unsaid, tells.Unsaid(tc.variables, tc.said)); diff != "" {
			t.Errorf("%s: %s", tc.name, diff)
		}
	}
}

func TestARecipeThatCanTellNothingIsRefused(t *testing.T) {
	const head = "family: x\nabout: x\nneeds: [/x]\nkernel: /x\nends: x\nconfig: {format: none}\n"
	for _, tc := range []struct{ tells, want string }{
		{"tells: {files: [/etc/os-release]}", "no rootfs"},
		{"rootfs: /r\ntells: {versions: {x: [X]}}", "in which files"},
		{"rootfs: /r\ntells: {files: [/etc/os-release], traits: {fips: X}}", `no trait "fips"`},
		{"tells: {files: [/etc/os-release]}\nrootfs: /r\nform: set", "only the root file system in an iso"},
		{"rootfs: /r\ntells: {files: [etc/os-release]}", "clean absolute path"},
	} {
		text := head + tc.tells + "\n"
		if !strings.Contains(text, "form:") {
			text += "form: iso\n"
		}
		if _, err := load(t, map[string]string{"x.yaml": text}); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v", tc.tells, err)
		}
	}
}
