package manifest

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const plant7 = `
name: plant7-batch3
profile: edge-minimum
image: palette-edge-4.9
handoff: {driver: callhome}
erase: allowed
after: poweroff
config:
  stylus:
    site: {tags: {site: plant7}}
    localUI: {port: 5080}
`

func TestParseOrderReadsEveryKey(t *testing.T) {
	got, err := ParseOrder([]byte(plant7))
	if err != nil {
		t.Fatal(err)
	}
	want := Order{
		Name: "plant7-batch3", Profile: "edge-minimum", Image: "palette-edge-4.9",
		Handoff: Handoff{Driver: "callhome"}, Erase: Allowed, After: PowerOff,
		Config: map[string]any{"stylus": map[string]any{
			"site":    map[string]any{"tags": map[string]any{"site": "plant7"}},
			"localUI": map[string]any{"port": uint64(5080)},
		}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestParseOrderErasesNothingUnlessTold(t *testing.T) {
	o, err := ParseOrder([]byte("name: a\nprofile: edge-minimum\n"))
	if err != nil || o.Erase != Never {
		t.Errorf("erase is %q, error %v; want never", o.Erase, err)
	}
}

func TestParseOrderNamesThePlaceOfWhatIsWrong(t *testing.T) {
	const head = "name: a\nprofile: p\n"
	for in, want := range map[string]string{
		head + "colour: red\n":           `line 3, column 1: unknown key "colour"`,
		head + "erase: always\n":         `line 3, column 8: erase: "always" is neither`,
		head + "erase: yes\n":            `line 3, column 8: erase: "yes" is neither`,
		head + "after: sleep\n":          `line 3, column 8: after: "sleep" is neither`,
		head + "image: x\n":              "handoff.driver: say how",
		head + "image: x\nhandoff: {}\n": "line 4, column 10: handoff.driver: say how",
		"name: a\n":                      "profile: name the profile",
		"name: -a\nprofile: p\n":         "line 1, column 7: name: give the order a name",
		"name: A b\nprofile: p\n":        "line 1, column 7: name: give the order a name",
		head + "config: [1]\n":           "line 3, column 9: ",
	} {
		_, err := ParseOrder([]byte(in))
		if err == nil || !strings.HasPrefix(err.Error(), "read order: "+want) {
			t.Errorf("%q\ngot  %v\nwant read order: %s", in, err, want)
		}
	}
}

func TestForAppliesTheRowsOverrides(t *testing.T) {
	o, err := ParseOrder([]byte(plant7))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(o, o.For(Row{Serial: "S"})); diff != "" {
		t.Errorf("a row without overrides changed the order:\n%s", diff)
	}
	got := o.For(Row{Overrides: Overrides{Profile: "big", Image: "i2", Handoff: "none", Erase: Never, After: Reboot}})
	if got.Profile != "big" || got.Image != "i2" || got.Handoff.Driver != "none" || got.Erase != Never || got.After != Reboot {
		t.Errorf("overrides not applied: %+v", got)
	}
	if o.Profile != "edge-minimum" {
		t.Error("the order itself was changed")
	}
}
