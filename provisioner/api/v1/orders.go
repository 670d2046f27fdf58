package v1

import "time"

// Order is one batch for one purpose. What it adds to the configuration of its
// hosts is not shown: it may be secret.
type Order struct {
	Name      string         `json:"name"`
	Profile   string         `json:"profile"`
	Image     string         `json:"image"`      // digest
	ImageName string         `json:"image_name"` // a tag of that image; empty where it has none
	Handoff   string         `json:"handoff"`
	Ship      bool           `json:"ship"` // its hosts end shipped
	Erase     bool           `json:"erase"`
	After     string         `json:"after"`
	Transport string         `json:"transport"` // netboot, media, uefi-http or write; empty: by image
	Config    []string       `json:"config"`    // keys that it adds; never null
	Secrets   []string       `json:"secrets"`   // names; never null
	Template  int            `json:"template"`  // lines; 0: it has none
	Imported  time.Time      `json:"imported"`
	Started   *time.Time     `json:"started"`  // null: not started, or stopped
	Hosts     []string       `json:"hosts"`    // ids; never null
	Phases    map[string]int `json:"phases"`   // how many of its hosts are where
	Warnings  []string       `json:"warnings"` // what keeps it from going on by itself, in sentences; never null
	Held      []Held         `json:"held"`     // what was made for it at services that hosts are handed over to; never null
}

// Held is what one hand-off made for an order, such as a registration token.
type Held struct {
	Handoff string     `json:"handoff"`
	Opened  time.Time  `json:"opened"`
	Closing *time.Time `json:"closing"` // since when it is being taken back; null: it is not
	Closed  *time.Time `json:"closed"`  // null: it is still there
	Said    string     `json:"said"`    // what was made, was taken back, or is waited for, as a sentence
	Ask     bool       `json:"ask"`     // Said needs a person
}

// Import is an order with its manifest, to be taken in whole or not at all.
type Import struct {
	Order    string   `json:"order"`    // YAML
	Manifest string   `json:"manifest"` // CSV
	Profiles []string `json:"profiles"` // YAML; profiles that the order names and muster does not bring
	// BMCPassword is what is in the file that the order names as bmc.password_file.
	BMCPassword string `json:"bmc_password,omitempty"`
	// BMCNewPassword is what is in the file that the order names as bmc.new_password_file.
	BMCNewPassword string `json:"bmc_new_password,omitempty"`
}

// Imported says what an import did, or what a lint found.
type Imported struct {
	Order    string   `json:"order"`
	Added    []string `json:"added"`    // host ids; never null
	Changed  []string `json:"changed"`  // never null
	Removed  []string `json:"removed"`  // no longer listed and never seen; never null
	Kept     []string `json:"kept"`     // no longer listed, but seen before; never null
	Hosts    int      `json:"hosts"`    // rows in the manifest
	Warnings []Remark `json:"warnings"` // never null
}

// Checked says whether the hosts of an order could be handed over. With any in
// Wrong it cannot be started.
type Checked struct {
	Order string   `json:"order"`
	Wrong []string `json:"wrong"` // sentences that say what to do; never null
	Notes []string `json:"notes"` // what was found, and what could not be known; never null
}

// Remark is one thing to say about an input, with where it stands.
type Remark struct {
	Source string `json:"source,omitempty"` // order, manifest, profile or hand-off
	Line   int    `json:"line,omitempty"`   // from 1; absent: the whole of it
	Column string `json:"column,omitempty"` // of a manifest
	Text   string `json:"text"`
}

// Profile is what a correct host of one kind looks like.
type Profile struct {
	Name    string   `json:"name"`
	Builtin bool     `json:"builtin"`
	Rules   []string `json:"rules"` // sentences; never null
}

// Source is a YAML text to be checked.
type Source struct {
	Text string `json:"text"`
}
