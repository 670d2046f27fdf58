package ramdisk

import (
	"fmt"
	"io"
	"os"
)

// extent is a run of bytes in a spool.
type extent struct{ off, size int64 }

// spool keeps the modules of a package on disk until it is known which of them
// are needed: a kernel package unpacks to 400 MB, of which 50 MB are used.
type spool struct {
	f   *os.File
	end int64
}

// newSpool makes a spool in the directory for temporary files. The file has no
// name from the start, so nothing is left behind however the program ends.
func newSpool() (*spool, error) {
	f, err := os.CreateTemp("", "muster-ramdisk-*")
	if err != nil {
		return nil, fmt.Errorf("make a temporary file: %w", err)
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, fmt.Errorf("make a temporary file: %w", err)
	}
	return &spool{f: f}, nil
}

func (s *spool) add(content []byte) (extent, error) {
	at := extent{s.end, int64(len(content))}
	if _, err := s.f.WriteAt(content, at.off); err != nil {
		return extent{}, fmt.Errorf("keep unpacked files: %w", err)
	}
	s.end += at.size
	return at, nil
}

func (s *spool) open(at extent) io.Reader { return io.NewSectionReader(s.f, at.off, at.size) }

func (s *spool) close() { _ = s.f.Close() }
