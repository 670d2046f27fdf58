package main

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/muster-boot/muster/redfish/discover"
)

func (s *session) bmcCommands() *cobra.Command {
	return group("bmc", "BMCs: find them, and see what they can do; these commands need no server",
		s.bmcDiscover(), s.bmcCheck())
}

func (s *session) bmcDiscover() *cobra.Command {
	var o discover.Options
	cmd := &cobra.Command{
		Use: "discover RANGE...", Short: "Ask addresses for their BMCs", Args: atLeast(1),
		Long: "Ask each of the addresses what BMC is there. Only the Redfish service root is\n" +
			"read, which needs no login: no password is known or tried, nothing is changed.\n" +
			"A RANGE is an address, a range of them or a network, 4096 addresses in all. The\n" +
			"exit code is 1 where none answers.",
		Example: "  muster bmc discover 192.0.2.0/24\n" +
			"  muster bmc discover 192.0.2.10-192.0.2.40 198.51.100.7 -o json",
		RunE: func(cmd *cobra.Command, args []string) error {
			addresses, err := discover.Addresses(args...)
			if err != nil {
				return usageError{err}
			}
			bar := s.newCounter("addresses asked", len(addresses))
			o.Asked = func(done int) { bar.set(int64(done)) }
			found, err := discover.Scan(cmd.Context(), addresses, o)
			bar.done(err)
			if err := errors.Join(s.show(newFoundList(found)), err); err != nil {
				return err
			}
			if len(found) == 0 {
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

// foundBMC is one BMC of muster bmc discover.
type foundBMC struct {
	Address     string `json:"address"`
	Vendor      string `json:"vendor,omitempty"`
	Product     string `json:"product,omitempty"`
	UUID        string `json:"uuid,omitempty"` // of the BMC's service, not of its host
	Redfish     string `json:"redfish,omitempty"`
	Fingerprint string `json:"fingerprint,omitempty"`
	Problem     string `json:"problem,omitempty"`
}

type foundList []foundBMC

func newFoundList(found []discover.Found) foundList {
	list := foundList{}
	for _, f := range found {
		p := f.About.Product
		if p.Vendor == "" {
			p.Vendor = strings.Join(p.OEM, ", ") // who names no vendor names extensions
		}
		list = append(list, foundBMC{f.Address, p.Vendor, p.Name, f.About.UUID, p.Redfish, f.About.Fingerprint, f.Problem})
	}
	return list
}

func (l foundList) table(t *table) {
	if len(l) == 0 {
		return
	}
	t.row("ADDRESS", "VENDOR", "PRODUCT", "REDFISH", "UUID", "CERTIFICATE", "PROBLEM")
	for _, f := range l {
		t.row(f.Address, f.Vendor, f.Product, f.Redfish, f.UUID, short(f.Fingerprint), f.Problem)
	}
}
