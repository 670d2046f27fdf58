package write

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/xi2/xz"
)

// Bounds on what a decoder may take: hosts may have 512 MiB of memory.
const (
	maxZstdWindow = 128 << 20 // zstd --ultra -22
	maxXZDict     = 64 << 20  // xz -9
)

// source is an image on its way to the disk.
type source struct {
	content   io.Reader    // decoded
	atLeast   int64        // bytes of content that are known to come; 0 where nothing is known
	same      bool         // content is what is fetched, so that one digest is of both
	announced []byte       // digest of what is fetched
	done      func() int64 // how much of total has come
	total     int64        // bytes that done counts to
	finish    func() error // after the content's end: whether it was what was announced
	close     func()
}

// open begins to fetch an image.
func (w *Writer) open(ctx context.Context, img Image, t *target) (*source, error) {
	announced, err := hex.DecodeString(img.Digest)
	if err != nil {
		return nil, fmt.Errorf("read the digest: %w", err)
	}
	r := &remote{ctx: ctx, client: w.client, wait: w.wait, url: img.URL, size: img.Size}
	if img.Coding == Qcow2 {
		return openQcow2(r, announced, t)
	}
	s := &stream{remote: r}
	sum := sha256.New()
	fetched := io.TeeReader(s, sum)
	content, atLeast, end, err := decode(fetched, img.Coding)
	if err != nil {
		s.close()
		return nil, err
	}
	return &source{
		content: content, atLeast: atLeast, same: img.Coding == Raw, announced: announced,
		done: s.at.Load, total: img.Size,
		finish: func() error { return finish(fetched, sum, announced) },
		close:  func() { end(); s.close() },
	}, nil
}

// finish reads what a decoder left, and compares.
func finish(rest io.Reader, sum hash.Hash, announced []byte) error {
	if _, err := io.Copy(io.Discard, rest); err != nil {
		return err
	}
	return matches(sum, announced)
}

func matches(sum hash.Hash, announced []byte) error {
	if got := sum.Sum(nil); !bytes.Equal(got, announced) {
		return fmt.Errorf("the image was fetched with digest %x and %x was announced; check it where it is served from", got, announced)
	}
	return nil
}

// Decode unpacks r as [Writer.Write] does, within the same bounds; qcow2 is
// refused, since it is no stream. The caller calls end when done.
func Decode(r io.Reader, c Coding) (content io.Reader, end func(), err error) {
	content, _, end, err = decode(r, c)
	return content, end, err
}

// decode unpacks r. The size is the least that the content has, 0 where it
// does not say; end gives back what the decoder holds.
func decode(r io.Reader, c Coding) (content io.Reader, atLeast int64, end func(), err error) {
	nothing := func() {}
	switch c {
	case Raw:
		return r, 0, nothing, nil
	case Gzip:
		z, err := gzip.NewReader(r)
		return named{z, c}, 0, nothing, unpacking(c, err)
	case XZ:
		z, err := xz.NewReader(r, maxXZDict)
		return named{z, c}, 0, nothing, unpacking(c, err)
	case Zstd:
		b := bufio.NewReaderSize(r, 256<<10)
		atLeast := zstdSize(b)
		z, err := newZstd(b)
		if err != nil {
			return nil, 0, nil, unpacking(c, err)
		}
		return named{z, c}, atLeast, z.Close, nil
	case Qcow2: // needs more than a stream
	}
	return nil, 0, nil, fmt.Errorf("the coding %q is not known; raw, gzip, xz, zstd and qcow2 are", c)
}

// newZstd unpacks in the goroutine that reads.
func newZstd(r io.Reader) (*zstd.Decoder, error) {
	return zstd.NewReader(r, zstd.WithDecoderMaxWindow(maxZstdWindow), zstd.WithDecoderLowmem(true), zstd.WithDecoderConcurrency(1))
}

// zstdSize is what the first frame says of its own content (RFC 8878
// §3.1.1.1.4); there may be further frames.
func zstdSize(b *bufio.Reader) int64 {
	head, _ := b.Peek(zstd.HeaderMaxSize) // the decoder finds the same error
	var h zstd.Header
	if h.Decode(head) != nil || !h.HasFCS {
		return 0
	}
	return int64(min(h.FrameContentSize, 1<<62))
}

// named says in errors of a decoder what it was doing; those of the fetch below
// it pass through it and speak for themselves.
type named struct {
	io.Reader
	coding Coding
}

func (n named) Read(p []byte) (int, error) {
	k, err := n.Reader.Read(p)
	return k, unpacking(n.coding, err)
}

func unpacking(c Coding, err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return err
	}
	if errors.Is(err, xz.ErrMemlimit) || errors.Is(err, zstd.ErrWindowSizeExceeded) {
		return fmt.Errorf("the image is packed so that unpacking it takes more memory than hosts may have; pack it with a smaller window (xz -9 and zstd --ultra -22 are the most): %w", err)
	}
	return fmt.Errorf("unpack the image as %s: %w", c, err)
}
