package scout

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"
)

// wire is a fake of the kernel's ports and of what answers on them. Ports get
// link and DHCP servers answer after a time since the start.
type wire struct {
	start   time.Time
	linkAt  map[string]time.Duration // absent: never
	dhcpAt  map[string]time.Duration
	granted lease
	raised  map[string]bool
	log     []string
}

func mac(n byte) net.HardwareAddr { return net.HardwareAddr{0x52, 0x54, 0, 0, 0, n} }

func (w *wire) passed(at map[string]time.Duration, name string) bool {
	d, ok := at[name]
	return ok && time.Since(w.start) >= d
}

func (w *wire) ports() ([]port, error) {
	var list []port
	for i, name := range []string{"eth0", "eth1", "eth2"} {
		list = append(list, port{name: name, mac: mac(byte(i)), carrier: w.raised[name] && w.passed(w.linkAt, name)})
	}
	return list, nil
}

func (w *wire) up(name string) error { w.raised[name] = true; return nil }

func (w *wire) tag(p port, vlan int) (port, error) {
	return port{name: fmt.Sprintf("%s.%d", p.name, vlan), mac: p.mac, carrier: p.carrier}, nil
}

func (w *wire) request(ctx context.Context, p port) (lease, error) {
	for !w.passed(w.dhcpAt, p.name) {
		if !pause(ctx, time.Second) {
			w.note("no answer on %s", p.name)
			return lease{}, ctx.Err()
		}
	}
	w.note("lease on %s", p.name)
	return w.granted, nil
}

func (w *wire) configure(name string, l lease) error {
	w.note("%s has %s", name, l.address)
	return nil
}
func (w *wire) drop(name string, l lease) error { w.note("%s loses %s", name, l.address); return nil }

func (w *wire) note(format string, args ...any) {
	w.log = append(w.log, fmt.Sprintf("%.0fs ", time.Since(w.start).Seconds())+fmt.Sprintf(format, args...))
}

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }

