package site

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/muster-boot/muster/provisioner/lab"
)

// TestAHostWithSecureBootAndAnAddressOfItsOwnIsLookedAtByVirtualMedia has nobody
// answer DHCP. The host only has a BMC; it boots the scout's ISO by shim, Debian's
// signed GRUB and kernel, under Microsoft's keys, and takes its row's address.
func TestAHostWithSecureBootAndAnAddressOfItsOwnIsLookedAtByVirtualMedia(t *testing.T) {
	t.Parallel()
	const third = 90
	network := silent("lan", third)
	network.DHCPOff = true
	s := newSite(t, nil, network)
	spec := machine(1, lab.UEFI, "lan")
	spec.SecureBoot, spec.TPM = true, true
	spec.BMC = &lab.BMC{Personality: "openbmc", Network: "lan", Address: netip.AddrFrom4([4]byte{10, 78, third, 31})}
	h := s.add(t, spec)
	own := fmt.Sprintf("10.78.%d.50", third)
	row := []string{spec.Serial, spec.NICs[0].MAC, spec.Name, spec.BMC.Address.String(), h.BMC().User(), h.BMC().Password(), own + "/24"}
	manifest := "serial,mac,name,bmc_address,bmc_user,bmc_password,address\n" + strings.Join(row, ",") + "\n"
	if err := s.Order(t.Context(), "name: look\nprofile: edge-minimum\n", manifest); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Muster(t.Context(), "order", "start", "look"); err != nil {
		t.Fatal(err)
	}
	seen := s.await(t, installTime, spec.Serial, "ready")
	if seen.Boot != "virtual-media" || seen.Address != own {
		t.Errorf("verified by %q at %s, want virtual-media at %s", seen.Boot, seen.Address, own)
	}
	if r := seen.Report; r == nil || r.SecureBoot == nil || !*r.SecureBoot || r.TPM != "2.0" {
		t.Errorf("its scout reported %+v", r)
	}
	s.checkJournal(t, spec.Serial, "discovered", "verifying", "ready")
}
