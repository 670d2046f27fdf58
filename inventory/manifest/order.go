// Package manifest reads what was bought: an order in YAML and its list of
// expected hosts in CSV, and recognises a host that shows itself among them.
//
// It is tolerant of what spreadsheets do to a file and intolerant of what
// would be guessed: a file with one wrong cell is refused whole, with every
// wrong cell named, and a host whose keys point to two rows is a conflict. It
// keeps nothing and knows no profile or image; whether those that an order
// names exist is for its caller. Start at [ParseOrder], [ReadCSV] and [Match].
package manifest

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/muster-boot/muster/inventory/strictyaml"
)

// Order is one batch for one purpose, as a person wrote it.
type Order struct {
	Name    string         `json:"name" yaml:"name"`
	Profile string         `json:"profile" yaml:"profile"`         // name of a profile
	Image   string         `json:"image,omitempty" yaml:"image"`   // name or digest of an image; empty: verify only
	Handoff Handoff        `json:"handoff" yaml:"handoff"`         // wanted where there is an image
	Ship    bool           `json:"ship,omitempty" yaml:"ship"`     // hosts end switched off and register at their final site
	Erase   Erase          `json:"erase,omitempty" yaml:"erase"`   // empty is [Never]
	After   After          `json:"after,omitempty" yaml:"after"`   // empty: muster chooses by host
	Config  map[string]any `json:"config,omitempty" yaml:"config"` // merged into each host's configuration

	Template  string    `json:"template,omitempty" yaml:"template"`   // of each host's configuration, in its installer's own format
	Secrets   Secrets   `json:"-" yaml:"secrets"`                     // what the template says and nobody else may read
	Transport Transport `json:"transport,omitempty" yaml:"transport"` // empty: muster chooses by image

	BMC     BMCDefaults     `json:"bmc,omitzero" yaml:"bmc"`         // for all rows that list a BMC
	Network NetworkDefaults `json:"network,omitzero" yaml:"network"` // for all rows that list an address

	// Lines are those of the file on which the values of its keys begin, from 1;
	// a key that is not there has none.
	Lines map[string]int `json:"-" yaml:"-"`
}

// Secrets are texts by name. They print as what they are not.
type Secrets map[string]strictyaml.Verbatim

// String implements [fmt.Stringer] and gives nothing away.
func (Secrets) String() string { return "[redacted]" }

// GoString implements [fmt.GoStringer] and gives nothing away.
func (Secrets) GoString() string { return "[redacted]" }

// Transport is how the image reaches a host.
type Transport string

// The transports.
const (
	Netboot  Transport = "netboot"   // the installer's kernel, from the network
	Media    Transport = "media"     // the host's own ISO, in a drive
	UEFIHTTP Transport = "uefi-http" // the host's own ISO, fetched by its firmware
	Write    Transport = "write"     // a disk image that the scout writes
)

// Handoff names the driver that takes the installed host to registered. What
// stands beside the name is the driver's own, which alone knows what it means.
type Handoff struct {
	Driver  string         `json:"driver"`
	Options map[string]any `json:"options,omitempty"`
}

// UnmarshalYAML implements the YAML library's InterfaceUnmarshaler.
func (h *Handoff) UnmarshalYAML(decode func(any) error) error {
	var keys map[string]any
	if err := decode(&keys); err != nil {
		return err
	}
	if name, given := keys["driver"]; given {
		driver, ok := name.(string)
		if !ok {
			return fmt.Errorf("handoff.driver: the name of a driver is wanted here, not %v", name)
		}
		h.Driver = driver
		delete(keys, "driver")
	}
	if len(keys) > 0 {
		h.Options = keys
	}
	return nil
}

// Erase says whether foreign data on the disk to be written may be destroyed.
type Erase string

// What may be erased.
const (
	Never   Erase = "never"
	Allowed Erase = "allowed"
)

// After is what the installer does when it is done.
type After string

// The ends of an installation.
const (
	Reboot   After = "reboot"
	PowerOff After = "poweroff"
)

// Overrides are the columns of a row that take the place of what the order
// says; an empty one leaves the order's.
type Overrides struct {
	Profile     string `json:"profile,omitempty"`
	Image       string `json:"image,omitempty"`
	Handoff     string `json:"handoff,omitempty"` // driver
	Erase       Erase  `json:"erase,omitempty"`
	After       After  `json:"after,omitempty"`
	InstallDisk string `json:"install_disk,omitempty"` // name under /dev/disk/by-id; the profile's otherwise

	Transport Transport `json:"transport,omitempty"`
}

