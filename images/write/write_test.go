package write

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// packed packs data with the program that people pack with.
func packed(t *testing.T, data []byte, coding Coding, args ...string) []byte {
	t.Helper()
	in := file(t, data)
	out := in + ".out"
	switch coding {
	case Raw:
		return data
	case Gzip, XZ, Zstd:
		run(t, "sh", "-c", fmt.Sprintf("%s -c %s %s >%s", coding, strings.Join(args, " "), in, out))
	case Qcow2:
		run(t, "qemu-img", append(append([]string{"convert", "-q", "-f", "raw", "-O", "qcow2"}, args...), in, out)...)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestEveryCodingComesOutAsItWentIn(t *testing.T) {
	image := noise(13<<20 + 512)
	tests := []struct {
		name   string
		coding Coding
		args   []string
	}{
		{"raw", Raw, nil},
		{"gzip", Gzip, nil},
		{"xz", XZ, []string{"-1"}},
		{"xz of many blocks and another check", XZ, []string{"-0", "--block-size=1MiB", "--check=sha256"}},
		{"xz with a filter for programs", XZ, []string{"--x86", "--lzma2=preset=1"}},
		{"zstd", Zstd, []string{"-3"}},
		{"zstd with the largest window", Zstd, []string{"-1", "--long=27"}},
		{"qcow2", Qcow2, nil},
		{"qcow2, packed", Qcow2, []string{"-c"}},
		{"qcow2, packed as zstd", Qcow2, []string{"-c", "-o", "compression_type=zstd"}},
		{"qcow2 with the smallest clusters", Qcow2, []string{"-o", "cluster_size=512"}},
		{"qcow2 with the largest clusters", Qcow2, []string{"-c", "-o", "cluster_size=2M"}},
		{"qcow2 of version 2", Qcow2, []string{"-o", "compat=0.10"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, img := serve(t, packed(t, image, test.coding, test.args...), test.coding)
			d := newMemory(t, 16<<20, 512)
			progress := &steps{}
			got, err := quick().Write(t.Context(), d, img, Options{Progress: progress.add})
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(d.data[:len(image)], image) || got.Bytes != int64(len(image)) {
				t.Errorf("the disk differs from the image; %d bytes were written", got.Bytes)
			}
			if !allZero(d.data[15<<20:]) {
				t.Error("the end of the disk keeps what was there")
			}
			progress.check(t, int64(len(image)))
		})
	}
}

// steps is what was told while an image was written.
type steps struct{ list []step }

type step struct {
	stage        string
	bytes, total int64
}

func (s *steps) add(stage string, bytes, total int64) {
	s.list = append(s.list, step{stage, bytes, total})
}

// check wants each stage to grow and to end at its total.
func (s *steps) check(t *testing.T, size int64) {
	t.Helper()
	last := map[string]step{}
	for _, p := range s.list {
		if before := last[p.stage]; p.bytes < before.bytes || p.bytes > p.total {
			t.Errorf("progress %+v after %+v", p, before)
		}
		last[p.stage] = p
	}
	for _, stage := range []string{Writing, Verifying} {
		if p := last[stage]; p.bytes != p.total || p.total == 0 {
			t.Errorf("the last of stage %s is %+v", stage, p)
		}
	}
	if p := last[Verifying]; p.total != size {
		t.Errorf("%d bytes were read back, want %d", p.total, size)
	}
}

func TestABrokenFetchIsResumedWhereItBroke(t *testing.T) {
	image := noise(9 << 20)
	for _, coding := range []Coding{Raw, Gzip, Qcow2} {
		t.Run(string(coding), func(t *testing.T) {
			s, img := serve(t, packed(t, image, coding), coding)
			s.cut, s.refuse = 1500000, 3
			d := newMemory(t, 10<<20, 512)
			if coding == Qcow2 {
				s.cut = blockSize + 100 // or no block of the second reading would ever come whole
			}
			if _, err := quick().Write(t.Context(), d, img, Options{}); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(d.data[:len(image)], image) {
				t.Error("the disk differs from the image")
			}
			if len(s.asked) < 5 || s.asked[len(s.asked)-1] == "" {
				t.Errorf("asked for ranges %q", s.asked)
			}
		})
	}
}

// fault is one way in which a write goes wrong.
type fault struct {
	name    string
	coding  Coding
	break_  func(*server, *Image, *memory)
	touched bool   // the disk is blanked at both ends, else it is as it was
	says    string // part of the error
}

func faults() []fault {
	return []fault{
		{"a flipped bit on the way", Raw, func(s *server, _ *Image, _ *memory) { s.data[5<<20] ^= 1 }, true, "was announced"},
		{"a flipped bit in a packed image", Gzip, func(s *server, _ *Image, _ *memory) { s.data[len(s.data)-6] ^= 1 }, true, "unpack the image as gzip"},
		{"a flipped bit in a qcow2 file", Qcow2, func(s *server, _ *Image, _ *memory) { s.data[len(s.data)/2] ^= 1 }, false, "was announced"},
		{"another digest", Gzip, func(_ *server, i *Image, _ *memory) { i.Digest = strings.Repeat("ab", 32) }, true, "was announced"},
		{"a digest that is none", Raw, func(_ *server, i *Image, _ *memory) { i.Digest = "sha256:abc" }, false, "no sha256"},
		{"another size", Raw, func(_ *server, i *Image, _ *memory) { i.Size-- }, false, "were announced"},
		{"another coding", XZ, func(*server, *Image, *memory) {}, false, "unpack the image as xz"},
		{"a coding that nobody knows", "lzop", func(*server, *Image, *memory) {}, false, "raw, gzip, xz, zstd and qcow2 are"},
		{"no image", Raw, func(s *server, _ *Image, _ *memory) { s.status = http.StatusNotFound }, false, "404"},
		{"a server that stays away", Raw, func(s *server, _ *Image, _ *memory) { s.refuse = 1000 }, false, "503"},
		{"a server without ranges that breaks off", Raw, func(s *server, _ *Image, _ *memory) { s.cut, s.noRanges = 5<<20, true }, true, "cannot be resumed"},
		{"an image that changes", Raw, func(s *server, _ *Image, _ *memory) {
			s.cut, s.onCut = 5<<20, func(s *server) { s.etag = `"other"` }
		}, true, "changed while it was fetched"},
		{"a disk that is too small for a raw image", Raw, func(_ *server, _ *Image, d *memory) { d.data = d.data[:8<<20] }, false, "this one has 0.0 GB (8,388,608 bytes)"},
		{"a disk that turns out too small", Gzip, func(_ *server, _ *Image, d *memory) { d.data = d.data[:8<<20] }, true, "choose a larger disk"},
		{"a disk that is too small for a zstd image", Zstd, func(_ *server, _ *Image, d *memory) { d.data = d.data[:8<<20] }, false, "choose a larger disk"},
		{"a disk that is too small for a qcow2 image", Qcow2, func(_ *server, _ *Image, d *memory) { d.data = d.data[:8<<20] }, false, "choose a larger disk"},
		{"a disk that fails", Raw, func(_ *server, _ *Image, d *memory) { d.failAt = 9<<20 + 77 }, true, "medium error"},
		{"a disk that lies", Raw, func(_ *server, _ *Image, d *memory) { d.flipAt = 6 << 20 }, true, "replace the disk"},
	}
}

func TestWhatGoesWrongLeavesNothingThatBoots(t *testing.T) {
	image := noise(11 << 20)
	for _, f := range faults() {
		t.Run(f.name, func(t *testing.T) {
			data := bytes.Clone(image)
			if f.coding != XZ && f.coding != "lzop" {
				data = packed(t, image, f.coding)
			}
			s, img := serve(t, data, f.coding)
			d := newMemory(t, 12<<20, 512)
			f.break_(s, &img, d)
			_, err := quick().Write(t.Context(), d, img, Options{})
			if err == nil || !strings.Contains(err.Error(), f.says) {
				t.Fatalf("error is %v, want one with %q", err, f.says)
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("the error tells the token in the URL: %v", err)
			}
			if f.touched && (!d.blank() || !strings.Contains(err.Error(), "left blank")) {
				t.Errorf("the disk was not blanked, or nobody is told: %v", err)
			}
			if !f.touched && (d.written > 0 || !strings.Contains(err.Error(), "nothing was written")) {
				t.Errorf("%d bytes were written, and the error is %v", d.written, err)
			}
		})
	}
}

// TestNothingBootsWhereThePowerFails looks at the disk after each block, as a
// power cut would leave it.
func TestNothingBootsWhereThePowerFails(t *testing.T) {
	image := noise(11 << 20)
	_, img := serve(t, image, Raw)
	d := newMemory(t, 14<<20, 512)
	blocks := 0
	_, err := quick().Write(t.Context(), d, img, Options{Progress: func(stage string, bytes, _ int64) {
		if stage != Writing {
			return
		}
		if blocks++; !d.blank() {
			t.Errorf("after %d bytes the disk has a beginning or an end that may boot", bytes)
		}
	}})
	if err != nil || blocks < 3 || !bytes.Equal(d.data[:len(image)], image) {
		t.Errorf("%d blocks were written, %v", blocks, err)
	}
}

func TestADiskThatCannotBeBlankedIsNamed(t *testing.T) {
	_, img := serve(t, noise(11<<20), Raw)
	d := newMemory(t, 12<<20, 512)
	d.failAt = 100
	_, err := quick().Write(t.Context(), d, img, Options{})
	if err == nil || !strings.Contains(err.Error(), "may hold half a system") {
		t.Errorf("error is %v", err)
	}
}

func TestACutImageIsNoImage(t *testing.T) {
	image := noise(11 << 20)
	for _, coding := range []Coding{Gzip, XZ, Zstd, Qcow2} {
		t.Run(string(coding), func(t *testing.T) {
			whole := packed(t, image, coding)
			_, img := serve(t, whole[:len(whole)-70000], coding) // with the digest of what is left
			d := newMemory(t, 12<<20, 512)
			if _, err := quick().Write(t.Context(), d, img, Options{}); err == nil || !d.blank() {
				t.Errorf("error is %v, the disk is blank: %v", err, d.blank())
			}
		})
	}
}

func TestACancelledWriteStopsAndBlanks(t *testing.T) {
	for _, coding := range []Coding{Raw, Zstd, Qcow2} {
		t.Run(string(coding), func(t *testing.T) {
			_, img := serve(t, packed(t, noise(40<<20), coding), coding)
			d := newMemory(t, 40<<20, 512)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			_, err := quick().Write(ctx, d, img, Options{Progress: func(stage string, _, _ int64) {
				if stage == Writing {
					cancel()
				}
			}})
			if !errors.Is(err, context.Canceled) || !d.blank() {
				t.Errorf("error is %v, the disk is blank: %v", err, d.blank())
			}
			if d.written > 40<<20 {
				t.Errorf("%d bytes were written after all", d.written)
			}
		})
	}
}

func TestMemoryThatHostsDoNotHaveIsNotTaken(t *testing.T) {
	for coding, args := range map[Coding][]string{XZ: {"--lzma2=preset=0,dict=256MiB"}, Zstd: {"--long=28"}} {
		t.Run(string(coding), func(t *testing.T) {
			in := filepath.Join(t.TempDir(), "large")
			f, err := os.Create(in)
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(f.Truncate(300<<20), f.Close()); err != nil { // or the window is as small as the content
				t.Fatal(err)
			}
			run(t, "sh", "-c", fmt.Sprintf("%s -c %s <%s >%s.out", coding, args[0], in, in))
			data, err := os.ReadFile(in + ".out")
			if err != nil {
				t.Fatal(err)
			}
			_, img := serve(t, data, coding)
			d := newMemory(t, 1<<20, 512)
			d.data = d.data[:0:0]
			_, err = quick().Write(t.Context(), huge{d}, img, Options{})
			if err == nil || !strings.Contains(err.Error(), "smaller window") {
				t.Errorf("error is %v", err)
			}
		})
	}
}

// huge is a disk that says it is large; nothing may be written to it.
type huge struct{ *memory }

func (huge) Size() int64 { return 1 << 40 }
