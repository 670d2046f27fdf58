package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	v1 "github.com/muster-boot/muster/provisioner/api/v1"
)

func (s *session) bmcAdd() *cobra.Command {
	var b v1.NewBMC
	var passwordFile, newFile string
	cmd := &cobra.Command{
		Use: "add HOST", Short: "Say how a host's BMC is entered", Args: exactly(1),
		Long: "Say how a host's BMC is entered, or correct it. What is left out stays as it is.\n" +
			"The password is read from a file, from standard input where the file is -, or asked\n" +
			"for at a terminal; it is kept sealed and never shown. Where the host's manifest\n" +
			"says something else, the next import of it goes before.",
		Example: "  muster bmc add rack4-u12 --address 192.0.2.10 --user root --password-file bmc.password\n" +
			"  muster bmc add rack4-u13 --mac 52:54:00:12:34:56 --user ADMIN --driver ipmi",
		RunE: func(cmd *cobra.Command, args []string) error {
			if b == (v1.NewBMC{}) && passwordFile+newFile == "" {
				return usage("say what is to be known of the BMC, for example --address: see %s --help", cmd.CommandPath())
			}
			c, err := s.client()
			if err != nil {
				return err
			}
			if b.Password, err = s.password(passwordFile, b.User, args[0]); err != nil {
				return err
			}
			if b.NewPassword, err = s.newPassword(newFile, passwordFile, args[0]); err != nil {
				return err
			}
			h, err := c.AddBMC(cmd.Context(), args[0], b)
			if err != nil {
				return err
			}
			return s.show(bmcCard(bmcRow{Host: h.ID, Name: h.Name, Order: h.Order, BMC: *h.BMC}))
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&b.Address, "address", "", "IP address or name, with :port if it is not the usual one")
	flags.StringVar(&b.MAC, "mac", "", "MAC, where muster's DHCP gives it an address")
	flags.StringVar(&b.User, "user", "", "account")
	flags.StringVar(&passwordFile, "password-file", "", "file with its password; - is standard input")
	flags.StringVar(&newFile, "new-password-file", "", "file with the password to set where the BMC wants it changed first, as new boards do; - is standard input")
	flags.StringVar(&b.Fingerprint, "fingerprint", "", "SHA-256 of the BMC's certificate; without it the first one that is seen is pinned")
	flags.StringVar(&b.System, "system", "", "id of the host's system, where the BMC has several")
	flags.StringVar(&b.Driver, "driver", "", "redfish or ipmi (default redfish)")
	flags.StringVar(&b.Eject, "eject", "", "URL of somebody else's medium in the BMC that muster may take out")
	return s.reading(cmd)
}

// password reads it from where the person said. An account without a file is
// asked for at a terminal; where there is none, its password comes later.
func (s *session) password(file, user, of string) (string, error) {
	const most = 4 << 10 // bytes; no BMC takes a hundredth of it
	var text []byte
	var err error
	switch terminal := s.in != nil && term.IsTerminal(int(s.in.Fd())); {
	case file == "-" && s.in != nil && !terminal:
		text, err = io.ReadAll(io.LimitReader(s.in, most))
	case file != "" && file != "-":
		var content string
		content, err = readFile(file)
		text = []byte(content)
	case terminal && (user != "" || file == "-"):
		fmt.Fprintf(s.err, "Password of %s at the BMC of %s: ", cmp.Or(user, "the account"), of)
		text, err = term.ReadPassword(int(s.in.Fd()))
		fmt.Fprintln(s.err)
	case file == "":
		return "", nil
	}
	if err != nil {
		return "", err
	}
	password := strings.TrimRight(string(text), "\r\n")
	if password == "" {
		return "", usage("no password came: write it into the file, or type it")
	}
	return password, nil
}

// newPassword reads the one to set.
func (s *session) newPassword(file, old, of string) (string, error) {
	switch file {
	case "":
		return "", nil
	case old:
		return "", usage("the new password stands in the file of the old one: give it a file of its own")
	}
	return s.password(file, "the account from now on", of)
}

func (s *session) bmcList() *cobra.Command {
	var order string
	cmd := &cobra.Command{
		Use: "list", Short: "List hosts' BMCs, and what each can do", Args: exactly(0),
		Long: "List hosts' BMCs as they were last seen, what each can do, and what not.",
		Example: "  muster bmc list --order plant7\n" +
			"  muster bmc list -o json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := s.client()
			if err != nil {
				return err
			}
			hosts, err := c.Hosts(cmd.Context(), order, "")
			if err != nil {
				return err
			}
			list := bmcList{}
			for _, h := range hosts {
				if h.BMC != nil {
					list = append(list, bmcRow{Host: h.ID, Name: h.Name, Order: h.Order, BMC: *h.BMC})
				}
			}
			return s.show(list)
		},
	}
	cmd.Flags().StringVar(&order, "order", "", "only of hosts of this order")
	return s.reading(cmd)
}

// bmcRow is a host's BMC.
type bmcRow struct {
	Host  string `json:"host"` // id
	Name  string `json:"name"`
	Order string `json:"order"`
	v1.BMC
}

type bmcList []bmcRow

func (l bmcList) table(t *table) {
	t.row("HOST", "ADDRESS", "DRIVER", "POWER", "QUIRKS", "CAN", "CANNOT")
	for _, b := range l {
		t.row(cmp.Or(b.Name, b.Host), cmp.Or(b.Address, b.MAC), b.Driver, b.Power, b.Quirks,
			strings.Join(b.Abilities, ", "), cmp.Or(b.Missing, strings.Join(b.Cannot, "; ")))
	}
}

type bmcCard bmcRow

func (b bmcCard) table(t *table) {
	t.row("host", cmp.Or(b.Name, b.Host))
	controllerRows(t, b.BMC)
	if e := b.Errand; e != nil && e.Problem != "" {
		t.line("To have it tried again: muster host retry " + cmp.Or(b.Name, b.Host))
	}
}

// controllerRows say all that is known of a host's BMC.
func controllerRows(t *table, b v1.BMC) {
	t.row("bmc", strings.Join(slices.DeleteFunc([]string{b.Driver, b.Address, b.MAC, b.User, b.System}, isEmpty), " "))
	if b.Missing != "" {
		t.row("bmc lacks", b.Missing)
	}
	if text := map[string]string{
		v1.RenewalReady: "a new one is set where the BMC demands it", v1.RenewalDone: "the BMC has the new one",
	}[b.Renewal]; text != "" {
		t.row("password", text)
	}
	if b.Eject != "" {
		t.row("may eject", b.Eject)
	}
	if b.Fingerprint != "" {
		t.row("certificate", b.Fingerprint)
	}
	if b.Seen != nil {
		t.row("bmc is", strings.Join(slices.DeleteFunc([]string{b.Vendor, b.Model, b.Firmware}, isEmpty), " ")+", seen "+t.age(*b.Seen)+" ago")
		t.row("power", b.Power)
		t.row("quirks", b.Quirks)
		t.row("can", strings.Join(b.Abilities, ", "))
	}
	for _, sentence := range b.Cannot {
		t.row("cannot", sentence)
	}
	if e := b.Errand; e != nil {
		t.row("errand", strings.TrimSpace(e.Do+" "+stateOf(*e)))
	}
}

func isEmpty(text string) bool { return text == "" }

// stateOf is how far an errand is.
func stateOf(e v1.Errand) string {
	switch {
	case e.Done != nil:
		return "done"
	case e.Problem != "":
		return fmt.Sprintf("tried %d times: %s", e.Tries, e.Problem)
	}
	return e.Doing
}