func TestTheWayToTheServer(t *testing.T) {
	tests := []struct {
		name    string
		link    map[string]time.Duration
		dhcp    map[string]time.Duration
		boot    net.HardwareAddr
		fixed   Fixed
		unreach map[string]bool // ports over which the server does not answer
		want    []string
		on      string
	}{
		{
			name: "the booting port comes first though another has link earlier",
			link: map[string]time.Duration{"eth0": 0, "eth1": seconds(2)}, dhcp: map[string]time.Duration{"eth0": 0, "eth1": 0},
			boot: mac(1), want: []string{"2s lease on eth1", "2s eth1 has 10.0.0.5/24"}, on: "eth1",
		},
		{
			name: "another port serves when the booting one stays without link",
			link: map[string]time.Duration{"eth2": 0}, dhcp: map[string]time.Duration{"eth2": 0},
			boot: mac(1), want: []string{"4s lease on eth2", "4s eth2 has 10.0.0.5/24"}, on: "eth2",
		},
		{
			name: "a port without DHCP is left for the next with link",
			link: map[string]time.Duration{"eth0": 0, "eth2": 0}, dhcp: map[string]time.Duration{"eth2": 0},
			want: []string{"6s no answer on eth0", "6s lease on eth2", "6s eth2 has 10.0.0.5/24"}, on: "eth2",
		},
		{
			name: "an address from a stranger is given back",
			link: map[string]time.Duration{"eth0": 0, "eth1": 0}, dhcp: map[string]time.Duration{"eth0": 0, "eth1": 0},
			unreach: map[string]bool{"eth0": true},
			want:    []string{"0s lease on eth0", "0s eth0 has 10.0.0.5/24", "0s eth0 loses 10.0.0.5/24", "0s lease on eth1", "0s eth1 has 10.0.0.5/24"}, on: "eth1",
		},
		{
			name: "a cable that is plugged in late is found",
			link: map[string]time.Duration{"eth0": seconds(60)}, dhcp: map[string]time.Duration{"eth0": 0},
			want: []string{"60s lease on eth0", "60s eth0 has 10.0.0.5/24"}, on: "eth0",
		},
		{
			name: "a fixed address asks nobody, on the first port that leads to muster",
			link: map[string]time.Duration{"eth0": 0, "eth1": 0}, fixed: Fixed{Address: netip.MustParsePrefix("10.9.0.7/24")},
			unreach: map[string]bool{"eth0": true},
			want:    []string{"0s eth0 has 10.9.0.7/24", "0s eth0 loses 10.9.0.7/24", "0s eth1 has 10.9.0.7/24"}, on: "eth1",
		},
		{
			name: "a port that is named is waited for, and no other is used",
			link: map[string]time.Duration{"eth0": 0, "eth2": seconds(2)}, fixed: Fixed{Address: netip.MustParsePrefix("10.9.0.7/24"), MAC: mac(2)},
			want: []string{"2s eth2 has 10.9.0.7/24"}, on: "eth2",
		},
		{
			name: "a VLAN carries the fixed address",
			link: map[string]time.Duration{"eth0": 0}, fixed: Fixed{Address: netip.MustParsePrefix("10.9.0.7/24"), VLAN: 70},
			want: []string{"0s eth0.70 has 10.9.0.7/24"}, on: "eth0",
		},
		{
			name: "a VLAN without an address asks DHCP on it",
			link: map[string]time.Duration{"eth0": 0}, dhcp: map[string]time.Duration{"eth0.70": 0}, fixed: Fixed{VLAN: 70},
			want: []string{"0s lease on eth0.70", "0s eth0.70 has 10.0.0.5/24"}, on: "eth0",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &wire{start: time.Now(), linkAt: test.link, dhcpAt: test.dhcp, raised: map[string]bool{}}
				w.granted.address = netip.MustParsePrefix("10.0.0.5/24")
				n := &network{links: w, console: NewConsole(&strings.Builder{}), boot: test.boot, fixed: test.fixed, coldplug: func() {}}
				err := n.connect(t.Context(), func(context.Context) error {
					for name := range test.unreach {
						if strings.Contains(w.log[len(w.log)-1], name) {
							return errors.New("no route")
						}
					}
					return nil
				})
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(test.want, w.log); diff != "" {
					t.Errorf("what happened differs (-want +got):\n%s", diff)
				}
				if n.on.name != test.on {
					t.Errorf("on %s, want %s", n.on.name, test.on)
				}
			})
		})
	}
}

func TestPortsGetTheTimeToFindLink(t *testing.T) {
	for name, test := range map[string]struct {
		link map[string]time.Duration
		want time.Duration
	}{
		"all have it":         {map[string]time.Duration{"eth0": 0, "eth1": 0, "eth2": seconds(3)}, seconds(3)},
		"one never finds any": {map[string]time.Duration{"eth0": 0, "eth1": 0}, carrierWait},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := &wire{start: time.Now(), linkAt: test.link, raised: map[string]bool{}}
			n := &network{links: w, console: NewConsole(&strings.Builder{})}
			for range 2 { // the second time costs nothing
				if err := n.settle(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if got := time.Since(w.start); got != test.want {
				t.Errorf("%s: waited %s, want %s", name, got, test.want)
			}
		})
	}
}

func TestTheSearchEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		w := &wire{start: time.Now(), raised: map[string]bool{}}
		var said strings.Builder
		n := &network{links: w, console: NewConsole(&said), coldplug: func() {}}
		if err := n.connect(ctx, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("ended with %v", err)
		}
		const want = "No network port has link: eth0 (52:54:00:00:00:00), eth1 (52:54:00:00:00:01), eth2 (52:54:00:00:00:02). Check the cable"
		if !strings.Contains(said.String(), want) {
			t.Errorf("the console says %q", said.String())
		}
	})
}

func TestTheLeaseIsRenewedWhenDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wire{start: time.Now(), dhcpAt: map[string]time.Duration{"eth0": 0}, raised: map[string]bool{}}
		n := &network{links: w, console: NewConsole(&strings.Builder{}), at: port{name: "eth0"}}
		old := lease{address: netip.MustParsePrefix("10.0.0.5/24"), renew: time.Hour}
		n.hold(old, time.Now())
		w.granted = lease{address: netip.MustParsePrefix("10.0.0.6/24"), renew: time.Hour}
		for range 14 {
			if err := n.keep(t.Context()); err != nil {
				t.Fatal(err)
			}
			pause(t.Context(), 10*time.Minute)
		}
		want := []string{
			"3600s lease on eth0", "3600s eth0 loses 10.0.0.5/24", "3600s eth0 has 10.0.0.6/24",
			"7200s lease on eth0",
		}
		if diff := cmp.Diff(want, w.log); diff != "" {
			t.Errorf("what happened differs (-want +got):\n%s", diff)
		}
	})
}

func TestARenewalThatFailsKeepsTheAddressAndTriesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wire{start: time.Now(), dhcpAt: map[string]time.Duration{"eth0": seconds(100)}, raised: map[string]bool{}}
		n := &network{links: w, console: NewConsole(&strings.Builder{}), at: port{name: "eth0"}}
		n.hold(lease{address: netip.MustParsePrefix("10.0.0.5/24"), renew: time.Second}, time.Now())
		w.granted = lease{address: n.lease.address, renew: time.Hour}
		failed := 0
		for range 20 {
			if n.keep(t.Context()) != nil {
				failed++
			}
			pause(t.Context(), 10*time.Second)
		}
		if failed != 2 || w.log[len(w.log)-1] != "142s lease on eth0" {
			t.Errorf("%d renewals failed: %q", failed, w.log)
		}
	})
}

func TestLeaseIsReadFromTheAnswer(t *testing.T) {
	ack := func(m ...dhcpv4.Modifier) *dhcpv4.DHCPv4 {
		p, err := dhcpv4.New(append([]dhcpv4.Modifier{dhcpv4.WithYourIP(net.IPv4(10, 0, 0, 5))}, m...)...)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	tests := []struct {
		name   string
		answer *dhcpv4.DHCPv4
		want   lease
	}{
		{"address alone", ack(), lease{address: netip.MustParsePrefix("10.0.0.5/8")}},
		{"everything", ack(dhcpv4.WithNetmask(net.CIDRMask(24, 32)), dhcpv4.WithRouter(net.IPv4(10, 0, 0, 1)), dhcpv4.WithLeaseTime(600),
			dhcpv4.WithOption(dhcpv4.OptServerIdentifier(net.IPv4(10, 0, 0, 2)))),
			lease{netip.MustParsePrefix("10.0.0.5/24"), netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2"), 300 * time.Second}},
		{"a lease without end", ack(dhcpv4.WithNetmask(net.CIDRMask(24, 32)), dhcpv4.WithLeaseTime(0xffffffff)),
			lease{address: netip.MustParsePrefix("10.0.0.5/24")}},
	}
	for _, test := range tests {
		got, err := leaseOf(test.answer)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		if got != test.want {
			t.Errorf("%s: got %v, want %v", test.name, got, test.want)
		}
	}
	if _, err := leaseOf(&dhcpv4.DHCPv4{YourIPAddr: net.IPv4zero}); err == nil {
		t.Error("an answer without an address gave a lease")
	}
}

func TestTheConsoleSaysWhatWasTried(t *testing.T) {
	if got := lament(nil, nil); !strings.Contains(got, "driver may be missing") {
		t.Errorf("without ports it says %q", got)
	}
	got := lament([]port{{name: "eth0"}}, []string{"eth0: no DHCP answer in 6s"})
	if want := "No way to muster yet. eth0: no DHCP answer in 6s. Trying again."; got != want {
		t.Errorf("it says %q, want %q", got, want)
	}
}
