package write

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// partitioned is an image of that size with a partition table made by a program.
func partitioned(t *testing.T, size int64, program string, args ...string) []byte {
	t.Helper()
	name := filepath.Join(t.TempDir(), "image")
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(name, size); err != nil {
		t.Fatal(err)
	}
	if program == "sfdisk" {
		run(t, "sh", "-c", fmt.Sprintf("printf '%s' | sfdisk -q %s", strings.Join(args, "\\n"), name))
	} else {
		run(t, program, append(args, name)...)
	}
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// gptImage has an EFI partition with a FAT file system, and a Linux partition
// up to its end.
func gptImage(t *testing.T) []byte {
	t.Helper()
	b := partitioned(t, 20<<20, "sgdisk", "-n", "1:2048:+4M", "-t", "1:ef00", "-c", "1:esp", "-n", "2:0:0", "-c", "2:root")
	copy(b[8<<20:], noise(1<<20))
	return b
}

func nocloud() []File {
	return []File{
		{"user-data", "#cloud-config\nhostname: edge-1\n"},
		{"meta-data", "instance-id: a7\n"},
		{"network-config", strings.Repeat("# long\n", 3000)},
		{"vendor-data", ""},
		{"a-name-that-needs-three-entries-of-a-directory.yaml", "x"},
	}
}

// written writes an image to a disk in memory and returns the disk's content as a file.
func written(t *testing.T, image []byte, d *memory, seed []File) string {
	t.Helper()
	_, img := serve(t, image, Raw)
	if _, err := quick().Write(t.Context(), d, img, Options{Seed: seed}); err != nil {
		t.Fatal(err)
	}
	return file(t, d.data)
}

func TestAGPTReachesToTheEndOfALargerDisk(t *testing.T) {
	for _, size := range []int64{20 << 20, 20<<20 + 512, 20<<20 + 16*512, 33<<20 + 512*3} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			name := written(t, gptImage(t), newMemory(t, size, 512), nil)
			soundTable(t, name)
			if out := run(t, "sgdisk", "-p", name); !strings.Contains(out, fmt.Sprintf("last usable sector is %d", size/512-34)) {
				t.Errorf("the table does not end with the disk:\n%s", out)
			}
		})
	}
}

// soundTable asks two programs that share no code.
func soundTable(t *testing.T, name string) {
	t.Helper()
	if out := run(t, "sgdisk", "-v", name); !strings.Contains(out, "No problems found") {
		t.Errorf("sgdisk finds:\n%s", out)
	}
	if out := run(t, "sfdisk", "--verify", name); !strings.Contains(out, "No errors detected") {
		t.Errorf("sfdisk finds:\n%s", out)
	}
}

func TestASeedIsAVolumeThatOthersRead(t *testing.T) {
	tests := []struct {
		name  string
		image func(*testing.T) []byte
		last  string // what sfdisk says of the new partition
	}{
		{"GPT", gptImage, "type=EBD0A0A2-B9E5-4433-87C0-68B6B72699C7"},
		{"MBR", func(t *testing.T) []byte {
			return partitioned(t, 20<<20, "sfdisk", "label: dos", "2048,8192,83", "16384,,5", "18432,2048,83")
		}, "type=e"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			image := test.image(t)
			d := newMemory(t, 64<<20, 512)
			name := written(t, image, d, nocloud())
			out := run(t, "sfdisk", "-d", name)
			before := run(t, "sfdisk", "-d", file(t, image))
			lines := strings.Split(strings.TrimSpace(out), "\n")
			added := ""
			for _, l := range lines {
				if strings.Contains(l, test.last) {
					added = l
				}
			}
			if added == "" || strings.Count(out, "start=") != strings.Count(before, "start=")+1 {
				t.Fatalf("the partitions were\n%sand are\n%s", before, out)
			}
			readSeed(t, d, added)
			if !bytes.Equal(d.data[1<<20:19<<20], image[1<<20:19<<20]) {
				t.Error("the image's own partitions differ")
			}
			if test.name == "GPT" {
				soundTable(t, name)
			}
		})
	}
}

