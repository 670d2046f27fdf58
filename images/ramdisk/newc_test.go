package ramdisk

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func archive(t *testing.T, entries ...newcEntry) []byte {
	t.Helper()
	var b bytes.Buffer
	n := &newcWriter{w: &b}
	for _, e := range entries {
		if err := n.write(e); err != nil {
			t.Fatal(err)
		}
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func sample() []newcEntry {
	return []newcEntry{
		dirEntry("dev"),
		charEntry("dev/console", 5, 1),
		textEntry("empty", ""),
		textEntry("five", "12345"),
		fileEntry("init", 0o755, 3, strings.NewReader("abc")),
	}
}

func TestCpioReadsTheArchive(t *testing.T) {
	cmd := exec.Command("cpio", "-itv", "--quiet", "--numeric-uid-gid")
	cmd.Stdin = bytes.NewReader(archive(t, sample()...))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("cpio: %v\n%s", err, out)
	}
	var got []string
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		if f[0][0] == 'c' {
			got = append(got, f[0]+" "+f[4]+f[5]+" "+f[len(f)-1])
			continue
		}
		got = append(got, f[0]+" "+f[4]+" "+f[len(f)-1])
	}
	want := []string{"drwxr-xr-x 0 dev", "crw------- 5,1 dev/console", "-rw-r--r-- 0 empty", "-rw-r--r-- 5 five", "-rwxr-xr-x 3 init"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("listing differs (-want +got):\n%s", diff)
	}
}

func TestArchiveDependsOnEntriesAlone(t *testing.T) {
	a, b := archive(t, sample()...), archive(t, sample()...)
	if !bytes.Equal(a, b) {
		t.Error("two archives of the same entries differ")
	}
	if len(a)%newcAlign != 0 {
		t.Errorf("the archive is %d bytes long, no multiple of %d: another one behind it would not be found", len(a), newcAlign)
	}
}

func TestShortContentIsAnError(t *testing.T) {
	n := &newcWriter{w: &bytes.Buffer{}}
	if err := n.write(fileEntry("short", 0o644, 10, strings.NewReader("abc"))); err == nil {
		t.Error("a file with less content than its size was written")
	}
}

func TestParentsComeFirst(t *testing.T) {
	var got []string
	for _, e := range withParents([]newcEntry{textEntry("lib/modules/v/a.ko", "x"), dirEntry("lib"), textEntry("init", "")}) {
		got = append(got, e.name)
	}
	want := []string{"init", "lib", "lib/modules", "lib/modules/v", "lib/modules/v/a.ko"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("order differs (-want +got):\n%s", diff)
	}
}
