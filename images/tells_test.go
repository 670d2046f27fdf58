package images

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/muster-boot/muster/images/recipe"
)

// squash makes a squashfs with one file by squashfs-tools.
func squash(t *testing.T, name, text string) string {
	t.Helper()
	root, image := filepath.Join(t.TempDir(), "root"), filepath.Join(t.TempDir(), "image")
	if err := os.MkdirAll(filepath.Join(root, filepath.Dir(name)), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "mksquashfs", root, image, "-quiet", "-no-progress").CombinedOutput(); err != nil {
		t.Fatalf("mksquashfs: %v\n%s", err, out)
	}
	content, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func TestAnInstallerSaysWhichItIs(t *testing.T) {
	dir := t.TempDir()
	c := open(t, dir)
	files := kairos()
	files["rootfs.squashfs"] = squash(t, "etc/kairos-release", "KAIROS_RELEASE=\"v3.1.0\"\nKAIROS_FIPS=\"true\"\n")
	image := makeISO(t, "COS_LIVE", files)
	want := recipe.Told{Version: map[string]string{"kairos": "v3.1.0"}, Traits: []string{"fips"}}
	i := add(t, c, image, "fips")
	if diff := cmp.Diff(want, i.Told()); diff != "" {
		t.Errorf("it says %s", diff)
	}
	r, _ := c.Recipe(i)
	if err := r.WhyNot(recipe.Netboot, i.Told().Traits...); err == nil {
		t.Error("a FIPS build may netboot")
	}

	f, err := os.Open(image)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := c.Add(t.Context(), f, AddOptions{Meta: map[string]string{"kairos": "4.0.3", "agent": "4.9.7"}, Traits: []string{"content"}}); err != nil {
		t.Fatal(err)
	}
	want = recipe.Told{Version: map[string]string{"kairos": "4.0.3", "agent": "4.9.7"}, Traits: []string{"content", "fips"}}
	said := "its root file system says kairos v3.1.0, who added it said 4.0.3, and that counts"
	for _, when := range []string{"when it is added", "after a restart"} {
		i, err := c.Get("fips")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, i.Told()); diff != "" || !slices.Contains(i.Lacks, said) {
			t.Errorf("%s: it says %s, lacks %q", when, diff, i.Lacks)
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		c = open(t, dir)
	}
	if again := add(t, c, image, ""); !cmp.Equal(want, again.Told()) {
		t.Errorf("what was said is forgotten: %+v", again.Told())
	}
}
