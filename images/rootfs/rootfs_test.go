package rootfs_test

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/muster-boot/muster/images/rootfs"
)

// release and others are what a Kairos image of 2026 has, less what nobody asks for.
var (
	release = "KAIROS_NAME=\"kairos-core-ubuntu-24.04\"\nKAIROS_RELEASE=\"v4.0.3\"\nKAIROS_FIPS=\"false\"\n"
	others  = "# of the distribution\nNAME='Ubuntu'\nVERSION_ID=24.04\nKAIROS_RELEASE=\"22\"\nBROKEN\n=x\nA B=c\n"
)

// squash makes a squashfs of files by squashfs-tools.
func squash(t *testing.T, files map[string]string, options ...string) []byte {
	t.Helper()
	dir := t.TempDir()
	root, image := filepath.Join(dir, "root"), filepath.Join(dir, "image")
	if err := os.Mkdir(root, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if to, link := strings.CutPrefix(text, "-> "); link {
			if err := os.Symlink(to, path); err != nil {
				t.Fatal(err)
			}
		} else if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.CommandContext(t.Context(), "mksquashfs", append([]string{root, image, "-quiet", "-no-progress"}, options...)...).CombinedOutput(); err != nil {
		t.Fatalf("mksquashfs: %v\n%s", err, out)
	}
	content, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func assignments(content []byte, files ...string) (map[string]string, error) {
	return rootfs.Assignments(bytes.NewReader(content), int64(len(content)), files...)
}

func TestTheFilesOfARootFileSystemAreRead(t *testing.T) {
	files := map[string]string{
		"etc/kairos-release": release, "usr/lib/os-release": others, "etc/os-release": "-> ../usr/lib/os-release",
		"release": "TOP=yes\n", "usr/bin/large": strings.Repeat("a program\n", 1<<17),
	}
	want := map[string]string{"KAIROS_NAME": "kairos-core-ubuntu-24.04", "KAIROS_RELEASE": "v4.0.3", "KAIROS_FIPS": "false", "NAME": "Ubuntu", "VERSION_ID": "24.04", "TOP": "yes"}
	for _, options := range []string{"-comp gzip", "-comp xz", "-comp zstd", "-comp xz -b 1M", "-comp zstd -no-fragments", "-comp zstd -noI -noD -noF", "-comp gzip -no-xattrs -root-owned"} {
		content := squash(t, files, strings.Fields(options)...)
		got, err := assignments(content, "/etc/kairos-release", "/etc/none", "/usr/lib/os-release", "/release")
		if err != nil || !maps.Equal(got, want) {
			t.Errorf("%s: it reads %v, %v", options, got, err)
		}
		if got, err := assignments(content, "/etc/os-release", "/none/os-release", "/usr/lib", "/etc/kairos-release/x"); err != nil || len(got) > 0 {
			t.Errorf("%s: of what is no regular file it reads %v, %v", options, got, err)
		}
	}
}

func TestWhatIsNoSuchRootFileSystemIsRefusedInWords(t *testing.T) {
	long := squash(t, map[string]string{"etc/os-release": strings.Repeat("A=b\n", 1<<15)})
	for _, tc := range []struct {
		name    string
		content []byte
		want    string
	}{
		{"nothing", nil, "no squashfs"},
		{"text", []byte(strings.Repeat("shorter", 100)), "no squashfs"},
		{"another compression", squash(t, map[string]string{"etc/os-release": others}, "-comp", "lz4"), "compression 5"},
		{"cut after its beginning", long[:96], "read the squashfs"},
		{"cut before its end", long[:len(long)/2], "read the squashfs"},
		{"a long file", long, "longer than"},
	} {
		if got, err := assignments(tc.content, "/etc/os-release"); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: it reads %v and says: %v", tc.name, got, err)
		}
	}
}

// TestNoDamageEndsTheServer changes bytes of the tables at both ends, where the
// library believes what it reads.
func TestNoDamageEndsTheServer(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for _, compression := range []string{"gzip", "xz", "zstd"} {
		whole := squash(t, map[string]string{"etc/kairos-release": release, "usr/lib/os-release": others}, "-comp", compression)
		refused := 0
		for range 1000 {
			content := bytes.Clone(whole)
			content[random.IntN(len(content))] ^= byte(1 + random.IntN(255))
			if _, err := assignments(content, "/etc/kairos-release", "/usr/lib/os-release"); err != nil {
				refused++
			}
		}
		if refused == 0 {
			t.Errorf("%s: nothing that was changed was refused", compression)
		}
	}
}

func FuzzAssignments(f *testing.F) {
	f.Add([]byte("hsqs"))
	f.Fuzz(func(_ *testing.T, content []byte) {
		_, _ = assignments(content, "/etc/os-release")
	})
}
