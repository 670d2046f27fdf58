package app

import (
	"strings"
	"testing"

	"github.com/muster-boot/muster/images"
	"github.com/muster-boot/muster/provisioner"
)

func TestAHostOfWhichNoNetworkIsKnownIsGivenNoURLs(t *testing.T) {
	r := newRig(t)
	image := r.set(t, "installer", "/linux", "/initrd.gz")
	for name, c := range map[string]struct {
		sighting *provisioner.Sighting
		says     string
	}{
		"never seen":               {nil, "boot it from the network"},
		"its network is no longer": {&provisioner.Sighting{Network: "gone0"}, "add that network to the configuration"},
	} {
		t.Run(name, func(t *testing.T) {
			h := installing("h-1", firstMAC, "a-1", image)
			h.Status.Attempt.Disk, h.Facts.Sighting = "/dev/disk/by-id/nvme-1", c.sighting
			_, netbootErr := r.boots.Netboot(t.Context(), h, provisioner.Rendering{})
			rendered, renderErr := r.boots.Render(t.Context(), h, nil)
			for what, err := range map[string]error{"netboot": netbootErr, "rendering": renderErr} {
				if provisioner.KindOf(err) != provisioner.Operator || !strings.Contains(err.Error(), c.says) {
					t.Errorf("%s: %v, want an operator's fault with %q", what, err, c.says)
				}
			}
			if len(rendered.Documents) > 0 {
				t.Errorf("rendered all the same: %+v", rendered)
			}
		})
	}
}

func TestUserDataCallsTheNetworkWhereTheHostWasSeen(t *testing.T) {
	b := &boots{networks: byInterface(testNetworks())}
	h := installing("h-1", firstMAC, "a-1", images.Image{})
	h.Status.Attempt.Disk = "/dev/disk/by-id/nvme-1"
	rendered, err := b.Render(t.Context(), h, nil)
	if err != nil {
		t.Fatal(err)
	}
	config, _ := rendered.Document("config")
	for _, call := range []string{"/step/writing", "/step/written", "/booted"} {
		if want := lineBase + "/a/a-1/token-of-h-1" + call; !strings.Contains(string(config.Content), want) {
			t.Errorf("%s is not in the user-data:\n%s", want, config.Content)
		}
	}
}
