package ramdisk

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
)

// maxLinks bounds a chain of symbolic links between blobs.
const maxLinks = 8

// Blob is a firmware file that a module may ask for.
type Blob struct {
	Module string `json:"module"`
	Name   string `json:"name"` // below /lib/firmware
}

// firmware is what the given sources hold, uncompressed, by name below
// lib/firmware: where a file's bytes lie in the spool, or where a link leads.
type firmware struct {
	files map[string]extent
	links map[string]string
	spool *spool
}

// readFirmware gathers each source: a directory that mirrors /lib/firmware, or
// a Debian package. A later source wins over an earlier one.
func readFirmware(ctx context.Context, sources []string, s *spool) (firmware, error) {
	fw := firmware{files: map[string]extent{}, links: map[string]string{}, spool: s}
	for _, source := range sources {
		info, err := os.Stat(source)
		if err != nil {
			return firmware{}, fmt.Errorf("read firmware: %w", err)
		}
		read := fw.readDeb
		if info.IsDir() {
			read = fw.readDir
		}
		if err := read(ctx, source); err != nil {
			return firmware{}, fmt.Errorf("read firmware from %s: %w", source, err)
		}
	}
	return fw, nil
}

func (fw firmware) readDeb(ctx context.Context, deb string) error {
	return visitDeb(ctx, deb, func(int64) {}, func(name string, h *tar.Header, r io.Reader) error {
		below, ok := strings.CutPrefix(name, "lib/firmware/")
		if !ok {
			return nil
		}
		switch h.Typeflag {
		case tar.TypeSymlink:
			fw.links[plainName(below)] = plainName(path.Join(path.Dir(below), h.Linkname))
		case tar.TypeReg:
			return fw.add(below, r)
		}
		return nil
	})
}

func (fw firmware) readDir(ctx context.Context, dir string) error {
	root := os.DirFS(dir)
	return fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		f, err := root.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
			return err
		}
		return fw.add(strings.TrimPrefix(name, "lib/firmware/"), f)
	})
}

func (fw firmware) add(name string, r io.Reader) error {
	plain, done, err := decompress(name, r)
	if err != nil {
		return fmt.Errorf("unpack %s: %w", name, err)
	}
	defer done()
	content, err := io.ReadAll(io.LimitReader(plain, maxMember))
	if err != nil {
		return fmt.Errorf("unpack %s: %w", name, err)
	}
	fw.files[plainName(name)], err = fw.spool.add(content)
	return err
}

// plainName drops the ending of a compressed blob: drivers ask without it.
func plainName(name string) string {
	return strings.TrimSuffix(strings.TrimSuffix(name, ".xz"), ".zst")
}

// wanted splits what the modules ask for into blobs that are here, by name,
// and blobs that are not. A pattern ("*") that matches nothing is missing.
func (fw firmware) wanted(modules []module) (here map[string]extent, missing []Blob) {
	here = map[string]extent{}
	for _, m := range modules {
		for _, ask := range m.firmware {
			names := fw.matching(ask)
			if len(names) == 0 {
				missing = append(missing, Blob{Module: m.name, Name: ask})
			}
			for _, n := range names {
				here[n], _ = fw.lookup(n)
			}
		}
	}
	return here, missing
}

func (fw firmware) matching(ask string) []string {
	if _, ok := fw.lookup(ask); ok {
		return []string{ask}
	}
	if !strings.ContainsAny(ask, "*?") {
		return nil
	}
	var names []string
	for n := range maps.Keys(fw.files) {
		if ok, _ := path.Match(ask, n); ok {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	return names
}

func (fw firmware) lookup(name string) (extent, bool) {
	for range maxLinks {
		if at, ok := fw.files[name]; ok {
			return at, true
		}
		target, ok := fw.links[name]
		if !ok {
			break
		}
		name = target
	}
	return extent{}, false
}