// readSeed takes the volume out of the disk and has it read.
func readSeed(t *testing.T, d *memory, line string) {
	t.Helper()
	var start, size int64
	_, at, _ := strings.Cut(line, "start=")
	if _, err := fmt.Sscanf(strings.ReplaceAll(at, " ", ""), "%d,size=%d,", &start, &size); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	sector := int64(d.sector)
	if start*sector%seedAlign != 0 || size*sector != seedSize {
		t.Errorf("the volume lies at %d and has %d sectors", start, size)
	}
	readVolume(t, file(t, d.data[start*sector:(start+size)*sector]))
}

func readVolume(t *testing.T, name string) {
	t.Helper()
	if out := run(t, "fsck.vfat", "-n", "-v", name); strings.Contains(out, "differ") || strings.Contains(out, "rong") {
		t.Errorf("fsck.vfat finds:\n%s", out)
	}
	out := run(t, "blkid", "-p", "-o", "export", name)
	for _, want := range []string{"LABEL=CIDATA", "TYPE=vfat"} {
		if !strings.Contains(out, want+"\n") {
			t.Errorf("blkid finds no %s:\n%s", want, out)
		}
	}
	for _, f := range nocloud() {
		if got := run(t, "mtype", "-i", name, "::"+f.Name); got != f.Content {
			t.Errorf("%s reads %q", f.Name, got)
		}
	}
}

func TestWhatDoesNotFitTogetherIsRefusedBeforeTheFirstByte(t *testing.T) {
	seed := nocloud()
	plain := func(*testing.T) []byte { return noise(5 << 20) }
	damaged := func(at int) func(t *testing.T) []byte {
		return func(t *testing.T) []byte {
			b := gptImage(t)
			b[at] ^= 1
			return b
		}
	}
	tests := []struct {
		name  string
		image func(*testing.T) []byte
		size  int64
		seed  []File
		says  string
	}{
		{"a seed without a partition table", plain, 64 << 20, seed, "no partition table"},
		{"a seed where no room is left", gptImage, 30 << 20, seed, "no room for a seed"},
		{"a seed where no record is free", func(t *testing.T) []byte {
			return partitioned(t, 20<<20, "sfdisk", "label: dos", "2048,2048,83", "4096,2048,83", "6144,2048,83", "8192,2048,83")
		}, 64 << 20, seed, "all four records"},
		{"a seed where the image has one", func(t *testing.T) []byte {
			return partitioned(t, 20<<20, "sgdisk", "-n", "1:0:0", "-c", "1:CIDATA")
		}, 64 << 20, seed, "of its own (partition 1)"},
		{"a seed without meta-data", gptImage, 64 << 20, seed[:1], "no meta-data"},
		{"a seed with a file elsewhere", gptImage, 64 << 20, append(seed[:2:2], File{"../x", ""}), "names are made of"},
		{"a seed with a file twice", gptImage, 64 << 20, append(seed[:2:2], seed[0]), "two files user-data"},
		{"a GPT of a larger disk", gptImage, 19 << 20, nil, "choose a larger disk"},
		{"partitions of a larger disk", func(t *testing.T) []byte {
			return partitioned(t, 20<<20, "sfdisk", "label: dos", "2048,,83")
		}, 19 << 20, nil, "choose a larger disk"},
		{"a damaged header", damaged(512 + 40), 64 << 20, nil, "does not have its checksum"},
		{"damaged entries", damaged(1024 + 40), 64 << 20, nil, "do not have their checksum"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, img := serve(t, gz(t, test.image(t)), Gzip)
			d := newMemory(t, test.size, 512)
			_, err := quick().Write(t.Context(), d, img, Options{Seed: test.seed})
			if err == nil || !strings.Contains(err.Error(), test.says) || d.written > 0 {
				t.Errorf("%d bytes were written, and the error is %v, want one with %q", d.written, err, test.says)
			}
		})
	}
}

func TestAnImageForOtherSectorsIsRefused(t *testing.T) {
	_, img := serve(t, gz(t, gptImage(t)), Gzip)
	d := newMemory(t, 64<<20, 4096)
	_, err := quick().Write(t.Context(), d, img, Options{})
	if err == nil || !strings.Contains(err.Error(), "sectors of 512 bytes and this one has sectors of 4096 bytes") || d.written > 0 {
		t.Errorf("%d bytes were written, and the error is %v", d.written, err)
	}
}

