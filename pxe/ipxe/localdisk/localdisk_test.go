package localdisk

import (
	"bytes"
	"debug/pe"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// builtWith is the `gcc -dumpfullversion` that made efi/localdisk.efi, Debian
// 12's. Another gcc may well choose other instructions.
const builtWith = "12.2.0"

func TestEFIIsWhatItsSourcesBuild(t *testing.T) {
	needTools(t, "gcc", "ld", "objdump")
	got := build(t)
	if gcc := gccVersion(t); gcc != builtWith {
		t.Logf("gcc is %s, not %s: only the headers of the image built here are checked", gcc, builtWith)
		checkImage(t, got)
		return
	}
	if !bytes.Equal(got, EFI()) {
		t.Error("efi/localdisk.efi is not what its sources build; run efi/build.sh and commit the image")
	}
}

func TestEFICanBeLoadedAnywhereByAnyX64Firmware(t *testing.T) {
	checkImage(t, EFI())
}

func TestEFIGivesEachCallerItsOwnCopy(t *testing.T) {
	EFI()[0] = 'X'
	if got := EFI()[0]; got != 'M' {
		t.Errorf("first byte after a caller wrote into its copy = %q, want 'M'", got)
	}
}

// checkImage holds an image against what firmware asks of an application it
// may load at any address (UEFI 2.1.1), and against our own promise of size.
func checkImage(t *testing.T, image []byte) {
	t.Helper()
	if limit := 16 << 10; len(image) > limit {
		t.Errorf("image is %d bytes, want at most %d", len(image), limit)
	}
	f, err := pe.NewFile(bytes.NewReader(image))
	if err != nil {
		t.Fatalf("read PE headers: %v", err)
	}
	header, ok := f.OptionalHeader.(*pe.OptionalHeader64)
	if !ok {
		t.Fatalf("optional header is %T, want PE32+", f.OptionalHeader)
	}
	type facts struct {
		Machine, Subsystem uint16
		TimeDateStamp      uint32
		Stripped           bool
	}
	got := facts{f.Machine, header.Subsystem, f.TimeDateStamp,
		f.Characteristics&pe.IMAGE_FILE_RELOCS_STRIPPED != 0}
	want := facts{Machine: pe.IMAGE_FILE_MACHINE_AMD64, Subsystem: pe.IMAGE_SUBSYSTEM_EFI_APPLICATION}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
	checkRelocations(t, f, header)
	checkSections(t, f, header)
}

func checkRelocations(t *testing.T, f *pe.File, header *pe.OptionalHeader64) {
	t.Helper()
	directory := header.DataDirectory[pe.IMAGE_DIRECTORY_ENTRY_BASERELOC]
	section := f.Section(".reloc")
	if section == nil || directory.Size == 0 || directory.VirtualAddress != section.VirtualAddress ||
		directory.Size != section.VirtualSize {
		t.Errorf("base relocation directory = %+v, want all of section .reloc", directory)
	}
}

func checkSections(t *testing.T, f *pe.File, header *pe.OptionalHeader64) {
	t.Helper()
	end := header.SizeOfHeaders
	for _, s := range f.Sections {
		if s.VirtualAddress < end || s.VirtualAddress%header.SectionAlignment != 0 {
			t.Errorf("section %s at %#x overlaps what ends at %#x, or is not aligned", s.Name, s.VirtualAddress, end)
		}
		end = s.VirtualAddress + s.VirtualSize
		writes := s.Characteristics&pe.IMAGE_SCN_MEM_WRITE != 0
		runs := s.Characteristics&pe.IMAGE_SCN_MEM_EXECUTE != 0
		if writes && runs {
			t.Errorf("section %s can be both written and run", s.Name)
		}
		at := header.AddressOfEntryPoint
		if inside := at >= s.VirtualAddress && at < end; inside != runs {
			t.Errorf("entry point %#x inside %s is %v, executable is %v", at, s.Name, inside, runs)
		}
	}
	if end > header.SizeOfImage {
		t.Errorf("sections end at %#x, image at %#x", end, header.SizeOfImage)
	}
}

// build runs efi/build.sh, with its own defaults where no sources are named.
func build(t *testing.T, sources ...string) []byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), "image.efi")
	cmd := exec.CommandContext(t.Context(), "efi/build.sh", append([]string{out}, sources...)...)
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("efi/build.sh: %v\n%s", err, said)
	}
	image, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return image
}

func gccVersion(t *testing.T) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "gcc", "-dumpfullversion").Output()
	if err != nil {
		t.Fatalf("gcc -dumpfullversion: %v", err)
	}
	return strings.TrimSpace(string(out))
}

// needTools skips for want of a tool, except as root, where `make lab` can
// install it.
func needTools(t *testing.T, tools ...string) {
	t.Helper()
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err == nil {
			continue
		}
		if os.Geteuid() == 0 {
			t.Fatalf("%s is not installed; run `make lab`", tool)
		}
		t.Skipf("%s is not installed", tool)
	}
}
