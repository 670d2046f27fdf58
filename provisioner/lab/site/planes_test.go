package site

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"

	"github.com/muster-boot/muster/provisioner/lab"
)

// TestThePeoplesAPIIsNotOnTheBootPlane asks for every route of the people's
// interface from a lab host's place.
func TestThePeoplesAPIIsNotOnTheBootPlane(t *testing.T) {
	t.Parallel()
	network := silent("lan", 40)
	l := lab.ForTest(t, network.Network)
	s, err := Open(t.Context(), l, Options{Programs: programs, Networks: []Network{network}})
	if err != nil {
		t.Fatal(err)
	}
	client, err := l.Client(t.Context(), "lan", netip.MustParsePrefix("10.78.40.50/24"))
	if err != nil {
		t.Fatal(err)
	}
	routes := peoplesRoutes(t, s)
	if len(routes) < 20 {
		t.Fatalf("the document names only %d routes: %v", len(routes), routes)
	}
	for _, base := range []string{"http://10.78.40.1:8067", "https://10.78.40.1:8068"} {
		for _, r := range routes {
			out, err := client.Command(t.Context(), "curl", "-sk", "-m", "5", "-o", "/dev/null", "-w", "%{http_code}", "-X", r.method, base+r.path).Output()
			if code := string(out); err != nil || code != "404" {
				t.Errorf("%s %s%s on the boot plane: %s, %v", r.method, base, r.path, code, err)
			}
		}
	}
	out, err := client.Command(t.Context(), "curl", "-s", "-m", "5", "-o", "/dev/null", "-w", "%{http_code}", "http://10.78.40.1:8069/v1/hosts").Output()
	if err == nil {
		t.Errorf("the control plane answers on the network: %s", out)
	}
}

type peoplesRoute struct{ method, path string }

// peoplesRoutes reads the routes from the interface's own document.
func peoplesRoutes(t *testing.T, s *Site) []peoplesRoute {
	t.Helper()
	raw, err := s.get(t.Context(), "/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Paths map[string]map[string]json.RawMessage `json:"paths"`
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	var routes []peoplesRoute
	for path, methods := range doc.Paths {
		for _, placeholder := range []string{"{ref}", "{name}", "{digest}", "{order}", "{host}"} {
			path = strings.ReplaceAll(path, placeholder, "x")
		}
		for method := range methods {
			routes = append(routes, peoplesRoute{strings.ToUpper(method), path})
		}
	}
	return routes
}

// TestAHostFoundOnADiscoveringNetworkWaitsForApproval boots a host that is in
// no manifest; it gets the scout and nothing else until a person approves it, and
// then the installer.
// Its devices are those of servers: e1000e, a disk on AHCI and NVMe.
func TestAHostFoundOnADiscoveringNetworkWaitsForApproval(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil, discovering("lan", 50))
	spec := machine(1, lab.BIOS, "lan")
	spec.NICs[0].Model = "e1000e"
	spec.Disks = append(spec.Disks, lab.Disk{Kind: lab.SATA, GB: 300, Rotational: true})
	other := machine(2, lab.BIOS, "lan")
	s.order(t, other)
	h := s.add(t, spec)
	powerOn(t, h)
	s.awaitReport(t, spec.NICs[0].MAC)
	found := s.await(t, bootTime, spec.NICs[0].MAC, "discovered")
	if !strings.Contains(found.NextEvidence, "approve") {
		t.Errorf("it does not say that a person must approve: %s", found.NextEvidence)
	}
	if n := len(found.Report.Disks); n != 2 {
		t.Errorf("the scout found %d disks, not the NVMe disk and the one on AHCI: %+v", n, found.Report.Disks)
	}
	if len(found.Report.NICs) != 1 || found.Report.NICs[0].Driver != "e1000e" || !found.Report.NICs[0].Booted {
		t.Errorf("the scout's network ports: %+v", found.Report.NICs)
	}
	if _, err := s.Muster(t.Context(), "host", "approve", found.ID, "--order", "batch"); err != nil {
		t.Fatal(err)
	}
	s.awaitStage(t, bootTime, found.ID, "writing")
}
