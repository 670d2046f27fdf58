package app

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/muster-boot/muster/images"
	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/handoff"
	"github.com/muster-boot/muster/provisioner/store"
)

// scoutISO adds a small ISO in the layout of the discovery ramdisk's.
func (r *rig) scoutISO(t *testing.T, version string) images.Image {
	t.Helper()
	i := r.iso(t, "MUSTER_SCOUT", map[string]string{
		"kernel": "kernel " + version, "initrd": "initrd " + version,
		"boot/grub/grub.cfg": "menuentry scout {\n\tlinux /kernel\n\tinitrd /initrd\n}\n",
	})
	if i.Family != scoutISOFamily {
		t.Fatalf("the ISO is %q that lacks %v", i.Family, i.Lacks)
	}
	return i
}

// discovering is a host that only has a BMC, and an address of its own.
func discovering(id provisioner.HostID, static provisioner.Static) provisioner.Host {
	h := expected(id, firstMAC, images.Image{})
	h.Intent.BMC = &provisioner.Controller{Address: "198.51.100.9"}
	h.Intent.Row.Static = static
	h.Status.Phase, h.Status.Key, h.Status.Deadline = provisioner.Discovered, "keyof"+provisioner.Secret(strings.ReplaceAll(string(id), "-", "")), time.Now().Add(time.Hour)
	h.Status.Attempt = provisioner.Attempt{ID: "a-1", Phase: provisioner.Discovered, Began: time.Now()}
	return h
}

func TestTheScoutsMediumSaysWhereMusterIsAndWhichAddressTheHostHas(t *testing.T) {
	r := newRig(t)
	iso := r.scoutISO(t, "1")
	ours := func(base string, further ...string) []string {
		args := []string{"muster.server=" + base, "muster.token=keyofh1", "muster.host=h-1", "muster.medium", "console=tty0", "console=ttyS0,115200"}
		return append(args, further...)
	}
	for name, c := range map[string]struct {
		static provisioner.Static
		host   func(*provisioner.Host)
		want   []string
	}{
		"by DHCP, where its BMC is": {want: ours(benchBase)},
		"by DHCP, where its BMC was given an address": {
			host: func(h *provisioner.Host) {
				h.Intent.BMC = &provisioner.Controller{MAC: "52:54:00:00:00:b1"}
				h.Facts.BMCLease = &provisioner.BMCLease{MAC: "52:54:00:00:00:b1", Address: "198.51.100.9", Network: bench}
			}, want: ours(benchBase),
		},
		"by DHCP, where it was seen": {
			host: func(h *provisioner.Host) { h.Facts.Sighting = &provisioner.Sighting{Network: line} }, want: ours(lineBase),
		},
		"by DHCP, where its scout was": {
			host: func(h *provisioner.Host) { h.Facts.Scout = &provisioner.Contact{Address: "192.0.2.77"} }, want: ours(lineBase),
		},
		"with an address": {
			static: provisioner.Static{Address: "192.0.2.7/24"}, want: ours(lineBase, "muster.address=192.0.2.7/24"),
		},
		"with all there is": {
			static: provisioner.Static{Address: "192.0.2.7/24", Gateway: "192.0.2.254", DNS: []string{"192.0.2.3", "192.0.2.4"}, VLAN: 70, MAC: "52:54:00:AB:00:01"},
			want:   ours(lineBase, "muster.address=192.0.2.7/24", "muster.gateway=192.0.2.254", "muster.dns=192.0.2.3,192.0.2.4", "muster.vlan=70", "muster.mac=52:54:00:ab:00:01"),
		},
		"by DHCP on a VLAN": {static: provisioner.Static{VLAN: 70}, want: ours(benchBase, "muster.vlan=70")},
	} {
		t.Run(name, func(t *testing.T) {
			h := discovering("h-1", c.static)
			if c.host != nil {
				c.host(&h)
			}
			got, err := r.boots.ScoutMedium(t.Context(), h)
			want := provisioner.Rendering{Way: provisioner.WayMedia, Image: iso.Digest, Medium: []provisioner.Change{{Args: c.want}}}
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Errorf("%v; (-want +got):\n%s", err, diff)
			}
		})
	}
}

