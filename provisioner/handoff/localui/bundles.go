package localui

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"time"
)

// bundles are the files that hosts may be given: those in one directory, and
// no other. Safe for concurrent use.
type bundles struct {
	dir string

	reading sync.Mutex // one file is read for its digest at a time
	mu      sync.Mutex
	sums    map[string]sum
}

// sum is the digest of a file as it was.
type sum struct {
	digest   string
	size     int64
	modified time.Time
}

// open opens a file of the directory; its error is for people.
func (b *bundles) open(name string) (*os.File, fs.FileInfo, error) {
	if b.dir == "" {
		return nil, nil, fmt.Errorf("%s cannot be uploaded: say in muster's configuration where bundles lie, as handoff: {localui: {bundles: /srv/bundles}}", name)
	}
	f, err := os.OpenInRoot(b.dir, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("there is no %s in %s: put it there", name, b.dir)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%s in %s cannot be read: %w", name, b.dir, err)
	}
	info, err := f.Stat()
	if err == nil && (!info.Mode().IsRegular() || info.Size() == 0) {
		err = errors.New("it is no file, or empty")
	}
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("%s in %s cannot be uploaded: %w", name, b.dir, err), f.Close())
	}
	return f, info, nil
}

func (b *bundles) size(name string) (int64, error) {
	f, info, err := b.open(name)
	if err != nil {
		return 0, err
	}
	return info.Size(), f.Close()
}

// known is a file's SHA-256, if it was read since it changed last.
func (b *bundles) known(name string) (digest string, known bool, err error) {
	f, info, err := b.open(name)
	if err != nil {
		return "", false, err
	}
	defer f.Close()
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.sums[name]
	return s.digest, s.is(info), nil
}

func (s sum) is(info fs.FileInfo) bool {
	return s.digest != "" && s.size == info.Size() && s.modified.Equal(info.ModTime())
}

// digest is a file's SHA-256, read if it is not known.
func (b *bundles) digest(ctx context.Context, name string) (string, error) {
	b.reading.Lock()
	defer b.reading.Unlock()
	if digest, known, err := b.known(name); known || err != nil {
		return digest, err
	}
	f, info, err := b.open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, &stopped{ctx, f}); err != nil {
		return "", fmt.Errorf("read %s for its digest: %w", name, err)
	}
	s := sum{hex.EncodeToString(h.Sum(nil)), info.Size(), info.ModTime()}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sums[name] = s
	return s.digest, nil
}

// stopped is a reader that ends with its context.
type stopped struct {
	ctx context.Context
	r   io.Reader
}

func (s *stopped) Read(p []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	return s.r.Read(p)
}
