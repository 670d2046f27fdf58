package inband

import (
	"bytes"
	"encoding/binary"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/muster-boot/muster/inventory"
)

func rootOf(dir string) fs.FS { return os.DirFS(dir) }

// entry is one structure: fields are set by offset as the document counts them.
func entry(kind byte, handle uint16, size int, bytesAt map[int]byte, words map[int]uint16, texts ...string) []byte {
	b := make([]byte, size)
	b[0], b[1] = kind, byte(size)
	binary.LittleEndian.PutUint16(b[2:], handle)
	for off, v := range bytesAt {
		b[off] = v
	}
	for off, v := range words {
		binary.LittleEndian.PutUint16(b[off:], v)
	}
	if len(texts) == 0 {
		return append(b, 0, 0)
	}
	return append(b, strings.Join(texts, "\x00")+"\x00\x00"...)
}

func hostWith(t *testing.T, entries ...[]byte) inventory.Report {
	t.Helper()
	dir := t.TempDir()
	end := entry(127, 0x7f00, 4, nil, nil)
	put(t, dir, dmiTable, string(bytes.Join(append(entries, end), nil)))
	put(t, dir, "sys/class/dmi/id/product_uuid", "AABBCCDD-0011-2233-4455-66778899AABB\n")
	put(t, dir, "proc/meminfo", "MemTotal:        1024 kB\n")
	return Read(rootOf(dir), Options{})
}

func TestPlaceholdersAreDroppedAndNoted(t *testing.T) {
	r := hostWith(t, entry(1, 1, 0x1b, map[int]byte{4: 1, 5: 2, 7: 3}, nil, "ACME", "Default string", "To be filled by O.E.M."))
	want := inventory.System{Manufacturer: "ACME", UUID: "aabbccdd-0011-2233-4455-66778899aabb"}
	if diff := cmp.Diff(want, r.System); diff != "" {
		t.Errorf("system differs (-want +got):\n%s", diff)
	}
	if len(r.Problems) != 2 || !strings.Contains(r.Problems[1], `placeholder "To be filled by O.E.M." as system serial number`) {
		t.Errorf("problems are %q", r.Problems)
	}
}

func TestTheFirstBoardIsTheHosts(t *testing.T) {
	r := hostWith(t,
		entry(2, 2, 0x0f, map[int]byte{7: 1}, nil, "MAIN-1"),
		entry(2, 3, 0x0f, map[int]byte{7: 1}, nil, "RISER-2"))
	if r.Board.Serial != "MAIN-1" {
		t.Errorf("board is %+v", r.Board)
	}
}

func TestProcessors(t *testing.T) {
	const populated = 0x41
	r := hostWith(t,
		entry(4, 4, 0x30, map[int]byte{4: 1, 0x10: 2, 0x18: populated, 0x23: 16, 0x24: 12, 0x25: 24}, map[int]uint16{0x14: 4000, 0x16: 2500}, "P0", "Xeon"),
		entry(4, 5, 0x30, map[int]byte{4: 1, 0x18: populated, 0x23: 0xff, 0x24: 0xff, 0x25: 0xff}, map[int]uint16{0x14: 3000, 0x2a: 288, 0x2c: 256, 0x2e: 512}, "P1"),
		entry(4, 6, 0x30, map[int]byte{4: 1, 0x18: 0}, nil, "P2"))
	want := []inventory.CPU{
		{Slot: "P0", Model: "Xeon", Cores: 12, Threads: 24, MHz: 2500},
		{Slot: "P1", Cores: 256, Threads: 512, MHz: 3000},
	}
	if diff := cmp.Diff(want, r.CPUs); diff != "" {
		t.Errorf("processors differ (-want +got):\n%s", diff)
	}
}