func TestAVolumeThatTheImageBringsIsFoundByItsLabel(t *testing.T) {
	for name, args := range map[string][]string{
		"FAT16": {"mkfs.vfat", "-F", "16", "-n", "cidata"}, "FAT32": {"mkfs.vfat", "-F", "32", "-n", "CIDATA"},
		"ISO 9660": {"xorriso", "-as", "mkisofs", "-quiet", "-V", "cidata", "-o"},
	} {
		t.Run(name, func(t *testing.T) {
			volume := filepath.Join(t.TempDir(), "volume")
			if args[0] == "mkfs.vfat" {
				if err := os.WriteFile(volume, make([]byte, 34<<20), 0o600); err != nil {
					t.Fatal(err)
				}
				run(t, args[0], append(args[1:], volume)...)
			} else {
				run(t, args[0], append(args[1:], volume, t.TempDir())...)
			}
			b, err := os.ReadFile(volume)
			if err != nil {
				t.Fatal(err)
			}
			image := partitioned(t, 40<<20, "sgdisk", "-n", "1:2048:+35M")
			copy(image[1<<20:], b)
			_, img := serve(t, image, Raw)
			d := newMemory(t, 80<<20, 512)
			_, err = quick().Write(t.Context(), d, img, Options{Seed: nocloud()})
			if err == nil || !strings.Contains(err.Error(), "of its own (partition 1)") || !d.blank() {
				t.Errorf("the error is %v, the disk is blank: %v", err, d.blank())
			}
		})
	}
}

// FuzzLayOut wants -fuzzminimizetime=1x: go test otherwise spends a minute on
// each new input of a few KiB, in which it tries no other.
func FuzzLayOut(f *testing.F) {
	for _, name := range []string{"gpt", "mbr"} {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		if isGPT(b, 512) { // four entries are enough, and inputs are made smaller at length
			b = b[:3*512]
			binary.LittleEndian.PutUint32(b[512+gptCount:], 4)
		}
		f.Add(b, int64(1<<30), true, false)
		f.Add(b, int64(20<<20), false, false)
		f.Add(append(make([]byte, 4096-512), b...), int64(1<<30), true, true)
	}
	f.Fuzz(func(t *testing.T, head []byte, size int64, seed, large bool) {
		g := geometry{size: size, sector: 512}
		if large {
			g.sector = 4096
		}
		if size < 1<<20 || size > 1<<50 || size%g.sector != 0 || len(head) > 16<<10 {
			return
		}
		head = bytes.Clone(head)
		sealGPT(head, g.sector)
		c, err := layOut(head, g, seed)
		if err != nil {
			return
		}
		if seed {
			checkRun(t, "seed", part{off: c.seed, len: seedSize}, c.parts, g)
		}
		for _, p := range c.patches {
			checkRun(t, p.what, part{off: p.off, len: int64(len(p.data))}, c.parts, g)
		}
	})
}

// sealGPT gives a table its checksums, so that what was mutated gets past them.
func sealGPT(head []byte, sector int64) {
	if !isGPT(head, sector) {
		return
	}
	h := head[sector : 2*sector]
	le := binary.LittleEndian
	at, n := le.Uint64(h[gptArray:]), uint64(le.Uint32(h[gptCount:]))*uint64(le.Uint32(h[gptEntrySize:]))
	if at < 64 && at*uint64(sector)+n <= uint64(len(head)) {
		le.PutUint32(h[gptArraySum:], crc32.ChecksumIEEE(head[at*uint64(sector):][:n]))
	}
	if length := le.Uint32(h[gptLength:]); length >= gptMinLength && int64(length) <= sector {
		le.PutUint32(h[gptSum:], (&gpt{header: h}).headerSum())
	}
}

// checkRun wants whole sectors of the disk, none of them a partition's. The
// first sector holds the table itself, also where a record claims it.
func checkRun(t *testing.T, what string, run part, parts []part, g geometry) {
	t.Helper()
	end := run.off + run.len
	if run.off < 0 || run.off%g.sector != 0 || run.len%g.sector != 0 || end > g.size {
		t.Errorf("the %s lies at %d with %d bytes on a disk of %d", what, run.off, run.len, g.size)
	}
	for _, o := range parts {
		if end > g.sector && run.off < o.off+o.len && o.off < end {
			t.Errorf("the %s at %d goes over %s at %d", what, run.off, o.name, o.off)
		}
	}
}
