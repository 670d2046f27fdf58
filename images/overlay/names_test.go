package overlay

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestIdentifiersSpellNamesAsTheirTreeCan(t *testing.T) {
	taken := identifiers{taken: map[string]bool{"USER_DATA.": true, "A.YAML": true, "A000.YAML": true, "\x00a": true}, suffix: ";1"}
	for name, want := range map[string]string{
		"autoinstall.yaml":               "AUTOINSTALL.YAML;1 exact",
		"README":                         "README.;1 exact",
		"user-data":                      "USER_DATA000.;1",
		"a.yaml":                         "A001.YAML;1",
		".hidden":                        "_HIDDEN.;1",
		"größe.txt":                      "GR__E.TXT;1",
		"two.dots.yaml":                  "TWO_DOTS.YAML;1",
		strings.Repeat("n", 60) + ".cfg": strings.Repeat("N", 27) + ".CFG;1",
	} {
		id, exact := taken.plain(name)
		got := string(id)
		if exact {
			got += " exact"
		}
		if got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	for name, want := range map[string]string{
		"user-data":                       "user-data exact",
		"größe.txt":                       "größe.txt exact",
		"a:b;c?.yaml":                     "a_b_c_.yaml",
		"\U0001F600.txt":                  "_.txt",
		"a":                               "a001",
		strings.Repeat("n", 80) + ".yaml": strings.Repeat("n", 59) + ".yaml",
	} {
		id, exact := taken.wide(name)
		var got strings.Builder
		for i := 0; i+1 < len(id)-len(taken.suffix); i += 2 {
			got.WriteRune(rune(id[i])<<8 | rune(id[i+1]))
		}
		if exact {
			got.WriteString(" exact")
		}
		if got.String() != want {
			t.Errorf("%s is %q, want %q", name, got.String(), want)
		}
	}
}

func TestRecordsAreOrderedByNameThenExtension(t *testing.T) {
	want := []string{"A.;1", "A.TXT;1", "A.YAML;1", "A0.;1", "AA.B;1", "B", "B.A;1"}
	got := slices.Clone(want)
	slices.Reverse(got)
	slices.SortFunc(got, func(a, b string) int {
		switch {
		case before([]byte(a), []byte(b), false):
			return -1
		case before([]byte(b), []byte(a), false):
			return 1
		}
		return 0
	})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
