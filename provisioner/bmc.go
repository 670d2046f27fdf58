package provisioner

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Controller is how a host's BMC is entered, as people said it.
type Controller struct {
	Address  string `json:"address"`       // IP address or name, with a port if it is not the usual one; empty: where DHCP put its MAC
	MAC      string `json:"mac,omitempty"` // lower case with colons
	User     string `json:"user,omitempty"`
	Password []byte `json:"password,omitempty"` // sealed; its context is that of [Controller.Context]
	// NewPassword is what a BMC is given that wants its password changed first,
	// sealed for [Controller.NewContext]; empty: such a BMC waits for a person.
	NewPassword []byte `json:"new_password,omitempty"`
	Fingerprint string `json:"fingerprint,omitempty"` // SHA-256 of its certificate; empty: the first seen is pinned
	System      string `json:"system,omitempty"`      // where one BMC has several
	Driver      string `json:"driver,omitempty"`      // redfish or ipmi; empty: redfish
	// Eject is a medium of somebody else's, by its URL, that muster may take out.
	Eject string `json:"eject,omitempty"`
	// Added says that a person gave it for this host by itself: a manifest that
	// lists no BMC leaves it as it is.
	Added bool `json:"added,omitempty"`
}

// Context is what the password is sealed for: it opens at no other BMC, and not
// for another account.
func (c Controller) Context() string { return "bmc " + c.Address + " " + c.MAC + " " + c.User }

// NewContext is what the new password is sealed for.
func (c Controller) NewContext() string { return "new " + c.Context() }

// Digest names the account with its passwords. It is of the sealed ones, so that
// nobody without the key can try passwords against it; the same password given
// again keeps its seal.
func (c Controller) Digest() string {
	context := sha256.Sum256([]byte(c.Context()))
	sum := sha256.Sum256(slices.Concat(context[:], c.Password, c.NewPassword))
	return hex.EncodeToString(sum[:])
}

// Place names the BMC that people mean.
func (c Controller) Place() string { return cmp.Or(c.MAC, c.Address) }

// Is reports whether both words mean one BMC and, where it has several systems,
// one system.
func (c Controller) Is(o Controller) bool {
	place := c.Address != "" && c.Address == o.Address || c.MAC != "" && c.MAC == o.MAC
	return place && (c.System == o.System || c.System == "" || o.System == "")
}

// SeenBMC is what was last seen of the BMC that h has now; nil where nothing was.
// What was seen of one that it had before, its certificate above all, counts
// nothing.
func (h Host) SeenBMC() *BMC {
	seen, c := h.Facts.BMC, h.Intent.BMC
	if seen == nil || c == nil || seen.Of != "" && seen.Of != c.Place() {
		return nil
	}
	return seen
}

// BMCRenewed reports whether h's BMC has the new password of its account.
func (h Host) BMCRenewed() bool {
	seen := h.SeenBMC()
	return seen != nil && seen.Renewed != "" && seen.Renewed == h.Intent.BMC.Digest()
}

// BMCAddress is where h's BMC is: what people said, else where DHCP put its MAC.
// It is empty where neither is known.
func (h Host) BMCAddress() string {
	c, l := h.Intent.BMC, h.Facts.BMCLease
	switch {
	case c == nil:
		return ""
	case c.Address == "" && l != nil && l.MAC == c.MAC:
		return l.Address
	}
	return c.Address
}

// BMCLacks says what muster must know before it can enter h's BMC, and what to
// do about it; empty where it can, and where h has none.
func (h Host) BMCLacks() string {
	c := h.Intent.BMC
	switch {
	case c == nil:
		return ""
	case h.BMCAddress() == "":
		return fmt.Sprintf("The address of its BMC is not known: %s has asked none of muster's DHCP servers. Look at its cable and that it uses DHCP, or run: muster bmc add %s --address ADDRESS", c.MAC, h.ID)
	case len(c.Password) == 0:
		return fmt.Sprintf("The password of its BMC at %s is not known. Run: muster bmc add %s --user USER --password-file FILE", h.BMCAddress(), h.ID)
	}
	return ""
}

// BMCRefused says that h's BMC refused the account that is known, and what to do
// about it; empty where the account may be shown to it. Once more it may be when
// a person has asked since: it may have been mended in the BMC.
func (h Host) BMCRefused() string {
	r, c := h.Facts.BMCRefusal, h.Intent.BMC
	if r == nil || c == nil || r.Account != c.Digest() || r.Handled != h.Status.Handled {
		return ""
	}
	return fmt.Sprintf("The BMC at %s refused the account at %s. Its password is not shown again, to not lock it. Give the right one: muster bmc add %s --user USER --password-file FILE, or mend it in the BMC",
		h.BMCAddress(), r.At.UTC().Format("2006-01-02 15:04:05 UTC"), h.ID)
}

