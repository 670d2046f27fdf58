package iso

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTreesShowTheirRecordsWhereTheyLie(t *testing.T) {
	source := t.TempDir()
	plant(t, source, rand.New(rand.NewPCG(5, 5)), true)
	path := filepath.Join(t.TempDir(), "x.iso")
	xorriso(t, "-as", "mkisofs", "-R", "-J", "-joliet-long", "-o", path, source)
	image, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	trees, err := open(t, image).Trees()
	if err != nil || len(trees) != 2 || trees[0].Joliet || !trees[0].RockRidge || !trees[1].Joliet {
		t.Fatalf("trees %+v, %v", trees, err)
	}
	var names [2][]string
	for i, tree := range trees {
		records, err := tree.Records(tree.Root)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range records {
			if !bytes.Equal(image[r.At:r.At+int64(len(r.Bytes))], r.Bytes) || len(r.Bytes) != int(r.Bytes[0]) {
				t.Errorf("the record of %q does not lie at %d", r.Name, r.At)
			}
			for _, u := range r.SystemUse {
				if !bytes.Equal(image[u.At:u.At+int64(len(u.Data))], u.Data) || string(image[u.At-4:u.At-2]) != u.Signature {
					t.Errorf("entry %s of %q does not lie at %d", u.Signature, r.Name, u.At)
				}
			}
			names[i] = append(names[i], r.Name)
		}
		checkPathTables(t, image, tree)
	}
	if len(names[0]) < 8 || names[0][0] != "" || names[0][1] != "" {
		t.Errorf("the root holds %q", names[0])
	}
	slices.Sort(names[0])
	slices.Sort(names[1])
	if diff := cmp.Diff(slices.DeleteFunc(names[0], func(n string) bool { return n == "abs" }), names[1]); diff != "" { // Joliet has no links
		t.Errorf("the trees hold different names (-Rock Ridge +Joliet):\n%s", diff)
	}
}

// checkPathTables wants all copies to begin with the root, each in its order.
func checkPathTables(t *testing.T, image []byte, tree *Tree) {
	t.Helper()
	tables, err := tree.PathTables()
	if err != nil || len(tables) < 2 {
		t.Fatalf("%d path tables, %v", len(tables), err)
	}
	orders := map[binary.ByteOrder]bool{}
	for _, table := range tables {
		orders[table.Order] = true
		if at := int64(table.Order.Uint32(image[table.Offset+2:])) * sectorSize; at != tree.Root.Offset {
			t.Errorf("a path table has the root at %d, it is at %d", at, tree.Root.Offset)
		}
	}
	if diff := cmp.Diff(2, len(orders)); diff != "" {
		t.Errorf("byte orders (-want +got):\n%s", diff)
	}
}

func TestADirectoryWithoutItselfIsDamage(t *testing.T) {
	image := sample()
	trees, err := open(t, image).Trees()
	if err != nil {
		t.Fatal(err)
	}
	image[trees[0].Root.Offset+33] = 'X'
	if _, err := trees[0].Records(trees[0].Root); !errors.Is(err, ErrDamaged) {
		t.Errorf("got %v, want damaged", err)
	}
	if _, err := trees[0].Records(Extent{Offset: int64(len(image)), Length: sectorSize}); !errors.Is(err, ErrTruncated) {
		t.Errorf("got %v, want truncated", err)
	}
}
