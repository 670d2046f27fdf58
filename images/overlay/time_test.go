package overlay

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// changed is a time that no base has.
var changed = time.Date(2031, 2, 3, 4, 5, 6, 0, time.UTC)

func TestFilesHaveTheTimeOfTheirChange(t *testing.T) {
	for name, b := range bases(t) {
		t.Run(name, func(t *testing.T) {
			o := build(t, b,
				Change{Path: "/autoinstall.yaml", Content: []byte("new"), Time: changed},
				Change{Path: "/files-iso/config.yaml", Content: []byte("replaced"), Time: changed},
				Change{Path: "/empty", Content: []byte("as the base says")},
				Change{Args: []string{"console=ttyS0"}, Time: changed})
			before, after := times(t, b.path), times(t, writeOut(t, o))
			for _, file := range []string{"/autoinstall.yaml", "/files-iso/config.yaml", "/boot/grub/grub.cfg", "/isolinux/isolinux.cfg"} {
				if !after[file].Equal(changed) {
					t.Errorf("%s was changed %v, want %v", file, after[file], changed)
				}
			}
			for file, at := range before {
				if now := after[file]; !now.Equal(at) && !now.Equal(changed) {
					t.Errorf("%s was changed %v, in the base %v", file, now, at)
				}
			}
			if !after["/empty"].Equal(before["/empty"]) {
				t.Errorf("/empty was changed %v, in the base %v", after["/empty"], before["/empty"])
			}
		})
	}
}

// times has bsdtar unpack an image, and reads when each file was changed.
func times(t *testing.T, image string) map[string]time.Time {
	t.Helper()
	dir := t.TempDir()
	run(t, "bsdtar", "-xf", image, "-C", dir)
	out := map[string]time.Time{}
	err := filepath.WalkDir(dir, func(name string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			out[strings.TrimPrefix(name, dir)] = info.ModTime()
		}
		return err
	})
	if err != nil || len(out) < 120 {
		t.Fatalf("bsdtar finds %d files, %v", len(out), err)
	}
	return out
}

func TestBytesDependOnNoClockAndNoTimeZone(t *testing.T) {
	b := hybrid(t)
	far := changed.In(time.FixedZone("UTC+11:30", 11*3600+1800)).Add(999 * time.Millisecond)
	one := build(t, b, Change{Path: "/x.yaml", Content: []byte("x"), Time: changed})
	two := build(t, b, Change{Path: "/x.yaml", Content: []byte("x"), Time: far})
	if one.Digest() != two.Digest() {
		t.Error("the same second in another time zone gives other bytes")
	}
	later := build(t, b, Change{Path: "/x.yaml", Content: []byte("x"), Time: changed.Add(time.Second)})
	if one.Digest() == later.Digest() {
		t.Error("another second gives the same bytes")
	}
}

func TestTimesThatNoRecordCanSayAreRefused(t *testing.T) {
	for _, year := range []int{1899, 2156} {
		c := Change{Path: "/x", Time: time.Date(year, 7, 1, 0, 0, 0, 0, time.UTC)}
		if err := c.check(); !errors.Is(err, ErrCannot) {
			t.Errorf("%d: %v", year, err)
		}
	}
}

func TestAStoredIndexGivesTheSameOverlay(t *testing.T) {
	b := hybrid(t)
	data, err := json.Marshal(b.index)
	if err != nil {
		t.Fatal(err)
	}
	var again Index
	if err := json.Unmarshal(data, &again); err != nil {
		t.Fatal(err)
	}
	two, err := Build(b.file, again, hostChanges())
	if err != nil || build(t, b, hostChanges()...).Digest() != two.Digest() {
		t.Errorf("from an index that was stored comes another overlay, %v", err)
	}
}
