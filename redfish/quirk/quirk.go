// Package quirk holds, as data, how BMCs depart from the Redfish standard: one
// row for each vendor's family, with the source of each claim and what it was
// proven on.
//
// It does no I/O and decides nothing: package redfish reads a [Quirk] and acts
// by it. A row never holds a password, and there is no row that guesses; a BMC
// that no row matches is driven by the standard, see [Standard]. Start at
// [Book.Match] and rows.yaml.
package quirk

// Quirk is one row. The zero value of a field is what the standard says.
type Quirk struct {
	Family  string `yaml:"family"`
	About   string `yaml:"about"`
	Sources string `yaml:"sources"` // where the claims come from; "general knowledge" is said
	Match   Match  `yaml:"match"`
	Media   Media  `yaml:"media"`
	Boot    Boot   `yaml:"boot"`
	HTTP    HTTP   `yaml:"http"`
	// TagIsSKU says that the serial number that labels and SMBIOS have is the
	// system's SKU, and SerialNumber that of the board.
	TagIsSKU bool    `yaml:"tag_is_sku"`
	Licence  Licence `yaml:"licence"`
	Proof    Proof   `yaml:"proof"`
}

// Match says which BMCs a row is for. Each list that is given must hold one
// entry that fits; a list that is not given fits all. Vendor and OEM together
// count as one list: either names the maker.
type Match struct {
	Vendor   []string `yaml:"vendor"`   // words in the vendor's or the system's maker's name, any case
	OEM      []string `yaml:"oem"`      // key below Oem in the service root, any case
	Product  []string `yaml:"product"`  // pattern of the service root's product
	Model    []string `yaml:"model"`    // pattern of the system's model
	Manager  []string `yaml:"manager"`  // pattern of the manager's model
	Firmware Range    `yaml:"firmware"` // of the manager's firmware
}

// Range is a range of versions, compared number by number: From is in it,
// Below is not. An empty end is open.
type Range struct {
	From  string `yaml:"from"`
	Below string `yaml:"below"`
}

// Place is a resource that has a collection of virtual media.
type Place string

// The places. DSP0268 VirtualMedia: under Managers, and since 1.4 under Systems.
const (
	Systems  Place = "systems"
	Managers Place = "managers"
)

// Insert is the way a medium is put in.
type Insert string

// The ways. The empty one is the action, or a PATCH where there is none.
const (
	Action     Insert = "action"      // POST to #VirtualMedia.InsertMedia
	Patch      Insert = "patch"       // PATCH of the slot
	VmmControl Insert = "vmm-control" // POST to the maker's VirtualMedia.VmmControl below Oem
	IsoConfig  Insert = "iso-config"  // PATCH of host and path, then POST to IsoConfig.Mount
)

// Field is a property sent beside Image.
type Field string

// The fields, with the values that are sent: true for the first two, "Stream",
// "HTTP" or "HTTPS" after the URL, and "none" for user and password.
const (
	Inserted         Field = "Inserted"
	WriteProtected   Field = "WriteProtected"
	TransferMethod   Field = "TransferMethod"
	TransferProtocol Field = "TransferProtocolType"
	UserName         Field = "UserName"
	Password         Field = "Password"
)

// Media says how virtual media behave.
type Media struct {
	Places  []Place  `yaml:"places"`  // where slots are, in order; both, systems first, if empty
	Slots   []string `yaml:"slots"`   // patterns of the ids of slots that boot, in order; by media type if empty
	Skip    []string `yaml:"skip"`    // patterns of the ids of slots that never do
	Insert  Insert   `yaml:"insert"`  // empty: what the slot offers
	Fields  []Field  `yaml:"fields"`  // sent at the first try; a refusal that names one is obeyed anyhow
	Schemes []string `yaml:"schemes"` // of URLs that are taken, best first; http and https if empty
	Refuse  string   `yaml:"refuse"`  // why this BMC gets no medium, as advice to a person
}

// Boot says how the boot override behaves.
type Boot struct {
	Medium   []string `yaml:"medium"`   // targets that boot a virtual CD, best first; "Cd" if empty
	UEFI     []string `yaml:"uefi"`     // the same where the firmware boots by UEFI; Medium if empty
	Full     bool     `yaml:"full"`     // target, enabled and mode go together, always
	Settings bool     `yaml:"settings"` // written to the settings object
	OEM      OEM      `yaml:"oem"`      // written in the maker's own way instead
}

// OEM is a maker's own way to boot a medium once.
type OEM string

// DellAttributes is ServerBoot.1.FirstBootDevice and BootOnce in the manager's
// attributes.
const DellAttributes OEM = "dell-attributes"

// ETag is a form of If-Match that a PATCH carries.
type ETag string

// The forms.
const (
	Given  ETag = "given"  // as the BMC gave it
	Strong ETag = "strong" // without W/ and the suffix of a compressing proxy
	None   ETag = "none"   // no If-Match
	Any    ETag = "any"    // "*"
)

// HTTP says how the service is spoken to.
type HTTP struct {
	Close       bool   `yaml:"close"`        // a connection for each request
	ETags       []ETag `yaml:"etags"`        // forms to try in order on 412 and 428; given, strong, none, any if empty
	DeleteTasks bool   `yaml:"delete_tasks"` // finished tasks are deleted
}

// Licence says which licence virtual media need and how its lack is told.
type Licence struct {
	Name string   `yaml:"name"`
	Says []string `yaml:"says"` // parts of the message ids or texts of a refusal, any case
	Has  []string `yaml:"has"`  // words in the name of an installed licence that brings media; empty: its name does not tell
}

// Proof says what a row was tried on. Rows are honest: "none yet" is an answer.
type Proof struct {
	Emulated string `yaml:"emulated"` // a personality of muster's own BMC emulator
	Service  string `yaml:"service"`  // an independent Redfish service
	Hardware string `yaml:"hardware"` // real BMCs
}

// NoneYet is the tier of what nobody has tried.
const NoneYet = "none yet"

// Standard is how a BMC is driven that no row is for: by the standard, then by
// the ladders of package redfish.
func Standard() Quirk {
	return Quirk{
		Family: "standard",
		About:  "No row matches: strict DMTF standard first, then what the refusals ask for.",
		Proof:  Proof{Emulated: NoneYet, Service: NoneYet, Hardware: NoneYet},
	}
}
