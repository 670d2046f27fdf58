package write

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// loop makes a block device of a file. Without the right to, the test is skipped.
func loop(t testing.TB, size int64, sector int) (device, backing string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("block devices are made by root only")
	}
	backing = filepath.Join(t.TempDir(), "disk")
	old := bytes.Repeat([]byte{0xa5}, int(size))
	if err := os.WriteFile(backing, old, 0o600); err != nil {
		t.Fatal(err)
	}
	device = strings.TrimSpace(run(t, "losetup", "--find", "--show", "--partscan", "--sector-size", strconv.Itoa(sector), backing))
	t.Cleanup(func() {
		if out, err := exec.Command("losetup", "--detach", device).CombinedOutput(); err != nil {
			t.Errorf("losetup --detach %s: %v\n%s", device, err, out)
		}
	})
	return device, backing
}

func TestABlockDeviceGetsImageAndSeed(t *testing.T) {
	for _, sector := range []int{512, 4096} {
		t.Run(strconv.Itoa(sector), func(t *testing.T) {
			image := gptImage(t)
			if sector == 4096 {
				image = imageOf4096(t)
			}
			device, backing := loop(t, 64<<20, sector)
			d, err := Open(device)
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			if d.Sector() != sector || d.Size() != 64<<20 {
				t.Fatalf("the device has %d bytes in sectors of %d", d.Size(), d.Sector())
			}
			_, img := serve(t, packed(t, image, Zstd), Zstd)
			got, err := quick().Write(t.Context(), d, img, Options{Seed: nocloud()})
			if err != nil || got.Reread != nil {
				t.Fatal(err, got.Reread)
			}
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
			inspect(t, device, backing, image, sector)
		})
	}
}

// imageOf4096 is an image that was made on a disk with large sectors.
func imageOf4096(t *testing.T) []byte {
	t.Helper()
	device, backing := loop(t, 20<<20, 4096)
	run(t, "sgdisk", "-Z", device)
	run(t, "sgdisk", "-n", "1:256:+4M", "-n", "2:0:0", device)
	b, err := os.ReadFile(backing)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func inspect(t *testing.T, device, backing string, image []byte, sector int) {
	t.Helper()
	if out := run(t, "sgdisk", "-v", device); !strings.Contains(out, "No problems found") {
		t.Errorf("sgdisk finds:\n%s", out)
	}
	now, err := os.ReadFile(backing)
	if err != nil {
		t.Fatal(err)
	}
	var first int
	_, info, _ := strings.Cut(run(t, "sgdisk", "-i", "3", device), "First sector: ")
	if _, err := fmt.Sscan(info, &first); err != nil {
		t.Fatalf("%q: %v", info, err)
	}
	readVolume(t, file(t, now[first*sector:][:seedSize]))
	if !bytes.Equal(now[1<<20:19<<20], image[1<<20:19<<20]) {
		t.Error("the partitions differ from the image's")
	}
	if allZero(now[len(now)-4096:]) {
		t.Error("there is no copy of the partition table at the end")
	}
}

func TestADiskInUseIsRefused(t *testing.T) {
	device, _ := loop(t, 8<<20, 512)
	first, err := Open(device)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	if second, err := Open(device); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("opened it twice: %v, %v", second, err)
	}
}

func TestZeroesAreZeroesOnARealDevice(t *testing.T) {
	device, backing := loop(t, 8<<20, 512)
	for _, name := range []string{device, backing} {
		d, err := Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		if err := d.Zero(1<<20, 3<<20); err != nil {
			t.Fatal(err)
		}
		if err := d.Flush(); err != nil {
			t.Fatal(err)
		}
		b := aligned(8 << 20)
		if _, err := d.ReadAt(b, 0); err != nil {
			t.Fatal(err)
		}
		if !allZero(b[1<<20:4<<20]) || bytes.ContainsRune(b[:1<<20], 0) || bytes.ContainsRune(b[4<<20:], 0) {
			t.Errorf("%s is not zero where it should be, or is where it should not", name)
		}
	}
}

func TestAFailingDeviceIsBlankedWhenItsServerBreaks(t *testing.T) {
	device, _ := loop(t, 32<<20, 512)
	d, err := Open(device)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	_, img := serve(t, noise(32<<20), Raw)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err = quick().Write(ctx, d, img, Options{Progress: func(string, int64, int64) { cancel() }})
	if err == nil {
		t.Fatal("a cancelled write went through")
	}
	b := aligned(margin)
	for _, at := range []int64{0, 31 << 20} {
		if _, err := d.ReadAt(b, at); err != nil || !allZero(b) {
			t.Errorf("at %d the disk is not blank (%v)", at, err)
		}
	}
}

// BenchmarkWrite measures whole writes, with reading back, to a file.
func BenchmarkWrite(b *testing.B) {
	image := noise(256 << 20)
	for _, c := range []struct {
		coding Coding
		data   func(*testing.B) []byte
	}{
		{Raw, func(*testing.B) []byte { return image }},
		{Zstd, func(b *testing.B) []byte { return bench(b, image, "zstd -3") }},
	} {
		b.Run(string(c.coding), func(b *testing.B) {
			_, img := serve(b, c.data(b), c.coding)
			name := file(b, nil)
			if err := os.Truncate(name, 300<<20); err != nil {
				b.Fatal(err)
			}
			d, err := Open(name)
			if err != nil {
				b.Fatal(err)
			}
			defer d.Close()
			b.SetBytes(int64(len(image)))
			for b.Loop() {
				if _, err := quick().Write(b.Context(), d, img, Options{}); err != nil {
					b.Fatal(err)
				}
			}
			var use unix.Rusage
			if err := unix.Getrusage(unix.RUSAGE_SELF, &use); err == nil {
				b.ReportMetric(float64(use.Maxrss)/1024, "MB-max")
			}
		})
	}
}

func bench(b *testing.B, data []byte, program string) []byte {
	b.Helper()
	in := file(b, data)
	run(b, "sh", "-c", program+" -c "+in+" >"+in+".out")
	out, err := os.ReadFile(in + ".out")
	if err != nil {
		b.Fatal(err)
	}
	return out
}
