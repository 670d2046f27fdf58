package ramdisk

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

// deb(5): a Debian package is an ar archive of debian-binary, control.tar and
// data.tar, the latter two compressed; ar(5) gives the header's columns.
const (
	arMagic      = "!<arch>\n"
	arHeaderSize = 60
	arNameEnd    = 16
	arSizeStart  = 48
	arSizeEnd    = 58
	arTrailer    = "`\n"
)

// maxMember bounds what one file of a package may unpack to. The largest file
// in a Debian kernel package is under 10 MB, the largest firmware under 30 MB.
const maxMember = 256 << 20

// visitFunc is given every entry of a package in the order it is stored, with
// the name cleaned of "./" and of the "usr/" of merged systems. The reader is
// valid during the call only.
type visitFunc func(name string, h *tar.Header, r io.Reader) error

// visitDeb walks the data archive of the package at path. read is told how
// many bytes of the package have been consumed, for progress.
func visitDeb(ctx context.Context, path string, read func(done int64), visit visitFunc) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("open package: %w", err)
	}
	defer f.Close()
	if err := walkDeb(&meter{ctx: ctx, r: f, read: read}, visit); err != nil {
		return fmt.Errorf("read package %s: %w", path, err)
	}
	return nil
}

// walkDeb walks the data archive of a package in the order it is stored.
func walkDeb(r io.Reader, visit visitFunc) error {
	name, member, err := dataMember(bufio.NewReaderSize(r, 1<<18))
	if err != nil {
		return err
	}
	plain, done, err := decompress(name, member)
	if err != nil {
		return fmt.Errorf("unpack %s: %w", name, err)
	}
	defer done()
	if err := walkTar(tar.NewReader(plain), visit); err != nil {
		return err
	}
	// The tail behind the archive's end mark carries the checksum.
	if _, err := io.Copy(io.Discard, plain); err != nil {
		return fmt.Errorf("cut short or damaged at the end: %w", err)
	}
	if member.N > 0 {
		return fmt.Errorf("cut short: %d bytes of %s are missing", member.N, name)
	}
	return nil
}

func walkTar(tr *tar.Reader, visit visitFunc) error {
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read its data archive: %w", err)
		}
		if h.Size > maxMember {
			return fmt.Errorf("%s claims %d bytes; no file of a kernel or firmware package is that large", h.Name, h.Size)
		}
		if err := visit(cleanName(h.Name), h, tr); err != nil {
			return err
		}
	}
}

func cleanName(name string) string {
	return strings.TrimPrefix(strings.TrimPrefix(name, "./"), "usr/")
}

// dataMember moves to the archive member that holds the files.
func dataMember(r io.Reader) (string, *io.LimitedReader, error) {
	magic := make([]byte, len(arMagic))
	if _, err := io.ReadFull(r, magic); err != nil || string(magic) != arMagic {
		return "", nil, errors.New("not a Debian package: it does not start as an ar archive")
	}
	for {
		name, size, err := arMember(r)
		if errors.Is(err, io.EOF) {
			return "", nil, errors.New("no data.tar inside: not a Debian package, or cut short")
		}
		if err != nil {
			return "", nil, err
		}
		body := &io.LimitedReader{R: r, N: size}
		if strings.HasPrefix(name, "data.tar") {
			return name, body, nil
		}
		if _, err := io.CopyN(io.Discard, r, size+size%2); err != nil {
			return "", nil, fmt.Errorf("cut short inside %s: %w", name, err)
		}
	}
}

// arMember reads one member header; io.EOF means that there is none left.
func arMember(r io.Reader) (string, int64, error) {
	h := make([]byte, arHeaderSize)
	if _, err := io.ReadFull(r, h); err != nil {
		return "", 0, io.EOF
	}
	if string(h[arSizeEnd:]) != arTrailer {
		return "", 0, errors.New("damaged ar header")
	}
	size, err := strconv.ParseInt(strings.TrimSpace(string(h[arSizeStart:arSizeEnd])), 10, 64)
	if err != nil || size < 0 {
		return "", 0, errors.New("damaged ar header: the size is no number")
	}
	return strings.TrimRight(string(h[:arNameEnd]), " /"), size, nil
}

// decompress unpacks by the ending of name: .xz, .zst, .gz, or none of them.
// The returned func releases the decoder.
func decompress(name string, r io.Reader) (io.Reader, func(), error) {
	switch {
	case strings.HasSuffix(name, ".xz"):
		x, err := xz.NewReader(bufio.NewReader(r))
		return x, func() {}, err
	case strings.HasSuffix(name, ".zst"):
		z, err := zstd.NewReader(r, zstd.WithDecoderMaxMemory(maxMember))
		if err != nil {
			return nil, nil, err
		}
		return z, z.Close, nil
	case strings.HasSuffix(name, ".gz"):
		g, err := gzip.NewReader(r)
		return g, func() {}, err
	}
	return r, func() {}, nil
}

// meter counts what is read and stops when its context ends.
type meter struct {
	ctx  context.Context
	r    io.Reader
	done int64
	read func(done int64)
}

func (m *meter) Read(p []byte) (int, error) {
	if err := m.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := m.r.Read(p)
	m.done += int64(n)
	m.read(m.done)
	return n, err
}
