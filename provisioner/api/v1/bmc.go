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
