package inband

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/siderolabs/go-smbios/smbios"

	"github.com/muster-boot/muster/inventory"
)

// dmiTable is the raw SMBIOS table; absent where the firmware gives none.
const dmiTable = "sys/firmware/dmi/tables/DMI"

// Structure types of DMTF DSP0134 (SMBIOS 3.7) §7.
const (
	typeBIOS          = 0
	typeSystem        = 1
	typeBoard         = 2
	typeCPU           = 4
	typeMemoryArray   = 16
	typeMemoryDevice  = 17
	typeIPMI          = 38
	typeHostInterface = 42
)

// structure is one entry of the table. Offsets are those of the document, so
// the four bytes of the header count.
type structure struct {
	kind    uint8
	handle  uint16
	data    []byte // behind the header
	strings []string
}

const headerSize = 4

func (s structure) uint(off, size int) uint64 {
	off -= headerSize
	if off < 0 || off+size > len(s.data) {
		return 0
	}
	wide := make([]byte, 8)
	copy(wide, s.data[off:off+size])
	return binary.LittleEndian.Uint64(wide)
}

func (s structure) byte(off int) int { return int(s.uint(off, 1)) }
func (s structure) word(off int) int { return int(s.uint(off, 2)) }

// text is the string whose number stands at off.
func (s structure) text(off int) string {
	n := s.byte(off)
	if n == 0 || n > len(s.strings) || !utf8.ValidString(s.strings[n-1]) {
		return ""
	}
	return strings.TrimSpace(s.strings[n-1])
}

// board fills in everything that SMBIOS tells. The first structure of a kind
// counts where a host has but one of it.
func (t *tree) board(r *inventory.Report) {
	table := t.bytes(dmiTable)
	if table == nil {
		t.problem("The firmware gives no SMBIOS table: serial number, memory slots and processors are unknown.")
		return
	}
	all, err := decodeTable(table)
	if err != nil {
		t.problem("The SMBIOS table cannot be read: %v.", err)
		return
	}
	first := map[uint8]structure{}
	for _, s := range all {
		if _, ok := first[s.kind]; !ok {
			first[s.kind] = s
		}
	}
	r.System = t.system(first[typeSystem])
	r.Board = t.baseBoard(first[typeBoard])
	bios := first[typeBIOS]
	r.Firmware = inventory.Firmware{
		Vendor: t.said(bios, 0x04, "firmware vendor"), Version: t.said(bios, 0x05, "firmware version"), Date: bios.text(0x08),
	}
	r.CPUs = cpus(all)
	r.DIMMs = t.dimms(all)
	r.BMC = controller(first)
}

// decodeTable splits the table; the library's typed view keeps only one of
// several boards, so ours starts from the raw structures.
func decodeTable(table []byte) ([]structure, error) {
	decoded, err := smbios.Decode(bytes.NewReader(table), smbios.Version{})
	if err != nil {
		return nil, err
	}
	var all []structure
	for _, s := range decoded.Structures {
		all = append(all, structure{kind: s.Header.Type, handle: s.Header.Handle, data: s.Formatted, strings: s.Strings})
	}
	return all, nil
}

// said is a string of the maker; a placeholder is dropped and noted.
func (t *tree) said(s structure, off int, what string) string {
	v := s.text(off)
	if v == "" || !inventory.Junk(v) {
		return v
	}
	t.problem("The firmware has the placeholder %q as %s; it is taken as unknown.", v, what)
	return ""
}

// system is §7.2. The UUID comes from the kernel, which knows the byte order of
// each SMBIOS version.
func (t *tree) system(s structure) inventory.System {
	return inventory.System{
		Manufacturer: t.said(s, 0x04, "manufacturer"),
		Product:      t.said(s, 0x05, "product"),
		Serial:       t.said(s, 0x07, "system serial number"),
		SKU:          t.said(s, 0x19, "SKU"),
		UUID:         strings.ToLower(t.text("sys/class/dmi/id/product_uuid")),
	}
}

// baseBoard is §7.3.
func (t *tree) baseBoard(s structure) inventory.Board {
	return inventory.Board{
		Manufacturer: t.said(s, 0x04, "board manufacturer"),
		Product:      t.said(s, 0x05, "board product"),
		Serial:       t.said(s, 0x07, "board serial number"),
	}
}