// Listed is h's row, with the serial, UUID and ports that its BMC tells where the
// row gives none: a row may name a BMC and nothing else.
func (h Host) Listed() Row {
	row := h.Intent.Row
	if h.Facts.Survey == nil || h.Intent.BMC == nil {
		return row
	}
	told := h.Facts.Survey.Report
	row.Serial, row.UUID = cmp.Or(row.Serial, told.System.Serial), cmp.Or(row.UUID, told.System.UUID)
	if len(row.MACs) > 0 {
		return row
	}
	for _, n := range told.NICs {
		if n.MAC != "" {
			row.MACs = append(row.MACs, n.MAC)
		}
	}
	return row
}

// ErrRefused is an error by which a BMC refused an account: its password must not
// be shown again.
var ErrRefused = errors.New("the account is refused")

// Refusal is that a host's BMC refused its account.
type Refusal struct {
	At      time.Time `json:"at"`
	Account string    `json:"account"` // [Controller.Digest] of what was refused
	Handled Requests  `json:"handled"` // that were, of what people asked for
}

// BMCLease is the address that DHCP gave a BMC.
type BMCLease struct {
	At      time.Time `json:"at"`
	MAC     string    `json:"mac"`
	Address string    `json:"address"`
	Network string    `json:"network"`
	Class   string    `json:"class,omitempty"` // what it calls itself: option 60
}

// Static is a host's own address, for hosts that no DHCP server serves.
type Static struct {
	MAC     string   `json:"mac,omitempty"`     // of the port; empty: the one with a link
	Address string   `json:"address,omitempty"` // with its prefix length; empty: by DHCP
	Gateway string   `json:"gateway,omitempty"`
	DNS     []string `json:"dns,omitempty"`
	VLAN    int      `json:"vlan,omitempty"` // 0: untagged
}

// BMC is what was last seen of a host's BMC.
type BMC struct {
	At          time.Time `json:"at"`
	Of          string    `json:"of,omitempty"` // [Controller.Place] of the one that was seen: of another BMC nothing here is true
	Driver      string    `json:"driver"`
	Vendor      string    `json:"vendor,omitempty"`
	Model       string    `json:"model,omitempty"`
	Firmware    string    `json:"firmware,omitempty"`
	Quirks      string    `json:"quirks,omitempty"` // the row that applies
	Fingerprint string    `json:"fingerprint,omitempty"`
	Renewed     string    `json:"renewed,omitempty"` // [Controller.Digest] of the account whose new password it has
	Power       string    `json:"power,omitempty"`   // On, Off, or what the BMC says
	Abilities   Abilities `json:"abilities"`
	// NoDHCP says that muster answers no DHCP on the network that leads to it:
	// its host is not likely to boot from muster's network.
	NoDHCP bool     `json:"no_dhcp,omitempty"`
	Cannot []string `json:"cannot,omitempty"` // what this driver cannot do here, in sentences
	// Working is the driver's own note of what this BMC took before.
	Working json.RawMessage `json:"working,omitempty"`
}

// Abilities are the ways by which a BMC can start its host.
type Abilities struct {
	Media   bool `json:"media"`
	HTTP    bool `json:"http"`
	Network bool `json:"network"`
}

// Errand is something that the BMC does for one attempt. It is written down
// before it is begun, and again when it read back or failed.
type Errand struct {
	Attempt AttemptID  `json:"attempt"`
	Do      ErrandKind `json:"do"`
	Began   time.Time  `json:"began"`
	Done    time.Time  `json:"done,omitzero"`
	Failed  time.Time  `json:"failed,omitzero"`   // when the last try failed
	Tries   int        `json:"tries,omitempty"`   // begun so often; what the end of the server cut short does not count
	Doing   string     `json:"doing,omitempty"`   // what is waited for
	Problem string     `json:"problem,omitempty"` // why the last try failed
	Final   bool       `json:"final,omitempty"`   // a person must act before it is tried again
}

// ErrandKind is what a BMC is sent to do.
type ErrandKind string

// The errands.
const (
	ErrandSurvey  ErrandKind = "survey"       // read who it is, what it can, and the hardware
	ErrandNetwork ErrandKind = "boot-network" // off, override once, on
	ErrandMedium  ErrandKind = "boot-medium"  // off, the attempt's ISO in, override once, on
	ErrandDisk    ErrandKind = "boot-disk"    // our medium out, no override, on
	ErrandClear   ErrandKind = "clear"        // our medium out, no override; the power is left
	ErrandOff     ErrandKind = "power-off"    // and our medium out
)
