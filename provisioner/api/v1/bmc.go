package v1

import "time"

// BMC is a host's management controller: how it is entered, but for the
// password, and what was last seen of it.
type BMC struct {
	Driver      string `json:"driver"`      // redfish or ipmi
	Address     string `json:"address"`     // as listed, else where DHCP put it; empty: not known yet
	MAC         string `json:"mac"`         // empty: not listed
	User        string `json:"user"`        // empty: not known
	System      string `json:"system"`      // where one BMC has several
	Fingerprint string `json:"fingerprint"` // of its certificate, as listed or else as pinned; empty: none is known
	Eject       string `json:"eject"`       // a medium of somebody else's that muster may take out, by its URL; empty: none
	Renewal     string `json:"renewal"`     // of its password, which new BMCs demand: ready or done; empty: no new one is given
	Missing     string `json:"missing"`     // a sentence on what muster still needs to enter it; empty: nothing

	Seen      *time.Time `json:"seen"` // last; null: never
	Vendor    string     `json:"vendor"`
	Model     string     `json:"model"`
	Firmware  string     `json:"firmware"`
	Power     string     `json:"power"`     // On, Off, or what the BMC says; empty: not seen
	Quirks    string     `json:"quirks"`    // the row that applies
	Abilities []string   `json:"abilities"` // by which it can start its host: media, http, network; never null
	Cannot    []string   `json:"cannot"`    // sentences; never null
	Errand    *Errand    `json:"errand"`    // the last; null: none
}

// FoundBMC is a BMC that muster knows of: one that a host lists, or one that
// asked for an address.
type FoundBMC struct {
	Source  string     `json:"source"` // listed or dhcp
	Host    string     `json:"host"`   // id; empty: no host lists it
	Name    string     `json:"name"`   // of the host
	Order   string     `json:"order"`
	Address string     `json:"address"` // empty: not known
	MAC     string     `json:"mac"`
	Class   string     `json:"class"` // what it calls itself in DHCP: option 60
	Vendor  string     `json:"vendor"`
	Kind    string     `json:"kind"`    // by its class
	Network string     `json:"network"` // where it asked
	Seen    *time.Time `json:"seen"`    // when; null: it did not
}

// How far the renewal of a BMC's password is.
const (
	RenewalReady = "ready" // a new one is given, for when the BMC demands it
	RenewalDone  = "done"  // the BMC has it
)

// Where a BMC is known from.
const (
	FoundListed = "listed"
	FoundByDHCP = "dhcp"
)

// NewBMC says how a host's BMC is entered. What is left out stays as it is.
type NewBMC struct {
	Address     string `json:"address,omitempty"`
	MAC         string `json:"mac,omitempty"`
	User        string `json:"user,omitempty"`
	Password    string `json:"password,omitempty"`
	NewPassword string `json:"new_password,omitempty"` // for a BMC that wants its password changed before all else
	Fingerprint string `json:"fingerprint,omitempty"`  // SHA-256 of its certificate
	System      string `json:"system,omitempty"`
	Driver      string `json:"driver,omitempty"` // redfish or ipmi
	Eject       string `json:"eject,omitempty"`  // URL of a medium of somebody else's that muster may take out
}

// CheckedBMC is what a BMC said of itself and of what it can do.
type CheckedBMC struct {
	Address     string      `json:"address"`
	Driver      string      `json:"driver"`
	Vendor      string      `json:"vendor"`
	Model       string      `json:"model"`
	Firmware    string      `json:"firmware"`
	Redfish     string      `json:"redfish"` // version of the service
	Host        string      `json:"host"`    // model of what it controls
	Power       string      `json:"power"`
	Fingerprint string      `json:"fingerprint"`
	Quirks      string      `json:"quirks"` // the row that applies
	Why         string      `json:"why"`    // and by what it was recognised
	Proof       string      `json:"proof"`  // what that row was tried on
	Answers     []BMCAnswer `json:"answers"`
	Cannot      []string    `json:"cannot"` // sentences; never null
	Boots       bool        `json:"boots"`  // it can start its host in some way
}

// BMCAnswer is one question to a BMC.
type BMCAnswer struct {
	About string `json:"about"`
	Says  string `json:"says"`
	Seen  string `json:"seen"`
}

// Errand is something that a BMC does for one attempt.
type Errand struct {
	Do      string     `json:"do"` // survey, boot-network, boot-medium, boot-disk, clear or power-off
	Attempt string     `json:"attempt"`
	Began   time.Time  `json:"began"`
	Done    *time.Time `json:"done"`    // null: not yet
	Tries   int        `json:"tries"`   // begun so often
	Doing   string     `json:"doing"`   // what is waited for
	Problem string     `json:"problem"` // why the last try did not work
	Final   bool       `json:"final"`   // a person must act before it is tried again
}

// Static is a host's own address.
type Static struct {
	MAC     string   `json:"mac"`     // of the port; empty: the one with a link
	Address string   `json:"address"` // with its prefix length; empty: by DHCP
	Gateway string   `json:"gateway"`
	DNS     []string `json:"dns"`  // never null
	VLAN    int      `json:"vlan"` // 0: untagged
}
