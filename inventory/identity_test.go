package inventory

import "testing"

func TestJunkSerialsCountForNothing(t *testing.T) {
	for _, v := range []string{
		"", "  ", "0", "0000000000", "XXXXXXXX", "........", "---", "To be filled by O.E.M.", "to  be filled by o.e.m.",
		"Default string", "Not Specified", "System Serial Number", "N/A", "None", "0123456789",
	} {
		if !Junk(v) {
			t.Errorf("Junk(%q) = false, want true", v)
		}
		if got := NormalSerial(v); got != "" {
			t.Errorf("NormalSerial(%q) = %q, want empty", v, got)
		}
	}
	for _, v := range []string{"A1", "7XK2M13", "CZ3-000-001", "00000001", "lab-bios", "none-7"} {
		if Junk(v) {
			t.Errorf("Junk(%q) = true, want false", v)
		}
	}
}

func TestNormalSerialIgnoresCaseAndSpaces(t *testing.T) {
	if a, b := NormalSerial(" cz3abc "), NormalSerial("CZ3ABC"); a != b || a == "" {
		t.Errorf("got %q and %q, want equal", a, b)
	}
}

func TestNormalMACReadsEveryCommonForm(t *testing.T) {
	const want = "52:54:00:ab:cd:ef"
	for _, in := range []string{"52:54:00:AB:CD:EF", "52-54-00-ab-cd-ef", "5254.00ab.cdef", "525400ABCDEF", " 52:54:00:ab:cd:ef "} {
		if got, ok := NormalMAC(in); !ok || got != want {
			t.Errorf("NormalMAC(%q) = %q, %v, want %q", in, got, ok, want)
		}
	}
	for _, in := range []string{"", "52:54:00:ab:cd", "52:54:00:ab:cd:ef:01", "52:54:00:ab:cd:eg", "01:00:5e:00:00:01",
		"ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00", "52/54/00/ab/cd/ef", "{525400abcdef}"} {
		if got, ok := NormalMAC(in); ok {
			t.Errorf("NormalMAC(%q) = %q, want refused", in, got)
		}
	}
}

func TestNormalUUIDRefusesMakersDefaults(t *testing.T) {
	const want = "4c4c4544-0035-3210-804d-b7c04f4e3233"
	for _, in := range []string{want, "4C4C4544-0035-3210-804D-B7C04F4E3233", "{4c4c454400353210804db7c04f4e3233}"} {
		if got, ok := NormalUUID(in); !ok || got != want {
			t.Errorf("NormalUUID(%q) = %q, %v, want %q", in, got, ok, want)
		}
	}
	junk := []string{
		"00000000-0000-0000-0000-000000000000", "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF",
		"03000200-0400-0500-0006-000700080009", "00020003-0004-0005-0006-000700080009",
	}
	for _, in := range junk {
		if _, ok := NormalUUID(in); ok || !JunkUUID(in) {
			t.Errorf("%q was not recognised as junk", in)
		}
		if match, _ := SameUUID(in, in); match {
			t.Errorf("SameUUID matches junk %q with itself", in)
		}
	}
	if _, ok := NormalUUID("4c4c4544-0035"); ok {
		t.Error("a short UUID was accepted")
	}
}

func TestSameUUIDTellsTheByteOrder(t *testing.T) {
	const linux, raw = "4c4c4544-0035-3210-804d-b7c04f4e3233", "44454c4c-3500-1032-804d-b7c04f4e3233"
	tests := []struct {
		a, b           string
		match, swapped bool
	}{
		{linux, linux, true, false},
		{linux, "4C4C4544-0035-3210-804D-B7C04F4E3233", true, false},
		{linux, raw, true, true},
		{raw, linux, true, true},
		{linux, "4c4c4544-0035-3210-804d-b7c04f4e3234", false, false},
		{linux, "", false, false},
		{"nonsense", "nonsense", false, false},
	}
	for _, tt := range tests {
		match, swapped := SameUUID(tt.a, tt.b)
		if match != tt.match || swapped != tt.swapped {
			t.Errorf("SameUUID(%q, %q) = %v, %v, want %v, %v", tt.a, tt.b, match, swapped, tt.match, tt.swapped)
		}
	}
	if got, ok := SwapUUID(linux); !ok || got != raw {
		t.Errorf("SwapUUID(%q) = %q, %v, want %q", linux, got, ok, raw)
	}
}
