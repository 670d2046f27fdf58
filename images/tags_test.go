package images

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestATagMovesAndRemembers(t *testing.T) {
	dir := t.TempDir()
	c, err := Open(dir, clock(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	old, latest := addScout(t, c, "noble-1", "k", "1"), addScout(t, c, "noble-2", "k", "2")
	for _, ref := range []string{"noble-1", latest.Digest[:12], "noble-2"} { // the third move is none
		if _, err := c.Tag(ref, "ubuntu:current"); err != nil {
			t.Fatal(err)
		}
	}
	check := func(when string, c *Catalog) {
		t.Helper()
		i, err := c.Get("ubuntu:current")
		if err != nil || i.Digest != latest.Digest || i.Name != "ubuntu:current" || !cmp.Equal(i.Tags, []string{"noble-2", "ubuntu:current"}) {
			t.Errorf("%s: it names %.12s %q with tags %q, %v", when, i.Digest, i.Name, i.Tags, err)
		}
		var steps []string
		for _, s := range c.History(old.Digest) {
			steps = append(steps, fmt.Sprintf("%s %s %.12s", s.At.Format("05"), s.Tag, s.Digest))
		}
		want := []string{"06 ubuntu:current " + latest.Digest[:12], "05 ubuntu:current " + old.Digest[:12], "02 noble-1 " + old.Digest[:12]}
		if diff := cmp.Diff(want, steps); diff != "" {
			t.Errorf("%s: history (-want +got):\n%s", when, diff)
		}
	}
	check("at once", c)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	c = open(t, dir)
	check("opened again", c)
	if err := c.Untag("ubuntu:current"); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	c = open(t, dir)
	if _, err := c.Get("ubuntu:current"); !errors.Is(err, ErrNotFound) {
		t.Errorf("a tag that was taken away: %v", err)
	}
	if steps := c.History(old.Digest); len(steps) != 4 {
		t.Errorf("the past of a tag that was taken away: %+v", steps)
	}
	if err := c.Untag("ubuntu:current"); !errors.Is(err, ErrNotFound) {
		t.Errorf("taken away twice: %v", err)
	}
}

func TestATagIsNoDigestAndFitsIntoAURL(t *testing.T) {
	c := open(t, t.TempDir())
	addScout(t, c, "a", "k", "1")
	for _, bad := range []string{"", "a b", "a/b", "a:b:c", ":b", "a:", "sha256:abc", "c0ffee", "a\n", strings.Repeat("x", 129)} {
		if _, err := c.Tag("a", bad); err == nil {
			t.Errorf("tag %q was taken", bad)
		}
	}
	if _, err := c.Tag("nobody", "b"); !errors.Is(err, ErrNotFound) {
		t.Errorf("a tag for no image: %v", err)
	}
}

func TestATagsPastIsBounded(t *testing.T) {
	c := open(t, t.TempDir())
	a, b := addScout(t, c, "a", "k", "1"), addScout(t, c, "b", "k", "2")
	for n := range maxMoves {
		if _, err := c.Tag([]string{a.Digest, b.Digest}[n%2], "x"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Tag("a", "x"); err != nil {
		t.Fatal(err)
	}
	if n := len(c.tags["x"]); n != maxMoves || c.tags.names("x") != a.Digest {
		t.Errorf("%d moves are kept", n)
	}
}

func TestDamagedTagsAreNamedAtOpening(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, tagFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, clock(), Options{}); err == nil || !strings.Contains(err.Error(), "tags.json is damaged") {
		t.Errorf("got %v", err)
	}
	gone := `{"none": [], "x": [{"digest": "` + strings.Repeat("a", 64) + `", "at": "2026-11-22T12:00:00Z"}]}`
	if err := os.WriteFile(filepath.Join(dir, tagFile), []byte(gone), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := open(t, dir).Get("x"); !errors.Is(err, ErrNotFound) {
		t.Errorf("a tag of an image that has gone: %v", err)
	}
}
