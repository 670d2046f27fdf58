package localdisk

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"
)

// Device path nodes, UEFI 10.3.
const (
	active   = 1 // LOAD_OPTION_ACTIVE, UEFI 3.1.3
	notFound = "return 0x800000000000000e"
	fallback = `\EFI\BOOT\BOOTX64.EFI`
)

func node(kind, subtype byte, content ...byte) []byte {
	n := []byte{kind, subtype}
	n = binary.LittleEndian.AppendUint16(n, uint16(4+len(content)))
	return append(n, content...)
}

func pci(device byte) []byte  { return node(1, 1, 0, device) }
func nvme() []byte            { return node(3, 23, make([]byte, 12)...) }
func usb() []byte             { return node(3, 5, 0, 0) }
func mac() []byte             { return node(3, 11, make([]byte, 33)...) }
func cdrom() []byte           { return node(4, 2, make([]byte, 20)...) }
func file(name string) []byte { return node(4, 4, text(name)...) }

func text(s string) []byte {
	var out []byte
	for _, u := range append(utf16.Encode([]rune(s)), 0) {
		out = binary.LittleEndian.AppendUint16(out, u)
	}
	return out
}

// gpt is the partition with a one-byte signature, numbered 1.
func gpt(signature byte) []byte { return hardDrive(1, signature, 2) }

// mbr is partition number n of the disk with a signature.
func mbr(n, signature byte) []byte { return hardDrive(n, signature, 1) }

func hardDrive(n, signature, kind byte) []byte {
	content := make([]byte, 38)
	content[0], content[20], content[36], content[37] = n, signature, kind, kind
	return node(4, 1, content...)
}

func path(nodes ...[]byte) []byte {
	return append(bytes.Join(nodes, nil), node(0x7f, 0xff)...)
}

func entry(attributes uint32, path []byte, options ...byte) []byte {
	e := binary.LittleEndian.AppendUint32(nil, attributes)
	e = binary.LittleEndian.AppendUint16(e, uint16(len(path)))
	e = append(e, text("some name")...)
	return append(append(e, path...), options...)
}

// firmware is what localdisk finds on a host: lines for efi/testfirmware.c.
type firmware []string

func (f firmware) volume(name string, path []byte, flags ...string) firmware {
	return append(f, fmt.Sprintf("volume %s %x %s", name, path, strings.Join(flags, " ")))
}

func (f firmware) file(volume, name string, flags ...string) firmware {
	return append(f, fmt.Sprintf("file %s %s %s", volume, name, strings.Join(flags, " ")))
}

// order makes entries Boot0000, Boot0001 and so on, booted in this order.
func (f firmware) order(entries ...[]byte) firmware {
	var order []byte
	for i, e := range entries {
		order = binary.LittleEndian.AppendUint16(order, uint16(i))
		f = append(f, fmt.Sprintf("variable Boot%04X %x", i, e))
	}
	return append(f, fmt.Sprintf("variable BootOrder %x", order))
}

// twoDisks holds a default loader on each of two NVMe disks.
func twoDisks() firmware {
	return firmware{}.
		volume("one", path(pci(1), nvme(), gpt(1)), "esp").file("one", fallback).
		volume("two", path(pci(2), nvme(), gpt(2)), "esp").file("two", fallback)
}

