package bmctest

import (
	"embed"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
)

// Personality is how one family of BMCs behaves. All numbers of seconds are
// the BMC's own, see [Options.Second].
type Personality struct {
	Name  string `yaml:"name"`
	About string `yaml:"about"` // what it is drawn from, and how sure that is

	Vendor  string            `yaml:"vendor"` // of the service root; empty means that it tells none
	Product string            `yaml:"product"`
	Redfish string            `yaml:"redfish"`
	Oem     string            `yaml:"oem"` // the key of its extensions
	Manager managerPart       `yaml:"manager"`
	System  systemPart        `yaml:"system"`
	Chassis string            `yaml:"chassis"`
	HTTP    httpRules         `yaml:"http"`
	Session sessionRules      `yaml:"sessions"`
	Account accountRules      `yaml:"accounts"`
	Media   mediaRules        `yaml:"media"`
	Boot    bootRules         `yaml:"boot"`
	Power   powerRules        `yaml:"power"`
	Parts   partRules         `yaml:"parts"`
	Licence licenceRules      `yaml:"licence"`
	Words   map[string]refuse `yaml:"words"` // its own words for a refusal, by the emulator's key
}

type managerPart struct {
	ID       string `yaml:"id"`
	Model    string `yaml:"model"`
	Firmware string `yaml:"firmware"`
}

type systemPart struct {
	ID           string `yaml:"id"`
	Manufacturer string `yaml:"manufacturer"` // empty means that it tells none
	Model        string `yaml:"model"`
	// Decoy is a second System, without power or boot, listed first.
	Decoy string `yaml:"decoy"`
}

// refuse is an answer of one refusal.
type refuse struct {
	Status  int    `yaml:"status"`
	Message string `yaml:"message"` // MessageId, with registry and version
	Text    string `yaml:"text"`
}

type httpRules struct {
	Registry string `yaml:"registry"` // of standard messages, e.g. Base.1.8
	Slash    bool   `yaml:"slash"`    // links end in a slash
	// ETag is how it marks a resource: none, strong, weak, or gzip for a strong
	// one that differs where the client takes gzip.
	ETag string `yaml:"etag"`
	// IfMatch makes it refuse a PATCH without If-Match; Star lets * pass.
	IfMatch bool `yaml:"if_match"`
	Star    bool `yaml:"star"`
	// ResetReused resets every connection at the request of that number.
	ResetReused int `yaml:"reset_reused"`
	// Stray401 answers every so many requests that the token is not valid.
	Stray401 int `yaml:"stray_401"`
	// IdentityRefused answers 406 for registries asked for uncompressed.
	IdentityRefused bool `yaml:"identity_refused"`
	ExpandBroken    bool `yaml:"expand_broken"` // $expand answers no members
	NullMembers     bool `yaml:"null_members"`  // an empty collection is null
}

type sessionRules struct {
	None    bool `yaml:"none"` // Basic only
	Max     int  `yaml:"max"`
	Timeout int  `yaml:"timeout"` // seconds
}

type accountRules struct {
	Tries  int  `yaml:"tries"` // wrong passwords before it locks
	Lock   int  `yaml:"lock"`  // seconds
	Min    int  `yaml:"min"`   // characters of a password
	Max    int  `yaml:"max"`
	Slots  int  `yaml:"slots"`  // fixed accounts that are changed, not made; 0: made by POST
	Change bool `yaml:"change"` // the first login must change the password
}

// powerRules are those of ComputerSystem.Reset.
type powerRules struct {
	Resets []string `yaml:"resets"`
	Listed string   `yaml:"listed"` // inline, info (ActionInfo) or both
	Settle int      `yaml:"settle"` // seconds from the call to the change
	POST   int      `yaml:"post"`   // seconds of self test after it
	Answer int      `yaml:"answer"` // 200, 202 or 204
	// Moving shows PoweringOn and PoweringOff; else the old state stands.
	Moving bool `yaml:"moving"`
	// Lazy resets answer well and change nothing.
	Lazy []string `yaml:"lazy"`
	// Lenient answers well where the state makes the reset senseless.
	Lenient bool `yaml:"lenient"`
}

