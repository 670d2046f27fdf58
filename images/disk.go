package images

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/muster-boot/muster/images/recipe"
	"github.com/muster-boot/muster/images/write"
)

// errNoDisk says that a content does not begin as a disk does.
var errNoDisk = errors.New("it does not begin with a partition table, not even decompressed")

// diskListing is what the beginning of a disk image tells.
type diskListing struct{ coding, table string }

func (d diskListing) Form() recipe.Form { return recipe.Disk }
func (d diskListing) Label() string     { return "" }
func (d diskListing) Has(string) bool   { return false }

func (d diskListing) why() string {
	return fmt.Sprintf("it is a disk image (%s) with a partition table (%s)", d.coding, d.table)
}

// codings are told by how a file begins.
var codings = [...]struct {
	coding write.Coding
	magic  string
}{
	{write.Qcow2, "QFI\xfb"},         // QEMU's docs/interop/qcow2.rst, header
	{write.Gzip, "\x1f\x8b"},         // RFC 1952 §2.3.1
	{write.XZ, "\xfd7zXZ\x00"},       // xz file format 1.2.1 §2.1.1.1
	{write.Zstd, "\x28\xb5\x2f\xfd"}, // RFC 8878 §3.1.1
}

// readDisk looks at the beginning of a disk image.
func readDisk(f *os.File) (diskListing, error) {
	head := make([]byte, 16)
	n, err := f.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return diskListing{}, err
	}
	coding := write.Raw
	for _, c := range codings {
		if bytes.HasPrefix(head[:n], []byte(c.magic)) {
			coding = c.coding
		}
	}
	content, end, err := decoded(f, coding)
	if err != nil {
		return diskListing{}, err
	}
	defer end()
	table, err := tableOf(content)
	return diskListing{string(coding), table}, err
}

// decoded unpacks a disk image as the scout will.
func decoded(f *os.File, coding write.Coding) (content io.Reader, end func(), err error) {
	if coding == write.Qcow2 {
		info, err := f.Stat()
		if err != nil {
			return nil, nil, err
		}
		return write.DecodeQcow2(f, info.Size())
	}
	content, end, err = write.Decode(io.NewSectionReader(f, 0, 1<<62), coding)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", errNoDisk, err)
	}
	return content, end, nil
}

// tableOf reads the first two sectors, where UEFI 2.11 §5.2.1 and §5.3.2 put the
// marks of MBR and GPT.
func tableOf(content io.Reader) (string, error) {
	sectors := make([]byte, 1024)
	if _, err := io.ReadFull(content, sectors); err != nil {
		return "", fmt.Errorf("%w: %w", errNoDisk, err)
	}
	switch {
	case string(sectors[510:512]) != "\x55\xaa":
		return "", errNoDisk
	case string(sectors[512:520]) == "EFI PART":
		return "GPT", nil
	}
	return "MBR", nil
}

// checkDisk refuses a disk image that the scout would have to give up half-way, with
// a disk already written to. What only unpacking all of it shows is left to the scout.
func checkDisk(f *os.File, coding write.Coding, size int64) error {
	switch coding {
	case write.Qcow2:
		return write.CheckQcow2(f, size)
	case write.XZ:
		return checkXZ(f, size)
	case write.Raw, write.Gzip, write.Zstd:
	}
	return nil
}

// checkXZ looks for the mark that a stream ends in (xz file format 1.2.1 §2.1.2.4);
// behind it may be zeroes, in fours (§2.2).
func checkXZ(f *os.File, size int64) error {
	end := make([]byte, min(4096, size))
	if _, err := f.ReadAt(end, size-int64(len(end))); err != nil {
		return err
	}
	for bytes.HasSuffix(end, make([]byte, 4)) {
		end = end[:len(end)-4]
	}
	if !bytes.HasSuffix(end, []byte("YZ")) {
		return fmt.Errorf("the image is cut short: it has %d bytes and no end that xz knows; fetch it again", size)
	}
	return nil
}
