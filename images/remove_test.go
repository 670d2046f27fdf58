package images

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func free(Image) error { return nil }

func TestRemoveKeepsWhatIsUsedOrShared(t *testing.T) {
	dir := t.TempDir()
	c := open(t, dir)
	a, b := addScout(t, c, "a", "shared kernel", "1"), addScout(t, c, "b", "shared kernel", "2")
	busy := errors.New("order plant7 installs it")
	if _, err := c.Remove("a", false, func(Image) error { return busy }); !errors.Is(err, busy) {
		t.Errorf("removing an image in use: %v", err)
	}
	if _, err := c.Remove("a", false, free); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Content(a.Digest, "/kernel"); !errors.Is(err, ErrNotFound) {
		t.Errorf("content of a removed image: %v", err)
	}
	if got := read(t, c, b.Digest, "/kernel"); got != "shared kernel" {
		t.Errorf("the other image's kernel is %q", got)
	}
	if _, err := c.Remove("b", false, free); err != nil {
		t.Fatal(err)
	}
	if left := tree(t, dir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestRemoveRefusesWhatOtherTagsName(t *testing.T) {
	c := open(t, t.TempDir())
	i := addScout(t, c, "a", "k", "1")
	if _, err := c.Tag("a", "ubuntu:current"); err != nil {
		t.Fatal(err)
	}
	for ref, want := range map[string]string{"a": "ubuntu:current", "ubuntu:current": "a", i.Digest: "a, ubuntu:current"} {
		if _, err := c.Remove(ref, false, free); !errors.Is(err, ErrTagged) || !strings.Contains(err.Error(), "other tags: "+want+";") {
			t.Errorf("Remove(%q): %v", ref, err)
		}
	}
	busy := errors.New("order plant7 installs it")
	if _, err := c.Remove("a", true, func(Image) error { return busy }); !errors.Is(err, busy) {
		t.Errorf("an image in use was removed by force: %v", err)
	}
	if _, err := c.Remove("a", true, free); err != nil {
		t.Fatal(err)
	}
	for _, ref := range []string{"a", "ubuntu:current", i.Digest} {
		if _, err := c.Get(ref); !errors.Is(err, ErrNotFound) {
			t.Errorf("Get(%q): %v", ref, err)
		}
	}
}

func TestCollectRemovesWhatNeitherTagNorOrderNames(t *testing.T) {
	dir := t.TempDir()
	c := open(t, dir)
	addScout(t, c, "current", "k", "1")
	used, old := addScout(t, c, "", "k", "2"), addScout(t, c, "", "k", "3")
	inUse := func(i Image) error {
		if i.Digest == used.Digest {
			return errors.New("order plant7 installs it")
		}
		return nil
	}
	part := c.part("http://mirror/x.iso")
	if err := errors.Join(os.WriteFile(part, []byte("half"), 0o600), os.WriteFile(part+".json", []byte("{}"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if err := c.reserve("http://mirror/busy.iso"); err != nil {
		t.Fatal(err)
	}
	busy := c.part("http://mirror/busy.iso")
	if err := os.WriteFile(busy, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	want := Garbage{Images: []Image{old}, Parts: 1, Freed: old.Size + 4}
	before := tree(t, dir)
	got, err := c.Collect(true, inUse)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("dry: %v (-want +got):\n%s", err, diff)
	}
	if diff := cmp.Diff(before, tree(t, dir)); diff != "" {
		t.Errorf("dry, yet files changed:\n%s", diff)
	}
	got, err = c.Collect(false, inUse)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if got := names(c.List()); !cmp.Equal(got, []string{"", "current"}) {
		t.Errorf("left are %q", got)
	}
	if parts, err := filepath.Glob(filepath.Join(dir, partDir, "*")); err != nil || !cmp.Equal(parts, []string{busy}) {
		t.Errorf("parts left: %v, %v", parts, err)
	}
}