func TestMemorySlots(t *testing.T) {
	const mib = 1 << 20
	dimm := func(handle uint16, words map[int]uint16, texts ...string) []byte {
		words[0x04] = 0x1000
		return entry(17, handle, 0x28, map[int]byte{0x10: 1, 0x12: 0x1a, 0x17: 2, 0x18: 3}, words, texts...)
	}
	r := hostWith(t,
		entry(16, 0x1000, 0x17, map[int]byte{0x05: 3}, nil),
		entry(16, 0x1001, 0x17, map[int]byte{0x05: 5}, nil), // flash
		dimm(1, map[int]uint16{0x0c: 0x4000, 0x15: 3200, 0x20: 2933}, "A1", "ACME", "123"),
		dimm(2, map[int]uint16{0x0c: 0x7fff, 0x1c: 0x0000, 0x1e: 1}, "A2", "NO DIMM", "00000000"),
		dimm(3, map[int]uint16{0x0c: 0}, "A3", "NO DIMM", "NO DIMM"),
		dimm(4, map[int]uint16{0x0c: 0x8000 | 512}, "A4"),
		dimm(5, map[int]uint16{0x0c: 0xffff}, "A5"),
		entry(17, 6, 0x28, map[int]byte{0x10: 1}, map[int]uint16{0x04: 0x1001, 0x0c: 16}, "BIOS flash"))
	want := []inventory.DIMM{
		{Slot: "A1", Size: 16384 * mib, Type: "DDR4", MTs: 2933, Manufacturer: "ACME", Serial: "123"},
		{Slot: "A2", Size: 65536 * mib, Type: "DDR4", Manufacturer: "NO DIMM"},
		{Slot: "A3"},
		{Slot: "A4", Size: mib / 2, Type: "DDR4"},
		{Slot: "A5"},
	}
	if diff := cmp.Diff(want, r.DIMMs); diff != "" {
		t.Errorf("slots differ (-want +got):\n%s", diff)
	}
	if len(r.Problems) != 1 || !strings.Contains(r.Problems[0], "slot A5") {
		t.Errorf("problems are %q", r.Problems)
	}
}

func TestTheFirmwareTellsOfABMC(t *testing.T) {
	for via, s := range map[string][]byte{
		"smbios-38":      entry(38, 9, 0x12, nil, nil),
		"host-interface": entry(42, 9, 0x0b, nil, nil),
		"":               entry(3, 9, 0x15, nil, nil),
	} {
		r := hostWith(t, s)
		if r.BMC == nil || r.BMC.Via != via || r.BMC.Present != (via != "") {
			t.Errorf("BMC is %+v, want one by %q", r.BMC, via)
		}
	}
}

func TestADamagedTableIsAProblem(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, dmiTable, "\x01\x1b\x00\x00only this")
	r := Read(rootOf(dir), Options{})
	if len(r.Problems) == 0 || !strings.Contains(strings.Join(r.Problems, " "), "SMBIOS table cannot be read") {
		t.Errorf("problems are %q", r.Problems)
	}
}

func TestFirmwareGaps(t *testing.T) {
	got := FirmwareGaps([]string{
		"bnx2x 0000:03:00.0: firmware: failed to load bnx2x/e2.fw (-2)",
		"bnx2x 0000:03:00.0: Direct firmware load for bnx2x/e2.fw failed with error -2",
		"r8169 0000:02:00.0 eth0: Direct firmware load for rtl_nic/r.fw failed with error -2",
		"firmware_class: See https://wiki.debian.org/Firmware for information about missing firmware",
		"e1000e 0000:00:03.0 eth0: NIC Link is Up 1000 Mbps Full Duplex, Flow Control: Rx/Tx",
		"",
	})
	want := []inventory.FirmwareGap{
		{Device: "0000:03:00.0", Driver: "bnx2x", Blob: "bnx2x/e2.fw"},
		{Device: "0000:02:00.0 eth0", Driver: "r8169", Blob: "rtl_nic/r.fw"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("gaps differ (-want +got):\n%s", diff)
	}
}
