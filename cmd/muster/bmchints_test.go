package main

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	v1 "github.com/muster-boot/muster/provisioner/api/v1"
	"github.com/muster-boot/muster/redfish"
	"github.com/muster-boot/muster/redfish/discover"
	"github.com/muster-boot/muster/redfish/quirk"
)

func TestWhoDoesNotNameItsVendorIsPerhapsOfWhatDHCPOrItsMACSays(t *testing.T) {
	const ours = "d0:94:66:12:34:56"
	hint := hints{makers: discover.Makers{"D09466": "Dell Inc."}, neighbours: map[netip.Addr]string{
		netip.MustParseAddr("192.0.2.1"): ours, netip.MustParseAddr("192.0.2.4"): ours,
	}}
	says := func(address, vendor string) discover.Found {
		return discover.Found{Address: address, About: redfish.About{Product: quirk.Product{Vendor: vendor}}}
	}
	found := []discover.Found{says("192.0.2.1:8443", ""), says("192.0.2.2", ""), says("192.0.2.3", ""), says("192.0.2.4", "Contoso")}
	known := []v1.FoundBMC{
		{Source: v1.FoundByDHCP, Address: "192.0.2.2", MAC: "02:00:00:00:00:02", Class: "CPQRIB3", Vendor: "HPE", Kind: "iLO"},
		{Source: v1.FoundListed, Name: "alpha", Address: "192.0.2.3", MAC: ours, Class: "iDRAC"},
		{Source: v1.FoundListed, Name: "beta", MAC: "3c:ec:ef:00:00:01"},
	}
	got := map[string]string{}
	for _, b := range newFoundList(found, known, hint, true) {
		got[b.Address+b.Host] = b.Vendor + "|" + b.Perhaps + "|" + b.MAC
	}
	want := map[string]string{
		"192.0.2.1:8443": "|Dell Inc.|" + ours, "192.0.2.2": "|HPE|02:00:00:00:00:02", "192.0.2.3alpha": "|Dell|" + ours,
		"192.0.2.4": "Contoso||" + ours, "beta": "|Super Micro Computer, Inc.|3c:ec:ef:00:00:01",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
