package manifest

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/muster-boot/muster/inventory"
	"github.com/muster-boot/muster/inventory/strictyaml"
)

// BMC is how the BMC of a row's host is entered: its columns, completed with
// what the order says for all.
type BMC struct {
	Address     string `json:"address,omitempty"`     // IP address or name, with a port if not the usual one; "http://..." where somebody wants clear text
	MAC         string `json:"mac,omitempty"`         // lower case with colons
	User        string `json:"user,omitempty"`        // empty: nobody has said
	Password    Secret `json:"-"`                     // empty: nobody has said; never without a user
	NewPassword Secret `json:"-"`                     // for a BMC that wants another one first, as new boards do; empty: none
	Fingerprint string `json:"fingerprint,omitempty"` // SHA-256 of its certificate, 64 small hexadecimal digits
	System      string `json:"system,omitempty"`      // where one BMC has several
	Driver      Driver `json:"driver,omitempty"`      // empty: [Redfish]
}

// Listed reports whether the row names a BMC at all.
func (b BMC) Listed() bool { return b.Address != "" || b.MAC != "" }

// Driver is how a BMC is spoken to.
type Driver string

// The drivers.
const (
	Redfish Driver = "redfish"
	IPMI    Driver = "ipmi"
)

func (d Driver) fault() string {
	switch d {
	case "", Redfish, IPMI:
		return ""
	}
	return fmt.Sprintf("%q is neither redfish nor ipmi", string(d))
}

// Secret is a password that a person wrote down. It prints as what it is not.
type Secret string

// String implements [fmt.Stringer] and gives nothing away.
func (Secret) String() string { return "[redacted]" }

// GoString implements [fmt.GoStringer] and gives nothing away.
func (Secret) GoString() string { return "[redacted]" }

// UnmarshalYAML takes text and nothing that YAML reads as more than text.
func (s *Secret) UnmarshalYAML(n ast.Node) error {
	var text strictyaml.Verbatim
	err := text.UnmarshalYAML(n)
	*s = Secret(text)
	return err
}

// BMCDefaults are an order's words for all BMCs of its manifest.
type BMCDefaults struct {
	User         string `json:"user,omitempty" yaml:"user"`
	Password     Secret `json:"-" yaml:"password"`
	PasswordFile string `json:"password_file,omitempty" yaml:"password_file"` // its caller reads it into Password
	NewPassword  Secret `json:"-" yaml:"new_password"`
	Fingerprint  string `json:"fingerprint,omitempty" yaml:"fingerprint"`
	Driver       Driver `json:"driver,omitempty" yaml:"driver"`
	// NewPasswordFile is read into NewPassword by its caller.
	NewPasswordFile string `json:"new_password_file,omitempty" yaml:"new_password_file"`
}

// fault is the first key whose value is wrong, and why. It quotes no password.
func (b BMCDefaults) fault() (key, text string) {
	switch {
	case b.Password != "" && b.PasswordFile != "":
		return "bmc.password_file", "password stands there too: keep one of them"
	case b.NewPassword != "" && b.NewPasswordFile != "":
		return "bmc.new_password_file", "new_password stands there too: keep one of them"
	case b.User == "" && (b.Password+b.NewPassword != "" || b.PasswordFile+b.NewPasswordFile != ""):
		return "bmc.user", "name the account that the password is for"
	case b.Driver.fault() != "":
		return "bmc.driver", b.Driver.fault()
	case badPassword(b.Driver, b.Password) != "":
		return "bmc.password", badPassword(b.Driver, b.Password)
	case badPassword(b.Driver, b.NewPassword) != "":
		return "bmc.new_password", badPassword(b.Driver, b.NewPassword)
	}
	if _, ok := normalFingerprint(b.Fingerprint); !ok && b.Fingerprint != "" {
		return "bmc.fingerprint", fmt.Sprintf(noFingerprint, b.Fingerprint)
	}
	return "", ""
}

// Give takes what is in the password file that the order names.
func (b *BMCDefaults) Give(content string) error { return b.read(&b.Password, content) }

// GiveNew takes what is in the file of the new password that the order names.
func (b *BMCDefaults) GiveNew(content string) error { return b.read(&b.NewPassword, content) }