func TestWhatKeepsTheScoutFromAMediumIsSaid(t *testing.T) {
	r := newRig(t)
	says := func(what string, h provisioner.Host, text string) {
		t.Helper()
		_, err := r.boots.ScoutMedium(t.Context(), h)
		if provisioner.KindOf(err) != provisioner.Operator || !strings.Contains(err.Error(), text) || strings.Contains(err.Error(), h.Status.Key.Reveal()) {
			t.Errorf("%s: %v, want an operator's fault with %q", what, err, text)
		}
	}
	h := discovering("h-1", provisioner.Static{})
	says("nothing to boot", h, "there is no discovery ramdisk")
	r.set(t, "ramdisk", "/kernel", "/initrd")
	says("a ramdisk without a loader", h, "build it again with --shim and --grub")
	r.scoutISO(t, "1")
	says("no address", discovering("h-1", provisioner.Static{Address: "192.0.2.7"}), "is no prefix length of 192.0.2.7")
	h.Intent.BMC = nil
	says("no network", h, "was not seen on any network")
}

// prepare commits a rendering of the host's present attempt, as the engine does.
func (r *rig) prepare(t *testing.T, h provisioner.Host, rendering provisioner.Rendering) {
	t.Helper()
	rendering.Attempt, rendering.Made = h.Status.Attempt.ID, time.Now().UTC().Truncate(time.Second)
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if err := json.NewEncoder(z).Encode(rendering); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	h.Facts.Prepared = &provisioner.Prepared{Attempt: rendering.Attempt, At: rendering.Made, Way: rendering.Way, Image: rendering.Image}
	sealed := r.box.Seal(packed.Bytes(), string(rendering.Attempt))
	change := store.Change{Put: []provisioner.Host{h}, PutRenderings: []store.Rendering{{Attempt: rendering.Attempt, Sealed: sealed}}}
	if err := r.store.Commit(t.Context(), change); err != nil {
		t.Fatal(err)
	}
	if err := r.mirror.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestTheScoutsMediumStaysAsItIsUntilItsAttemptIsOver(t *testing.T) {
	r := newRig(t)
	r.scoutISO(t, "1")
	h := discovering("h-1", provisioner.Static{Address: "192.0.2.7/24"})
	rendering, err := r.boots.ScoutMedium(t.Context(), h)
	if err != nil {
		t.Fatal(err)
	}
	r.prepare(t, h, rendering)
	name := mediumPath(h)
	resp, before := r.askFor(t, http.MethodGet, strangerAddress, name, nil)
	for _, want := range []string{"linux /kernel muster.server=" + lineBase + " muster.token=keyofh1 ", "muster.address=192.0.2.7/24", "initrd 1"} {
		if resp.StatusCode != http.StatusOK || !strings.Contains(before, want) {
			t.Errorf("status %d, without %q", resp.StatusCode, want)
		}
	}
	r.scoutISO(t, "2")
	again, after := r.askFor(t, http.MethodGet, strangerAddress, name, nil)
	if after != before || again.Header.Get("ETag") != resp.Header.Get("ETag") {
		t.Errorf("a newer ramdisk changed it: status %d, ETag %s, then %s", again.StatusCode, resp.Header.Get("ETag"), again.Header.Get("ETag"))
	}
	for what, path := range map[string]string{
		"another host's key": strings.Replace(name, "keyofh1", "keyofh2", 1), "no key": "/m/a-1-.iso", "another attempt": strings.Replace(name, "a-1", "a-2", 1),
	} {
		if status, _ := r.ask(t, http.MethodGet, strangerAddress, path); status != http.StatusNotFound {
			t.Errorf("%s: status %d", what, status)
		}
	}
	read := r.until(t, "h-1", func(h provisioner.Host) bool { return len(h.Facts.Steps) > 0 })
	read.Status.Phase = provisioner.Quarantined
	r.list(t, read)
	if status, _ := r.ask(t, http.MethodGet, strangerAddress, name); status != http.StatusGone {
		t.Errorf("when it is over: status %d", status)
	}
}

func TestTheRowsAddressReachesTheInstaller(t *testing.T) {
	r := newRig(t)
	h := installing("h-1", firstMAC, "a-1", r.kairos(t))
	h.Intent.Row.Static = provisioner.Static{Address: "198.51.100.7/24", MAC: firstMAC}
	rendered, err := r.boots.Render(t.Context(), h, handoff.Carry{})
	if err != nil {
		t.Fatal(err)
	}
	n, err := r.boots.Netboot(t.Context(), h, rendered)
	if err != nil {
		t.Fatal(err)
	}
	const want = "ifname=bootnet:" + firstMAC + " ip=198.51.100.7:::255.255.255.0:h-1:bootnet:none"
	if !strings.Contains(n.Cmdline, want) || strings.Contains(n.Cmdline, "ip=dhcp") || !strings.HasPrefix(n.Kernel, benchBase) {
		t.Errorf("from %s it is started with %s, want %s", n.Kernel, n.Cmdline, want)
	}
	if config, _ := rendered.Document("config"); !strings.Contains(string(config.Content), "Address=198.51.100.7/24") {
		t.Errorf("its system does not keep the address:\n%s", config.Content)
	}
}
