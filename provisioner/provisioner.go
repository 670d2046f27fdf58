// Package provisioner holds the words of a host's way from crate to
// registered: host, order, phase, attempt, fact, boot, journal entry.
//
// It decides nothing and stores nothing: lifecycle decides, engine acts, store
// keeps. Everything here is plain data that survives JSON. Start at [Host] and
// [Phase]; docs/lifecycle.md draws how phases follow each other.
package provisioner

import (
	"time"

	"github.com/muster-boot/muster/inventory"
	"github.com/muster-boot/muster/inventory/profile"
)

// Identities. Each is minted or parsed once, at the edge.
type (
	HostID    string // minted once, opaque, e.g. "h-7q2mk4xw"
	AttemptID string // one try at one phase; travels in every boot URL
	OrderName string // chosen by people; unique
)

// Host is all that muster holds of one physical machine. Intent is written by
// people through the API, each field of Facts by the one observer its comment
// names, Status by the engine alone.
type Host struct {
	ID      HostID    `json:"id"`
	Created time.Time `json:"created"`
	Intent  Intent    `json:"intent"`
	Facts   Facts     `json:"facts"`
	Status  Status    `json:"status"`
	// Aliases are ids this host was known by before it was recognised.
	Aliases []HostID `json:"aliases,omitempty"`
	// Entries counts the journal entries of this host: the next one is Entries+1.
	// The store raises it in the transaction that writes the entry.
	Entries uint64 `json:"entries"`
	// Revision is the store's, for compare-and-swap; it is not part of the value.
	Revision uint64 `json:"-"`
}

// Intent is what people want of a host.
type Intent struct {
	Order   OrderName       `json:"order,omitempty"` // empty: in no manifest and not approved
	Row     Row             `json:"row"`
	BMC     *Controller     `json:"bmc,omitempty"`     // nil: the host has none that muster may use
	Profile string          `json:"profile,omitempty"` // its name, for people
	Rules   profile.Profile `json:"rules"`             // the profile itself, as it was when the order was imported
	Image   string          `json:"image,omitempty"`   // digest
	Handoff string          `json:"handoff,omitempty"` // driver
	Ship    bool            `json:"ship,omitempty"`    // it registers at its final site; here it ends switched off
	Erase   bool            `json:"erase,omitempty"`   // the order says erase: allowed
	After   After           `json:"after,omitempty"`
	Way     Way             `json:"way,omitempty"`     // how the image must reach the host; empty: muster chooses
	Started bool            `json:"started,omitempty"` // order start was given
	Hold    string          `json:"hold,omitempty"`    // a person's reason; empty: not held

	// Requests count how often a person asked; Status.Handled says how many were
	// acted on. Counters and not flags, so that asking twice is never lost.
	Requests Requests `json:"requests"`
}

// Row is what the manifest says of one host.
type Row struct {
	Line   int      `json:"line,omitempty"`
	Serial string   `json:"serial,omitempty"`
	UUID   string   `json:"uuid,omitempty"`
	MACs   []string `json:"macs,omitempty"`
	Name   string   `json:"name,omitempty"`
	Static Static   `json:"static,omitzero"`
}

// Requests are a person's wishes that cause one move each.
type Requests struct {
	Retry     int `json:"retry,omitempty"`
	Release   int `json:"release,omitempty"`
	Reinstall int `json:"reinstall,omitempty"`
}

// After is what the installer does when it is done.
type After string

// What the installer does when it is done.
const (
	AfterReboot   After = "reboot"   // what a host without a BMC does if its order does not say; it is then answered "local disk"
	AfterPowerOff After = "poweroff" // what one with a BMC does, which starts it again
)

// Facts is what was observed, each fact by one observer.
type Facts struct {
	Sighting     *Sighting     `json:"sighting,omitempty"`     // boot plane
	Scout        *Contact      `json:"scout,omitempty"`        // scout routes
	Report       *Report       `json:"report,omitempty"`       // scout routes
	Steps        []Step        `json:"steps,omitempty"`        // progress route; of the current and last attempt
	Progress     []Progress    `json:"progress,omitempty"`     // counter of bytes; of the present attempt, a stage each
	Prepared     *Prepared     `json:"prepared,omitempty"`     // engine duty: what the install attempt gives its host
	BMC          *BMC          `json:"bmc,omitempty"`          // engine duty: the BMC itself
	BMCLease     *BMCLease     `json:"bmc_lease,omitempty"`    // boot plane: the address that its BMC was given
	BMCRefusal   *Refusal      `json:"bmc_refusal,omitempty"`  // engine: its BMC refused the account; none since it was let in
	Survey       *Report       `json:"survey,omitempty"`       // engine duty: the BMC's account of the hardware
	Errands      []Errand      `json:"errands,omitempty"`      // engine duty: what the BMC was sent to do, oldest first; bounded, and kept over attempts
	Writes       []Write       `json:"writes,omitempty"`       // engine duty: destructive acts begun, never forgotten
	Booted       *CallHome     `json:"booted,omitempty"`       // call-home route: the installed system's boot
	Registration *Registration `json:"registration,omitempty"` // registration route: the agent
	Receipt      *Receipt      `json:"receipt,omitempty"`      // hand-off driver
	Waits        *Waits        `json:"waits,omitempty"`        // hand-off driver: what it waits for
	Ask          *Ask          `json:"ask,omitempty"`          // hand-off driver: what a person must do
	Kept         *Kept         `json:"kept,omitempty"`         // hand-off driver: what it wants to be told again
	Farewell     *Farewell     `json:"farewell,omitempty"`     // call-home and registration routes: told to power off
	Departure    *Departure    `json:"departure,omitempty"`    // engine duty: the proof that it is off
	Record       *Record       `json:"record,omitempty"`       // engine duty: its record is written
	Conflict     string        `json:"conflict,omitempty"`     // identification: why this host cannot be told from another
}

