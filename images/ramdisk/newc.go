package ramdisk

import (
	"fmt"
	"io"
	"io/fs"
)

// The "newc" archive that Linux unpacks as its first root (kernel document
// driver-api/early-userspace/buffer-format): a fixed header of hexadecimal
// columns, the name, the content, each padded to four bytes.
const (
	newcMagic   = "070701"
	newcTrailer = "TRAILER!!!"
	newcAlign   = 4
)

// File type bits of the mode, stat(2).
const (
	modeDir  = 0o040000
	modeChar = 0o020000
	modeFile = 0o100000
	modeLink = 0o120000
)

// newcEntry is one name in the archive; content must give exactly size bytes.
type newcEntry struct {
	name         string
	mode         uint32 // type and permissions as stat(2) has them
	size         int64
	content      io.Reader // nil where size is 0
	major, minor uint32    // of a device
}

func dirEntry(name string) newcEntry { return newcEntry{name: name, mode: modeDir | 0o755} }

func fileEntry(name string, perm fs.FileMode, size int64, content io.Reader) newcEntry {
	return newcEntry{name: name, mode: modeFile | uint32(perm.Perm()), size: size, content: content}
}

func charEntry(name string, major, minor uint32) newcEntry {
	return newcEntry{name: name, mode: modeChar | 0o600, major: major, minor: minor}
}

// newcWriter writes an archive whose bytes depend on its entries alone: owner
// root, time zero, inodes counted. Close ends the archive.
type newcWriter struct {
	w     io.Writer
	inode uint32
	pos   int64
}

func (n *newcWriter) write(e newcEntry) error {
	n.inode++
	if err := n.header(e, n.inode, 1); err != nil {
		return err
	}
	if e.content != nil {
		if _, err := io.CopyN(counted{n}, e.content, e.size); err != nil {
			return fmt.Errorf("write %s: %w", e.name, err)
		}
	}
	return n.pad()
}

// Close writes the end mark. It does not close the writer beneath.
func (n *newcWriter) Close() error {
	if err := n.header(newcEntry{name: newcTrailer}, 0, 1); err != nil {
		return err
	}
	return n.pad()
}

// header writes the columns in the order of the format: ino, mode, uid, gid,
// nlink, mtime, filesize, device major and minor, rdevice major and minor,
// namesize with its end byte, check (unused by this magic).
func (n *newcWriter) header(e newcEntry, inode, links uint32) error {
	columns := []uint32{inode, e.mode, 0, 0, links, 0, uint32(e.size), 0, 0, e.major, e.minor, uint32(len(e.name) + 1), 0}
	h := newcMagic
	for _, c := range columns {
		h += fmt.Sprintf("%08x", c)
	}
	if _, err := io.WriteString(counted{n}, h+e.name+"\x00"); err != nil {
		return fmt.Errorf("write %s: %w", e.name, err)
	}
	return n.pad()
}

func (n *newcWriter) pad() error {
	if rest := n.pos % newcAlign; rest != 0 {
		_, err := counted{n}.Write(make([]byte, newcAlign-rest))
		return err
	}
	return nil
}

// counted writes through and keeps the position that padding needs.
type counted struct{ n *newcWriter }

func (c counted) Write(p []byte) (int, error) {
	m, err := c.n.w.Write(p)
	c.n.pos += int64(m)
	return m, err
}
