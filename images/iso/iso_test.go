package iso

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// sample has what matters: Rock Ridge names, links, a file of three extents.
func sample() []byte {
	return build("MUSTER_TEST", node{use: sp(), children: []node{
		{id: "BIG.;1", use: nm("big.squashfs"), content: []string{strings.Repeat("a", sectorSize), strings.Repeat("b", sectorSize), "c"}},
		{id: "BOOT", use: nm("boot"), children: []node{
			{id: "KERNEL.;1", use: nm("Kernel-6.1"), content: []string{"kernel"}},
			{id: "LINK.;1", use: nm("kernel") + sl("\x00\x0aKernel-6.1"), content: []string{""}},
			{id: "UP.;1", use: nm("up") + sl("\x04\x00\x00\x0cbig.squashfs"), content: []string{""}},
			{id: "ABS.;1", use: nm("abs") + sl("\x08\x00\x00\x04boot\x00\x06kernel"), content: []string{""}},
			{id: "LOOP.;1", use: nm("loop") + sl("\x00\x04loop"), content: []string{""}},
			{id: "EMPTY.;1", use: nm("empty"), content: []string{""}},
		}},
	}})
}

func open(t *testing.T, image []byte) *Volume {
	t.Helper()
	v, err := Open(bytes.NewReader(image), int64(len(image)))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestLookupFindsFilesAndFollowsLinks(t *testing.T) {
	image := sample()
	v := open(t, image)
	if v.Label() != "MUSTER_TEST" {
		t.Errorf("label is %q", v.Label())
	}
	big := strings.Repeat("a", sectorSize) + strings.Repeat("b", sectorSize) + "c"
	for name, want := range map[string]string{
		"/boot/Kernel-6.1":  "kernel",
		"boot//kernel":      "kernel",
		"/boot/abs":         "kernel",
		"/../boot/./kernel": "kernel",
		"/boot/up":          big,
		"/big.squashfs":     big,
		"/boot/empty":       "",
	} {
		f, err := v.Lookup(name)
		if err != nil {
			t.Errorf("look up %s: %v", name, err)
			continue
		}
		got, err := io.ReadAll(f.Content(bytes.NewReader(image)))
		if err != nil || string(got) != want || f.Size != int64(len(want)) {
			t.Errorf("%s holds %.10q... of %d bytes (size %d, error %v), want %d bytes", name, got, len(got), f.Size, err, len(want))
		}
	}
	for _, name := range []string{"/boot/KERNEL-6.1", "/nothing", "/boot/Kernel-6.1/x", "/BOOT/KERNEL.;1"} {
		if _, err := v.Lookup(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("look up %s: %v, want not exist", name, err)
		}
	}
	if _, err := v.Lookup("/boot/loop"); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("look up of a link to itself: %v, want too many links", err)
	}
	if f, err := v.Lookup("/"); err != nil || !f.Dir {
		t.Errorf("look up /: %+v, %v", f, err)
	}
}

func TestContentReadsAcrossExtentsAtAnyOffset(t *testing.T) {
	image := sample()
	f, err := open(t, image).Lookup("/big.squashfs")
	if err != nil {
		t.Fatal(err)
	}
	whole := []byte(strings.Repeat("a", sectorSize) + strings.Repeat("b", sectorSize) + "c")
	r := f.Content(bytes.NewReader(image))
	for _, offset := range []int{0, 1, sectorSize - 1, sectorSize, 2*sectorSize - 1, 2 * sectorSize} {
		for _, length := range []int{1, 2, sectorSize, 2 * sectorSize, len(whole)} {
			b := make([]byte, length)
			n, err := r.ReadAt(b, int64(offset))
			want := whole[offset:min(len(whole), offset+length)]
			if !bytes.Equal(b[:n], want) || (n < length) != (err == io.EOF) {
				t.Errorf("ReadAt(%d bytes, %d) = %d, %v", length, offset, n, err)
			}
		}
	}
}

func TestWalkListsEverything(t *testing.T) {
	var got []string
	err := open(t, sample()).Walk(func(f File) error {
		got = append(got, f.Path)
		return nil
	})
	want := []string{"/big.squashfs", "/boot", "/boot/Kernel-6.1", "/boot/kernel", "/boot/up", "/boot/abs", "/boot/loop", "/boot/empty"}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("error %v (-want +got):\n%s", err, diff)
	}
}

