package main

import (
	"cmp"
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/muster-boot/muster/provisioner/api/client"
	v1 "github.com/muster-boot/muster/provisioner/api/v1"
	"github.com/muster-boot/muster/redfish/discover"
)

func (s *session) bmcCommands() *cobra.Command {
	return group("bmc", "BMCs: find them, say how they are entered, and see what they can do",
		s.bmcDiscover(), s.bmcCheck(), s.bmcAdd(), s.bmcList())
}

func (s *session) bmcDiscover() *cobra.Command {
	var o discover.Options
	cmd := &cobra.Command{
		Use: "discover [RANGE...]", Short: "Find BMCs: those of a range, those that are listed, those that asked DHCP",
		Long: "Ask addresses what BMC is there. Only the Redfish service root is read, which\n" +
			"needs no login: no password is known or tried, nothing is changed. Asked are the\n" +
			"addresses of each RANGE (an address, a range of them or a network, 4096 in all)\n" +
			"and, without a RANGE, the BMCs that the server knows: those that hosts list, and\n" +
			"those that asked for an address and that no host lists. One that does not name its\n" +
			"vendor is \"perhaps\" of the one that its DHCP request or its MAC names (the list\n" +
			"of makers is in Debian's package ieee-data). The exit code is 1 where there is none.",
		Example: "  muster bmc discover 192.0.2.0/24\n" +
			"  muster bmc discover 192.0.2.10-192.0.2.40 198.51.100.7 -o json\n" +
			"  muster bmc discover",
		RunE: func(cmd *cobra.Command, args []string) error {
			addresses, err := discover.Addresses(args...)
			if err != nil {
				return usageError{err}
			}
			known, err := s.knownBMCs(cmd.Context(), len(args) > 0)
			if err != nil {
				return err
			}
			if len(args) == 0 {
				addresses = addressesOf(known)
			}
			bar := s.newCounter("addresses asked", len(addresses))
			o.Asked = func(done int) { bar.set(int64(done)) }
			found, err := discover.Scan(cmd.Context(), addresses, o)
			bar.done(err)
			list := newFoundList(found, known, readHints(), len(args) == 0)
			if err := errors.Join(s.show(list), err); err != nil {
				return err
			}
			if len(list) == 0 {
				s.say("muster: no BMC answers at %d addresses: look at their network, and that Redfish is switched on", len(addresses))
				return errNo
			}
			return nil
		},
	}
	cmd.Flags().IntVar(&o.Port, "port", 0, "port of the Redfish services (default 443)")
	cmd.Flags().DurationVar(&o.Timeout, "timeout", 0, "how long one address is waited for (default 5s)")
	return s.reading(cmd)
}

// knownBMCs are those that the server knows. Where a person named a range, there
// may be no server.
func (s *session) knownBMCs(ctx context.Context, optional bool) ([]v1.FoundBMC, error) {
	c, err := s.client()
	if err != nil {
		return nil, err
	}
	known, err := c.BMCs(ctx)
	if _, away := errors.AsType[*client.Unreachable](err); away && optional {
		return nil, nil
	}
	return known, err
}

// addressesOf are the addresses at which BMCs can be asked; a name or a port of
// their own, which a scan does not take, is left to bmc check.
func addressesOf(known []v1.FoundBMC) []netip.Addr {
	var list []netip.Addr
	for _, b := range known {
		if a, err := netip.ParseAddr(b.Address); err == nil && !slices.Contains(list, a) {
			list = append(list, a)
		}
	}
	slices.SortFunc(list, netip.Addr.Compare)
	return list
}

// foundBMC is one BMC of muster bmc discover.
type foundBMC struct {
	Address     string `json:"address,omitempty"` // empty: it has none so far
	MAC         string `json:"mac,omitempty"`
	Host        string `json:"host,omitempty"` // name or id of the host that lists it
	Source      string `json:"source"`         // range, listed or dhcp
	Answers     bool   `json:"answers"`        // as a BMC does
	Vendor      string `json:"vendor,omitempty"`
	Perhaps     string `json:"perhaps,omitempty"` // vendor by DHCP or MAC, where it names none itself
	Product     string `json:"product,omitempty"`
	UUID        string `json:"uuid,omitempty"` // of the BMC's service, not of its host
	Redfish     string `json:"redfish,omitempty"`
	Fingerprint string `json:"fingerprint,omitempty"`
	Problem     string `json:"problem,omitempty"`
}

type foundList []foundBMC

// newFoundList joins what answered with what the server knows; of that, all is
// shown where all was asked for, and else only what answered.
func newFoundList(found []discover.Found, known []v1.FoundBMC, hint hints, all bool) foundList {
	list := foundList{}
	for _, f := range found {
		p := f.About.Product
		if p.Vendor == "" {
			p.Vendor = strings.Join(p.OEM, ", ") // who names no vendor names extensions
		}
		b := foundBMC{
			Address: f.Address, Source: "range", Answers: true, Vendor: p.Vendor, Product: p.Name, MAC: hint.mac(f.Address),
			UUID: f.About.UUID, Redfish: p.Redfish, Fingerprint: f.About.Fingerprint, Problem: f.Problem,
		}
		var as v1.FoundBMC // as the server knows it
		for _, k := range known {
			if k.Address != "" && hostOf(k.Address) == hostOf(f.Address) {
				as, b.MAC, b.Host, b.Source = k, cmp.Or(k.MAC, b.MAC), cmp.Or(k.Name, k.Host), k.Source
			}
		}
		if b.Vendor == "" {
			b.Perhaps = hint.vendor(b.MAC, as)
		}
		list = append(list, b)
	}
	for _, k := range known {
		silent := !slices.ContainsFunc(list, func(b foundBMC) bool { return b.Answers && hostOf(b.Address) == hostOf(k.Address) })
		if all && silent {
			b := foundBMC{
				Address: k.Address, MAC: cmp.Or(k.MAC, hint.mac(k.Address)), Host: cmp.Or(k.Name, k.Host), Source: k.Source,
				Vendor: k.Vendor, Product: k.Kind, Problem: silence(k),
			}
			if b.Vendor == "" {
				b.Perhaps = hint.vendor(b.MAC, k)
			}
			list = append(list, b)
		}
	}
	return list
}

// hostOf is an address without its port.
func hostOf(address string) string {
	if a, err := netip.ParseAddrPort(address); err == nil {
		return a.Addr().String()
	}
	return address
}

// silence is why a BMC that is known did not answer.
func silence(k v1.FoundBMC) string {
	switch _, err := netip.ParseAddr(k.Address); {
	case k.Address == "" && k.Source == v1.FoundByDHCP:
		return "it asked DHCP and was given no address: no host lists it"
	case k.Address == "":
		return "it has no address so far"
	case err != nil:
		return "not asked here: run muster bmc check " + cmp.Or(k.Name, k.Host)
	}
	return "it does not answer Redfish"
}

func (l foundList) table(t *table) {
	if len(l) == 0 {
		return
	}
	t.row("ADDRESS", "HOST", "FROM", "VENDOR", "PRODUCT", "REDFISH", "UUID", "MAC", "CERTIFICATE", "PROBLEM")
	for _, f := range l {
		vendor := f.Vendor
		if f.Perhaps != "" {
			vendor = "perhaps " + f.Perhaps
		}
		t.row(f.Address, f.Host, f.Source, vendor, f.Product, f.Redfish, f.UUID, f.MAC, short(f.Fingerprint), f.Problem)
	}
}
