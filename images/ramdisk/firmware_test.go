package ramdisk

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestBlobsComeFromDirectoriesAndPackages(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "fw", "bnx2x", "e2.fw"), "from the directory")
	deb := filepath.Join(dir, "fw.deb")
	write(t, deb, string(makeDeb(t, ".xz", map[string]string{"./lib/firmware/qed/init-8.bin": "from the package", "./usr/share/doc/x": ""})))
	s, err := newSpool()
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	fw, err := readFirmware(t.Context(), []string{filepath.Join(dir, "fw"), deb}, s)
	if err != nil {
		t.Fatal(err)
	}
	here, missing := fw.wanted([]module{
		{name: "bnx2x", firmware: []string{"bnx2x/e2.fw", "bnx2x/e3.fw"}},
		{name: "qed", firmware: []string{"qed/init-*.bin"}},
	})
	if diff := cmp.Diff([]string{"bnx2x/e2.fw", "qed/init-8.bin"}, slices.Sorted(maps.Keys(here))); diff != "" {
		t.Errorf("blobs differ (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]Blob{{Module: "bnx2x", Name: "bnx2x/e3.fw"}}, missing); diff != "" {
		t.Errorf("missing differ (-want +got):\n%s", diff)
	}
}

func TestLinksBetweenBlobsAreFollowed(t *testing.T) {
	fw := firmware{
		files: map[string]extent{"real-1.bin": {off: 5, size: 2}},
		links: map[string]string{"nic.bin": "latest.bin", "latest.bin": "real-1.bin", "loop": "loop"},
	}
	if at, ok := fw.lookup("nic.bin"); !ok || at.off != 5 {
		t.Errorf("nic.bin leads to %v, %v", at, ok)
	}
	if _, ok := fw.lookup("loop"); ok {
		t.Error("a link to itself was found")
	}
}
