package inband

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const diskSize = 64 << 20

// blank makes an empty disk image and returns its directory and path.
func blank(t *testing.T) (dir, disk string) {
	t.Helper()
	dir = t.TempDir()
	disk = filepath.Join(dir, "disk")
	f, err := os.Create(disk)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(diskSize); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return dir, disk
}

func TestABlankDiskHasNoSignature(t *testing.T) {
	dir, _ := blank(t)
	got, err := BlockDevices{Dir: dir}.Signatures("disk")
	if err != nil || got == nil || len(got) != 0 {
		t.Errorf("signatures are %#v, %v", got, err)
	}
}

func TestContentOfNoKnownFormatIsNotEmpty(t *testing.T) {
	for _, c := range []struct {
		what  string
		bytes string
		at    int64
		want  []string
	}{
		{"something", "data", 12345, []string{"unknown content at 12345"}},
		{"an Oracle ASM disk", "ORCLDISK", 32, []string{"oracle asm at 32"}},
		{"a flash that was erased to ones", strings.Repeat("\xff", beginning), 0, []string{}},
	} {
		dir, disk := blank(t)
		f, err := os.OpenFile(disk, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt([]byte(c.bytes), c.at); err != nil {
			t.Fatal(err)
		}
		_ = f.Close()
		got, err := BlockDevices{Dir: dir}.Signatures("disk")
		if diff := cmp.Diff(c.want, got); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", c.what, err, diff)
		}
	}
}

func TestADiskThatCannotBeReadIsAnError(t *testing.T) {
	if got, err := (BlockDevices{Dir: t.TempDir()}).Signatures("gone"); err == nil || got != nil {
		t.Errorf("signatures are %#v, %v", got, err)
	}
}

func TestWhatProgramsLeaveIsFound(t *testing.T) {
	tests := []struct {
		want  string
		run   []string // the disk's path is added
		input string
	}{
		{want: "dos at 510", run: []string{"sfdisk", "-q"}, input: "label: dos\n,,83\n"},
		{want: "gpt at 512", run: []string{"sfdisk", "-q"}, input: "label: gpt\n,,L\n"},
		{want: "ext at 1080", run: []string{"mkfs.ext4", "-q", "-F"}},
		{want: "vfat at 82", run: []string{"mkfs.vfat", "-F", "32"}},
		{want: "swap at 4086", run: []string{"mkswap"}},
		{want: "squashfs at 0", run: []string{"mksquashfs", "/etc/hostname"}},
	}
	for _, test := range tests {
		dir, disk := blank(t)
		args := append(test.run[1:], disk)
		if test.run[0] == "mksquashfs" {
			args = append(args, "-noappend", "-quiet", "-no-progress")
		}
		cmd := exec.Command(test.run[0], args...)
		cmd.Stdin = strings.NewReader(test.input)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", test.run[0], err, out)
		}
		got, err := BlockDevices{Dir: dir}.Signatures("disk")
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(strings.Join(got, "; ")+";", test.want) {
			t.Errorf("%s leaves %q, want %q among them", test.run[0], got, test.want)
		}
	}
}

func TestTheBackupOfAGptCountsAlone(t *testing.T) {
	dir, disk := blank(t)
	cmd := exec.Command("sfdisk", "-q", disk)
	cmd.Stdin = strings.NewReader("label: gpt\n,,L\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("sfdisk: %v\n%s", err, out)
	}
	f, err := os.OpenFile(disk, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(make([]byte, 1<<20), 0); err != nil {
		t.Fatal(err)
	}
	got, err := BlockDevices{Dir: dir}.Signatures("disk")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"gpt backup at 67108352"}, got); diff != "" {
		t.Errorf("signatures differ (-want +got):\n%s", diff)
	}
}

func TestPlacesOfMarks(t *testing.T) {
	tests := []struct {
		name string
		mark mark
		size int64
		want int64
		ok   bool
	}{
		{"from the start", mark{off: 512, bytes: "x"}, 1024, 512, true},
		{"past the end", mark{off: 1023, bytes: "xx"}, 1024, 0, false},
		{"from the end", mark{off: -512, bytes: "x"}, 2048, 1536, true},
		{"md 0.90 lies 64 to 128 KiB before the end", mark{off: -64 << 10, align: 64 << 10, bytes: "x"}, 1<<20 + 5000, 1<<20 - 64<<10, true},
		{"disk too small", mark{off: -4096, bytes: "x"}, 512, 0, false},
	}
	for _, test := range tests {
		if at, ok := test.mark.place(test.size); ok != test.ok || (ok && at != test.want) {
			t.Errorf("%s: %d, %v", test.name, at, ok)
		}
	}
}

func TestZfsIsFoundByEitherEnd(t *testing.T) {
	for _, at := range []int64{128 << 10, diskSize - 128<<10 + 2<<10} {
		dir, disk := blank(t)
		f, err := os.OpenFile(disk, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt([]byte{0x0c, 0xb1, 0xba, 0, 0, 0, 0, 0}, at); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		if got, err := (BlockDevices{Dir: dir}).Signatures("disk"); err != nil || len(got) != 1 || !strings.HasPrefix(got[0], "zfs at ") {
			t.Errorf("an uberblock at %d is seen as %q, %v", at, got, err)
		}
	}
}
