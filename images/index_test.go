package images

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/muster-boot/muster/images/overlay"
)

func index(t *testing.T, c *Catalog, digest string) overlay.Index {
	t.Helper()
	x, err := c.Index(digest)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func TestAnImportedISOCanBeChangedForAHost(t *testing.T) {
	dir := t.TempDir()
	c := open(t, dir)
	i := add(t, c, makeISO(t, "COS_LIVE", kairos()), "palette")
	x := index(t, c, i.Digest)
	base, err := c.Base(i.Digest)
	if err != nil {
		t.Fatal(err)
	}
	defer base.Close()
	o, err := overlay.Build(base, x, []overlay.Change{{Path: "/boot/zz.yaml", Content: []byte("#cloud-config\n")}})
	if err != nil || o.Size() <= i.Size {
		t.Errorf("an overlay of %v bytes over %d, %v", o, i.Size, err)
	}
	file := filepath.Join(dir, indexDir, indexName(i.Digest))
	for name, spoil := range map[string]func() error{
		"gone":              func() error { return os.Remove(file) },
		"cut short":         func() error { return os.Truncate(file, 20) },
		"of another format": func() error { return os.WriteFile(file, []byte(`{"format": 0}`), 0o600) },
	} {
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(x, index(t, c, i.Digest)); diff != "" {
			t.Errorf("%s: made anew it differs (-before +after):\n%s", name, diff)
		}
		if data, err := os.ReadFile(file); err != nil || !strings.Contains(string(data), "trees") {
			t.Errorf("%s: it was not kept: %v", name, err)
		}
	}
	if _, err := c.Remove("palette", false, func(Image) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if left := tree(t, dir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestAnIndexThatIsMissingIsMadeWhenTheCatalogOpens(t *testing.T) {
	dir := t.TempDir()
	c := open(t, dir)
	i := add(t, c, makeISO(t, "COS_LIVE", kairos()), "palette")
	want := index(t, c, i.Digest)
	if err := errors.Join(c.Close(), os.RemoveAll(filepath.Join(dir, indexDir))); err != nil {
		t.Fatal(err)
	}
	c = open(t, dir)
	if _, err := os.Stat(filepath.Join(dir, indexDir, indexName(i.Digest))); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(want, index(t, c, i.Digest)); diff != "" {
		t.Errorf("(-before +after):\n%s", diff)
	}
	again, err := c.Get("palette")
	if diff := cmp.Diff(i.Lacks, again.Lacks); err != nil || diff != "" {
		t.Errorf("it lacks something else by now (-before +after):\n%s%v", diff, err)
	}
}

func TestScrubMendsAnIndex(t *testing.T) {
	dir := t.TempDir()
	c := open(t, dir)
	i := add(t, c, makeISO(t, "COS_LIVE", kairos()), "palette")
	want, name := index(t, c, i.Digest), filepath.Join(dir, indexDir, indexName(i.Digest))
	wrong := want
	wrong.Size--
	for what, spoil := range map[string]func() error{
		"a changed one": func() error {
			return c.writeJSON(indexRecord{Format: overlay.Format, Index: wrong}, indexDir, indexName(i.Digest))
		},
		"a missing one": func() error { return os.Remove(name) },
	} {
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		if damaged, err := c.Scrub(t.Context(), nil); err != nil || len(damaged) > 0 {
			t.Fatalf("%s: %v, %v", what, damaged, err)
		}
		var kept indexRecord
		if text, err := os.ReadFile(name); err != nil || json.Unmarshal(text, &kept) != nil {
			t.Fatalf("%s: %v, %s", what, err, text)
		}
		if diff := cmp.Diff(want, kept.Index); diff != "" {
			t.Errorf("%s (-before +after):\n%s", what, diff)
		}
	}
}

func TestAnISOThatCannotBeChangedSaysSo(t *testing.T) {
	const program = "genisoimage"
	if _, err := exec.LookPath(program); err != nil && os.Geteuid() != 0 {
		t.Skip(program + " is not installed")
	}
	tree, image := t.TempDir(), filepath.Join(t.TempDir(), "udf.iso")
	for name, content := range kairos() {
		name = filepath.Join(tree, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(content), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.CommandContext(t.Context(), program, "-quiet", "-udf", "-R", "-V", "COS_LIVE", "-o", image, tree).CombinedOutput()
	if err != nil {
		t.Fatalf("%v (install it with make lab)\n%s", err, out)
	}
	dir := t.TempDir()
	c := open(t, dir)
	i := add(t, c, image, "udf")
	if i.Family != "kairos" || !strings.Contains(strings.Join(i.Lacks, "\n"), "UDF") {
		t.Errorf("a %q that lacks %q", i.Family, i.Lacks)
	}
	for range 2 {
		if _, err := c.Index(i.Digest); !errors.Is(err, overlay.ErrCannot) || !strings.Contains(err.Error(), "UDF") {
			t.Errorf("its index: %v", err)
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		c = open(t, dir)
	}
	set := addScout(t, c, "scout", "k", "i")
	if _, err := c.Index(set.Digest); !errors.Is(err, ErrNotFound) {
		t.Errorf("the index of a set: %v", err)
	}
}
