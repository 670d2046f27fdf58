package app

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/muster-boot/muster/images"
	"github.com/muster-boot/muster/provisioner"
)

// installing is a host in mid-install.
func installing(id provisioner.HostID, mac string, attempt provisioner.AttemptID, image images.Image) provisioner.Host {
	h := expected(id, mac, image)
	h.Status.Phase = provisioner.Installing
	h.Status.Attempt = provisioner.Attempt{ID: attempt, Phase: provisioner.Installing, Token: tokenOf(id), Disk: "/dev/disk/by-id/nvme-1"}
	h.Facts.Sighting = &provisioner.Sighting{Network: line, MACs: []string{mac}}
	return h
}

// tokenOf is the token of a host's attempt. Like all of them it has no hyphen.
func tokenOf(id provisioner.HostID) provisioner.Secret {
	return provisioner.Secret("tokenof" + strings.ReplaceAll(string(id), "-", ""))
}

func TestFilesAreForTheAttemptsThatBootThem(t *testing.T) {
	r := newRig(t)
	older := r.set(t, "older", "/kernel", "/initrd")
	ramdisk := r.set(t, "ramdisk", "/kernel", "/initrd")
	image := r.set(t, "installer", "/linux", "/initrd.gz")
	other := r.set(t, "other", "/linux", "/initrd.gz")
	r.list(t, installing("h-1", firstMAC, "a-1", image), installing("h-2", secondMAC, "a-2", other))
	for _, c := range []struct {
		name, method, from, path string
		status                   int
	}{
		{"the host's image", http.MethodGet, firstAddress, "/image/a-1/" + image.Digest + "/linux", http.StatusOK},
		{"the newest ramdisk", http.MethodGet, firstAddress, "/image/a-1/" + ramdisk.Digest + "/kernel", http.StatusOK},
		{"an older ramdisk", http.MethodGet, firstAddress, "/image/a-1/" + older.Digest + "/kernel", http.StatusNotFound},
		{"another host's image", http.MethodGet, firstAddress, "/image/a-1/" + other.Digest + "/linux", http.StatusNotFound},
		{"no attempt of anybody's", http.MethodGet, firstAddress, "/image/a-0/" + image.Digest + "/linux", http.StatusNotFound},
		{"a file that nothing boots", http.MethodGet, firstAddress, "/image/a-1/" + image.Digest + "/etc/passwd", http.StatusNotFound},
		{"no file", http.MethodGet, firstAddress, "/image/a-1/" + image.Digest, http.StatusNotFound},
		{"without a lease of ours", http.MethodGet, strangerAddress, "/image/a-1/" + image.Digest + "/linux", http.StatusNotFound},
		{"to write it", http.MethodPost, firstAddress, "/image/a-1/" + image.Digest + "/linux", http.StatusNotFound},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, body := r.ask(t, c.method, c.from, c.path)
			if status != c.status {
				t.Errorf("status %d, want %d: %s", status, c.status, body)
			}
		})
	}
}

func TestOnlyTheHostsOwnFetchIsEvidence(t *testing.T) {
	r := newRig(t)
	image := r.set(t, "installer", "/linux", "/initrd.gz")
	r.list(t, installing("h-1", firstMAC, "a-1", image), installing("h-2", secondMAC, "a-2", image))
	kernel := "/image/a-1/" + image.Digest + "/linux"
	for _, c := range []struct {
		name, method, from string
		noted              bool
	}{
		{"another host", http.MethodGet, secondAddress, false},
		{"the host itself, for the size only", http.MethodHead, firstAddress, false},
		{"the host itself", http.MethodGet, firstAddress, true},
	} {
		if status, body := r.ask(t, c.method, c.from, kernel); status != http.StatusOK {
			t.Fatalf("%s: %d %s", c.name, status, body)
		}
		if noted := fetched(r.host(t, "h-1"), provisioner.StageKernel); noted != c.noted {
			t.Errorf("%s: noted %t, want %t", c.name, noted, c.noted)
		}
	}
	if h := r.host(t, "h-2"); len(h.Facts.Steps) > 0 {
		t.Errorf("the other host has steps: %v", h.Facts.Steps)
	}
}

