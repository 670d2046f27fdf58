package v1

import "time"

// Host is one host as people see it.
type Host struct {
	ID     string   `json:"id"`
	Name   string   `json:"name"` // from the manifest; may be empty
	Order  string   `json:"order"`
	Serial string   `json:"serial"`
	UUID   string   `json:"uuid"`
	MACs   []string `json:"macs"` // listed and seen; never null

	Phase        string     `json:"phase"`
	Since        time.Time  `json:"since"`
	Why          string     `json:"why"`           // a sentence, never empty
	NextEvidence string     `json:"next_evidence"` // what is awaited, as a sentence
	Deadline     *time.Time `json:"deadline"`      // later while bytes of an installation flow; null: waits for a person
	Attempt      string     `json:"attempt"`       // the current one, or the last
	Tries        int        `json:"tries"`
	Started      bool       `json:"started"` // its order was started
	Hold         string     `json:"hold"`    // a person's reason; empty: not held
	Pending      bool       `json:"pending"` // a person asked for something that muster has not acted on yet

	Boot     string     `json:"boot"` // bios-pxe, uefi-pxe, uefi-http, virtual-media; empty: not seen booting
	Network  string     `json:"network"`
	Address  string     `json:"address"`
	LastSeen *time.Time `json:"last_seen"`

	Profile   string `json:"profile"`
	Image     string `json:"image"`      // digest
	ImageName string `json:"image_name"` // a tag of that image; empty where it has none
	Way       string `json:"way"`        // netboot, media, uefi-http or write; empty: not decided
	Handoff   string `json:"handoff"`
	Ship      bool   `json:"ship"` // it ends shipped and registers at its final site

	Findings []Finding `json:"findings"` // of the last verdict; never null
	Progress *Progress `json:"progress"`
	Receipt  *Receipt  `json:"receipt"`
	Shipment *Shipment `json:"shipment"` // null: not off, or not to be shipped
	Report   *Summary  `json:"report"`

	BMC    *BMC    `json:"bmc"`    // null: none is listed
	Static *Static `json:"static"` // null: all by DHCP

	Aliases []string  `json:"aliases"` // ids it was known by before; never null
	Created time.Time `json:"created"`
	Entries uint64    `json:"entries"` // in its journal
}

// Finding is one difference between a host and what it should be.
type Finding struct {
	Check    string `json:"check"`
	Slot     string `json:"slot"`
	Expected string `json:"expected"`
	Seen     string `json:"seen"`
	Witness  string `json:"witness"`
	Blocking bool   `json:"blocking"`
	Sentence string `json:"sentence"`
}

// Progress is how far the current attempt is: its last sign of life, and all of
// its stages.
type Progress struct {
	Stage  string    `json:"stage"`
	Detail string    `json:"detail"`
	Bytes  int64     `json:"bytes"`  // 0 where the stage does not count bytes
	Total  int64     `json:"total"`  // 0 where it is not known
	Rate   int64     `json:"rate"`   // bytes a second, over all of the stage; 0 where it is not known
	ETA    *int64    `json:"eta"`    // seconds from At to the end of the stage; null where nobody knows
	At     time.Time `json:"at"`     // of the last byte, or of the step
	Stages []Stage   `json:"stages"` // in the order in which they began; never null
}

// Stage is one stage of an attempt.
type Stage struct {
	Stage string    `json:"stage"`
	Bytes int64     `json:"bytes"`
	Total int64     `json:"total"`
	Rate  int64     `json:"rate"`
	Began time.Time `json:"began"`
	At    time.Time `json:"at"`
}

// Preview is what a host is given, without secrets and tokens.
type Preview struct {
	Host      string            `json:"host"`
	Attempt   string            `json:"attempt"` // whose it is; empty: what the next attempt would give
	Image     string            `json:"image"`   // digest
	Way       string            `json:"way"`
	Notes     []string          `json:"notes"`     // sentences on what stands in for something, or what this way cannot do; never null
	Documents []PreviewDocument `json:"documents"` // never null
	Kernel    string            `json:"kernel"`    // URL; of a netboot
	Initrds   []string          `json:"initrds"`   // URLs; never null
	Cmdline   string            `json:"cmdline"`   // of a netboot
	Medium    []PreviewChange   `json:"medium"`    // what differs in the host's ISO; never null
	Seed      []PreviewDocument `json:"seed"`      // of the volume beside a disk image; never null
	Disk      string            `json:"disk"`      // that is written, below /dev/disk/by-id
	Coding    string            `json:"coding"`    // of a disk image
}