func TestLoadersAreTriedInTheOrderOfTheFirmware(t *testing.T) {
	testloader := buildFirmware(t)
	const shim = `\EFI\debian\shimx64.efi`
	tests := []struct {
		name string
		on   firmware
		want []string
	}{
		{"without entries the first disk's default loader", twoDisks(), []string{"start one " + fallback}},
		{"a whole-disk entry stands for that disk's default loader",
			twoDisks().order(entry(active, path(pci(2), nvme()))), []string{"start two " + fallback}},
		{"an entry may name its partition by signature alone",
			twoDisks().order(entry(active, path(gpt(2), file(fallback)))), []string{"start two " + fallback}},
		{"an entry finds its partition on a disk that moved to another slot",
			twoDisks().order(entry(active, path(pci(7), nvme(), gpt(2), file(fallback)))), []string{"start two " + fallback}},
		{"an entry that ends at a partition stands for its default loader",
			twoDisks().order(entry(active, path(gpt(2)))), []string{"start two " + fallback}},
		{"an entry's own loader gets its options",
			twoDisks().file("two", shim).order(entry(active, path(gpt(2), file(shim)), 0xca, 0xfe)),
			[]string{"start two " + shim + " options cafe"}},
		{"of cloned disks the one in the entry's slot is booted",
			firmware{}.volume("one", path(pci(1), nvme(), gpt(1))).file("one", fallback).
				volume("clone", path(pci(2), nvme(), gpt(1))).file("clone", fallback).
				order(entry(active, path(pci(2), nvme(), gpt(1), file(fallback)))),
			[]string{"start clone " + fallback}},
		{"partitions of one MBR disk are told apart by number",
			firmware{}.volume("first", path(pci(1), mbr(1, 9))).file("first", fallback).
				volume("second", path(pci(1), mbr(2, 9))).file("second", fallback).
				order(entry(active, path(mbr(2, 9), file(fallback)))),
			[]string{"start second " + fallback}},
		{"an entry for a missing file is passed over",
			twoDisks().order(entry(active, path(gpt(2), file(shim))), entry(active, path(gpt(2), file(fallback)))),
			[]string{"start two " + fallback}},
		{"network, CD, inactive and application entries are passed over",
			twoDisks().order(entry(active, path(pci(2), mac())), entry(active, path(pci(2), cdrom())), entry(0, path(gpt(1))),
				entry(active|0x100, path(gpt(1))), entry(active, path()), entry(active, path(gpt(2)))),
			[]string{"start two " + fallback}},
		{"a loader that gives up is followed by the next and not tried twice",
			firmware{}.volume("one", path(pci(1), gpt(1))).file("one", fallback, "gives-up").
				volume("two", path(pci(2), gpt(2))).file("two", fallback).order(entry(active, path(gpt(1)))),
			[]string{"start one " + fallback, "start two " + fallback}},
		{"a loader that the firmware's policy refuses is unloaded",
			firmware{}.volume("one", path(pci(1), gpt(1))).file("one", fallback, "refused").
				volume("two", path(pci(2), gpt(2))).file("two", fallback),
			[]string{"unload one " + fallback, "start two " + fallback}},
		{"EFI System Partitions come before other partitions",
			firmware{}.volume("recovery", path(pci(1), gpt(1))).file("recovery", fallback).
				volume("system", path(pci(1), gpt(2)), "esp").file("system", fallback),
			[]string{"start system " + fallback}},
		{"shim comes before the GRUB that it guards, whatever the folder's order",
			firmware{}.volume("one", path(pci(1), gpt(1))).file("one", `\EFI\debian\grubx64.efi`).file("one", shim),
			[]string{"start one " + shim}},
		{"a vendor's folder of any name is searched",
			firmware{}.volume("one", path(pci(1), gpt(1))).file("one", `\EFI\tools\a.efi`).file("one", `\EFI\other\grubx64.efi`),
			[]string{`start one \EFI\other\grubx64.efi`}},
		{"Windows' loader is found",
			firmware{}.volume("one", path(pci(1), gpt(1))).file("one", `\EFI\Microsoft\Boot\bootmgfw.efi`),
			[]string{`start one \EFI\Microsoft\Boot\bootmgfw.efi`}},
		{"disks that the firmware has not looked at are connected first",
			firmware{}.volume("late", path(pci(1), gpt(1)), "unconnected").file("late", fallback),
			[]string{"connect late", "start late " + fallback}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, acts(t, testloader, tt.on)); diff != "" {
				t.Errorf("acts (-want +got):\n%s", diff)
			}
		})
	}
}