// partRules say how it tells the machine's parts.
type partRules struct {
	Serial string `yaml:"serial"` // what SerialNumber is: system, board, blank or none
	SKU    string `yaml:"sku"`    // what SKU is: serial, sku or none
	// UUID is how the machine's own UUID is made: random, tag, ascii or mac.
	UUID string `yaml:"uuid"`
	// UUIDSwapped tells the first three fields in the other byte order.
	UUIDSwapped bool   `yaml:"uuid_swapped"`
	GPUs        int    `yaml:"gpus"`        // listed among Processors
	EmptyDIMMs  int    `yaml:"empty_dimms"` // absent modules listed with 0 MiB
	Drives      string `yaml:"drives"`      // together, single (a Storage for each), chassis or none
	NICs        string `yaml:"nics"`        // full, mac (MACAddress alone) or none
	ToManager   bool   `yaml:"to_manager"`  // the BMC's own USB NIC is listed, first
	SecureBoot  bool   `yaml:"secure_boot"` // there is a SecureBoot resource
	TPM         bool   `yaml:"tpm"`         // TrustedModules are listed
}

// licenceRules say how it names its licence.
type licenceRules struct {
	Service bool   `yaml:"service"` // in a LicenseService; else in the manager's extensions
	Full    string `yaml:"full"`    // that brings virtual media; empty means that no licence is told
	Basic   string `yaml:"basic"`   // that does not
}

//go:embed personalities/*.yaml
var tables embed.FS

const tableDir = "personalities"

// Names lists the personalities.
func Names() []string {
	entries, err := tables.ReadDir(tableDir)
	if err != nil {
		panic(err) // they are part of the program
	}
	var names []string
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".yaml"))
	}
	return names
}

// Named returns a personality; the caller may change its copy.
func Named(name string) (Personality, error) {
	data, err := tables.ReadFile(path.Join(tableDir, name+".yaml"))
	if err != nil {
		return Personality{}, fmt.Errorf("there is no BMC personality %q; there are %s", name, strings.Join(Names(), ", "))
	}
	p, err := Parse(data)
	if err != nil {
		return p, fmt.Errorf("personality %s: %w", name, err)
	}
	return p, nil
}

// Parse reads a personality and refuses keys and words that it does not know.
func Parse(data []byte) (Personality, error) {
	var p Personality
	if err := yaml.UnmarshalWithOptions(data, &p, yaml.Strict()); err != nil {
		return p, err
	}
	return p, p.check()
}

// check holds every word of a closed set against that set.
func (p Personality) check() error {
	words := []struct {
		key, got string
		want     []string
	}{
		{"http.etag", p.HTTP.ETag, []string{"none", "strong", "weak", "gzip"}},
		{"power.listed", p.Power.Listed, []string{"inline", "info", "both"}},
		{"boot.listed", p.Boot.Listed, []string{"inline", "info", "null", "none"}},
		{"boot.mode", p.Boot.Mode, []string{"UEFI", "Legacy"}},
		{"media.probe", p.Media.Probe, []string{"head", "range", "get", "none"}},
		{"media.system_link", p.Media.SystemLink, []string{"", "own", "manager"}},
		{"parts.serial", p.Parts.Serial, []string{"system", "board", "blank", "none"}},
		{"parts.sku", p.Parts.SKU, []string{"serial", "sku", "none"}},
		{"parts.uuid", p.Parts.UUID, []string{"random", "tag", "ascii", "mac"}},
		{"parts.drives", p.Parts.Drives, []string{"together", "single", "chassis", "none"}},
		{"parts.nics", p.Parts.NICs, []string{"full", "mac", "none"}},
	}
	for _, w := range words {
		if !slices.Contains(w.want, w.got) {
			return fmt.Errorf("%s is %q; want one of %v", w.key, w.got, w.want)
		}
	}
	for _, s := range p.Media.Slots {
		if err := s.check(); err != nil {
			return fmt.Errorf("media slot %s: %w", s.ID, err)
		}
	}
	return nil
}

// seconds is n of the BMC's seconds.
func (o Options) seconds(n int) time.Duration { return time.Duration(n) * o.Second }
