package site

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/muster-boot/muster/provisioner/lab"
	"github.com/muster-boot/muster/redfish/bmctest"
	"github.com/muster-boot/muster/redfish/ipmi/ipmitest"
)

// foreign is a network where muster answers no DHCP.
func foreign(name string, third int) Network {
	n := silent(name, third)
	n.DHCPOff = true
	return n
}

// on is an address of a network of these tests.
func on(third, last int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, 78, byte(third), byte(last)})
}

// row is a host as a manifest lists it that muster reaches by its BMC.
type row struct {
	serial, mac, name string
	bmc               netip.Addr
	user, password    string
	driver            string // empty: Redfish
	address           string // with its prefix length; empty: by DHCP
}

// reach imports and starts an order for hosts with BMCs.
func (s *Site) reach(t *testing.T, name, more string, rows ...row) {
	t.Helper()
	csv := strings.Builder{}
	csv.WriteString("serial,mac,name,bmc_address,bmc_user,bmc_password,bmc_driver,address\n")
	for _, r := range rows {
		fmt.Fprintf(&csv, "%s,%s,%s,%s,%s,%s,%s,%s\n", r.serial, r.mac, r.name, r.bmc, r.user, r.password, r.driver, r.address)
	}
	yaml := "name: " + name + "\nprofile: edge-minimum\nimage: " + ApplianceImage + "\nhandoff: {driver: callhome}\n" + more
	if err := s.Order(t.Context(), yaml, csv.String()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Muster(t.Context(), "order", "start", name); err != nil {
		t.Fatal(err)
	}
}

// until waits until a condition holds; what it says meanwhile is why not.
func until(t *testing.T, within time.Duration, what string, ok func() (bool, string)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		good, why := ok()
		if good {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("waited in vain for %s: %s", what, why)
		case <-tick.C:
		}
	}
}

// checkTidy waits until a BMC is left as it was found, and holds that it was
// never given two media or two requests at once. Sessions of a server that was
// killed have to time out; no more than those may.
func checkTidy(t *testing.T, within time.Duration, e *bmctest.Emulator, killed int) {
	t.Helper()
	until(t, within, "a tidy BMC", func() (bool, string) {
		s := e.State()
		return len(s.Inserted) == 0 && s.Enabled == "Disabled" && s.Sessions == 0,
			fmt.Sprintf("media %q, override %s %s, %d sessions, problems %q", s.Inserted, s.Target, s.Enabled, s.Sessions, s.Problems)
	})
	if requests, media := e.Peak(); media > 1 || requests > 1 && killed == 0 {
		t.Errorf("there were %d requests and %d media at once", requests, media)
	}
	if _, opened, leaked := e.Sessions(); leaked > killed || opened == 0 {
		t.Errorf("%d of %d sessions were left to time out, and the server was killed %d times", leaked, opened, killed)
	}
	if !slices.ContainsFunc(e.Boots(), func(b bmctest.Boot) bool { return b.Device == bmctest.DeviceMedium }) {
		t.Errorf("no medium was ever booted: %v", e.Boots())
	}
}

// TestAHostThatHasOnlyIPMIIsPoweredAndBootsItsNetwork has nobody press a button:
// ipmi_sim gets power and boot device from muster, and the host's own order has
// the empty disk first.
func TestAHostThatHasOnlyIPMIIsPoweredAndBootsItsNetwork(t *testing.T) {
	t.Parallel()
	const third = 50
	s := newSite(t, nil, silent("lan", third))
	spec := machine(1, lab.BIOS, "lan")
	spec.Boot = []lab.Device{lab.FromDisk}
	spec.IPMI = &lab.IPMI{Network: "lan", Address: on(third, 33)}
	h := s.add(t, spec)
	if err := h.Reserve(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.reach(t, "board", "after: reboot\n", row{
		serial: spec.Serial, mac: spec.NICs[0].MAC, name: spec.Name,
		bmc: on(third, 33), user: ipmitest.User, password: ipmitest.Password, driver: "ipmi",
	})
	done := s.await(t, installTime, spec.Serial, "registered")
	if done.Boot != "bios-pxe" || done.BMC == nil || done.BMC.Driver != "ipmi" {
		t.Errorf("registered by %s with the BMC %+v", done.Boot, done.BMC)
	}
}
