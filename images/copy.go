package images

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// How a content is copied: while one buffer is written the ones before are
// hashed, and the disk is at work long before the last byte has come.
const (
	copyBuffer  = 1 << 20 // bytes
	copyBuffers = 4
	flushEvery  = 16 << 20 // bytes; how often the disk is set to work, and its space looked at
)

// copyHashed writes a content to f and hashes it meanwhile. It stops before the
// disk is full.
func (c *Catalog) copyHashed(f *os.File, r io.Reader) (digest string, size int64, err error) {
	h := sha256.New()
	free, full := make(chan []byte, copyBuffers), make(chan []byte, copyBuffers)
	for range copyBuffers {
		free <- make([]byte, copyBuffer)
	}
	hashed := make(chan struct{})
	go func() {
		defer close(hashed)
		for b := range full {
			h.Write(b)
			free <- b[:copyBuffer]
		}
	}()
	size, err = c.pour(f, r, free, full)
	close(full)
	<-hashed
	return hex.EncodeToString(h.Sum(nil)), size, err
}

// pour reads into free buffers, hands them on full, and writes them. A buffer
// that was handed on is read only, by both.
func (c *Catalog) pour(f *os.File, r io.Reader, free <-chan []byte, full chan<- []byte) (size int64, err error) {
	flushed := int64(0)
	for {
		b := <-free
		n, err := io.ReadFull(r, b)
		if n > 0 {
			full <- b[:n]
			if _, err := f.Write(b[:n]); err != nil {
				return size, err
			}
			size += int64(n)
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return size, nil
		case err != nil:
			return size, err
		}
		if size-flushed >= flushEvery {
			if err := c.checkSpace(0); err != nil {
				return size, err
			}
			// Only a hint: the sync at the end says what came of it.
			_ = unix.SyncFileRange(int(f.Fd()), flushed, size-flushed, unix.SYNC_FILE_RANGE_WRITE)
			flushed = size
		}
	}
}
