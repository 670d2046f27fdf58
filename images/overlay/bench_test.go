package overlay

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"testing"
)

// manyFiles makes an image of 8,000 files in 400 directories.
func manyFiles(b *testing.B) *base {
	b.Helper()
	tree := b.TempDir()
	write(b, tree, "boot/grub/grub.cfg", grubConfig)
	for i := range 8000 {
		write(b, tree, fmt.Sprintf("pool/%02d/%02d/package-%05d_amd64.deb", i%20, i/20%20, i), "x")
	}
	path := filepath.Join(b.TempDir(), "many.iso")
	run(b, "xorriso", "-as", "mkisofs", "-R", "-J", "-joliet-long", "-o", path, tree)
	return openBase(b, path, tree)
}

// hostChanges are what one host usually gets.
func hostChanges() []Change {
	return []Change{
		{Path: "/autoinstall.yaml", Content: bytes.Repeat([]byte("# user-data of a host\n"), 200)},
		{Path: "/zz_muster.yaml", Content: bytes.Repeat([]byte("# user-data of a host\n"), 200)},
		{Args: []string{"console=ttyS0", "muster.attempt=0123456789abcdef"}},
	}
}

func BenchmarkBuild(b *testing.B) {
	base := manyFiles(b)
	changes := hostChanges()
	b.ReportAllocs()
	b.ResetTimer()
	var held int64
	for b.Loop() {
		o, err := Build(base.file, base.index, changes)
		if err != nil {
			b.Fatal(err)
		}
		held = o.Held()
	}
	b.ReportMetric(float64(held), "held-B")
}

func BenchmarkScan(b *testing.B) {
	base := manyFiles(b)
	b.ReportAllocs()
	b.ResetTimer()
	for b.Loop() {
		if _, err := Scan(base.file, base.size); err != nil {
			b.Fatal(err)
		}
	}
	data, err := json.Marshal(base.index)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(len(data)), "JSON-B")
}
