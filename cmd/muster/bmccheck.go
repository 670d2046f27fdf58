package main

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/bmc"
)

func (s *session) bmcCheck() *cobra.Command {
	var words provisioner.Controller
	var passwordFile string
	cmd := &cobra.Command{
		Use: "check HOST | ADDRESS --user U --password-file F", Short: "Say what a BMC can do for its host", Args: exactly(1),
		Long: "Log in to a BMC, read what it is and what it can do for its host, and log out.\n" +
			"Nothing is changed. The password is tried once. The BMC of a HOST is asked by the\n" +
			"server, which knows its password; a BMC at an ADDRESS is asked from here, with the\n" +
			"account that is given. The exit code is 1 where the BMC refuses, or can start its\n" +
			"host in no way; 3 where no server answers, or no BMC at an address.",
		Example: "  muster bmc check rack4-u12\n" +
			"  muster bmc check 192.0.2.10 --user root --password-file bmc.password\n" +
			"  muster bmc check 192.0.2.11 --user ADMIN --password-file bmc.password --driver ipmi -o json",
		RunE: func(cmd *cobra.Command, args []string) error {
			words.Address = args[0]
			ask := func() (bmc.Checked, error) { return s.checkAt(cmd.Context(), words, passwordFile) }
			if !slices.ContainsFunc([]string{"user", "password-file", "fingerprint", "system", "driver"}, cmd.Flags().Changed) {
				ask = func() (bmc.Checked, error) { return s.checkHost(cmd.Context(), args[0]) }
			} else if words.User == "" || passwordFile == "" {
				return usage("name the user and a file with the password: %s", cmd.UseLine())
			}
			checked, err := ask()
			if err != nil {
				return err
			}
			if err := s.show(checkCard(checked)); err != nil {
				return err
			}
			if !checked.Boots() {
				return errors.New("this BMC can start its host in no way: set the boot order in the firmware, or start the host by hand")
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&words.User, "user", "", "account of the BMC")
	cmd.Flags().StringVar(&passwordFile, "password-file", "", "file with its password")
	cmd.Flags().StringVar(&words.Fingerprint, "fingerprint", "", "SHA-256 of the BMC's certificate; without it the one that is seen is taken")
	cmd.Flags().StringVar(&words.System, "system", "", "id of the host's system, where the BMC has several")
	cmd.Flags().StringVar(&words.Driver, "driver", "", "redfish or ipmi (default redfish)")
	return s.reading(cmd)
}

// checkAt asks the BMC at an address from here.
func (s *session) checkAt(ctx context.Context, words provisioner.Controller, passwordFile string) (bmc.Checked, error) {
	if !slices.Contains([]string{"", bmc.Redfish, bmc.IPMI}, words.Driver) {
		return bmc.Checked{}, usage("there is no driver %q: write %s or %s", words.Driver, bmc.Redfish, bmc.IPMI)
	}
	password, err := s.password(passwordFile, words.User, words.Address)
	if err != nil {
		return bmc.Checked{}, err
	}
	words.Password = []byte(password)
	c := bmc.New(bmc.Options{Secrets: typed{}, Waiting: func(reason string) { s.say("waiting: %s", reason) }})
	return c.Check(ctx, provisioner.Host{Intent: provisioner.Intent{BMC: &words}})
}

// checkHost has the server ask the BMC of a host.
func (s *session) checkHost(ctx context.Context, ref string) (bmc.Checked, error) {
	c, err := s.client()
	if err != nil {
		return bmc.Checked{}, err
	}
	seen, err := c.CheckBMC(ctx, ref)
	if err != nil {
		return bmc.Checked{}, err
	}
	checked := bmc.Checked{
		Address: seen.Address, Driver: seen.Driver, Vendor: seen.Vendor, Model: seen.Model, Firmware: seen.Firmware,
		Redfish: seen.Redfish, Host: seen.Host, Power: seen.Power, Fingerprint: seen.Fingerprint,
		Quirks: seen.Quirks, Why: seen.Why, Proof: seen.Proof, Cannot: seen.Cannot,
	}
	for _, a := range seen.Answers {
		checked.Answers = append(checked.Answers, bmc.Answer{About: bmc.Question(a.About), Says: bmc.Says(a.Says), Seen: a.Seen})
	}
	return checked, nil
}

// typed are secrets that a person gave just now: nothing is sealed.
type typed struct{}

func (typed) Open(password []byte, _ string) ([]byte, error) { return password, nil }

type checkCard bmc.Checked

func (c checkCard) table(t *table) {
	t.row("address", c.Address)
	t.row("BMC", strings.Join(slices.DeleteFunc([]string{c.Vendor, c.Model, c.Firmware}, func(s string) bool { return s == "" }), " "))
	t.row("host", c.Host)
	t.row("power", c.Power)
	t.row("driver", strings.TrimSpace(c.Driver+" "+c.Redfish))
	t.row("certificate", c.Fingerprint)
	t.row("quirks", c.Why)
	t.row("tried on", c.Proof)
	t.line("")
	t.row("QUESTION", "ANSWER", "SEEN")
	for _, a := range c.Answers {
		t.row(a.About, a.Says, a.Seen)
	}
	for _, sentence := range c.Cannot {
		t.line("cannot: " + sentence)
	}
}
