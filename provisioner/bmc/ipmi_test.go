package bmc_test

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/bmc"
	"github.com/muster-boot/muster/redfish/ipmi/ipmitest"
)

func startSimulator(t *testing.T) *ipmitest.Simulator {
	t.Helper()
	if _, err := exec.LookPath("ipmi_sim"); err != nil && os.Geteuid() != 0 {
		t.Skip("ipmi_sim is not installed; make lab installs openipmi and ipmitool")
	}
	s, err := ipmitest.Start(t.Context(), t.TempDir(), ipmitest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func TestABoardWithIPMIAloneDoesTheErrandsThatItCan(t *testing.T) {
	s := startSimulator(t)
	box, words := sealed(t, provisioner.Controller{Address: s.Address, User: ipmitest.User, Driver: bmc.IPMI}, ipmitest.Password)
	c := bmc.New(bmc.Options{Secrets: box, Media: library{}, Pace: pace})
	h := provisioner.Host{Intent: provisioner.Intent{BMC: &words}}
	seen, report, err := c.Survey(t.Context(), h)
	if err != nil || report != nil || seen.Driver != bmc.IPMI || seen.Power != "On" || seen.Abilities != (provisioner.Abilities{Network: true}) || len(seen.Cannot) == 0 {
		t.Fatalf("%+v, %v, %v", seen, report, err)
	}
	h.Facts.BMC = &seen
	for _, errand := range []provisioner.ErrandKind{provisioner.ErrandNetwork, provisioner.ErrandClear, provisioner.ErrandOff, provisioner.ErrandDisk} {
		if seen, err = c.Do(t.Context(), h, errand, provisioner.Rendering{Attempt: "a-1"}, nil); err != nil {
			t.Fatalf("%s: %v", errand, err)
		}
	}
	want := []string{"set power 0", "set boot pxe", "set power 1", "set power 0", "set power 1"}
	if acts := s.Acts(); !slices.Equal(acts, want) || seen.Power != "On" {
		t.Errorf("it was told %q, and is %s", acts, seen.Power)
	}
	_, err = c.Do(t.Context(), h, provisioner.ErrandMedium, provisioner.Rendering{Attempt: "a-1"}, nil)
	if provisioner.KindOf(err) != provisioner.Operator || !strings.Contains(err.Error(), "let the host boot from the network") {
		t.Errorf("(%s) %v", provisioner.KindOf(err), err)
	}
	checked, err := c.Check(t.Context(), provisioner.Host{Intent: provisioner.Intent{BMC: &words}})
	if err != nil || !checked.Boots() || checked.Driver != bmc.IPMI || checked.Power != "On" {
		t.Errorf("%+v, %v", checked, err)
	}
}

func TestAPasswordThatIPMIRefusesIsShownOnce(t *testing.T) {
	s := startSimulator(t)
	box, words := sealed(t, provisioner.Controller{Address: s.Address, User: ipmitest.User, Driver: bmc.IPMI}, "wrong")
	c := bmc.New(bmc.Options{Secrets: box, Pace: pace})
	_, first := c.Check(t.Context(), provisioner.Host{Intent: provisioner.Intent{BMC: &words}})
	s.Close() // who asks now gets no answer
	_, second := c.Check(t.Context(), provisioner.Host{Intent: provisioner.Intent{BMC: &words}})
	if provisioner.KindOf(first) != provisioner.Operator || second == nil || first.Error() != second.Error() {
		t.Errorf("first %v, then %v", first, second)
	}
}
