// Package rootfs reads what the root file system of an installer says of
// itself: the assignments of files such as /etc/os-release.
//
// It reads squashfs 4.0 compressed with gzip, xz or zstd, and nothing that is
// no small text. The image is somebody else's: one that is cut short or damaged
// is an error in words, whatever the library below makes of it. Start at
// [Assignments].
package rootfs

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/diskfs/go-diskfs/backend"
	"github.com/diskfs/go-diskfs/filesystem/squashfs"
)

// maxText is the size above which a file is no list of assignments.
const maxText = 64 << 10

// Assignments are the lines NAME=value of files of a squashfs, as os-release(5)
// writes them. Files that are not there count as empty; of two that assign a
// name, the first does. Nothing is followed: a symbolic link counts as empty.
// It may be called concurrently if r may.
func Assignments(r io.ReaderAt, size int64, files ...string) (map[string]string, error) {
	if err := check(r); err != nil {
		return nil, err
	}
	texts, err := readAll(storage{io.NewSectionReader(r, 0, size)}, size, files)
	if err != nil {
		return nil, fmt.Errorf("read the squashfs: %w", err)
	}
	all := map[string]string{}
	for _, text := range texts {
		for line := range strings.Lines(text) {
			name, value, is := assignment(line)
			if _, before := all[name]; is && !before {
				all[name] = value
			}
		}
	}
	return all, nil
}

// The superblock's magic and the compressions that are read (Linux,
// fs/squashfs/squashfs_fs.h: SQUASHFS_MAGIC, ZLIB_COMPRESSION and on).
const (
	magic       = "hsqs"
	compression = 20 // where the number of the compression is, 16 bits, little endian
	zlib        = 1
	xz          = 4
	zstd        = 6
)

// check refuses what the library would take for something that it is not: some
// compressions say in their first bytes how much memory they want.
func check(r io.ReaderAt) error {
	head := make([]byte, compression+2)
	if _, err := r.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if !bytes.HasPrefix(head, []byte(magic)) {
		return errors.New("it is no squashfs")
	}
	switch n := binary.LittleEndian.Uint16(head[compression:]); n {
	case zlib, xz, zstd:
		return nil
	default:
		return fmt.Errorf("it is a squashfs of compression %d, of which gzip (1), xz (4) and zstd (6) are read", n)
	}
}

// readAll are the texts of those files that are there. The library does not
// look at all that it reads before it believes it, and panics.
func readAll(s storage, size int64, files []string) (texts []string, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("it is damaged (%v)", cause)
		}
	}()
	f, err := squashfs.Read(s, size, 0, 0)
	if err != nil {
		return nil, err
	}
	for _, name := range files {
		text, err := read(f, strings.TrimPrefix(name, "/"))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		texts = append(texts, text)
	}
	return texts, nil
}

// read is the text of a regular file, or empty where there is none.
func read(f *squashfs.FileSystem, name string) (string, error) {
	if there, err := regular(f, name); !there || err != nil {
		return "", err
	}
	content, err := f.OpenFile(name, os.O_RDONLY)
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(io.LimitReader(content, maxText+1))
	if len(text) > maxText {
		return "", fmt.Errorf("it is longer than %d bytes", maxText)
	}
	return string(text), errors.Join(err, content.Close())
}

// regular looks for a name from directory to directory, since the library has
// one error for what is not there and what cannot be read.
func regular(f *squashfs.FileSystem, name string) (bool, error) {
	parts := strings.Split(name, "/")
	last := len(parts) - 1
	for i, part := range parts[:last] {
		mode, err := entry(f, path.Join(parts[:i]...), part)
		if !mode.IsDir() || err != nil {
			return false, err
		}
	}
	mode, err := entry(f, path.Join(parts[:last]...), parts[last])
	return mode.IsRegular(), err
}

// absent is the type of what is not there; nothing on a disk has it.
const absent = fs.ModeIrregular

func entry(f *squashfs.FileSystem, dir, name string) (fs.FileMode, error) {
	entries, err := f.ReadDir(cmp.Or(dir, "."))
	if err != nil {
		return absent, err
	}
	for _, e := range entries {
		if e.Name() == name {
			info, err := e.Info()
			if err != nil {
				return absent, err
			}
			return info.Mode(), nil
		}
	}
	return absent, nil
}

// assignment reads one line: a name, and a value that may be quoted.
func assignment(line string) (name, value string, is bool) {
	name, value, is = strings.Cut(strings.TrimSpace(line), "=")
	if !is || name == "" || strings.ContainsAny(name, "# \t") {
		return "", "", false
	}
	for _, quote := range []string{`"`, `'`} {
		if len(value) >= 2 && strings.HasPrefix(value, quote) && strings.HasSuffix(value, quote) {
			value = value[1 : len(value)-1]
			break
		}
	}
	return name, value, true
}

// storage is what the library wants of a disk.
type storage struct{ *io.SectionReader }

var errNone = errors.New("a part of an image is no file")

// Stat implements [backend.Storage].
func (storage) Stat() (fs.FileInfo, error) { return nil, errNone }

// Close implements [backend.Storage]; whoever opened the image closes it.
func (storage) Close() error { return nil }

// Sys implements [backend.Storage].
func (storage) Sys() (*os.File, error) { return nil, errNone }

// Writable implements [backend.Storage].
func (storage) Writable() (backend.WritableFile, error) { return nil, errNone }

// Path implements [backend.Storage].
func (storage) Path() string { return "" }