// PreviewDocument is one text that a host reads.
type PreviewDocument struct {
	Name    string `json:"name"`
	Type    string `json:"type"` // media type
	Content string `json:"content"`
}

// PreviewChange is one difference of a host's ISO: a file, or kernel arguments.
type PreviewChange struct {
	Path    string   `json:"path"` // empty for kernel arguments
	Content string   `json:"content"`
	Args    []string `json:"args"` // put last; never null
	Drop    []string `json:"drop"` // taken out; never null
}

// Medium says where a host's own ISO is.
type Medium struct {
	URL     string   `json:"url"`
	Attempt string   `json:"attempt"`
	Way     string   `json:"way"`
	Size    int64    `json:"size"`    // bytes
	Readers []Reader `json:"readers"` // who fetched of it; never null
	Say     string   `json:"say"`     // what to do with it, as a sentence
}

// Reader is somebody who fetched of a medium.
type Reader struct {
	Address string    `json:"address"`
	First   time.Time `json:"first"`
	Last    time.Time `json:"last"`
	Bytes   int64     `json:"bytes"` // of the medium that came at least once
}

// Receipt is the hand-off's proof that the host is registered.
type Receipt struct {
	Driver string    `json:"driver"`
	ID     string    `json:"id"`
	At     time.Time `json:"at"`
	Proof  string    `json:"proof"`
}

// Shipment is how a host that ships went off, and where its record is.
type Shipment struct {
	At     time.Time `json:"at"`
	By     string    `json:"by"` // bmc or silence
	Proof  string    `json:"proof"`
	Record string    `json:"record"` // a file below the data directory; empty: not written yet
	Digest string    `json:"digest"` // of that file
}

// Summary is a hardware report in a few words.
type Summary struct {
	Received     time.Time `json:"received"`
	Witness      string    `json:"witness"`
	Version      string    `json:"version"`
	Manufacturer string    `json:"manufacturer"`
	Product      string    `json:"product"`
	Firmware     string    `json:"firmware"` // "bios" or "uefi"
	SecureBoot   *bool     `json:"secure_boot"`
	CPUs         []string  `json:"cpus"` // one model per socket; never null
	Cores        int       `json:"cores"`
	Memory       uint64    `json:"memory"` // bytes the operating system can use
	Disks        []Disk    `json:"disks"`  // never null
	NICs         []NIC     `json:"nics"`   // never null
	TPM          string    `json:"tpm"`    // version; empty: none seen
	Gaps         []string  `json:"gaps"`   // missing firmware blobs, as sentences; never null
	Problems     []string  `json:"problems"`
}

// Disk is one disk of a report.
type Disk struct {
	Name   string `json:"name"`
	ByID   string `json:"by_id"`
	Model  string `json:"model"`
	Serial string `json:"serial"`
	Size   uint64 `json:"size"` // bytes
	Kind   string `json:"kind"` // transport
}

// NIC is one network port of a report.
type NIC struct {
	Name      string `json:"name"`
	MAC       string `json:"mac"`
	Driver    string `json:"driver"`
	SpeedMbps int    `json:"speed_mbps"`
	Link      *bool  `json:"link"` // null: not known
	Booted    bool   `json:"booted"`
}

// Entry is one line of a host's journal.
type Entry struct {
	Host    string    `json:"host"`
	Seq     uint64    `json:"seq"` // from 1, without a gap
	At      time.Time `json:"at"`
	Kind    string    `json:"kind"` // move, fact or intent
	Phase   string    `json:"phase"`
	Attempt string    `json:"attempt"`
	Text    string    `json:"text"`
	By      string    `json:"by"`
}

// Why is why a host is where it is, and what it waits for.
type Why struct {
	Host   Host    `json:"host"`
	Recent []Entry `json:"recent"` // the last of its journal, oldest first; never null
}

// Approve gives an unlisted host an order's intent.
type Approve struct {
	Order string `json:"order"`
}

// Hold stops a host until it is released.
type Hold struct {
	Reason string `json:"reason"`
}

// Event is one message of GET /v1/watch. Its revision is the event's id: a
// reader that comes back with it as Last-Event-ID misses nothing.
type Event struct {
	Revision uint64 `json:"revision"`
	Entry    Entry  `json:"entry"`
	Host     *Host  `json:"host"` // as it is now; null once it was removed
}
