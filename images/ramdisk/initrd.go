package ramdisk

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// writeInitrd writes the archive twice: once into a digest, which names the
// build, and once, with that name inside, into the compressor.
func writeInitrd(ctx context.Context, o Options, c choice, s *spool, w io.Writer) (Manifest, error) {
	sum := sha256.New()
	total, err := writeTree(ctx, sum, o, c, s, "", func(int64) {})
	if err != nil {
		return Manifest{}, err
	}
	if o.Version == "" {
		o.Version = "dev"
	}
	m := c.manifest
	m.Version = o.Version + "+" + hex.EncodeToString(sum.Sum(nil))[:12]
	var out tally
	z, err := zstd.NewWriter(io.MultiWriter(w, &out), zstd.WithEncoderLevel(zstd.SpeedBetterCompression), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return Manifest{}, fmt.Errorf("start compressor: %w", err)
	}
	progress := func(done int64) { o.Progress("initramfs", done, total) }
	if _, err := writeTree(ctx, z, o, c, s, m.Version, progress); err != nil {
		return Manifest{}, errors.Join(err, z.Close())
	}
	if err := z.Close(); err != nil {
		return Manifest{}, fmt.Errorf("write initramfs: %w", err)
	}
	m.InitrdBytes = out.n
	return m, nil
}

// writeTree writes the whole archive and returns its size in bytes.
func writeTree(ctx context.Context, w io.Writer, o Options, c choice, s *spool, version string, progress func(done int64)) (int64, error) {
	scout, err := os.Open(o.Scout)
	if err != nil {
		return 0, fmt.Errorf("open scout: %w", err)
	}
	defer scout.Close()
	info, err := scout.Stat()
	if err != nil {
		return 0, fmt.Errorf("open scout: %w", err)
	}
	entries := append(tree(c, s, version), fileEntry("init", 0o755, info.Size(), scout))
	n := &newcWriter{w: w}
	for _, e := range withParents(entries) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		if err := n.write(e); err != nil {
			return 0, err
		}
		progress(n.pos)
	}
	return n.pos, n.Close()
}

// tree is every file of the ramdisk but the scout, in no order.
func tree(c choice, s *spool, version string) []newcEntry {
	entries := []newcEntry{
		charEntry("dev/console", 5, 1), // devices.txt of the kernel
		charEntry("dev/null", 1, 3),
		textEntry(VersionFile, version+"\n"),
	}
	for _, d := range []string{"proc", "sys", "run", "tmp", "mnt", "etc"} {
		entries = append(entries, dirEntry(d))
	}
	lib := "lib/modules/" + c.manifest.Kernel + "/"
	entries = append(entries,
		textEntry(lib+"modules.dep", depTable(c.modules)),
		textEntry(lib+"modules.alias", aliasTable(c.modules)),
		textEntry(lib+"modules.softdep", softTable(c.modules)))
	for _, m := range c.modules {
		entries = append(entries, fileEntry(lib+m.file, 0o644, m.at.size, s.open(m.at)))
	}
	for name, at := range c.firmware {
		entries = append(entries, fileEntry("lib/firmware/"+name, 0o644, at.size, s.open(at)))
	}
	return entries
}

func textEntry(name, text string) newcEntry {
	return fileEntry(name, 0o644, int64(len(text)), strings.NewReader(text))
}

// withParents adds the directories above each entry and sorts, so that a
// directory comes before what lies in it.
func withParents(entries []newcEntry) []newcEntry {
	have := map[string]bool{".": true}
	for _, e := range entries {
		have[e.name] = true
	}
	for _, e := range slices.Clone(entries) {
		for dir := path.Dir(e.name); !have[dir]; dir = path.Dir(dir) {
			have[dir] = true
			entries = append(entries, dirEntry(dir))
		}
	}
	slices.SortFunc(entries, func(a, b newcEntry) int { return strings.Compare(a.name, b.name) })
	return entries
}

// tally counts the bytes that pass.
type tally struct{ n int64 }

func (t *tally) Write(p []byte) (int, error) {
	t.n += int64(len(p))
	return len(p), nil
}