func (b *BMCDefaults) read(to *Secret, content string) error {
	*to = Secret(strings.TrimRight(content, "\r\n"))
	if *to == "" {
		return errors.New("nothing is in that file; write the password into it")
	}
	if text := badPassword(b.Driver, *to); text != "" {
		return errors.New(text)
	}
	return nil
}

const noFingerprint = "%q is no fingerprint; write the SHA-256 of the BMC's certificate, 64 hexadecimal digits"

// ParseBMC brings what a person said of one BMC, elsewhere than in a manifest,
// into the same form. The error names the field and quotes no password.
func ParseBMC(said BMC) (BMC, error) {
	b := BMC{Password: said.Password, NewPassword: said.NewPassword} // they came from no sheet that may have rounded them
	for _, cell := range []struct {
		name, text string
		field
	}{
		{"address", said.Address, bmcAddress}, {"mac", said.MAC, bmcMAC}, {"user", said.User, bmcUser},
		{"fingerprint", said.Fingerprint, bmcFingerprint}, {"system", said.System, bmcSystem}, {"driver", string(said.Driver), bmcDriver},
	} {
		if cell.text == "" {
			continue
		}
		if wrong := b.take(cell.field, cell.text); wrong != "" {
			return BMC{}, fmt.Errorf("%s: %s", cell.name, wrong)
		}
	}
	return b, nil
}

// Fault says in a sentence what is wrong with a BMC's words as a whole; empty
// where they fit together.
func (b BMC) Fault() string {
	for _, f := range b.faults(false) {
		return f.text
	}
	return ""
}

// take puts one cell into its place.
func (b *BMC) take(f field, cell string) (wrong string) {
	ok := true
	switch f {
	case bmcAddress:
		if b.Address, ok = normalController(cell); !ok {
			return fmt.Sprintf("%q is not the address of a BMC; write an IP address or a name, with :port if it is not the usual one", cell)
		}
	case bmcMAC:
		if b.MAC, ok = inventory.NormalMAC(cell); !ok {
			return fmt.Sprintf("%q is not the MAC address of a network port; write it like 52:54:00:12:34:56", cell)
		}
	case bmcUser:
		b.User = cell
	case bmcPassword, bmcNewPassword:
		if *b.secret(f) = Secret(cell); rewritten(cell) {
			return "a spreadsheet has taken this password for a number and rounded it; format the column as text and enter it again"
		}
	case bmcFingerprint:
		if b.Fingerprint, ok = normalFingerprint(cell); !ok {
			return fmt.Sprintf(noFingerprint, cell)
		}
	case bmcSystem:
		b.System = cell
	case bmcDriver:
		b.Driver = Driver(strings.ToLower(cell))
		return b.Driver.fault()
	}
	return ""
}

// secret is where the password of a column stands.
func (b *BMC) secret(f field) *Secret {
	if f == bmcNewPassword {
		return &b.NewPassword
	}
	return &b.Password
}

// completeBMC adds what the order says for all BMCs. The order's passwords are
// for the order's user alone: at another account they would be guesses, and
// guesses lock accounts.
func (d *draft) completeBMC(order Defaults) []fault {
	b, all := &d.BMC, order.BMC
	switch {
	case *b == BMC{}:
		return nil
	case !b.Listed():
		return []fault{{bmcAddress, "the row says how its BMC is entered, but not where it is; give its address or its MAC"}}
	}
	set(&b.Driver, orElse(b.Driver, all.Driver))
	set(&b.User, orElse(b.User, all.User))
	if b.User == all.User {
		b.Password = orElse(b.Password, all.Password)
	}
	if b.User == all.User && b.Driver != IPMI {
		b.NewPassword = orElse(b.NewPassword, all.NewPassword)
	}
	if own, _ := normalFingerprint(all.Fingerprint); b.Fingerprint == "" && b.Driver != IPMI {
		b.Fingerprint = own
	}
	return b.faults(order.Unread)
}

// faults are what does not fit together; a user that nobody has read so far is
// not missed.
func (b BMC) faults(unread bool) []fault {
	return slices.DeleteFunc([]fault{
		{bmcPassword, b.nameless(unread)},
		{bmcUser, badUser(b.Driver, b.User)},
		{bmcPassword, badPassword(b.Driver, b.Password)},
		{bmcNewPassword, badPassword(b.Driver, b.NewPassword)},
		{bmcNewPassword, onlyRedfish(b.Driver, string(b.NewPassword), "demands no new password")},
		{bmcFingerprint, onlyRedfish(b.Driver, b.Fingerprint, "shows no certificate")},
		{bmcSystem, onlyRedfish(b.Driver, b.System, "knows no systems")},
	}, func(f fault) bool { return f.text == "" })
}

