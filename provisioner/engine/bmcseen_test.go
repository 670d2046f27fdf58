package engine

import (
	"strings"
	"testing"
	"time"

	"github.com/muster-boot/muster/provisioner"
)

func TestTheAddressOfABMCIsNotedOnce(t *testing.T) {
	s := open(t, bolt(t), newClock())
	const bmcMAC = "52:54:00:00:00:77"
	s.list(t, hostID, provisioner.Row{MACs: []string{mac1}})
	_, err := s.Store.Change(t.Context(), hostID, func(h *provisioner.Host) ([]provisioner.Entry, error) {
		h.Intent.BMC = &provisioner.Controller{MAC: bmcMAC, Password: []byte("sealed")}
		return nil, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s.sync(t)
	lease := provisioner.BMCLease{MAC: bmcMAC, Address: "192.0.2.77", Network: "line", Class: "iDRAC"}
	see := func(l provisioner.BMCLease) provisioner.Host {
		t.Helper()
		if err := s.SeeBMC(t.Context(), l); err != nil {
			t.Fatal(err)
		}
		return s.host(t, hostID)
	}
	before := s.host(t, hostID).Entries
	first := see(lease)
	if first.BMCAddress() != "192.0.2.77" || first.BMCLacks() != "" || first.Facts.Sighting != nil || first.Entries != before+1 {
		t.Errorf("address %q, lacks %q, %d entries, sighting %v", first.BMCAddress(), first.BMCLacks(), first.Entries-before, first.Facts.Sighting)
	}
	if again := see(lease); again.Revision != first.Revision {
		t.Error("the same lease is written twice")
	}
	s.clock.advance(2 * time.Hour)
	if renewed := see(lease); renewed.Revision == first.Revision || renewed.Entries != first.Entries {
		t.Errorf("renewed: %d entries", renewed.Entries-first.Entries)
	}
	lease.Address = "192.0.2.78"
	if moved := see(lease); moved.BMCAddress() != "192.0.2.78" || moved.Entries != first.Entries+1 {
		t.Errorf("moved to %q, %d entries", moved.BMCAddress(), moved.Entries-first.Entries)
	}
	lease.MAC = "52:54:00:00:00:78"
	if err := s.SeeBMC(t.Context(), lease); err != nil || s.host(t, hostID).BMCAddress() != "192.0.2.78" {
		t.Errorf("a BMC that nobody lists: %v", err)
	}
}

func TestABMCWithoutAnAddressIsSaidToAPerson(t *testing.T) {
	h := provisioner.Host{ID: "h-1", Intent: provisioner.Intent{BMC: &provisioner.Controller{MAC: "52:54:00:00:00:77"}}}
	if lacks := h.BMCLacks(); !strings.Contains(lacks, "52:54:00:00:00:77 has asked none of muster's DHCP servers") {
		t.Error(lacks)
	}
	h.Facts.BMCLease = &provisioner.BMCLease{MAC: "52:54:00:00:00:77", Address: "192.0.2.7"}
	if lacks := h.BMCLacks(); !strings.Contains(lacks, "The password of its BMC at 192.0.2.7 is not known. Run: muster bmc add h-1") {
		t.Error(lacks)
	}
}
