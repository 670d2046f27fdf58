package engine

import (
	"strings"
	"testing"
	"time"

	"github.com/muster-boot/muster/inventory"
	"github.com/muster-boot/muster/provisioner"
)

func TestTheAddressOfABMCIsNotedOnce(t *testing.T) {
	s := open(t, bolt(t), newClock())
	const bmcMAC = "52:54:00:00:00:77"
	s.list(t, hostID, provisioner.Row{MACs: []string{mac1}})
	s.tell(t, hostID, func(h *provisioner.Host) {
		h.Intent.BMC = &provisioner.Controller{MAC: bmcMAC, Password: []byte("sealed")}
	})
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

// TestAMachineIsJoinedWithTheRowThatNamesItsBMC has a machine that was seen
// before its BMC told its ports, and another one that was seen after.
func TestAMachineIsJoinedWithTheRowThatNamesItsBMC(t *testing.T) {
	s := open(t, bolt(t), newClock())
	early, late := "52:54:00:00:00:09", "52:54:00:00:00:0a"
	for id, address := range map[provisioner.HostID]string{hostID: "192.0.2.1", "h-2": "192.0.2.2"} {
		s.list(t, id, provisioner.Row{Name: "row-" + string(id)})
		s.tell(t, id, func(h *provisioner.Host) {
			h.Intent.BMC = &provisioner.Controller{Address: address}
			h.Facts.BMC, h.Facts.BMCLease = &provisioner.BMC{Vendor: "HPE"}, &provisioner.BMCLease{Address: address}
		})
	}
	first, err := s.See(t.Context(), Seen{MAC: early, Network: "br1", Netboot: true, Discover: true})
	if err != nil || first.ID == hostID {
		t.Fatalf("seen as %s, %v", first.ID, err)
	}
	s.tell(t, hostID, surveyed(early))
	s.tell(t, "h-2", surveyed(late))
	joined := s.until(t, first.ID, "its row", func(h provisioner.Host) bool { return h.ID == hostID })
	if joined.Facts.Sighting == nil || joined.Facts.BMC == nil || joined.Facts.BMCLease == nil || joined.Facts.Survey == nil {
		t.Errorf("joined, it lacks what was known of it: %+v", joined.Facts)
	}
	if second := s.see(t, late); second.ID != "h-2" || second.Intent.Row.Name != "row-h-2" {
		t.Errorf("seen after the survey as %s", second.ID)
	}
}

func surveyed(mac string) func(*provisioner.Host) {
	return func(h *provisioner.Host) {
		h.Facts.Survey = &provisioner.Report{Report: inventory.Report{NICs: []inventory.NIC{{MAC: mac}}}}
	}
}

// tell changes what is known of a host.
func (s *site) tell(t *testing.T, id provisioner.HostID, change func(*provisioner.Host)) {
	t.Helper()
	_, err := s.Store.Change(t.Context(), id, func(h *provisioner.Host) ([]provisioner.Entry, error) {
		change(h)
		return nil, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s.sync(t)
}
