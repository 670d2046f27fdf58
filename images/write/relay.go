package write

import (
	"bytes"
	"context"
	"errors"
	"io"
	"unsafe"

	"golang.org/x/sync/errgroup"
)

const (
	blockSize = 4 << 20 // bytes of one write
	blocks    = 3       // one being read, one being written, one between
	pageSize  = 4096    // what direct reads and writes want buffers to lie on
	zeroUnit  = 256 << 10
)

// relay reads blocks and drains them at the same time, in order. A block is
// the drain's until it returns; all but the last are of blockSize. It returns
// when both ends have.
func relay(ctx context.Context, cancel context.CancelCauseFunc, r io.Reader, drain func([]byte) error) error {
	free, full := make(chan []byte, blocks), make(chan []byte, blocks)
	for range blocks {
		free <- aligned(blockSize)
	}
	var g errgroup.Group
	g.Go(func() error {
		defer close(full)
		return produce(ctx, r, free, full)
	})
	g.Go(func() error {
		for b := range full {
			if err := drain(b); err != nil {
				cancel(err)
				return err
			}
			free <- b[:blockSize]
		}
		return nil
	})
	err := g.Wait()
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

func produce(ctx context.Context, r io.Reader, free <-chan []byte, full chan<- []byte) error {
	for {
		var b []byte
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case b = <-free:
		}
		n, err := fill(r, b)
		if n > 0 && (err == nil || errors.Is(err, io.EOF)) {
			full <- b[:n] // never waits: there are only so many blocks
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// fill reads until b is full. Other than io.ReadFull it keeps the end of the
// content (io.EOF) apart from content that is cut short, of which decoders
// say io.ErrUnexpectedEOF.
func fill(r io.Reader, b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		var k int
		k, err = r.Read(b[n:])
		n += k
	}
	return n, err
}

// aligned is a buffer that lies on whole pages.
func aligned(n int) []byte {
	b := make([]byte, n+pageSize)
	at := int(uintptr(unsafe.Pointer(unsafe.SliceData(b))) & (pageSize - 1))
	if at > 0 {
		at = pageSize - at
	}
	return b[at : at+n : at+n]
}

func allZero(b []byte) bool {
	return len(b) == 0 || b[0] == 0 && bytes.Equal(b[1:], b[:len(b)-1])
}