// cpus is §7.5: populated sockets.
func cpus(all []structure) []inventory.CPU {
	const populated = 1 << 6 // of the status byte
	var list []inventory.CPU
	for _, s := range all {
		if s.kind != typeCPU || s.byte(0x18)&populated == 0 {
			continue
		}
		c := inventory.CPU{
			Slot: s.text(0x04), Model: s.text(0x10),
			Cores: s.count(0x24, 0x2c), Threads: s.count(0x25, 0x2e), MHz: s.word(0x16),
		}
		if c.Cores == 0 {
			c.Cores = s.count(0x23, 0x2a) // those enabled are not told; all are
		}
		if c.MHz == 0 {
			c.MHz = s.word(0x14)
		}
		list = append(list, c)
	}
	return list
}

// count is a number of cores: a byte, or where it is too small (FFh) the word
// that SMBIOS 3.0 added.
func (s structure) count(narrow, wide int) int {
	if n := s.byte(narrow); n != 0xff {
		return n
	}
	return s.word(wide)
}

// dimms is §7.18: the slots of arrays that are system memory (§7.17.2). Flash
// chips and cache are memory devices too.
func (t *tree) dimms(all []structure) []inventory.DIMM {
	const systemMemory = 3
	main := map[uint16]bool{}
	for _, s := range all {
		if s.kind == typeMemoryArray && s.byte(0x05) == systemMemory {
			main[s.handle] = true
		}
	}
	var list []inventory.DIMM
	for _, s := range all {
		if s.kind == typeMemoryDevice && main[uint16(s.word(0x04))] {
			list = append(list, t.dimm(s))
		}
	}
	return list
}

func (t *tree) dimm(s structure) inventory.DIMM {
	d := inventory.DIMM{Slot: s.text(0x10), Bank: s.text(0x11), Size: t.dimmSize(s)}
	if d.Size == 0 {
		return d // what makers write about an empty slot is noise
	}
	d.Type = memoryType(s.byte(0x12))
	d.MTs = s.word(0x20)
	if d.MTs == 0 {
		d.MTs = s.word(0x15)
	}
	d.Manufacturer, d.Serial, d.Part = real(s.text(0x17)), real(s.text(0x18)), real(s.text(0x1a))
	return d
}

// real drops placeholders of single parts without a note: on many boards every
// slot has some.
func real(v string) string {
	if inventory.Junk(v) {
		return ""
	}
	return v
}

// dimmSize is §7.18.5: megabytes, or kilobytes with the highest bit set, or
// 7FFFh for a size that only the extended field can hold.
func (t *tree) dimmSize(s structure) inventory.Bytes {
	const (
		unknown  = 0xffff
		extended = 0x7fff
		inKB     = 0x8000
		mb, kb   = 20, 10
	)
	switch n := s.word(0x0c); {
	case n == unknown:
		t.problem("The firmware does not tell the size of the memory module in slot %s.", s.text(0x10))
		return 0
	case n == extended:
		return inventory.Bytes(s.uint(0x1c, 4)&0x7fffffff) << mb
	case n&inKB != 0:
		return inventory.Bytes(n&^inKB) << kb
	default:
		return inventory.Bytes(n) << mb
	}
}

// memoryType is §7.18.2; kinds that no server of the last fifteen years has are
// given by number.
func memoryType(n int) string {
	names := map[int]string{
		0x07: "RAM", 0x0f: "SDRAM", 0x12: "DDR", 0x13: "DDR2", 0x18: "DDR3", 0x1a: "DDR4",
		0x1b: "LPDDR", 0x1c: "LPDDR2", 0x1d: "LPDDR3", 0x1e: "LPDDR4", 0x1f: "Logical non-volatile",
		0x20: "HBM", 0x21: "HBM2", 0x22: "DDR5", 0x23: "LPDDR5", 0x24: "HBM3",
	}
	switch {
	case names[n] != "":
		return names[n]
	case n <= 2: // other, unknown
		return ""
	}
	return fmt.Sprintf("type %#x", n)
}

// controller says whether the firmware tells of a BMC: an IPMI device (§7.39)
// or a network interface to one (§7.43). A firmware that was read and tells of
// none has none.
func controller(first map[uint8]structure) *inventory.Controller {
	if _, ok := first[typeIPMI]; ok {
		return &inventory.Controller{Present: true, Via: "smbios-38"}
	}
	if _, ok := first[typeHostInterface]; ok {
		return &inventory.Controller{Present: true, Via: "host-interface"}
	}
	return &inventory.Controller{}
}
