package site

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "github.com/muster-boot/muster/provisioner/api/v1"
	"github.com/muster-boot/muster/provisioner/lab"
)

// TestAListedBMCIsGivenAnAddress has two DHCP clients that call themselves BMCs,
// as iDRAC and iLO do, and a host that lists the first one's MAC and nothing
// else of it.
func TestAListedBMCIsGivenAnAddress(t *testing.T) {
	t.Parallel()
	network := silent("lan", 41)
	l := lab.ForTest(t, network.Network)
	s, err := Open(t.Context(), l, Options{Programs: programs, Networks: []Network{network}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Client.Import(t.Context(), v1.Import{
		Order:    "name: batch\nprofile: edge-minimum\nbmc: {user: root, password: not a real one}\n",
		Manifest: "name,bmc_mac\nrack4-u12,52:54:00:74:41:01\n",
	})
	if err != nil {
		t.Fatal(err)
	}
	if h := listed(t, s); h.BMC.Address != "" || !strings.Contains(h.BMC.Missing, "52:54:00:74:41:01 has asked none of muster's DHCP servers") {
		t.Errorf("before it asked: address %q, missing %q", h.BMC.Address, h.BMC.Missing)
	}

	given := dhcpClient(t, l, "52:54:00:74:41:01", "iDRAC", "10.78.41.50/24")
	address := given["ip"]
	if !strings.HasPrefix(address, "10.78.41.1") || given["boot_file"] != "" || given["bootfile"] != "" || given["tftp"] != "" {
		t.Errorf("the listed BMC is given %v", given)
	}
	look, end := time.NewTicker(20*time.Millisecond), time.After(time.Minute)
	defer look.Stop()
	for h := listed(t, s); ; h = listed(t, s) {
		if h.BMC.Address == address && h.BMC.Missing == "" && h.Phase == "expected" {
			break
		}
		select {
		case <-look.C:
		case <-end:
			t.Fatalf("the address of the BMC is %q, missing %q, the host is %s", h.BMC.Address, h.BMC.Missing, h.Phase)
		}
	}

	if given := dhcpClient(t, l, "52:54:00:74:41:02", "CPQRIB3", "10.78.41.51/24"); len(given) > 0 {
		t.Errorf("a BMC that nobody lists is given %v", given)
	}
	found, err := s.Client.BMCs(t.Context())
	if err != nil || len(found) != 2 {
		t.Fatalf("found %+v, %v", found, err)
	}
	if b := found[0]; b.Source != "listed" || b.Name != "rack4-u12" || b.Address != address || b.Class != "iDRAC" || b.Network != "lan" {
		t.Errorf("the listed one: %+v", b)
	}
	if b := found[1]; b.Source != "dhcp" || b.MAC != "52:54:00:74:41:02" || b.Vendor != "HPE" || b.Kind != "iLO" || b.Address != "" {
		t.Errorf("the stranger: %+v", b)
	}
	hosts, err := s.Client.Hosts(t.Context(), "", "")
	if err != nil || len(hosts) != 1 {
		t.Errorf("BMCs have become hosts: %+v, %v", hosts, err)
	}
}

func listed(t *testing.T, s *Site) v1.Host {
	t.Helper()
	h, err := s.Client.Host(t.Context(), "rack4-u12")
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// dhcpClient asks with this MAC and vendor class (option 60), and returns what
// it was given; nothing where nobody answered.
func dhcpClient(t *testing.T, l *lab.Lab, mac, class, at string) map[string]string {
	t.Helper()
	ns, err := l.Client(t.Context(), "lan", netip.MustParsePrefix(at))
	if err != nil {
		t.Fatal(err)
	}
	if out, err := ns.Command(t.Context(), "ip", "link", "set", "eth0", "address", mac).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	told, script := filepath.Join(t.TempDir(), "told"), filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(script, []byte("#!/bin/sh\n[ \"$1\" = bound ] && env > "+told+"\nexit 0\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	// Four tries of two seconds: nobody answers a stranger, and that is known soon.
	_ = ns.Command(ctx, "busybox", "udhcpc", "-f", "-q", "-n", "-i", "eth0", "-V", class, "-t", "4", "-T", "2", "-O", "66", "-O", "67", "-s", script).Run()
	text, err := os.ReadFile(told)
	if err != nil {
		return nil
	}
	given := map[string]string{}
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		given[key] = value
	}
	return given
}
