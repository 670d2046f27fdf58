package app

import (
	"net/http"
	"strings"
	"testing"

	"github.com/muster-boot/muster/images"
	"github.com/muster-boot/muster/provisioner"
)

func TestAHostGetsItsOwnScriptAndNobodyElses(t *testing.T) {
	r := newRig(t)
	ramdisk := r.set(t, "ramdisk", "/kernel", "/initrd")
	r.list(t, expected("h-1", firstMAC, images.Image{}), expected("h-2", secondMAC, images.Image{}))
	first := scriptOf(t, firstMAC)
	for _, c := range []struct {
		name, method, from, path string
		status                   int
	}{
		{"its own", http.MethodGet, firstAddress, first, http.StatusOK},
		{"another host's", http.MethodGet, secondAddress, first, http.StatusNotFound},
		{"one that is nobody's", http.MethodGet, firstAddress, scriptPrefix + "x.ipxe", http.StatusNotFound},
		{"without a lease of ours", http.MethodGet, strangerAddress, first, http.StatusNotFound},
		{"to write it", http.MethodPost, firstAddress, first, http.StatusMethodNotAllowed},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, body := r.ask(t, c.method, c.from, c.path)
			if status != c.status {
				t.Fatalf("status %d, want %d: %s", status, c.status, body)
			}
			if strings.Contains(body, ramdisk.Digest) != (status == http.StatusOK) {
				t.Errorf("the ramdisk is in the wrong answer:\n%s", body)
			}
		})
	}
	h := r.host(t, "h-1")
	if h.Status.Phase != provisioner.Discovered || !fetched(h, provisioner.StageScript) {
		t.Errorf("the host that fetched its script is %s with steps %v", h.Status.Phase, h.Facts.Steps)
	}
	if h := r.host(t, "h-2"); h.Facts.Sighting != nil {
		t.Errorf("a host that was refused counts as seen: %+v", h.Facts.Sighting)
	}
}

func fetched(h provisioner.Host, stage string) bool {
	for _, s := range h.Facts.Steps {
		if s.Stage == stage && s.Attempt == h.Status.Attempt.ID {
			return true
		}
	}
	return false
}

func TestAHostWithNothingToBootIsToldWhyAndAsksAgain(t *testing.T) {
	r := newRig(t)
	r.list(t, expected("h-1", firstMAC, images.Image{}))
	status, body := r.ask(t, http.MethodGet, firstAddress, scriptOf(t, firstMAC))
	if status != http.StatusOK || !strings.Contains(body, "there is no discovery ramdisk") || !strings.Contains(body, lineBase+scriptOf(t, firstMAC)) {
		t.Errorf("%d:\n%s", status, body)
	}
}

// TestAScriptIsOfTheNetworkItIsAskedOn has another port of the host show itself
// on another network before the script is written.
func TestAScriptIsOfTheNetworkItIsAskedOn(t *testing.T) {
	r := newRig(t)
	r.set(t, "ramdisk", "/kernel", "/initrd")
	image := r.kairos(t)
	here := testNetworks()[0]
	discovered := expected("h-discovered", firstMAC, image)
	discovered.Status.Phase, discovered.Status.Key = provisioner.Discovered, "key"
	discovered.Status.Attempt = provisioner.Attempt{ID: "a-discovered", Token: "token", Phase: provisioner.Discovered}
	r.list(t, discovered, installing("h-installing", secondMAC, "a-installing", image))
	for _, h := range []provisioner.Host{discovered, r.prepared(t, "h-installing")} {
		h.Facts.Sighting = &provisioner.Sighting{Network: bench}
		body, err := r.scripts.offer(t.Context(), h, here)
		if err != nil || !strings.Contains(body, lineBase+"/") || strings.Contains(body, benchBase) {
			t.Errorf("%s: %v\n%s", h.ID, err, body)
		}
	}
}
