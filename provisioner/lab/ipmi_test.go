package lab

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/muster-boot/muster/redfish/ipmi/ipmitest"
)

// TestIpmitoolPowersAHostThatHasOnlyIPMI has ipmitool choose once what the host
// boots, from a place on the network, with ipmi_sim between the two.
func TestIpmitoolPowersAHostThatHasOnlyIPMI(t *testing.T) {
	needRoot(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	l := ForTest(t, oneNetwork...)
	spec := haltingHost()
	spec.IPMI = &IPMI{Address: netip.MustParseAddr("10.77.0.33")}
	spec.CD = bootableCD(t, "CD is up", halt)
	spec.Boot = []Device{FromDisk, FromCD}
	h, err := l.AddHost(ctx, spec)
	if err != nil {
		t.Fatal(err)
	}
	writeSector(t, h, bootSector(sayUp, halt))
	place := station(t, l)
	ask := func(args ...string) string {
		t.Helper()
		all := append([]string{"-I", "lanplus", "-C", "3", "-H", "10.77.0.33", "-U", ipmitest.User, "-P", ipmitest.Password}, args...)
		out, err := place.Command(ctx, "ipmitool", all...).CombinedOutput()
		if err != nil {
			t.Fatalf("ipmitool %q: %v\n%s", args, err, out)
		}
		return string(out)
	}
	if got := ask("chassis", "power", "status"); !strings.Contains(got, "is off") {
		t.Errorf("before: %s", got)
	}
	ask("chassis", "bootdev", "cdrom")
	ask("chassis", "power", "on")
	if err := h.WaitConsole(ctx, "CD is up", "lab host is up"); err != nil {
		t.Fatal(err)
	}
	if got := ask("chassis", "power", "status"); !strings.Contains(got, "is on") {
		t.Errorf("while it runs: %s", got)
	}
	ask("chassis", "power", "reset")
	if err := h.WaitConsole(ctx, "lab host is up", "CD is up"); err != nil {
		t.Fatalf("after the one boot that was chosen: %v", err)
	}
	ask("chassis", "power", "off")
	if err := h.WaitOff(ctx); err != nil {
		t.Error(err)
	}
}
