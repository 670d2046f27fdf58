package manifest

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMatchRecognisesOrSaysWhyNot(t *testing.T) {
	const (
		uuidA, uuidASwapped = "4c4c4544-0035-3210-804d-b7c04f4e3233", "44454c4c-3500-1032-804d-b7c04f4e3233"
		uuidB               = "5d5d5544-0035-3210-804d-b7c04f4e3299"
		macA, macB, macX    = "52:54:00:00:00:0a", "52:54:00:00:00:0b", "52:54:00:00:00:ff"
	)
	rows := []Expected{
		{"a", Row{Line: 2, Serial: "SER-A", UUID: uuidA, MACs: []string{macA}, Name: "host-a"}},
		{"b", Row{Line: 3, Serial: "SER-B", MACs: []string{macB}}},
		{"c", Row{Line: 4, UUID: uuidB}},
	}
	serial := func(v string) Key { return Key{Serial, v, "smbios"} }
	uuid := func(v string) Key { return Key{UUID, v, "dhcp"} }
	mac := func(v string) Key { return Key{MAC, v, "dhcp"} }
	tests := []struct {
		name     string
		seen     []Key
		verdict  Verdict
		id       string
		score    int
		sentence string
	}{
		{"by MAC alone, as DHCP shows it", []Key{mac("52-54-00-00-00-0A")}, Matched, "a", 40,
			"Recognised as line 2 of the manifest (host-a) by mac 52:54:00:00:00:0a (dhcp) (score 40)."},
		{"by all keys, strongest first", []Key{mac(macA), uuid(uuidASwapped), serial(" ser-a")}, Matched, "a", 200,
			"Recognised as line 2 of the manifest (host-a) by serial SER-A (smbios), uuid 44454c4c-3500-1032-804d-b7c04f4e3233 (dhcp) in the other byte order, mac 52:54:00:00:00:0a (dhcp) (score 200)."},
		{"a key seen twice counts once", []Key{mac(macA), {MAC, macA, "scout"}, mac(macA)}, Matched, "a", 40,
			"Recognised as line 2 of the manifest (host-a) by mac 52:54:00:00:00:0a (dhcp and scout) (score 40)."},
		{"a row with one key only", []Key{uuid(uuidB), serial("SER-Z"), mac(macX)}, Matched, "c", 60,
			"Recognised as line 4 of the manifest (UUID 5d5d5544-0035-3210-804d-b7c04f4e3299) by uuid 5d5d5544-0035-3210-804d-b7c04f4e3299 (dhcp) (score 60)."},
		{"a new network card does not hide the host", []Key{serial("SER-B"), mac(macX)}, Matched, "b", 100,
			"Recognised as line 3 of the manifest (serial SER-B) by serial SER-B (smbios) (score 100). Its mac differs: the row says 52:54:00:00:00:0b, the host 52:54:00:00:00:ff."},
		{"one of two serials is enough", []Key{serial("BOARD-1"), serial("SER-B")}, Matched, "b", 100,
			"Recognised as line 3 of the manifest (serial SER-B) by serial SER-B (smbios) (score 100)."},
		{"unknown host", []Key{serial("SER-Z"), mac(macX)}, NoMatch, "", 0,
			"No row of a manifest has serial SER-Z (smbios), mac 52:54:00:00:00:ff (dhcp)."},
		{"junk only", []Key{serial("Default string"), uuid("03000200-0400-0500-0006-000700080009"), mac("00:00:00:00:00:00")}, NoMatch, "", 0,
			"No row of a manifest has anything of what this host shows: it shows no usable key."},
		{"serial and MAC point to two rows", []Key{serial("SER-A"), mac(macB)}, Conflicted, "", 0,
			"The host cannot be told apart: serial SER-A (smbios) agrees with line 2 of the manifest (host-a); mac 52:54:00:00:00:0b (dhcp) agrees with line 3 of the manifest (serial SER-B). Correct the manifest, or check which host stands there."},
		{"the MAC's row has another serial", []Key{serial("SER-Z"), mac(macB)}, Conflicted, "", 0,
			"mac 52:54:00:00:00:0b (dhcp) agrees with line 3 of the manifest (serial SER-B), but that row says serial SER-B and the host says SER-Z: correct the manifest, or check which host stands there."},
		{"the MAC's row has another UUID", []Key{uuid(uuidB + ""), mac(macA)}, Conflicted, "", 0,
			"The host cannot be told apart: mac 52:54:00:00:00:0a (dhcp) agrees with line 2 of the manifest (host-a); uuid 5d5d5544-0035-3210-804d-b7c04f4e3299 (dhcp) agrees with line 4 of the manifest (UUID 5d5d5544-0035-3210-804d-b7c04f4e3299). Correct the manifest, or check which host stands there."},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := Match(rows, tt.seen)
			if got.Verdict != tt.verdict || got.ID != tt.id || got.Score != tt.score {
				t.Errorf("got %v %q score %d, want %v %q score %d", got.Verdict, got.ID, got.Score, tt.verdict, tt.id, tt.score)
			}
			if diff := cmp.Diff(tt.sentence, got.Sentence); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestMatchDoesNotChooseBetweenEqualRows(t *testing.T) {
	rows := []Expected{
		{"first", Row{Line: 2, Serial: "SER-A"}},
		{"second", Row{Line: 9, Serial: "ser-a"}},
	}
	if got := Match(rows, []Key{{Serial, "SER-A", "smbios"}}); got.Verdict != Conflicted || got.ID != "" || len(got.Hits) != 2 {
		t.Errorf("got %+v, want a conflict with two hits", got)
	}
}

func TestMatchDoesNotChangeItsInput(t *testing.T) {
	seen := []Key{{MAC, "52-54-00-00-00-0A", "dhcp"}}
	Match([]Expected{{"a", Row{MACs: []string{"52:54:00:00:00:0a"}}}}, seen)
	if seen[0].Value != "52-54-00-00-00-0A" {
		t.Errorf("seen became %v", seen)
	}
}
