// Package holder names the process that holds a UDP or TCP port, so that
// "address already in use" becomes a sentence that a person can act on.
//
// It reads /proc and nothing else; it stops no process and opens no socket. A
// process of another user, or of another container, may not be visible, and
// then the sentence says only that the port is taken. Start at [Explain].
package holder

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"syscall"
)

// Process is who holds a socket.
type Process struct {
	PID  int
	Name string // its command, as /proc/PID/comm has it
}

// Protocol is the kind of a port, by its name in /proc/net.
type Protocol string

// The protocols that muster serves on.
const (
	UDP Protocol = "udp"
	TCP Protocol = "tcp"
)

// Explain turns the error of binding a port into one that names the holder. Any
// error but "address already in use" comes back as it was. proc is the mounted
// procfs, os.DirFS("/proc").
func Explain(proc fs.FS, kind Protocol, port uint16, err error) error {
	if !errors.Is(err, syscall.EADDRINUSE) {
		return err
	}
	p, ok := Find(proc, kind, port)
	if !ok {
		return fmt.Errorf("%s port %d is taken by another program; find it with `ss -lnp sport = %d` and stop it: %w", kind, port, port, err)
	}
	return fmt.Errorf("%s port %d is taken by %s (pid %d); stop it: %w", kind, port, p.Name, p.PID, err)
}

// Find finds a process that holds an IPv4 or IPv6 socket whose own port is port.
func Find(proc fs.FS, kind Protocol, port uint16) (Process, bool) {
	inodes := map[string]bool{}
	for _, name := range []string{"net/" + string(kind), "net/" + string(kind) + "6"} {
		data, err := fs.ReadFile(proc, name)
		if err != nil {
			continue
		}
		for _, inode := range bound(string(data), port) {
			inodes["socket:["+inode+"]"] = true
		}
	}
	if len(inodes) == 0 {
		return Process{}, false
	}
	return owner(proc, inodes)
}

// bound picks the inodes of the sockets bound to port from the text of
// /proc/net/udp or tcp: a title line, then "sl local_address rem_address ..." with the
// port in hexadecimal after the colon and the inode as the tenth word.
func bound(table string, port uint16) []string {
	var inodes []string
	for _, line := range strings.Split(table, "\n") {
		words := strings.Fields(line)
		if len(words) < 10 {
			continue
		}
		_, hex, ok := strings.Cut(words[1], ":")
		if n, err := strconv.ParseUint(hex, 16, 16); ok && err == nil && uint16(n) == port {
			inodes = append(inodes, words[9])
		}
	}
	return inodes
}

// owner walks the descriptors of every process for one of the sockets.
func owner(proc fs.FS, sockets map[string]bool) (Process, bool) {
	entries, err := fs.ReadDir(proc, ".")
	if err != nil {
		return Process{}, false
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || !holds(proc, e.Name(), sockets) {
			continue
		}
		comm, err := fs.ReadFile(proc, path.Join(e.Name(), "comm"))
		if err != nil {
			continue // it ended while we looked
		}
		return Process{PID: pid, Name: strings.TrimSpace(string(comm))}, true
	}
	return Process{}, false
}

// holds reports whether one of the process's descriptors is one of the sockets.
func holds(proc fs.FS, pid string, sockets map[string]bool) bool {
	dir := path.Join(pid, "fd")
	fds, err := fs.ReadDir(proc, dir)
	if err != nil {
		return false
	}
	for _, fd := range fds {
		if target, err := fs.ReadLink(proc, path.Join(dir, fd.Name())); err == nil && sockets[target] {
			return true
		}
	}
	return false
}
