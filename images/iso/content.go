package iso

import "io"

// Content reads a file's bytes out of the image r that it was found in. The
// reader can seek, and is safe for concurrent ReadAt if r is.
func (f File) Content(r io.ReaderAt) *io.SectionReader {
	if len(f.Extents) == 1 {
		return io.NewSectionReader(r, f.Extents[0].Offset, f.Size)
	}
	return io.NewSectionReader(joined{r, f.Extents}, 0, f.Size)
}

// joined reads extents as if they followed each other.
type joined struct {
	r       io.ReaderAt
	extents []Extent
}

// ReadAt implements [io.ReaderAt].
func (j joined) ReadAt(b []byte, offset int64) (n int, err error) {
	for _, x := range j.extents {
		if offset >= x.Length {
			offset -= x.Length
			continue
		}
		part := b[n:min(len(b), n+int(min(x.Length-offset, int64(len(b)))))]
		m, err := j.r.ReadAt(part, x.Offset+offset)
		if n += m; m < len(part) {
			return n, err
		}
		if n == len(b) {
			return n, nil
		}
		offset = 0
	}
	return n, io.EOF
}