func TestOnlyFixedLocalDisksAreBooted(t *testing.T) {
	testloader := buildFirmware(t)
	tests := []struct {
		name  string
		path  []byte
		flags []string
	}{
		{"USB stick that calls itself fixed", path(pci(1), usb(), gpt(1)), nil},
		{"removable medium", path(pci(1), gpt(1)), []string{"removable"}},
		{"drive without a medium", path(pci(1), gpt(1)), []string{"empty"}},
		{"CD", path(pci(1), cdrom()), nil},
		{"file system of a network card", path(pci(1), mac()), nil},
		{"disk over a network", path(pci(1), mac(), gpt(1)), nil},
		{"disk in memory", path(node(4, 9, make([]byte, 34)...), gpt(1)), nil},
		{"partition that localdisk was started from", path(pci(1), gpt(1)), []string{"self"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			on := firmware{}.volume("it", tt.path, tt.flags...).file("it", fallback).
				order(entry(active, tt.path), entry(active, path(pci(1))))
			want := []string{"connect it", "stall 10000000", notFound}
			if diff := cmp.Diff(want, acts(t, testloader, on)); diff != "" {
				t.Errorf("acts (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNothingToBootIsSaidInASentence(t *testing.T) {
	said := runFirmware(t, buildFirmware(t), firmware{})
	if want := "muster: no boot loader found on a local disk; "; !strings.Contains(said, want) {
		t.Errorf("console = %q, want %q in it", said, want)
	}
}

// One entry cut short at every length, with every byte of it zeroed and
// flipped, and one whose partition is cut short: the sanitizers end the
// program at the first read outside of an entry.
func TestDamagedBootEntriesAreSurvived(t *testing.T) {
	testloader := buildFirmware(t)
	good := entry(active, path(pci(1), gpt(1), file(fallback)), 1, 2, 3)
	damaged := [][]byte{entry(active, path(node(4, 1)))}
	for i := range good {
		zeroed, flipped := bytes.Clone(good), bytes.Clone(good)
		zeroed[i] = 0
		flipped[i] ^= 0xff
		damaged = append(damaged, good[:i], zeroed, flipped)
	}
	on := firmware{}.volume("two", path(pci(2), gpt(2))).file("two", fallback).order(damaged...)
	want := []string{"start two " + fallback}
	if diff := cmp.Diff(want, acts(t, testloader, on)); diff != "" {
		t.Errorf("acts (-want +got):\n%s", diff)
	}
}

// buildFirmware builds efi/testfirmware.c around localdisk's own sources.
func buildFirmware(t *testing.T) string {
	t.Helper()
	needTools(t, "gcc")
	out := filepath.Join(t.TempDir(), "testfirmware")
	cmd := exec.CommandContext(t.Context(), "gcc", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-g", "-fshort-wchar",
		"-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-o", out,
		"testfirmware.c", "main.c", "list.c", "volumes.c", "path.c", "bytes.c")
	cmd.Dir = "efi"
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build testfirmware: %v\n%s", err, said)
	}
	return out
}

func runFirmware(t *testing.T, program string, on firmware) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, program)
	cmd.Env = append(os.Environ(), "ASAN_OPTIONS=detect_leaks=0") // memory is the firmware's to take back
	cmd.Stdin = strings.NewReader(strings.Join(on, "\n") + "\n")
	said, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("testfirmware: %v\n%s", err, said)
	}
	return string(said)
}

// acts is what localdisk asked of the firmware, without what it printed.
func acts(t *testing.T, program string, on firmware) []string {
	t.Helper()
	var acts []string
	for line := range strings.Lines(runFirmware(t, program, on)) {
		if line = strings.TrimSpace(line); !strings.HasPrefix(line, "muster:") {
			acts = append(acts, line)
		}
	}
	return acts
}
