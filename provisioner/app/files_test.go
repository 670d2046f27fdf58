package app

import (
	"net/http"
	"strings"
	"testing"

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