func TestAWholeImageIsForTheAttemptThatWritesIt(t *testing.T) {
	r := newRig(t)
	disk, iso := r.rawDisk(t), r.kairos(t)
	r.list(t, installing("h-1", firstMAC, "a-1", disk), installing("h-2", secondMAC, "a-2", iso))
	whole := "/image/a-1/" + disk.Digest + "/disk"
	resp, body := r.askFor(t, http.MethodGet, firstAddress, whole, nil)
	if resp.StatusCode != http.StatusOK || int64(len(body)) != disk.Size || resp.Header.Get("ETag") != `"`+disk.Digest+`"` {
		t.Fatalf("status %d, %d bytes, header %v", resp.StatusCode, len(body), resp.Header)
	}
	resp, part := r.askFor(t, http.MethodGet, firstAddress, whole, http.Header{"Range": {"bytes=500-"}, "If-Range": {`"` + disk.Digest + `"`}})
	if resp.StatusCode != http.StatusPartialContent || part != body[500:] {
		t.Errorf("the rest: status %d, %d bytes", resp.StatusCode, len(part))
	}
	r.counts.tell(t.Context())
	h := r.host(t, "h-1")
	if len(h.Facts.Progress) != 1 || h.Facts.Progress[0].Bytes != disk.Size || h.Facts.Progress[0].Total != disk.Size || len(h.Facts.Steps) > 0 {
		t.Errorf("progress %+v, steps %v", h.Facts.Progress, h.Facts.Steps)
	}
	for _, path := range []string{
		"/image/a-2/" + iso.Digest + "/disk",      // no disk
		"/image/a-2/" + iso.Digest + "/image.iso", // its recipe fetches no ISO
		"/image/a-1/" + iso.Digest + "/disk",      // another host's
	} {
		if status, _ := r.ask(t, http.MethodGet, firstAddress, path); status != http.StatusNotFound {
			t.Errorf("%s: status %d", path, status)
		}
	}
}

func TestTheRootIsCountedAsItGoes(t *testing.T) {
	r := newRig(t)
	image := r.kairos(t)
	r.list(t, installing("h-1", firstMAC, "a-1", image))
	root := "/image/a-1/" + image.Digest + "/rootfs.squashfs"
	resp, body := r.askFor(t, http.MethodGet, firstAddress, root, http.Header{"Range": {"bytes=0-2999999"}})
	if resp.StatusCode != http.StatusPartialContent || len(body) != 3_000_000 {
		t.Fatalf("status %d, %d bytes", resp.StatusCode, len(body))
	}
	r.counts.tell(t.Context())
	if got := r.host(t, "h-1").Facts.Progress; len(got) != 1 || got[0].Stage != provisioner.StageRootfs || got[0].Bytes != 3_000_000 || got[0].Total != 4_200_000 {
		t.Errorf("progress %+v", got)
	}
	if resp, rest := r.askFor(t, http.MethodGet, firstAddress, root, http.Header{"Range": {"bytes=3000000-"}}); resp.StatusCode != http.StatusPartialContent || len(rest) != 1_200_000 {
		t.Fatalf("status %d, %d bytes", resp.StatusCode, len(rest))
	}
	r.counts.tell(t.Context())
	if got := r.host(t, "h-1").Facts.Progress; len(got) != 1 || got[0].Bytes != 4_200_000 {
		t.Errorf("progress %+v", got)
	}
	r.askFor(t, http.MethodGet, secondAddress, root, nil)
	r.counts.tell(t.Context())
}

// kernelSide is a response writer that the kernel would write files to.
type kernelSide struct {
	http.ResponseWriter
	files int // handed over as limited files
}

func (k *kernelSide) ReadFrom(r io.Reader) (int64, error) {
	if limited, ok := r.(*io.LimitedReader); ok {
		if _, isFile := limited.R.(*os.File); isFile {
			k.files++
		}
	}
	return io.Copy(io.Discard, r)
}

func TestCountingHandsFilesOnAsFiles(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "f"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const size = 3*countEach + 5
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	var told []int64
	side := &kernelSide{ResponseWriter: httptest.NewRecorder()}
	w := &counting{ResponseWriter: side, note: func(done int64) { told = append(told, done) }}
	n, err := io.CopyN(w, f, size)
	want := []int64{countEach, 2 * countEach, 3 * countEach, size}
	if diff := cmp.Diff(want, told); n != size || err != nil || side.files != 4 || diff != "" {
		t.Errorf("%d bytes, %v, %d times a file; told (-want +got):\n%s", n, err, side.files, diff)
	}
}
