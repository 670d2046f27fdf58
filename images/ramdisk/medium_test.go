package ramdisk

import (
	"bytes"
	"debug/elf"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/muster-boot/muster/images/iso"
	"github.com/muster-boot/muster/images/overlay"
)

// isoOf is a medium in the layout of the scout's, with small files.
func isoOf(t *testing.T, files map[string]string) string {
	t.Helper()
	fat, err := fatImage([]program{{"BOOTX64.EFI", []byte("MZ shim")}, {"grubx64.efi", bytes.Repeat([]byte("MZ grub "), 500_000)}})
	if err != nil {
		t.Fatal(err)
	}
	list := []isoFile{{fatFile, int64(len(fat)), bytes.NewReader(fat)}}
	for name, text := range files {
		list = append(list, isoFile{name, int64(len(text)), strings.NewReader(text)})
	}
	image, err := layout(mediumLabel, fatFile, list)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := image.write(&out); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "medium.iso")
	if err := os.WriteFile(name, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func small() map[string]string {
	return map[string]string{menuFile: menu, markFile: "muster scout\n", kernelFile: strings.Repeat("k", sector), initrdFile: strings.Repeat("i", sector+1)}
}

// said is what a program of others says of a file; it must not fail.
func said(t *testing.T, name string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil && os.Geteuid() != 0 {
		t.Skipf("%s is not installed: run make lab as root", name)
	}
	out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v: run make lab\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func TestOtherProgramsReadTheMedium(t *testing.T) {
	name := isoOf(t, small())
	out := said(t, "xorriso", "-indev", name, "-report_el_torito", "plain", "-find", "/", "-exec", "report_lba")
	for _, want := range []string{
		"Volume id    : 'MUSTER_SCOUT'", "El Torito boot img :   1  UEFI  y   none  0x0000  0x00  16384", "El Torito img path :   1  /efi.img",
		"'/.disk/info'", "'/boot/grub/grub.cfg'", "'/kernel'", "'/initrd'",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("xorriso does not say %q:\n%s", want, out)
		}
	}
	if out := said(t, "isoinfo", "-l", "-i", name); !strings.Contains(out, "GRUB.CFG;1") || !strings.Contains(out, "_DISK") {
		t.Errorf("without Rock Ridge isoinfo reads:\n%s", out)
	}
	dir := t.TempDir()
	said(t, "xorriso", "-osirrox", "on", "-indev", name, "-extract", "/", dir)
	for path, want := range small() {
		if got, err := os.ReadFile(filepath.Join(dir, path)); err != nil || string(got) != want {
			t.Errorf("%s: %d bytes, %v", path, len(got), err)
		}
	}
	fat := filepath.Join(dir, fatFile)
	if out := said(t, "fsck.vfat", "-n", "-v", fat); !strings.Contains(out, "16 bit entries") {
		t.Errorf("fsck.vfat says:\n%s", out)
	}
	for file, want := range map[string]string{"::/EFI/BOOT/BOOTX64.EFI": "MZ shim", "::/EFI/BOOT/GRUBX64.EFI": strings.Repeat("MZ grub ", 500_000)} {
		if got := said(t, "mtype", "-i", fat, file); got != want {
			t.Errorf("%s has %d bytes, want %d", file, len(got), len(want))
		}
	}
}

// TestAHostsArgumentsGoBehindTheKernel reads the medium as hosts' own are made.
func TestAHostsArgumentsGoBehindTheKernel(t *testing.T) {
	f, err := os.Open(isoOf(t, small()))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	x, err := overlay.Scan(f, info.Size())
	if err != nil || len(x.Configs) != 1 || len(x.Lacks) > 0 {
		t.Fatalf("configurations %+v, lacks %v: %v", x.Configs, x.Lacks, err)
	}
	o, err := overlay.Build(f, x, []overlay.Change{{Args: []string{"muster.host=h-1"}}})
	if err != nil {
		t.Fatal(err)
	}
	v, err := iso.Open(o.On(f), o.Size())
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{menuFile: "linux /kernel muster.host=h-1\n", kernelFile: "kkkk", initrdFile: "iiii"} {
		file, err := v.Lookup(path)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(file.Content(o.On(f)))
		if err != nil || !strings.Contains(string(got), want) {
			t.Errorf("%s: %v, without %q", path, err, want)
		}
	}
}

func TestTheSameFilesGiveTheSameMedium(t *testing.T) {
	files := map[string]string{kernelFile: "k"}
	one, err := os.ReadFile(isoOf(t, files))
	if err != nil {
		t.Fatal(err)
	}
	two, err := os.ReadFile(isoOf(t, files))
	if err != nil || !bytes.Equal(one, two) {
		t.Errorf("they differ, %v", err)
	}
}

func TestAMediumThatCannotBeIsRefused(t *testing.T) {
	deb := func(files map[string]string) string {
		name := filepath.Join(t.TempDir(), "x.deb")
		write(t, name, string(makeDeb(t, ".xz", files)))
		return name
	}
	shim := deb(map[string]string{"./usr/lib/shim/shimx64.efi.signed": "MZ shim"})
	grub := deb(map[string]string{"./usr/lib/grub/x86_64-efi-signed/gcdx64.efi.signed": "MZ grub"})
	large := filepath.Join(t.TempDir(), "large.efi")
	write(t, large, "MZ"+strings.Repeat("x", fatBytes))
	for _, c := range []struct {
		name, want string
		loader     Loader
	}{
		{"packages changed over", "holds no shimx64.efi.signed; give the package shim-signed", Loader{grub, shim}},
		{"a package as it is not", "is no EFI program", Loader{shim, staticProgram(t)}},
		{"no file", "no such file", Loader{shim, filepath.Join(t.TempDir(), "gone.efi")}},
	} {
		_, err := c.loader.read(t.Context(), elf.EM_X86_64)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	if _, err := (Loader{shim, grub}).read(t.Context(), elf.EM_RISCV); err == nil || !strings.Contains(err.Error(), "build without one") {
		t.Errorf("another processor: %v", err)
	}
	got, err := Loader{shim, large}.read(t.Context(), elf.EM_X86_64)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fatImage(got); err == nil || !strings.Contains(err.Error(), "there is no room") {
		t.Errorf("a loader that is too large: %v", err)
	}
	for name, files := range map[string][]isoFile{
		"nothing to boot":       {{"/kernel", 1, strings.NewReader("k")}},
		"two names become one":  {{fatFile, 1, strings.NewReader("f")}, {"/a-b", 1, strings.NewReader("1")}, {"/a_b", 1, strings.NewReader("2")}},
		"a directory too large": crowd(),
	} {
		if _, err := layout(mediumLabel, fatFile, files); err == nil {
			t.Errorf("%s: laid out", name)
		}
	}
	image, err := layout(mediumLabel, fatFile, []isoFile{{fatFile, 2, strings.NewReader("f")}})
	if err == nil {
		err = image.write(io.Discard)
	}
	if err == nil || !strings.Contains(err.Error(), "changed while it was read") {
		t.Errorf("a file that is shorter than it was: %v", err)
	}
	image, err = layout(mediumLabel, fatFile, []isoFile{{fatFile, 1, strings.NewReader("f")}})
	if err == nil {
		err = image.write(fullDisk{})
	}
	if !errors.Is(err, errFull) {
		t.Errorf("a full disk: %v", err)
	}
}

func crowd() []isoFile {
	files := []isoFile{{fatFile, 1, strings.NewReader("f")}}
	for n := range 40 {
		files = append(files, isoFile{"/" + strings.Repeat("x", n+1), 1, strings.NewReader("x")})
	}
	return files
}

var errFull = errors.New("no space left")

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errFull }
