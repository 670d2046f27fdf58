// Package seal keeps secrets unreadable where they lie on disk: bytes go in
// with a context and come out only with the same context and the same key.
//
// It guards what is stored, not what runs: whoever reads the key file reads
// everything. It keeps no second key and cannot bring a lost one back. Start at
// [Open].
package seal

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

const (
	keySize = 32 // bytes: AES-256
	format  = 1  // first byte of what is sealed
)

// ErrSealed says that something does not open: it was sealed with another key
// or for another context, or it was changed. It is wrapped in a sentence.
var ErrSealed = errors.New("it does not open with this key")

// Box seals and opens with one key. It is safe for concurrent use.
type Box struct {
	aead cipher.AEAD
	path string // of the key, for sentences
}

// Open reads the key file at path, or makes one, readable by its owner alone.
// A file that others may read, or of another size, is refused and left as it
// is.
func Open(path string) (*Box, error) {
	key, err := readKey(path)
	if errors.Is(err, fs.ErrNotExist) {
		key, err = makeKey(path)
	}
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("use the key in %s: %w", path, err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("use the key in %s: %w", path, err)
	}
	return &Box{aead: aead, path: path}, nil
}

// readKey checks the file that it opened, so that nobody changes it between.
func readKey(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the key that seals secrets: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, fmt.Errorf("read the key that seals secrets: %w", err)
	case !info.Mode().IsRegular() || info.Size() != keySize:
		return nil, fmt.Errorf("%s is not a key of %d bytes: put back the one that was there; "+
			"without it, remove the file, and what was sealed is lost", path, keySize)
	case info.Mode().Perm()&0o077 != 0:
		return nil, fmt.Errorf("others may read the key that seals secrets; run: chmod 600 %s", path)
	}
	key := make([]byte, keySize)
	if _, err := f.ReadAt(key, 0); err != nil {
		return nil, fmt.Errorf("read the key that seals secrets: %w", err)
	}
	return key, nil
}

// makeKey writes a new key beside path and links it there: of two processes
// that come at once, one is first, and both then read the same key. Nothing is
// sealed before the key and its name would survive the loss of power.
func makeKey(path string) ([]byte, error) {
	key := make([]byte, keySize)
	_, _ = rand.Read(key) // never fails; crypto/rand ends the process instead
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, filepath.Base(path)+".new-") // mode 0600
	if err != nil {
		return nil, fmt.Errorf("make the key that seals secrets: %w", err)
	}
	_, err = f.Write(key)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Link(f.Name(), path)
	}
	err = errors.Join(ignoreExist(err), os.Remove(f.Name()), syncDir(dir))
	if err != nil {
		return nil, fmt.Errorf("make the key that seals secrets: %w", err)
	}
	return readKey(path)
}

func ignoreExist(err error) error {
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Seal returns plain, sealed for a context: what it is and whose.
func (b *Box) Seal(plain []byte, context string) []byte {
	return b.aead.Seal([]byte{format}, nil, plain, []byte(context))
}

// Open returns what was sealed for that context. The error is ErrSealed, in a
// sentence that says what may have happened.
func (b *Box) Open(sealed []byte, context string) ([]byte, error) {
	body, known := bytes.CutPrefix(sealed, []byte{format})
	if !known {
		return nil, fmt.Errorf("%w: it was sealed by another version of muster, or is damaged", ErrSealed)
	}
	plain, err := b.aead.Open(nil, nil, body, []byte(context))
	if err != nil {
		return nil, fmt.Errorf("%w: it was sealed with another key than the one in %s, or is damaged", ErrSealed, b.path)
	}
	return plain, nil
}
