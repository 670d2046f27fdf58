package images

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/muster-boot/muster/images/recipe"
)

// clock gives each call a later second.
func clock() func() time.Time {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	return func() time.Time {
		now = now.Add(time.Second)
		return now
	}
}

func open(t *testing.T, dir string) *Catalog {
	t.Helper()
	c, err := Open(dir, clock(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// kairos is what a Palette installer holds, in small.
func kairos() map[string]string {
	return map[string]string{
		"boot/kernel": "the kernel", "boot/initrd": strings.Repeat("initrd ", 1000),
		"rootfs.squashfs": strings.Repeat("root file system ", 10000), "files-iso/config.yaml": "#cloud-config\n",
	}
}

// makeISO builds an image with xorriso.
func makeISO(t *testing.T, label string, files map[string]string) string {
	t.Helper()
	tree := t.TempDir()
	for name, content := range files {
		name = filepath.Join(tree, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := exec.LookPath("xorriso"); err != nil && os.Geteuid() != 0 {
		t.Skip("xorriso is not installed")
	}
	image := filepath.Join(t.TempDir(), "x.iso")
	out, err := exec.Command("xorriso", "-as", "mkisofs", "-R", "-V", label, "-o", image, tree).CombinedOutput()
	if err != nil {
		t.Fatalf("xorriso: %v (install it with make lab)\n%s", err, out)
	}
	return image
}

func add(t *testing.T, c *Catalog, image, name string) Image {
	t.Helper()
	f, err := os.Open(image)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	i, err := c.Add(t.Context(), f, AddOptions{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func addScout(t *testing.T, c *Catalog, name, kernel, initrd string) Image {
	t.Helper()
	i, err := c.AddSet(t.Context(), []SetPart{
		{"/kernel", strings.NewReader(kernel)}, {"/initrd", strings.NewReader(initrd)},
	}, AddOptions{Name: name, Meta: map[string]string{"scout": name}})
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// tree lists the catalog's files, for "nothing was stored".
func tree(t *testing.T, dir string) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(dir, func(name string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() && d.Name() != "lock" && d.Name() != tagFile {
			names = append(names, strings.TrimPrefix(name, dir))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func names(images []Image) []string {
	var n []string
	for _, i := range images {
		n = append(n, i.Name)
	}
	return n
}

func TestCatalogOutlivesAReopening(t *testing.T) {
	dir := t.TempDir()
	c, err := Open(dir, clock(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := []Image{addScout(t, c, "scout-1", "k", "i"), add(t, c, makeISO(t, "COS_LIVE", kairos()), "palette")}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	want[0], want[1] = want[1], want[0] // the latest first
	if diff := cmp.Diff(want, open(t, dir).List()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestASecondProcessIsKeptOut(t *testing.T) {
	dir := t.TempDir()
	open(t, dir)
	if _, err := Open(dir, clock(), Options{}); err == nil || !strings.Contains(err.Error(), "in use by another muster") {
		t.Errorf("got %v", err)
	}
}

func TestGetFindsByNameAndByBeginningOfDigest(t *testing.T) {
	c := open(t, t.TempDir())
	a, b := addScout(t, c, "a", "k", "1"), addScout(t, c, "b", "k", "2")
	for ref, want := range map[string]string{
		"a": a.Digest, "b": b.Digest, a.Digest: a.Digest, a.Digest[:6]: a.Digest,
		"sha256:" + b.Digest: b.Digest, strings.ToUpper(b.Digest[:12]): b.Digest,
	} {
		if got, err := c.Get(ref); err != nil || got.Digest != want {
			t.Errorf("Get(%q) = %.12s, %v, want %.12s", ref, got.Digest, err, want)
		}
	}
	for _, ref := range []string{"", "c", a.Digest[:5], a.Digest + "0"} {
		if _, err := c.Get(ref); !errors.Is(err, ErrNotFound) {
			t.Errorf("Get(%q): %v, want not found", ref, err)
		}
	}
	if _, err := c.Get(a.Digest[:5]); err == nil || !strings.Contains(err.Error(), "of a digest give 6 digits or more") {
		t.Errorf("of too few digits: %v", err)
	}
	c.images["abcdef01"], c.images["abcdef02"] = Image{Digest: "abcdef01"}, Image{Digest: "abcdef02"}
	if _, err := c.Get("abcdef"); err == nil || errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), "give more digits") {
		t.Errorf("ambiguous digest: %v", err)
	}
}

func TestANameGoesToTheLatestImage(t *testing.T) {
	dir := t.TempDir()
	c, err := Open(dir, clock(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	addScout(t, c, "scout", "k", "old")
	latest := addScout(t, c, "scout", "k", "new")
	check := func(when string, c *Catalog) {
		if got := names(c.List()); !cmp.Equal(got, []string{"scout", ""}) {
			t.Errorf("%s: names are %q", when, got)
		}
		if got, err := c.Get("scout"); err != nil || got.Digest != latest.Digest {
			t.Errorf("%s: scout is %.12s, %v", when, got.Digest, err)
		}
	}
	check("at once", c)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	check("opened again", open(t, dir))
}

func TestNewestIsOfTheFamily(t *testing.T) {
	c := open(t, t.TempDir())
	if _, ok := c.Newest("scout"); ok {
		t.Error("an empty catalog has a ramdisk")
	}
	first := addScout(t, c, "one", "k", "1")
	addScout(t, c, "two", "k", "2")
	add(t, c, makeISO(t, "COS_LIVE", kairos()), "palette")
	if got, _ := c.Newest("scout"); got.Name != "two" {
		t.Errorf("newest is %q, want two", got.Name)
	}
	again := addScout(t, c, "", "k", "1")
	if got, _ := c.Newest("scout"); got.Digest != first.Digest || again.Name != "one" {
		t.Errorf("newest is %q after one was added again", got.Name)
	}
}

func TestOpenSaysWhatIsDamaged(t *testing.T) {
	dir := t.TempDir()
	c, err := Open(dir, clock(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	i := add(t, c, makeISO(t, "COS_LIVE", kairos()), "palette")
	if err := errors.Join(c.Close(), os.Remove(c.blob(i.Digest))); err != nil {
		t.Fatal(err)
	}
	c, err = Open(dir, clock(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.Get("palette")
	if err != nil || got.Family != "" || len(got.Lacks) != 1 || !strings.Contains(got.Lacks[0], "add it again") {
		t.Errorf("an image without content: %+v, %v", got, err)
	}
	if err := errors.Join(c.Close(), os.WriteFile(filepath.Join(dir, recordDir, i.Digest+".json"), []byte("{"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, clock(), Options{}); err == nil || !strings.Contains(err.Error(), "is damaged; remove it") {
		t.Errorf("a damaged record: %v", err)
	}
}

func TestASetSaysWhatItLacks(t *testing.T) {
	c := open(t, t.TempDir())
	i, err := c.AddSet(t.Context(), []SetPart{{"/kernel", strings.NewReader("k")}}, AddOptions{})
	if err != nil || i.Form != recipe.Set || i.Family != "" || len(i.Lacks) != 1 {
		t.Errorf("got %+v, %v", i, err)
	}
	for _, bad := range []string{"", "/", "kernel", "/../kernel", "/a//b", "/a b"} {
		if _, err := c.AddSet(t.Context(), []SetPart{{bad, strings.NewReader("k")}}, AddOptions{}); err == nil {
			t.Errorf("a set with %q was taken", bad)
		}
	}
	twice := []SetPart{{"/a", strings.NewReader("k")}, {"/a", strings.NewReader("k")}}
	if _, err := c.AddSet(t.Context(), twice, AddOptions{}); err == nil {
		t.Error("a set with the same path twice was taken")
	}
}
