package quirk

import (
	"strings"
	"testing"
)

func TestTheFirstRowThatFitsIsUsed(t *testing.T) {
	book := Builtin()
	for _, tc := range []struct {
		name, want string
		product    Product
	}{
		{"R750 6.00.30", "idrac9", Product{Vendor: "Dell", Firmware: "6.00.30.00", OEM: []string{"Dell"}}},
		{"6.00.02 is the first of the new", "idrac9", Product{Vendor: "Dell", Firmware: "6.00.02.00"}},
		{"6.00.00 is old", "idrac9-before-6", Product{Vendor: "Dell", Firmware: "6.00.00.00"}},
		{"iDRAC9 of 2019", "idrac9-before-6", Product{Maker: "Dell Inc.", Firmware: "3.36.36.36"}},
		{"iDRAC8", "idrac8", Product{Vendor: "Dell", Firmware: "2.75.75.75"}},
		{"iDRAC10", "idrac10", Product{OEM: []string{"Dell"}, Firmware: "1.20.50.50"}},
		{"iLO 5", "ilo", Product{Vendor: "HPE", Manager: "iLO 5", Firmware: "iLO 5 v2.72"}},
		{"iLO 7", "ilo7", Product{Vendor: "HPE", Manager: "iLO 7", Firmware: "iLO 7 1.10"}},
		{"XCC", "xcc", Product{Vendor: "Lenovo", Model: "ThinkSystem SR670 V2"}},
		{"SR635 V3 is an XCC", "xcc", Product{Vendor: "Lenovo", Model: "ThinkSystem SR635 V3"}},
		{"SR635 is AMI", "lenovo-amd", Product{Vendor: "Lenovo", Model: "ThinkSystem SR635 -[7Y99CTO1WW]-"}},
		{"X10", "supermicro-x10", Product{Maker: "Supermicro", Model: "SYS-1028U", Firmware: "3.88"}},
		{"X11", "supermicro-x11", Product{Maker: "Supermicro", Model: "X11DPH-T", Firmware: "1.73.14"}},
		{"SYS-821GE", "supermicro", Product{Vendor: "Supermicro", Model: "SYS-821GE-TNHR"}},
		{"Super Micro in words", "supermicro", Product{Maker: "Super Micro Computer, Inc."}},
		{"GB300 of Supermicro", "supermicro-openbmc", Product{Maker: "Supermicro", Model: "ARS-121GL-GB300"}},
		{"OpenBMC", "openbmc", Product{OEM: []string{"OpenBmc"}}},
		{"Gigabyte", "ami", Product{Maker: "GIGABYTE", Model: "H262-Z63"}},
		{"DGX before AMI", "nvidia-dgx", Product{Vendor: "AMI", OEM: []string{"Ami"}, Maker: "NVIDIA", Model: "DGXH100"}},
		{"Huawei", "huawei", Product{OEM: []string{"Huawei"}}},
		{"nobody's", "standard", Product{Vendor: "Contoso", Model: "X11"}},
		{"ami inside a word is nobody", "standard", Product{Vendor: "General Dynamics"}},
		{"silence", "standard", Product{}},
		{"Dell without a version is not guessed", "standard", Product{Vendor: "Dell"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, why := book.Match(tc.product)
			if got.Family != tc.want || !strings.HasPrefix(why, tc.want+": ") {
				t.Errorf("matched %s (%s), want %s", got.Family, why, tc.want)
			}
		})
	}
}

func TestVersionsAreComparedByNumber(t *testing.T) {
	r := Range{From: "2.9", Below: "2.72"}
	for version, want := range map[string]bool{"iLO 5 v2.10": true, "2.8": false, "2.9": true, "2.72": false, "BMC-1": false, "": false} {
		if r.holds(version) != want {
			t.Errorf("%q in %s is not %t", version, r, want)
		}
	}
}

func TestAMistakeInARowIsNamed(t *testing.T) {
	const good = `- family: a
  about: b
  sources: c
  match: {vendor: [V]}
  proof: {emulated: none yet, service: none yet, hardware: none yet}
`
	if _, err := Parse([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct{ old, with, want string }{
		"an unknown key":           {"about: b", "about: b\n  colour: red", "colour"},
		"no proof":                 {"emulated: none yet", "emulated: ''", "row 1 (a): proof"},
		"for everybody":            {"vendor: [V]", "model: ['*']", "match: name a vendor"},
		"an unknown word":          {"about: b", "about: b\n  media: {insert: push}", "media.insert: push"},
		"a bad pattern":            {"about: b", "about: b\n  media: {skip: ['[']}", "not a pattern"},
		"a version in words":       {"vendor: [V]", "vendor: [V], firmware: {from: new}", `"new" is not a version`},
		"the standard's name":      {"family: a", "family: standard", "another row"},
		"a licence without a text": {"about: b", "about: b\n  licence: {name: L}", "licence"},
		"a mistyped list":          {"vendor: [V]", "vendor: {a: b}", "vendor"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse([]byte(strings.Replace(good, tc.old, tc.with, 1)))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want an error with %q", err, tc.want)
			}
		})
	}
}

func TestSlotsAreRankedByPattern(t *testing.T) {
	m := Media{Slots: []string{"EXT*", "1"}, Skip: []string{"Remote*"}}
	if rank, ok := m.Rank("ext3"); rank != 0 || !ok {
		t.Errorf("ext3 is %d %t", rank, ok)
	}
	if _, ok := m.Rank("RDOC1"); ok || !m.Skips("Remote2") || m.Skips("EXT1") {
		t.Error("RDOC1 is ranked, Remote2 is not skipped, or EXT1 is")
	}
}

func FuzzParse(f *testing.F) {
	f.Add(builtin)
	f.Add([]byte("- family: a\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		book, err := Parse(data)
		if err == nil {
			book.Match(Product{Vendor: "Dell", Firmware: "6.10"})
		}
	})
}