// nameless is what is wrong where a password has no account.
func (b BMC) nameless(unread bool) string {
	if b.Password+b.NewPassword == "" || b.User != "" || unread {
		return ""
	}
	return "a password stands here and no user; give a column bmc_user, or bmc: {user: ...} in the order"
}

func onlyRedfish(d Driver, value, why string) string {
	if d != IPMI || value == "" {
		return ""
	}
	return "a BMC with driver ipmi " + why + "; leave this cell empty"
}

func badUser(d Driver, user string) string {
	const most = 16 // bytes: IPMI 2.0 §22.28
	if d != IPMI || len(user) <= most {
		return ""
	}
	return fmt.Sprintf("%q is too long for IPMI, which takes %d bytes", user, most)
}

// badPassword says why no BMC takes it, and does not quote it.
func badPassword(d Driver, p Secret) string {
	const ipmiMost, most = 20, 256 // IPMI 2.0 §22.30; no BMC is known to take more than 40
	switch {
	case strings.ContainsFunc(string(p), func(c rune) bool { return c < ' ' || c == 0x7f }):
		return "the password holds a line end or another control character; look for a missing quote"
	case d == IPMI && len(p) > ipmiMost:
		return fmt.Sprintf("the password has %d bytes; IPMI takes at most %d", len(p), ipmiMost)
	case len(p) > most:
		return fmt.Sprintf("the password has %d bytes; at most %d are taken", len(p), most)
	}
	return ""
}

// normalController brings the address of a BMC into one form: what people copy
// from a browser becomes an address or a name in small letters.
func normalController(cell string) (string, bool) {
	rest := strings.ToLower(strings.TrimRight(cell, "/"))
	plain := strings.HasPrefix(rest, "http://")
	rest = strings.TrimPrefix(strings.TrimPrefix(rest, "http://"), "https://")
	host, port := rest, ""
	if h, p, err := net.SplitHostPort(rest); err == nil {
		host, port = h, p
	}
	host, ok := normalHost(strings.Trim(host, "[]"))
	if number, err := strconv.ParseUint(port, 10, 16); !ok || port != "" && (err != nil || number == 0) {
		return "", false
	}
	switch {
	case port != "":
		host = net.JoinHostPort(host, port)
	case plain && strings.Contains(host, ":"):
		host = "[" + host + "]"
	}
	if plain {
		host = "http://" + host
	}
	return host, true
}

// normalHost takes an address that a BMC may have, or a name (RFC 1123 §2.1).
func normalHost(text string) (string, bool) {
	if a, err := netip.ParseAddr(text); err == nil {
		a = a.Unmap()
		return a.String(), !a.IsUnspecified() && !a.IsMulticast() && a.Zone() == ""
	}
	labels := strings.Split(text, ".")
	last := labels[len(labels)-1]
	if strings.Trim(last, "0123456789") == "" { // 10.0.0.300 is a mistake, not a name
		return "", false
	}
	return text, len(text) <= 253 && !slices.ContainsFunc(labels, func(l string) bool { return !labelled(l) })
}

// host is a BMC's address without scheme and port.
func (b BMC) host() string {
	rest := strings.TrimPrefix(b.Address, "http://")
	if h, _, err := net.SplitHostPort(rest); err == nil {
		return h
	}
	return strings.Trim(rest, "[]")
}

// normalFingerprint takes a SHA-256 as browsers and openssl print it.
func normalFingerprint(text string) (string, bool) {
	digits := strings.ToLower(strings.NewReplacer(":", "", " ", "").Replace(text))
	digits = strings.TrimPrefix(strings.TrimPrefix(digits, "sha256fingerprint="), "sha256")
	b, err := hex.DecodeString(digits)
	const size = 32 // bytes of a SHA-256
	return digits, err == nil && len(b) == size
}

func orElse[T ~string](value, other T) T {
	if value != "" {
		return value
	}
	return other
}