func TestPlainNamesAreLowerCaseWithoutVersion(t *testing.T) {
	v := open(t, build("X", node{children: []node{{id: "README.TXT;1", content: []string{"x"}}, {id: "NOEXT.;1", content: []string{"y"}}}}))
	for _, name := range []string{"/readme.txt", "/README.TXT", "/noext"} {
		if _, err := v.Lookup(name); err != nil {
			t.Error(err)
		}
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	change := func(f func([]byte) []byte) []byte { return f(sample()) }
	tests := []struct {
		name  string
		image []byte
		want  error
		text  string
	}{
		{"nothing", nil, ErrNotISO, "not an ISO 9660 image: it has only 0 bytes"},
		{"a web page", []byte("<html>" + strings.Repeat(" ", 50000)), ErrNotISO, "not an ISO 9660 image"},
		{"a UDF disc", change(func(b []byte) []byte {
			copy(b[16*sectorSize:], "\x00BEA01\x01")
			copy(b[17*sectorSize:], "\x00NSR02\x01")
			return b
		}), ErrNotISO, "not an ISO 9660 image: it is a UDF disc, which no image family known here uses"},
		{"the last sector is missing", change(func(b []byte) []byte { return b[:len(b)-sectorSize] }),
			ErrTruncated, "the image is cut short: it should have 59 kB, 2.0 kB are missing; fetch it again"},
		{"no terminator", change(func(b []byte) []byte {
			copy(b[17*sectorSize:], "\x00\x00\x00\x00\x00\x00")
			return b
		}), ErrDamaged, "the image is damaged: its volume descriptors do not end"},
		{"odd block size", change(func(b []byte) []byte {
			binary.LittleEndian.PutUint16(b[16*sectorSize+128:], 512)
			return b
		}), ErrDamaged, "the image is damaged: its logical blocks have 512 bytes, not 2048"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Open(bytes.NewReader(tt.image), int64(len(tt.image)))
			if !errors.Is(err, tt.want) || err.Error() != tt.text {
				t.Errorf("got %v, want %s", err, tt.text)
			}
		})
	}
}

func TestFilesThatCannotBeServedAsTheyLieAreRefused(t *testing.T) {
	image := build("X", node{use: sp(), children: []node{
		{id: "ZISO.;1", use: nm("compressed") + su("ZF", "pz\x04\x0f\x00\x00\x00\x00\x00\x00\x00\x00"), content: []string{"x"}},
	}})
	if _, err := open(t, image).Lookup("/compressed"); err == nil || !strings.Contains(err.Error(), "compressed inside the image") {
		t.Errorf("a compressed file: %v", err)
	}
}

func TestExtentsBeyondTheEndAreFound(t *testing.T) {
	image := sample()
	v := open(t, image)
	f, err := v.Lookup("/big.squashfs")
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(image, []byte("BIG.;1")) - 33
	binary.LittleEndian.PutUint32(image[at+2:], uint32(f.Extents[0].Offset/sectorSize+100))
	if _, err := v.Lookup("/big.squashfs"); !errors.Is(err, ErrTruncated) {
		t.Errorf("look up: %v, want truncated", err)
	}
	if err := v.Walk(func(File) error { return nil }); !errors.Is(err, ErrTruncated) {
		t.Errorf("walk: %v, want truncated", err)
	}
}

func TestAFileWhoseNextExtentIsMissingIsDamage(t *testing.T) {
	image := sample()
	first := bytes.Index(image, []byte("BIG.;1"))
	second := first + 1 + bytes.Index(image[first+1:], []byte("BIG.;1"))
	image[second] = 'X'
	if _, err := open(t, image).Lookup("/big.squashfs"); !errors.Is(err, ErrDamaged) {
		t.Errorf("got %v, want damaged", err)
	}
}

func TestWalkEndsOnDirectoryLoops(t *testing.T) {
	image := sample()
	v := open(t, image)
	boot, err := v.Lookup("/boot")
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(image, []byte("KERNEL.;1")) - 33
	binary.LittleEndian.PutUint32(image[at+2:], uint32(boot.Extents[0].Offset/sectorSize))
	image[at+25] |= flagDirectory
	if err := v.Walk(func(File) error { return nil }); !errors.Is(err, ErrDamaged) {
		t.Errorf("got %v, want damaged", err)
	}
}

// FuzzVolume leaves the system area (the first 16 sectors) out: nothing reads
// it, and small inputs are worth more.
func FuzzVolume(f *testing.F) {
	seed := func(image []byte) { f.Add(image[16*sectorSize:]) }
	seed(sample())
	seed(build("PLAIN", node{children: []node{{id: "A;1", content: []string{"x"}}}}))
	seed(build("CE", node{use: sp(), children: []node{{id: "A;1", use: nm("a") + su("CE", strings.Repeat("\x12\x00\x00\x00\x00\x00\x00\x12", 3)), content: []string{"x"}}}}))
	seed(build("MOVED", node{use: sp(), children: []node{{id: "A;1", use: nm("a") + su("CL", "\x12\x00\x00\x00\x00\x00\x00\x12"), content: []string{"x"}}}}))
	f.Fuzz(func(t *testing.T, data []byte) {
		image := append(make([]byte, 16*sectorSize), data...)
		v, err := Open(bytes.NewReader(image), int64(len(image)))
		if err != nil {
			return
		}
		files := 0
		_ = v.Walk(func(file File) error {
			if files++; files > 1000 {
				return io.EOF
			}
			checkExtents(t, file, int64(len(image)))
			_, _ = v.Lookup(file.Path)
			return nil
		})
	})
}

func checkExtents(t *testing.T, file File, size int64) {
	t.Helper()
	var sum int64
	for _, x := range file.Extents {
		if x.Offset < 0 || x.Offset+x.Length > size {
			t.Errorf("%s has an extent outside the image", file.Path)
		}
		sum += x.Length
	}
	if len(file.Extents) > 0 && sum != file.Size {
		t.Errorf("%s has size %d but extents of %d", file.Path, file.Size, sum)
	}
}
