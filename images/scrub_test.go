package images

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// flip turns one bit of a file over.
func flip(t *testing.T, name string) {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestScrubFindsAFlippedBitWhichIsThenNotServed(t *testing.T) {
	dir := t.TempDir()
	c, err := Open(dir, clock(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	image := makeISO(t, "COS_LIVE", kairos())
	i, set := add(t, c, image, "palette"), addScout(t, c, "scout", "kernel", "initrd")
	var last, total int64
	damaged, err := c.Scrub(t.Context(), func(done, of int64) { last, total = done, of })
	if err != nil || len(damaged) > 0 || last != total || total != i.Size+set.Size {
		t.Fatalf("a whole catalog: %v, %v, %d of %d bytes", damaged, err, last, total)
	}
	flip(t, c.blob(i.Digest))
	flip(t, c.blob(set.Files[0].Digest))
	before := tree(t, dir)
	damaged, err = c.Scrub(t.Context(), nil)
	if err != nil || !cmp.Equal(names(damaged), []string{"scout", "palette"}) {
		t.Fatalf("damaged are %q, %v", names(damaged), err)
	}
	if d := damaged[1].Damage; len(d) != 1 || d[0].Expected != i.Digest || len(d[0].Seen) != 64 || d[0].Seen == i.Digest || d[0].File != "" {
		t.Errorf("the ISO's damage is %+v", d)
	}
	if d := damaged[0].Damage; len(d) != 1 || d[0].File != "/initrd" || d[0].Expected != set.Files[0].Digest {
		t.Errorf("the set's damage is %+v", d)
	}
	if diff := cmp.Diff(before, tree(t, dir)); diff != "" {
		t.Errorf("scrubbing changed files:\n%s", diff)
	}
	refuses := func(when string, c *Catalog) {
		t.Helper()
		_, whole := c.Whole(i.Digest)
		_, file := c.Content(i.Digest, "/boot/kernel")
		_, part := c.Content(set.Digest, "/kernel")
		for _, err := range []error{whole, file, part} {
			if !errors.Is(err, ErrDamaged) {
				t.Errorf("%s: a damaged image was served: %v", when, err)
			}
		}
	}
	refuses("at once", c)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	c = open(t, dir)
	refuses("opened again", c)

	add(t, c, image, "")
	if _, err := c.Whole(i.Digest); err != nil {
		t.Errorf("added again: %v", err)
	}
	flip(t, c.blob(set.Files[0].Digest)) // back
	if damaged, err := c.Scrub(t.Context(), nil); err != nil || len(damaged) > 0 {
		t.Errorf("after repair: %v, %v", names(damaged), err)
	}
	if got := read(t, c, set.Digest, "/kernel"); got != "kernel" {
		t.Errorf("after repair the kernel reads %q", got)
	}
}

func TestScrubNamesWhatCannotBeRead(t *testing.T) {
	c := open(t, t.TempDir())
	i := add(t, c, makeISO(t, "COS_LIVE", kairos()), "palette")
	if err := os.Remove(c.blob(i.Digest)); err != nil {
		t.Fatal(err)
	}
	damaged, err := c.Scrub(t.Context(), nil)
	if err != nil || len(damaged) != 1 || !strings.Contains(fmt.Sprint(damaged[0].Damage), "no such file") {
		t.Errorf("got %+v, %v", damaged, err)
	}
}

func TestScrubStopsWhenItIsTold(t *testing.T) {
	c := open(t, t.TempDir())
	add(t, c, makeISO(t, "COS_LIVE", kairos()), "palette")
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if damaged, err := c.Scrub(ctx, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, %v", damaged, err)
	}
}
