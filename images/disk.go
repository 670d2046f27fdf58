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
	if d.table == "" {
		return "it is a " + d.coding + " file"
	}
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
	d := diskListing{coding: string(coding)}
	if coding == write.Qcow2 { // where its first sector lies is for who writes it
		return d, nil
	}
	d.table, err = tableOf(io.NewSectionReader(f, 0, 1<<62), coding)
	return d, err
}

// tableOf unpacks, as the scout will, the first two sectors, where UEFI 2.11 §5.2.1 and §5.3.2 put
// the marks of MBR and GPT.
func tableOf(r io.Reader, coding write.Coding) (string, error) {
	content, end, err := write.Decode(r, coding)
	if err != nil {
		return "", fmt.Errorf("%w: %w", errNoDisk, err)
	}
	defer end()
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
