package write

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func recorded(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestAQcow2FileThatAsksForMoreIsRefused(t *testing.T) {
	put32 := func(at int, v uint32) func([]byte) { return func(b []byte) { binary.BigEndian.PutUint32(b[at:], v) } }
	put64 := func(at int, v uint64) func([]byte) { return func(b []byte) { binary.BigEndian.PutUint64(b[at:], v) } }
	tests := []struct {
		name   string
		change func([]byte)
		says   string
	}{
		{"for a file of the host that reads it", put64(qcowBacking, 512), "difference to another file"},
		{"for a key", put32(qcowCrypt, 2), "encrypted"},
		{"for a later version", put32(qcowVersion, 4), "version 4"},
		{"for clusters of a gigabyte", put32(qcowClusterBits, 30), "2^30"},
		{"for tables of gigabytes", put32(qcowL1Count, 1<<31), "table of 2147483648 entries"},
		{"for a data file beside it", put64(qcowFeatures, 1<<2), "features 0x4"},
		{"for a table in nowhere", put64(qcowL1, 1<<40), "unexpected EOF"},
		{"for more disk than its table tells of", put64(qcowSize, 1<<40), "entries for a disk"},
		{"for nothing", func(b []byte) { clear(b) }, "no qcow2 file"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := recorded(t, "qcow2")
			test.change(b)
			_, err := newQcow2(bytes.NewReader(b), int64(len(b)))
			if err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("error is %v, want one with %q", err, test.says)
			}
		})
	}
}

func FuzzQcow2(f *testing.F) {
	f.Add(recorded(f, "qcow2"))
	f.Add(recorded(f, "qcow2-packed"))
	f.Fuzz(func(t *testing.T, b []byte) {
		q, err := newQcow2(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			if CheckQcow2(bytes.NewReader(b), int64(len(b))) == nil {
				t.Errorf("what cannot be read is found good: %v", err)
			}
			return
		}
		defer q.close()
		_ = CheckQcow2(bytes.NewReader(b), int64(len(b))) // ends, and breaks nothing
		n, err := io.Copy(io.Discard, io.LimitReader(q, 1<<20))
		if err == nil && n != min(q.size, 1<<20) {
			t.Errorf("read %d bytes of %d without an error", n, q.size)
		}
		if errors.Is(err, io.EOF) {
			t.Errorf("an end that is none: %v", err)
		}
	})
}
