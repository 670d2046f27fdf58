// Package write puts a disk image on a disk: it streams the image from a URL,
// decodes it, writes it, reads all of it back, and then fits the partition
// table to the disk and adds the volume from which cloud-init takes its seed.
//
// It chooses no disk and asks nobody whether it may write; whoever calls has
// done both. What it can refuse, it refuses before the first byte is written.
// The image's first block is written last, and when a write fails, both ends of
// the disk are left blank: nothing half-written boots, even if the power fails. It believes no server: what was fetched must
// have the digest that was announced, and what lies on the disk that of what
// was decoded.
//
// Start at [Writer.Write]; what becomes of the partition table is decided in
// layout.go.
package write

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/dustin/go-humanize"
)

// Coding is how an image is packed.
type Coding string

// The codings.
const (
	Raw   Coding = "raw"
	Gzip  Coding = "gzip"
	XZ    Coding = "xz"
	Zstd  Coding = "zstd"
	Qcow2 Coding = "qcow2"
)

// The stages that Progress is told.
const (
	Checking  = "check"  // qcow2 only: the file's digest, before anything is written
	Writing   = "write"  // bytes of what the URL serves; of qcow2 those of the disk inside
	Verifying = "verify" // bytes read back
)

// Image is what to write.
type Image struct {
	URL    string
	Coding Coding
	Digest string // sha256 of what URL serves, in hex
	Size   int64  // of that, in bytes
}

// File is one file of the seed.
type File struct{ Name, Content string }

// Options of one write. The zero value works.
type Options struct {
	// Seed is the files of a NoCloud volume: user-data and meta-data, and what
	// else cloud-init reads there. None: no volume.
	Seed []File
	// Progress is called after each block, from one goroutine at a time; what
	// it takes, the write waits. Total is 0 where it is not known.
	Progress func(stage string, bytes, total int64)
}

// Disk is what an image is written to. All offsets and lengths are multiples
// of Sector, and buffers lie on whole pages.
type Disk interface {
	io.ReaderAt
	io.WriterAt
	Size() int64 // bytes
	Sector() int // bytes
	// Zero makes n bytes read as zero, faster than writing them where it can.
	Zero(off, n int64) error
	// Flush returns when all that was written is on the medium, and makes what
	// is read next come from there.
	Flush() error
	// Reread makes the kernel read the partition table anew.
	Reread() error
}

// Result tells what a finished write put on the disk.
type Result struct {
	Bytes  int64  // of the decoded image
	Digest string // sha256 of them, in hex, as it was read back
	// Reread is why the running kernel still knows the old partition table; the
	// next boot is not affected. Nil where it knows the new one.
	Reread error
}

// Writer writes images. Its methods may be called concurrently, for different
// disks.
type Writer struct {
	client *http.Client
	wait   func(ctx context.Context, d time.Duration) error
}

// New returns a writer that fetches with client, which must put no limit on the
// length of a download.
func New(client *http.Client) *Writer { return &Writer{client: client, wait: wait} }

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// Write puts the image on the disk. An error is a sentence for people; whether
// the disk was touched, it says too.
func (w *Writer) Write(ctx context.Context, d Disk, img Image, o Options) (Result, error) {
	if o.Progress == nil {
		o.Progress = func(string, int64, int64) {}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	t := &target{disk: d, progress: o.Progress, written: sha256.New()}
	result, err := w.put(ctx, cancel, t, img, o.Seed)
	if err == nil {
		return result, nil
	}
	if cause := context.Cause(ctx); cause != nil && !errors.Is(err, cause) {
		err = errors.Join(err, cause)
	}
	return Result{}, t.abandon(err)
}

// check refuses what needs no look at the image.
func (img Image) check(disk int64) error {
	digest, err := hex.DecodeString(img.Digest)
	switch {
	case err != nil || len(digest) != sha256.Size:
		return fmt.Errorf("the digest %q of the image is no sha256 in hex", img.Digest)
	case img.Size <= 0:
		return fmt.Errorf("the size of the image is given as %d bytes", img.Size)
	case img.Coding == Raw:
		return fits(img.Size, disk)
	}
	return nil
}

// fits refuses an image larger than the disk.
func fits(image, disk int64) error {
	if image <= disk {
		return nil
	}
	return fmt.Errorf("the image needs a disk of %s and this one has %s; choose a larger disk or a smaller image", gigabytes(image), gigabytes(disk))
}

// gigabytes words a size so that two that differ do so in words.
func gigabytes(n int64) string {
	return fmt.Sprintf("%.1f GB (%s bytes)", float64(n)/1e9, humanize.Comma(n))
}

// put is the order of a write.
func (w *Writer) put(ctx context.Context, cancel context.CancelCauseFunc, t *target, img Image, files []File) (Result, error) {
	seed, err := newSeed(files, t.disk.Sector())
	if err != nil {
		return Result{}, err
	}
	t.seed = seed
	if err := img.check(t.disk.Size()); err != nil {
		return Result{}, err
	}
	src, err := w.open(ctx, img, t)
	if err != nil {
		return Result{}, err
	}
	defer src.close()
	if err := fits(src.atLeast, t.disk.Size()); err != nil {
		return Result{}, err
	}
	if err := relay(ctx, cancel, src.content, func(b []byte) error { return t.write(b, src) }); err != nil {
		return Result{}, err
	}
	if err := src.finish(); err != nil {
		return Result{}, err
	}
	t.sum = t.written.Sum(nil)
	if src.same {
		t.sum = src.announced
	}
	if err := t.verify(ctx, cancel); err != nil {
		return Result{}, err
	}
	if err := t.settle(); err != nil {
		return Result{}, err
	}
	return Result{Bytes: t.done, Digest: hex.EncodeToString(t.sum), Reread: t.disk.Reread()}, nil
}
