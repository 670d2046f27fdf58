package profile

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const everything = `
name: rack-server
about: Every rule there is.
system: {manufacturer: Dell Inc., product: PowerEdge R450}
firmware: {mode: uefi, secure_boot: true}
tpm: "2.0"
cpu:
  sockets: {exact: 2}
  cores: {minimum: 32}
memory:
  exact: 0.25TiB
  usable: 240GiB
  slots: {A1: 64GiB, B1: 64 GiB}
nics:
  count: {minimum: 4}
  link: {minimum: 2}
  speed: 25Gbps
disks:
- {count: {exact: 2}, minimum: 480GB, rotational: false, transport: sata}
- {count: {minimum: 4}, minimum: 1.92TB}
install_disk: {by_id: /dev/disk/by-id/ata-BOSS_123}
must_see: [memory, nic-speed]
`

func TestParseReadsEveryRule(t *testing.T) {
	p, err := Parse([]byte(everything))
	if err != nil {
		t.Fatal(err)
	}
	if p.Memory.Exact != 256*gib || p.Memory.Slots["B1"] != 64*gib {
		t.Errorf("memory read as %d and %d bytes", p.Memory.Exact, p.Memory.Slots["B1"])
	}
	if p.Disks[1].Minimum != 1_920_000_000_000 {
		t.Errorf("1.92TB read as %d bytes", p.Disks[1].Minimum)
	}
	if p.NICs.Speed != 25000 {
		t.Errorf("25Gbps read as %d Mbps", p.NICs.Speed)
	}
}

func TestProfileSurvivesJSON(t *testing.T) {
	minimum, _ := Builtin("edge-minimum")
	full, err := Parse([]byte(everything))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []Profile{minimum, full, {}} {
		data, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		var back Profile
		if err := json.Unmarshal(data, &back); err != nil {
			t.Fatalf("%s: %v", data, err)
		}
		if diff := cmp.Diff(p, back); diff != "" {
			t.Errorf("profile %q changed through JSON (-before +after):\n%s", p.Name, diff)
		}
	}
}

func TestParseNamesThePlaceOfWhatIsWrong(t *testing.T) {
	const head = "name: x\ninstall_disk: {minimum: 100GB}\n"
	tests := []struct {
		name, in, want string
	}{
		{"unknown key", head + "memroy: {minimum: 8GiB}\n", `line 3, column 1: unknown key "memroy"`},
		{"bare number for memory", head + "memory: {minimum: 8}\n", `line 3, column 19: "8": memory is given in GiB or TiB`},
		{"decimal unit for memory", head + "memory: {minimum: 8GB}\n", `line 3, column 19: "8GB": memory is given in GiB or TiB`},
		{"binary unit for a disk", "name: x\ninstall_disk: {minimum: 100GiB}\n", `line 2, column 25: "100GiB": disk sizes are given in GB or TB`},
		{"bare number for a disk", "name: x\ninstall_disk: {minimum: 100}\n", `line 2, column 25: "100": disk sizes`},
		{"negative size", head + "memory: {minimum: -8GiB}\n", `line 3, column 19: "-8GiB": memory`},
		{"zero size", head + "memory: {minimum: 0GiB}\n", `line 3, column 19: "0GiB" is out of range`},
		{"exponent", head + "memory: {minimum: 1e3GiB}\n", `line 3, column 19: "1e3GiB": memory`},
		{"both forms", head + "cpu: {cores: {minimum: 2, exact: 4}}\n", "line 3, column 14: cpu.cores: say minimum or exact"},
		{"both forms of memory", head + "memory: {minimum: 8GiB, exact: 8GiB}\n", "line 3, column 9: memory: say minimum or exact"},
		{"usable alone", head + "memory: {usable: 8GiB}\n", "line 3, column 18: memory.usable: say minimum"},
		{"usable above installed", head + "memory: {minimum: 8GiB, usable: 9GiB}\n", "line 3, column 33: memory.usable: 9 GiB is more than"},
		{"firmware mode", head + "firmware: {mode: efi}\n", `line 3, column 18: firmware.mode: "efi" is neither`},
		{"secure boot in BIOS mode", head + "firmware: {mode: bios, secure_boot: true}\n", "line 3, column 37: firmware.secure_boot: Secure Boot needs"},
		{"TPM version", head + "tpm: \"3.0\"\n", `line 3, column 6: tpm: "3.0" is neither`},
		{"disks without count", head + "disks:\n- {minimum: 100GB}\n", "line 4, column 3: disks[0]: say how many"},
		{"speed unit", head + "nics: {speed: 1000}\n", `line 3, column 15: "1000": speed is given in Mbps`},
		{"unknown check", head + "must_see: [memory, memmory]\n", `line 3, column 20: must_see[1]: there is no check "memmory"`},
		{"no install disk", "name: x\n", "install_disk: name the disk by by_id"},
		{"two install disks", "name: x\ninstall_disk: {by_id: a, minimum: 1TB}\n", "line 2, column 15: install_disk: name the disk"},
		{"kernel name as by_id", "name: x\ninstall_disk: {by_id: /dev/sda}\n", "line 2, column 23: install_disk.by_id: give one name"},
		{"no name", "install_disk: {minimum: 100GB}\n", "name: give the profile a name"},
		{"bad name", "name: Edge Node\ninstall_disk: {minimum: 100GB}\n", "line 1, column 7: name: give the profile a name"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse([]byte(tt.in))
			if err == nil || !strings.HasPrefix(err.Error(), "read profile: "+tt.want) {
				t.Errorf("got  %v\nwant read profile: %s...", err, tt.want)
			}
		})
	}
}

func TestBuiltinsAllParse(t *testing.T) {
	if !cmp.Equal(Builtins(), []string{"edge-minimum"}) {
		t.Errorf("builtins are %v", Builtins())
	}
	for _, name := range Builtins() {
		p, ok := Builtin(name)
		if !ok || p.Name != name {
			t.Errorf("Builtin(%q) = %q, %v", name, p.Name, ok)
		}
	}
	if _, ok := Builtin("../edge-minimum"); ok {
		t.Error("a path was taken for the name of a profile")
	}
}

func TestSentencesSayEachRule(t *testing.T) {
	p, err := Parse([]byte(everything))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"System: Dell Inc. PowerEdge R450.",
		"Firmware mode: uefi.",
		"Secure Boot: on.",
		"TPM: version 2.0 or later.",
		"Processors: exactly 2 processors.",
		"Processor cores: at least 32 cores.",
		"Memory: exactly 256 GiB in DIMMs; where nobody sees the DIMMs, at least 240 GiB usable.",
		"Memory slot: A1 holds 64 GiB.",
		"Memory slot: B1 holds 64 GiB.",
		"Network ports: at least 4 network ports.",
		"Network link: at least 2 ports with link.",
		"Network speed: 25 Gbit/s or faster, else the port does not count.",
		"Disks: exactly 2 disks (solid-state, sata, 480 GB or more).",
		"Disks: at least 4 disks (1.92 TB or more).",
		"Install disk: the disk ata-BOSS_123.",
		"Disk: the install disk is empty, unless erasing is allowed or muster itself began to write to it.",
		"The host waits if nobody could see: memory, nic-speed.",
	}
	if diff := cmp.Diff(want, p.Sentences()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
