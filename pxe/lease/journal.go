package lease

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// remember is how long an ended lease is kept, so that a host that was switched
// off over a week-end comes back to its address.
const remember = 7 * 24 * time.Hour

// header is the first line of the file; the number is the format's.
const header = "muster-leases 1\n"

// journal is the file of a [Book]: a header, then one line for each change, the
// last one for an address standing. Lines that arrive while a write is under way
// share the next write and its fsync.
type journal struct {
	lock *os.File // held while the book is open, so that no second process writes

	mu   sync.Mutex // guards next
	next *batch     // collects lines until somebody writes it

	disk sync.Mutex // guards file and good; held while writing
	file *os.File
	good int64 // length of the file up to the last line known to be whole
}

// batch is lines that are written together.
type batch struct {
	j    *journal
	buf  bytes.Buffer
	once sync.Once
	err  error // valid after once
}

// openJournal reads path into t, rewrites it without what is long past, and
// leaves it open for appending.
func openJournal(path string, t *table, now time.Time) (*journal, error) {
	lock, err := lockFile(path + ".lock")
	if err != nil {
		return nil, err
	}
	j := &journal{lock: lock}
	j.next = &batch{j: j}
	if err := j.load(path, t, now); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return j, nil
}

func (j *journal) load(path string, t *table, now time.Time) error {
	old, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := replay(old, t); err != nil {
		return err
	}
	for _, e := range t.sorted() {
		if now.Sub(e.Until) > remember {
			t.remove(e.Addr)
		}
	}
	j.file, j.good, err = rewrite(path, t.sorted())
	return err
}

// lockFile takes the lock that says "this book is open".
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(errors.New("another muster has these leases open; stop it first"), f.Close())
	}
	return f, nil
}

// replay applies the lines of a file in their order. A last line without its
// end, or whose sum is wrong, is what a power cut leaves of a lease that nobody
// was told of, and is dropped; anywhere else it is damage, and said.
func replay(data []byte, t *table) error {
	if len(data) == 0 {
		return nil
	}
	body, ok := strings.CutPrefix(string(data), header)
	if !ok {
		if strings.HasPrefix(header, string(data)) {
			return nil // the very first write was cut
		}
		return errors.New("line 1: not a lease file of this version; move it away to start with an empty one")
	}
	lines := strings.SplitAfter(body, "\n")
	for i, line := range lines {
		if line == "" {
			continue
		}
		e, err := parseLine(line)
		if err != nil && i >= len(lines)-2 && strings.Join(lines[i+1:], "") == "" {
			return nil
		}
		if err != nil {
			return fmt.Errorf("line %d: %w; move the file away to start with an empty one", i+2, err)
		}
		t.put(e)
	}
	return nil
}

// formatLine writes an entry as "state address mac until sum".
func formatLine(e entry) string {
	mac := "-"
	if e.MAC != "" {
		mac = net.HardwareAddr(e.MAC).String()
	}
	text := fmt.Sprintf("%s %s %s %s", e.State, e.Addr, mac, e.Until.UTC().Format(time.RFC3339Nano))
	return fmt.Sprintf("%s %08x\n", text, crc32.ChecksumIEEE([]byte(text)))
}

// parseLine reads what formatLine wrote.
func parseLine(line string) (entry, error) {
	text, ok := strings.CutSuffix(line, "\n")
	if !ok {
		return entry{}, errors.New("the line has no end")
	}
	cut := strings.LastIndexByte(text, ' ')
	if cut < 0 || text[cut+1:] != fmt.Sprintf("%08x", crc32.ChecksumIEEE([]byte(text[:cut]))) {
		return entry{}, errors.New("the sum does not match")
	}
	words := strings.Split(text[:cut], " ")
	if len(words) != 4 {
		return entry{}, errors.New("not four words")
	}
	return parseWords(words)
}

func parseWords(words []string) (entry, error) {
	e := entry{State: state(words[0])}
	if e.State != bound && e.State != declined {
		return entry{}, fmt.Errorf("unknown state %q", words[0])
	}
	addr, err := netip.ParseAddr(words[1])
	if err != nil {
		return entry{}, err
	}
	e.Addr = addr
	if words[2] != "-" {
		mac, err := net.ParseMAC(words[2])
		if err != nil {
			return entry{}, err
		}
		e.MAC = key(mac)
	}
	e.Until, err = time.Parse(time.RFC3339Nano, words[3])
	return e, err
}

// rewrite puts entries into a new file in place of path, and returns it open.
// Offers are left out. A reader sees the old file or the new one, never a part.
func rewrite(path string, entries []entry) (*os.File, int64, error) {
	var buf bytes.Buffer
	buf.WriteString(header)
	for _, e := range entries {
		buf.WriteString(formatLine(e))
	}
	f, err := os.OpenFile(path+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, 0, err
	}
	if err := install(f, path, buf.Bytes()); err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, int64(buf.Len()), nil
}

// install fills f, makes it durable and gives it the name path.
func install(f *os.File, path string, data []byte) error {
	if _, err := f.Write(data); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// append adds e's line to the next batch. It never blocks on the disk; the
// batch's wait does. Calls for one address must come in the order that counts,
// which the book's lock sees to.
func (j *journal) append(e entry) *batch {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.next.buf.WriteString(formatLine(e))
	return j.next
}

// wait returns once the batch is on disk. The first waiter writes it, for all.
func (b *batch) wait() error {
	b.once.Do(func() { b.err = b.j.write(b) })
	return b.err
}

// write appends one batch and syncs. After a failed write the file is cut back
// to its last whole line, so that a full disk costs the new leases only.
func (j *journal) write(b *batch) error {
	j.disk.Lock()
	defer j.disk.Unlock()

	j.mu.Lock()
	if j.next == b {
		j.next = &batch{j: j}
	}
	j.mu.Unlock()

	n, err := j.file.WriteAt(b.buf.Bytes(), j.good)
	if err == nil {
		err = j.file.Sync()
	}
	if err != nil {
		return errors.Join(err, j.file.Truncate(j.good))
	}
	j.good += int64(n)
	return nil
}

// close waits for a write under way and releases file and lock.
func (j *journal) close() error {
	j.disk.Lock()
	defer j.disk.Unlock()
	return errors.Join(j.file.Close(), j.lock.Close())
}
