package main

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var addresses = cmp.Options{cmp.AllowUnexported(fixed{}), cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})}

func TestAFixedAddressIsReadFromTheCommandLine(t *testing.T) {
	full := fixed{"52:54:00:00:00:01", netip.MustParsePrefix("10.1.4.12/22"), netip.MustParseAddr("10.1.4.1"), []netip.Addr{netip.MustParseAddr("10.1.0.2")}}
	for _, c := range []struct {
		name, line string
		want       fixed
		fails      string
	}{
		{"everything", "root=x ifname=bootnet:52:54:00:00:00:01 ip=10.1.4.12::10.1.4.1:255.255.252.0:h:bootnet:none nameserver=10.1.0.2", full, ""},
		{"an address alone", "ip=10.1.4.12:::255.255.252.0:h::none", fixed{address: full.address}, ""},
		{"the last of two", "ip=dhcp ip=10.1.4.12:::255.255.252.0:h::none", fixed{address: full.address}, ""},
		{"DHCP", "ip=dhcp", fixed{}, errByDHCP.Error()},
		{"nothing", "quiet", fixed{}, errByDHCP.Error()},
		{"no address", "ip=x:::255.255.252.0:h::none", fixed{}, "ip="},
		{"no mask", "ip=10.1.4.12::::h::none", fixed{}, "is no mask"},
		{"a VLAN", "ifname=bootnet:52:54:00:00:00:01 vlan=bootnet.7:bootnet ip=10.1.4.12:::255.255.252.0:h:bootnet.7:none", fixed{}, "VLANs are not done here"},
	} {
		got, err := fixedOf(strings.Fields(c.line))
		if c.fails != "" {
			if err == nil || !strings.Contains(err.Error(), c.fails) {
				t.Errorf("%s: %v, want %q", c.name, err, c.fails)
			}
			continue
		}
		if diff := cmp.Diff(c.want, got, addresses); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", c.name, err, diff)
		}
	}
}

func TestAFixedAddressIsReadFromTheSystemsFile(t *testing.T) {
	got, err := fixedIn("[Match]\nMACAddress=52:54:00:00:00:01\nType=ether\n\n[Network]\nAddress=10.1.4.12/24\nGateway=10.1.4.1\nDNS=10.1.0.2\n")
	want := fixed{"52:54:00:00:00:01", netip.MustParsePrefix("10.1.4.12/24"), netip.MustParseAddr("10.1.4.1"), []netip.Addr{netip.MustParseAddr("10.1.0.2")}}
	if diff := cmp.Diff(want, got, addresses); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if _, err := fixedIn("[Network]\nDHCP=yes\n"); !errors.Is(err, errByDHCP) {
		t.Errorf("a file without an address: %v", err)
	}
	if _, err := fixedIn("[Network]\nVLAN=vlan7\n"); err == nil || errors.Is(err, errByDHCP) {
		t.Errorf("a file with a VLAN: %v", err)
	}
}

func TestAStepWritesItsFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a/b/x.network")
	c := config{Stages: map[string][]step{"initramfs": {{Files: []stepFile{{Path: path, Content: "[Match]\n", Permissions: 0o600}}}}}}
	c.runStage(t.Context(), "initramfs", t.Logf)
	got, err := os.ReadFile(path)
	if err != nil || string(got) != "[Match]\n" {
		t.Errorf("the file has %q, %v", got, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("its mode is %v, %v", info.Mode(), err)
	}
}
