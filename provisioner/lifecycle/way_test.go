package lifecycle

import (
	"strings"
	"testing"

	"github.com/muster-boot/muster/provisioner"
)

func TestTheWayFollowsFromWhatHostAndBMCCan(t *testing.T) {
	goes := func(ways ...provisioner.Way) (offers []Offer) {
		for _, w := range ways {
			offers = append(offers, Offer{Way: w})
		}
		return offers
	}
	static := func(h *provisioner.Host) { h.Intent.Row.Static.Address = "192.0.2.8/24" }
	unseen := func(h *provisioner.Host) { h.Facts.Sighting = nil }
	noMedia := func(h *provisioner.Host) { h.Facts.BMC.Abilities.Media = false }
	noBMC := func(h *provisioner.Host) { h.Intent.BMC = nil }
	nothing := func(*provisioner.Host) {}
	silent := func(ways ...provisioner.Way) func(*provisioner.Host) {
		return func(h *provisioner.Host) { h.Status.Unreached = ways }
	}
	fips := []Offer{{Way: provisioner.WayNetboot, Barred: "a FIPS build has no livenet"}, {Way: provisioner.WayMedia}}
	bundled := []Offer{{Way: provisioner.WayNetboot, Leaves: "its content bundle"}, {Way: provisioner.WayMedia}}
	both := goes(provisioner.WayNetboot, provisioner.WayMedia)
	for _, tt := range []struct {
		name   string
		offers []Offer
		with   func(*provisioner.Host)
		want   provisioner.Way
		why    string // a part of it; empty: nothing is said
	}{
		{"the recipe's first where all goes", both, nothing, provisioner.WayNetboot, ""},
		{"by media where the address is the host's own", both, static, provisioner.WayMedia, "an address of its own"},
		{"by media where it never booted from the network", both, unseen, provisioner.WayMedia, "never seen to boot from the network"},
		{"by the network all the same where the BMC has no media", both, func(h *provisioner.Host) { static(h); noMedia(h) }, provisioner.WayNetboot, ""},
		{"not by media where the BMC has none", goes(provisioner.WayMedia, provisioner.WayNetboot), noMedia, provisioner.WayNetboot, "its BMC cannot start it from a medium"},
		{"by media, and a person's doing, where there is nothing else", goes(provisioner.WayMedia), noMedia, provisioner.WayMedia, ""},
		{"by media where the image says so", fips, nothing, provisioner.WayMedia, "a FIPS build has no livenet"},
		{"by media where the network leaves something behind", bundled, nothing, provisioner.WayMedia, "it leaves its content bundle behind"},
		{"by the network all the same where there are no media for it", bundled, noMedia, provisioner.WayNetboot, ""},
		{"by the network all the same where only a person could bring media", bundled, noBMC, provisioner.WayNetboot, ""},
		{"by the other after a way by which nothing came", both, silent(provisioner.WayNetboot), provisioner.WayMedia, "nothing of the image reached the host"},
		{"by the first again where no way worked", both, silent(provisioner.WayNetboot, provisioner.WayMedia), provisioner.WayNetboot, ""},
		{"a disk image by the scout, wherever that came from", goes(provisioner.WayWrite), unseen, provisioner.WayWrite, ""},
		{"the recipe's first without a BMC", goes(provisioner.WayMedia, provisioner.WayNetboot), func(h *provisioner.Host) { noBMC(h); unseen(h) }, provisioner.WayMedia, ""},
		{"none where none goes", []Offer{{Way: provisioner.WayNetboot, Barred: "no"}}, nothing, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := withBMC(t, provisioner.Installing)
			tt.with(&h)
			way, why := ChooseWay(h, tt.offers)
			if way != tt.want || (why == "") != (tt.why == "") || !strings.Contains(why, tt.why) {
				t.Errorf("%q, because %q; want %q, because %q", way, why, tt.want, tt.why)
			}
		})
	}
}
