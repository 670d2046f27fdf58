package manifest

import (
	"encoding/json"
	"fmt"
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
transport: netboot
secrets: {registrationToken: t0ps3cret, pin: "0123"}
template: |
  #cloud-config
  users: {{.Secrets.pin}}
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
		Transport: Netboot, Secrets: Secrets{"registrationToken": "t0ps3cret", "pin": "0123"},
		Template: "#cloud-config\nusers: {{.Secrets.pin}}\n",
		Lines:    map[string]int{"image": 4, "handoff": 5, "config": 9, "transport": 12, "template": 14},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWhatStandsBesideTheDriverIsTheDrivers(t *testing.T) {
	o, err := ParseOrder([]byte("name: a\nprofile: p\nhandoff:\n  driver: palette\n  project: edge\n  tags: {rack: r4}\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := Handoff{Driver: "palette", Options: map[string]any{"project": "edge", "tags": map[string]any{"rack": "r4"}}}
	if diff := cmp.Diff(want, o.Handoff); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got := o.For(Row{}).Handoff; cmp.Diff(want, got) != "" {
		t.Errorf("a row that names no driver has %+v", got)
	}
	if got := o.For(Row{Overrides: Overrides{Handoff: "callhome"}}).Handoff; cmp.Diff(Handoff{Driver: "callhome"}, got) != "" {
		t.Errorf("a row that names another driver has %+v", got)
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
		head + "colour: red\n":            `line 3, column 1: unknown key "colour"`,
		head + "erase: always\n":          `line 3, column 8: erase: "always" is neither`,
		head + "erase: yes\n":             `line 3, column 8: erase: "yes" is neither`,
		head + "after: sleep\n":           `line 3, column 8: after: "sleep" is neither`,
		head + "image: x\n":               "handoff.driver: say how",
		head + "image: x\nhandoff: {}\n":  "line 4, column 10: handoff.driver: say how",
		head + "handoff: {driver: 7}\n":   "handoff.driver: the name of a driver is wanted here, not 7",
		"name: a\n":                       "profile: name the profile",
		"name: -a\nprofile: p\n":          "line 1, column 7: name: give the order a name",
		"name: A b\nprofile: p\n":         "line 1, column 7: name: give the order a name",
		head + "config: [1]\n":            "line 3, column 9: ",
		head + "transport: tape\n":        `line 3, column 12: transport: "tape" is none of netboot`,
		head + "secrets: {a-b: s}\n":      `line 3, column 10: secrets: "a-b" cannot be the name of a secret`,
		head + "secrets: {a: \"\"}\n":     "line 3, column 14: secrets.a: a secret is a text of 1 to 16384 bytes",
		head + "secrets: {a: 0123}\n":     "line 3, column 14: put this value in quotes",
		head + "secrets: {a: [s3cr3t]}\n": "line 3, column 14: ",
		head + "template: [a]\n":          "line 3, column 11: ",

		head + "template: |\n  " + strings.Repeat("x", maxTemplate) + "\n": "line 3, column 11: template: 65537 bytes are too many",
	} {
		_, err := ParseOrder([]byte(in))
		if err == nil || !strings.HasPrefix(err.Error(), "read order: "+want) {
			t.Errorf("%.80q\ngot  %v\nwant read order: %s", in, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("a secret is told: %v", err)
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
	got := o.For(Row{Overrides: Overrides{Profile: "big", Image: "i2", Handoff: "none", Erase: Never, After: Reboot, Transport: Write}})
	if got.Profile != "big" || got.Image != "i2" || got.Handoff.Driver != "none" || got.Erase != Never || got.After != Reboot || got.Transport != Write {
		t.Errorf("overrides not applied: %+v", got)
	}
	if o.Profile != "edge-minimum" {
		t.Error("the order itself was changed")
	}
}

func TestSecretsPrintAsWhatTheyAreNot(t *testing.T) {
	o := Order{Secrets: Secrets{"pin": "s3cr3t"}}
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	for _, printed := range []string{string(text), fmt.Sprint(o), fmt.Sprintf("%+v", o), fmt.Sprintf("%#v", o)} {
		if strings.Contains(printed, "s3cr3t") {
			t.Errorf("it prints as %s", printed)
		}
	}
}