// Sighting is what the boot plane saw of a host.
type Sighting struct {
	First   time.Time `json:"first"`
	Last    time.Time `json:"last"`             // any packet; written at most every ten seconds
	Netboot time.Time `json:"netboot,omitzero"` // the last one of firmware or a boot loader, not of a system
	MACs    []string  `json:"macs"`             // every address it asked from, oldest first
	UUID    string    `json:"uuid,omitempty"`
	Network string    `json:"network"`
	Boot    BootKind  `json:"boot,omitempty"`
	Address string    `json:"address,omitempty"`
	// Discover is whether that network gives the scout to unlisted hosts.
	Discover bool `json:"discover,omitempty"`
}

// BootKind is how a host's firmware boots.
type BootKind string

// The ways in.
const (
	BootBIOS  BootKind = "bios-pxe"
	BootUEFI  BootKind = "uefi-pxe"
	BootHTTP  BootKind = "uefi-http"
	BootMedia BootKind = "virtual-media"
)

// Contact is the last time a scout asked what to do.
type Contact struct {
	Version string    `json:"version"`
	Last    time.Time `json:"last"` // written at most every ten seconds
	Address string    `json:"address,omitempty"`
}

// Report is an inventory report and the attempt it was made for.
type Report struct {
	Attempt  AttemptID        `json:"attempt"`
	Received time.Time        `json:"received"`
	Report   inventory.Report `json:"report"`
}

// Step is one line of progress of one attempt.
type Step struct {
	Attempt AttemptID `json:"attempt"`
	Stage   string    `json:"stage"`
	Detail  string    `json:"detail,omitempty"`
	At      time.Time `json:"at"`
}

// Stages that the boot plane and the installers report. An installer may
// report others; these have a meaning for the engine.
const (
	StageKexec       = "kexec"        // the scout goes over to the installer
	StageScript      = "script"       // a boot script was fetched (not a boot: believed when the next stage shows)
	StageKernel      = "kernel"       // a kernel was fetched
	StageRootfs      = "rootfs"       // the installer's kernel fetched its root: it runs
	StageMedium      = "medium"       // the host's own ISO was read
	StageConfig      = "config"       // the configuration was fetched
	StageEarly       = "early"        // the installer runs and has read its configuration
	StageWriting     = "writing"      // whoever installs is about to write to the disk
	StageWrite       = "write"        // a disk image is being written
	StageVerify      = "verify"       // what was written is being read back
	StageWriteFailed = "write-failed" // the write did not work, and its detail says why
	StageWritten     = "written"      // the installer is done; the next boot is from the disk
)

// Write records that an attempt began to write to a disk. While nothing of it
// has run, what is on the disk is a half-done work of ours; once its system
// called home the disk is somebody's.
type Write struct {
	Attempt AttemptID `json:"attempt"`
	Serial  string    `json:"serial"` // of the disk
	At      time.Time `json:"at"`
	InUse   bool      `json:"in_use,omitempty"` // its system called home
}

// CallHome is a call of the installed system.
type CallHome struct {
	Attempt AttemptID `json:"attempt"`
	At      time.Time `json:"at"`
	Address string    `json:"address,omitempty"`
}

// Registration is what an agent sent to the registration URL.
type Registration struct {
	Attempt AttemptID         `json:"attempt"`
	At      time.Time         `json:"at"`
	Address string            `json:"address,omitempty"`
	Claims  map[string]string `json:"claims,omitempty"` // flat, bounded
}

// Receipt is the hand-off's proof that the host is registered.
type Receipt struct {
	Attempt AttemptID `json:"attempt"`
	Driver  string    `json:"driver"`
	ID      string    `json:"id"`
	At      time.Time `json:"at"`
	Proof   string    `json:"proof"`
}

// Ask is what a hand-off driver needs a person for.
type Ask struct {
	Attempt AttemptID `json:"attempt"`
	Text    string    `json:"text"` // a sentence that says what to do
}

// Waits is what a hand-off driver has not found yet.
type Waits struct {
	Attempt AttemptID `json:"attempt"`
	Text    string    `json:"text"` // a sentence; the same while the same is waited for
	// Away is since when the driver cannot look, because the service it asks does
	// not answer; zero: it can. Blind is how long it could not before. That time
	// does not count against the host's deadline.
	Away  time.Time     `json:"away,omitzero"`
	Blind time.Duration `json:"blind,omitempty"`
}

