package evidence

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	"github.com/muster-boot/muster/provisioner"
)

// Shelf keeps the records of hosts, a file for each attempt that was recorded: a
// host that comes back and leaves again has two. Two calls for one host must not
// come at once.
type Shelf struct {
	dir string
}

// shelfDir is where records lie in the data directory.
const shelfDir = "records"

// OpenShelf makes the directory records in the data directory, and puts the
// public key there as key.pem, for whoever checks the records.
func OpenShelf(data string, k Key) (*Shelf, error) {
	s := &Shelf{dir: data}
	if err := os.MkdirAll(filepath.Join(data, shelfDir), 0o700); err != nil {
		return nil, fmt.Errorf("make the directory of records: %w", err)
	}
	if err := put(filepath.Join(data, shelfDir, "key.pem"), []byte(k.Public())); err != nil {
		return nil, fmt.Errorf("put the public key beside the records: %w", err)
	}
	return s, nil
}

// file is where the record of a host's attempt lies, below the data directory.
func file(id provisioner.HostID, a provisioner.AttemptID) string {
	return filepath.Join(shelfDir, url.PathEscape(string(id))+"."+url.PathEscape(string(a))+".json")
}

// Put writes the record of a host's attempt, whole or not at all, and returns
// where it lies and what it digests to. Only one of the same attempt is written
// over, as is asked after a crash.
func (s *Shelf) Put(id provisioner.HostID, a provisioner.AttemptID, text []byte) (name, digest string, err error) {
	name = file(id, a)
	if err := put(filepath.Join(s.dir, name), text); err != nil {
		return "", "", fmt.Errorf("write the record %s: %w", name, err)
	}
	return name, digestOf(text), nil
}

// Get returns the record that Put called name, if it is the one with that
// digest. The error is a NotFound fault where it is not there, or is another.
func (s *Shelf) Get(name, digest string) ([]byte, error) {
	text, err := os.ReadFile(filepath.Join(s.dir, name))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, &provisioner.Fault{Kind: provisioner.NotFound, Err: fmt.Errorf("the record %s is gone: put it back from a backup", name)}
	case err != nil:
		return nil, fmt.Errorf("read the record: %w", err)
	case digestOf(text) != digest:
		return nil, &provisioner.Fault{Kind: provisioner.NotFound, Err: fmt.Errorf("the file %s is not the record that muster wrote: put it back from a backup", name)}
	}
	return text, nil
}

func digestOf(text []byte) string {
	sum := sha256.Sum256(text)
	return "sha256:" + hex.EncodeToString(sum[:])
}
