package app

import (
	"slices"
	"testing"

	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/lifecycle"
	"github.com/muster-boot/muster/redfish/bmctest"
)

// TestEveryPersonalityBringsItsHostFromPowerOffToRegistered goes by media where
// the BMC can, else by the network.
func TestEveryPersonalityBringsItsHostFromPowerOffToRegistered(t *testing.T) {
	noMedia := []string{"huawei", "intel", "xcc-old"}
	y := newYard(t)
	t.Run("all", func(t *testing.T) {
		for n, name := range bmctest.Names() {
			p := y.build(t, name, n+1)
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				y.listPlace(t, p, nil)
				h := y.arrives(t, p)
				y.idle(t, p)
				want := provisioner.WayMedia
				if slices.Contains(noMedia, name) {
					want = provisioner.WayNetboot
				}
				if way, _ := lifecycle.Way(h); way != want || h.Facts.Survey == nil || h.Facts.BMC == nil || h.Facts.BMC.Quirks == "" {
					t.Errorf("it went by %s, its BMC seen as %+v", way, h.Facts.BMC)
				}
				if err := p.host.Await(t.Context(), func(line string) bool { return line == "registered" }); err != nil || !p.host.On() {
					t.Errorf("it is on: %t; %v", p.host.On(), err)
				}
			})
		}
	})
}