// ParseOrder reads an order. Keys are strict; the error names line and column
// of the first thing that is wrong.
func ParseOrder(data []byte) (Order, error) {
	var o Order
	doc, err := strictyaml.Decode(data, &o)
	if err != nil {
		return Order{}, fmt.Errorf("read order: %w", err)
	}
	if key, text := o.fault(); text != "" {
		return Order{}, fmt.Errorf("read order: %w", doc.Errorf(key, "%s", text))
	}
	o.Lines = map[string]int{}
	for _, key := range []string{"image", "handoff", "ship", "config", "template", "transport", "bmc"} {
		if place := doc.Errorf(key, ""); place.Line > 0 {
			o.Lines[key] = place.Line
		}
	}
	if o.Erase == "" {
		o.Erase = Never
	}
	return o, nil
}

// fault is the first key whose value is wrong, and why.
func (o Order) fault() (key, text string) {
	switch {
	case !labelled(o.Name):
		return "name", "give the order a name of 1 to 63 small letters, digits and hyphens"
	case o.Profile == "":
		return "profile", "name the profile that the hosts are compared with, for example edge-minimum"
	case o.Image != "" && o.Handoff.Driver == "":
		return "handoff.driver", "say how an installed host becomes registered, for example handoff: {driver: callhome}"
	}
	if text := o.Erase.fault(); text != "" {
		return "erase", text
	}
	if text := o.After.fault(); text != "" {
		return "after", text
	}
	if text := o.Transport.fault(); text != "" {
		return "transport", text
	}
	if len(o.Template) > maxTemplate {
		return "template", fmt.Sprintf("%d bytes are too many: a template has at most %d", len(o.Template), maxTemplate)
	}
	if key, text := o.BMC.fault(); text != "" {
		return key, text
	}
	if key, text := o.Network.fault(); text != "" {
		return key, text
	}
	return o.Secrets.fault()
}

// Defaults are what the order says for all rows of its manifest.
func (o Order) Defaults() Defaults { return Defaults{BMC: o.BMC, Network: o.Network} }

// Bounds of what an order adds to the configuration of its hosts.
const (
	maxTemplate = 64 << 10 // bytes
	maxSecrets  = 64
	maxSecret   = 16 << 10 // bytes
)

// fault never quotes a value.
func (s Secrets) fault() (key, text string) {
	if len(s) > maxSecrets {
		return "secrets", fmt.Sprintf("%d secrets are too many: give at most %d", len(s), maxSecrets)
	}
	for _, name := range slices.Sorted(maps.Keys(s)) {
		switch {
		case !identifier(name):
			return "secrets", fmt.Sprintf("%q cannot be the name of a secret; use letters, digits and _, and no digit first", name)
		case s[name] == "" || len(s[name]) > maxSecret || strings.ContainsRune(string(s[name]), 0):
			return "secrets." + name, fmt.Sprintf("a secret is a text of 1 to %d bytes", maxSecret)
		}
	}
	return "", ""
}

// identifier reports whether a template can name it behind a dot.
func identifier(name string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"
	return name != "" && len(name) <= 63 && strings.Trim(name, letters+"0123456789") == "" && strings.ContainsRune(letters, rune(name[0]))
}

func (t Transport) fault() string {
	switch t {
	case "", Netboot, Media, UEFIHTTP, Write:
		return ""
	}
	return fmt.Sprintf("%q is none of netboot, media, uefi-http, write", string(t))
}

func (e Erase) fault() string {
	switch e {
	case "", Never, Allowed:
		return ""
	}
	return fmt.Sprintf("%q is neither never nor allowed", string(e))
}

func (a After) fault() string {
	switch a {
	case "", Reboot, PowerOff:
		return ""
	}
	return fmt.Sprintf("%q is neither reboot nor poweroff", string(a))
}

// labelled reports whether name is a host name label (RFC 1123 §2.1) in lower
// case. Orders and hosts have such names because they go into URLs, into the
// host's own name, and into the names of registering services.
func labelled(name string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyz0123456789-"
	return name != "" && len(name) <= 63 && strings.Trim(name, letters) == "" &&
		!strings.HasPrefix(name, "-") && !strings.HasSuffix(name, "-")
}

// For gives the order as it stands for one row: its overrides applied.
func (o Order) For(r Row) Order {
	set(&o.Profile, r.Overrides.Profile)
	set(&o.Image, r.Overrides.Image)
	if driver := r.Overrides.Handoff; driver != "" && driver != o.Handoff.Driver {
		o.Handoff = Handoff{Driver: driver} // the options are for the order's own
	}
	set(&o.Erase, r.Overrides.Erase)
	set(&o.After, r.Overrides.After)
	set(&o.Transport, r.Overrides.Transport)
	return o
}

func set[T ~string](to *T, value T) {
	if value != "" {
		*to = value
	}
}