// Kept is what a hand-off driver wants to be told again of an attempt: its own
// text, which holds no secret.
type Kept struct {
	Attempt AttemptID `json:"attempt"`
	Text    string    `json:"text"`
}

// Phase is where a host is on its way.
type Phase string

// The phases; docs/lifecycle.md has the drawing.
const (
	Unknown     Phase = "unknown"
	Expected    Phase = "expected"
	Discovered  Phase = "discovered"
	Verifying   Phase = "verifying"
	Ready       Phase = "ready"
	Installing  Phase = "installing"
	Installed   Phase = "installed"
	Registered  Phase = "registered"
	Shipped     Phase = "shipped"
	Failed      Phase = "failed"
	Quarantined Phase = "quarantined"
)

// Phases returns every phase in the order of a host's way.
func Phases() []Phase {
	return []Phase{Unknown, Expected, Discovered, Verifying, Ready, Installing, Installed, Registered, Shipped, Failed, Quarantined}
}

// Status is what the engine concluded.
type Status struct {
	Phase    Phase             `json:"phase"`
	Since    time.Time         `json:"since"`
	Why      string            `json:"why"`                // never empty
	Deadline time.Time         `json:"deadline,omitzero"`  // zero: waits for a person
	Attempt  Attempt           `json:"attempt"`            // the current one, or the last
	Key      Secret            `json:"key,omitempty"`      // the scout's token of this run; empty outside a run
	Tries    int               `json:"tries,omitempty"`    // attempts that failed since a person last spoke
	Findings []profile.Finding `json:"findings,omitempty"` // of the last verdict
	Erase    bool              `json:"erase,omitempty"`    // reinstall was granted; spent by the next install attempt
	Before   Phase             `json:"before,omitempty"`   // while quarantined: the phase it came from
	// Unreached are the ways by which the image did not reach the host, since a
	// person last spoke: the next attempt goes another.
	Unreached []Way    `json:"unreached,omitempty"`
	Handled   Requests `json:"handled"`
}

// Attempt is one try at one phase.
type Attempt struct {
	ID    AttemptID `json:"id,omitempty"`
	Phase Phase     `json:"phase,omitempty"`
	Began time.Time `json:"began,omitzero"`
	Token Secret    `json:"token,omitempty"` // opens this attempt's medium, config, call-home and registration
	Disk  string    `json:"disk,omitempty"`  // by-id name of the disk an install writes to
	Erase bool      `json:"erase,omitempty"` // this attempt may erase foreign data
}

// Boot is what a boot client is offered.
type Boot string

// The offers.
const (
	BootSilence   Boot = "silence"
	BootDiscover  Boot = "discover"
	BootInstall   Boot = "install"
	BootImage     Boot = "image" // the host's own ISO, by the HTTP boot of its firmware
	BootLocalDisk Boot = "local-disk"
)

// Entry is one line of a host's journal. Entries are written in the
// transaction that changes the host, are numbered without a gap and are never
// replayed into state.
type Entry struct {
	Host    HostID    `json:"host"`
	Seq     uint64    `json:"seq"` // from 1
	At      time.Time `json:"at"`
	Kind    EntryKind `json:"kind"`
	Phase   Phase     `json:"phase"` // after the change
	Attempt AttemptID `json:"attempt,omitempty"`
	Text    string    `json:"text"` // one sentence
	By      string    `json:"by"`   // engine, scout, boot plane, installer, agent, or a person
}

// EntryKind sorts journal entries.
type EntryKind string

// Kinds of journal entries.
const (
	EntryMove   EntryKind = "move"   // a phase changed
	EntryFact   EntryKind = "fact"   // something was observed
	EntryIntent EntryKind = "intent" // a person said something
)

// Order is one batch for one purpose. Its hosts hold copies of what concerns
// them; the order itself is kept for people and for the next import. Template
// and Secrets are read from here when an attempt is rendered: hosts hold no
// copy of them.
type Order struct {
	Name     OrderName         `json:"name"`
	Profile  string            `json:"profile"`
	Image    string            `json:"image,omitempty"`   // digest
	Handoff  string            `json:"handoff,omitempty"` // driver
	Options  map[string]any    `json:"handoff_options,omitempty"`
	Ship     bool              `json:"ship,omitempty"`
	Erase    bool              `json:"erase,omitempty"`
	After    After             `json:"after,omitempty"`
	Config   map[string]any    `json:"config,omitempty"` // what it adds to each host's configuration
	Template string            `json:"template,omitempty"`
	Secrets  map[string]Secret `json:"secrets,omitempty"`
	// Sealed are config, template and secrets as they lie in the store. An order
	// that was read has it only where it does not open; then none is known.
	Sealed   []byte    `json:"sealed,omitempty"`
	Way      Way       `json:"way,omitempty"`
	Imported time.Time `json:"imported"`
	Started  time.Time `json:"started,omitzero"` // zero: not started or stopped
	// RowImages are the digests of other images that its rows name.
	RowImages []string `json:"row_images,omitempty"`
	Hosts     []HostID `json:"hosts"`
	Revision  uint64   `json:"-"`
}
