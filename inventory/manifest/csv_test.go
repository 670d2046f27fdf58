package manifest

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"
)

func TestReadCSVUnderstandsWhatSheetsWrite(t *testing.T) {
	want := []Row{
		{Line: 2, Serial: "7XK2M13", MACs: []string{"52:54:00:00:00:01"}, Name: "rack4-u12"},
		{Line: 3, Serial: "7XK2M14", MACs: []string{"52:54:00:00:00:02"}, Name: "rack4-u13"},
	}
	const plain = "serial,mac,name\n7XK2M13,52:54:00:00:00:01,rack4-u12\n7XK2M14,52:54:00:00:00:02,rack4-u13\n"
	shift := func(rows []Row, by int) []Row {
		moved := make([]Row, len(rows))
		for i, r := range rows {
			r.Line += by
			moved[i] = r
		}
		return moved
	}
	tests := []struct {
		name, in string
		want     []Row
	}{
		{"plain", plain, want},
		{"no line end at the end", strings.TrimSuffix(plain, "\n"), want},
		{"byte order mark and CRLF", "\ufeff" + strings.ReplaceAll(plain, "\n", "\r\n"), want},
		{"semicolons", strings.ReplaceAll(plain, ",", ";"), want},
		{"tabs", strings.ReplaceAll(plain, ",", "\t"), want},
		{"UTF-16 with tabs", utf16le(strings.ReplaceAll(plain, ",", "\t")), want},
		{"sep line", "sep=;\r\n" + strings.ReplaceAll(plain, ",", ";"), shift(want, 1)},
		{"blank lines, comments and lines of separators", "\n# rack 4\n" + strings.Replace(plain, "\n", "\n,,\n", 1),
			[]Row{shift(want, 3)[0], shift(want, 3)[1]}},
		{"quoted and padded cells", "\"serial\", \"mac\",name\n\" 7XK2M13\", 52:54:00:00:00:01 ,\"rack4-u12\"\n7XK2M14,\"52:54:00:00:00:02\",RACK4-U13\n", want},
		{"other headings", "Serial Number,MAC Address,Host Name\n7XK2M13,52-54-00-00-00-01,rack4-u12\n7XK2M14,5254.0000.0002,rack4-u13\n", want},
		{"abbreviated headings, other order", "Hostname;S/N;Boot MAC\nrack4-u12;7XK2M13;525400000001\nrack4-u13;7XK2M14;525400000002\n", want},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, warnings, err := ReadCSV(strings.NewReader(tt.in), Defaults{})
			if err != nil || len(warnings) > 0 {
				t.Fatalf("error %v, warnings %v", err, warnings)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func utf16le(s string) string {
	out := []byte{0xff, 0xfe}
	for _, u := range utf16.Encode([]rune(s)) {
		out = binary.LittleEndian.AppendUint16(out, u)
	}
	return string(out)
}

func TestReadCSVTakesSeveralMACsAndOverrides(t *testing.T) {
	in := "serial,MAC 1,MAC2,uuid,profile,image,handoff,erase,after,install_disk,Transport\n" +
		"A1,52:54:00:00:00:01 52-54-00-00-00-02,525400000003,{4C4C4544-0035-3210-804D-B7C04F4E3233},big,v2,callhome,Allowed,PowerOff,/dev/disk/by-id/nvme-X,UEFI-HTTP\n" +
		"A2,\"52:54:00:00:00:04;52:54:00:00:00:04\",,,,,,,,,\n"
	want := []Row{
		{Line: 2, Serial: "A1", MACs: []string{"52:54:00:00:00:01", "52:54:00:00:00:02", "52:54:00:00:00:03"},
			UUID:      "4c4c4544-0035-3210-804d-b7c04f4e3233",
			Overrides: Overrides{"big", "v2", "callhome", Allowed, PowerOff, "nvme-X", UEFIHTTP}},
		{Line: 3, Serial: "A2", MACs: []string{"52:54:00:00:00:04"}},
	}
	got, _, err := ReadCSV(strings.NewReader(in), Defaults{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestReadCSVNamesEveryWrongCellAndImportsNothing(t *testing.T) {
	in := "Serial,MAC,UUID,Name,Erase,Install Disk,Transport\n" +
		"A1,52:54:00:00:00:01,4c4c4544-0035-3210-804d-b7c04f4e3233,h1,,\n" +
		"a1,52:54:00:00:00:0z,,h2,,\n" + // line 3: serial again, bad MAC
		",5254.0000.0001,44454c4c-3500-1032-804d-b7c04f4e3233,H1,,\n" + // line 4: MAC, UUID (swapped) and name again
		",,,h5,,\n" + // line 5: no identity
		"1.23457E+11,,xyz,under_score,always,/dev/sda,tape\n" + // line 6: all wrong
		"A7,01:00:5e:00:00:01,,,,,\n" + // line 7: group address
		"A8,52:54:00:00:00:08,,,,,,surplus\n" // line 8: cell without heading
	want := `line 3, column "MAC": "52:54:00:00:00:0z" is not the MAC address of a network port; write it like 52:54:00:12:34:56
line 3, column "Serial": "a1" already stands in line 2
line 4, column "UUID": "44454c4c-3500-1032-804d-b7c04f4e3233" already stands in line 2
line 4, column "Name": "h1" already stands in line 2
line 4, column "MAC": "52:54:00:00:00:01" already stands in line 2
line 5: nothing here tells which host it is; give a serial, a MAC, a UUID, or the address or MAC of its BMC
line 6, column "Serial": "1.23457E+11" is a number that a spreadsheet has rounded; format the column as text and enter the serial again
line 6, column "UUID": "xyz" is not a UUID; it has 32 hexadecimal digits
line 6, column "Name": "under_score" cannot be a host name; use up to 63 letters, digits and hyphens
line 6, column "Erase": "always" is neither never nor allowed
line 6, column "Install Disk": "/dev/sda" is not a name under /dev/disk/by-id
line 6, column "Transport": "tape" is none of netboot, media, uefi-http, write
line 7, column "MAC": "01:00:5e:00:00:01" is not the MAC address of a network port; write it like 52:54:00:12:34:56
line 8: cell 8 stands under no heading; is a separator too many in this line? Put cells that hold one in double quotes`
	rows, _, err := ReadCSV(strings.NewReader(in), Defaults{})
	if rows != nil {
		t.Errorf("%d rows were imported", len(rows))
	}
	if err == nil {
		t.Fatal("no error")
	}
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !errors.As(err, new(Problems)) {
		t.Errorf("error is a %T, want Problems", err)
	}
}

func TestReadCSVRefusesFilesThatAreNoManifest(t *testing.T) {
	for in, want := range map[string]string{
		"":                          "no column is called serial, mac, uuid, bmc_address or bmc_mac",
		"rack,unit\n4,12\n":         "no column is called serial, mac, uuid, bmc_address or bmc_mac",
		"serial,mac\n":              "the manifest lists no host",
		"serial,S/N\nA,B\n":         `columns "serial" and "S/N" mean the same; keep one`,
		"serial,name\nA1,\"x\n":     "line 2: at character",
		"serial,name\nA1,B\xfcro\n": "line 2: this line is not UTF-8 text",
		"serial\n" + strings.Repeat("x", maxBytes): "the manifest is larger than 16 MiB",
	} {
		_, _, err := ReadCSV(strings.NewReader(in), Defaults{})
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%.20q: got %v, want %s...", in, err, want)
		}
	}
}

func TestReadCSVWarnsOfWhatItLeavesOut(t *testing.T) {
	in := "serial,uuid,mac,Rack,Unit\nTo be filled by O.E.M.,03000200-0400-0500-0006-000700080009,525400000001,4,12\n"
	rows, warnings, err := ReadCSV(strings.NewReader(in), Defaults{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]Row{{Line: 2, MACs: []string{"52:54:00:00:00:01"}}}, rows); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	want := []string{
		`column "Rack" is not used`,
		`column "Unit" is not used`,
		`line 2, column "serial": "To be filled by O.E.M." says nothing and is left out`,
		`line 2, column "uuid": "03000200-0400-0500-0006-000700080009" is a maker's default that many boards share and is left out`,
	}
	var got []string
	for _, w := range warnings {
		got = append(got, w.String())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestNeedsDiscoveryWithoutMACUUIDAndBMC(t *testing.T) {
	for _, tt := range []struct {
		row  Row
		want bool
	}{
		{Row{Serial: "A"}, true},
		{Row{Serial: "A", MACs: []string{"52:54:00:00:00:01"}}, false},
		{Row{Serial: "A", BMC: BMC{MAC: "52:54:00:00:00:01"}}, false},
		{Row{Serial: "A", UUID: "4c4c4544-0035-3210-804d-b7c04f4e3233"}, false},
	} {
		if got := tt.row.NeedsDiscovery(); got != tt.want {
			t.Errorf("%+v: NeedsDiscovery() = %v", tt.row, got)
		}
	}
}

func FuzzReadCSV(f *testing.F) {
	f.Add([]byte("serial,mac,name\n7XK2M13,52:54:00:00:00:01,rack4-u12\n"))
	f.Add([]byte("sep=;\r\nS/N;MAC\r\n\"A;1\";5254.0000.0001\r\n"))
	f.Add([]byte(utf16le("serial\tmac\nA\t525400000001\n")))
	f.Add([]byte("serial\n\"unterminated"))
	f.Add([]byte("iDRAC IP,idrac user,idrac password,ip,netmask,gw,dns 1,vlan,bmc driver\nhttps://10.0.0.9/,root,x,10.1.0.9,255.255.255.0,10.1.0.1,10.1.0.2,7,ipmi\n"))
	f.Add([]byte("\xff\xfe\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		rows, _, err := ReadCSV(strings.NewReader(string(data)), Defaults{})
		if err != nil && rows != nil {
			t.Error("rows in spite of an error")
		}
		if err == nil && len(rows) == 0 {
			t.Error("neither rows nor an error")
		}
		for _, r := range rows {
			if r.Line < 1 || r.Serial == "" && r.NeedsDiscovery() {
				t.Errorf("row %+v has no line or no identity", r)
			}
		}
	})
}
