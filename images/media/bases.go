package media

import (
	"errors"
	"os"
	"sync"
	"time"
)

// lingers is how long a base stays open behind its last request: thousands of
// short ranges a second do not open it each, and the room of a removed image is
// soon free.
const lingers = 10 * time.Second

// Bases keeps the files of images open that requests read just now, one of each
// image for all of them. The zero value works; it is safe for concurrent use.
type Bases struct {
	mu     sync.Mutex
	open   map[string]*base
	closed bool
}

type base struct {
	file  *os.File
	users int
	idle  *time.Timer // closes the file; runs while there are no users
}

// Open returns the base with this digest, opened by open unless it is open. The
// file is shared: only release closes it, and nobody moves its position. Whether
// the image may be read at all is asked before.
func (b *Bases) Open(digest string, open func() (*os.File, error)) (f *os.File, release func(), err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, nil, os.ErrClosed
	}
	one, ok := b.open[digest]
	if !ok {
		if f, err = open(); err != nil {
			return nil, nil, err
		}
		one = &base{file: f}
		one.idle = time.AfterFunc(lingers, func() { b.drop(digest, one) })
		if b.open == nil {
			b.open = map[string]*base{}
		}
		b.open[digest] = one
	}
	if one.users == 0 {
		one.idle.Stop()
	}
	one.users++
	return one.file, func() { b.release(one) }, nil
}

// release ends one use. An error of closing what was only read says nothing.
func (b *Bases) release(one *base) {
	b.mu.Lock()
	defer b.mu.Unlock()
	one.users--
	if one.users > 0 {
		return
	}
	if b.closed {
		_ = one.file.Close()
		return
	}
	one.idle.Reset(lingers)
}

// drop closes a base that nobody has used for a while. Its timer may have fired
// just before somebody came.
func (b *Bases) drop(digest string, one *base) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if one.users > 0 || b.open[digest] != one {
		return
	}
	delete(b.open, digest)
	_ = one.file.Close()
}

// Close closes what nobody uses, and has the rest closed with its last request.
// Nothing can be opened any more.
func (b *Bases) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	var errs []error
	for digest, one := range b.open {
		delete(b.open, digest)
		one.idle.Stop()
		if one.users == 0 {
			errs = append(errs, one.file.Close())
		}
	}
	return errors.Join(errs...)
}
