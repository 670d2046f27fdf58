// Package evidence makes the record of one host: all that muster holds of it, as
// one signed JSON document that needs no muster to be read or checked.
//
// It observes nothing, decides nothing and leaves out every secret: what it is
// given of configurations is masked already, and tokens have no field here. The
// signature says which muster wrote it, not that what it says is true. Start at
// [Build], then [Key.Sign] and [Shelf].
package evidence

import (
	"slices"
	"time"

	"github.com/muster-boot/muster/inventory/profile"
	"github.com/muster-boot/muster/provisioner"
)

// Format names the form of a record; another form gets another name.
const Format = "muster-record/1"

// Record is all that muster holds of one host. Lists are never null.
type Record struct {
	Format string    `json:"format"`
	Made   time.Time `json:"made"`
	Muster string    `json:"muster"` // its version
	Site   string    `json:"site"`   // empty: it has no name

	Host     Host              `json:"host"`
	Order    Order             `json:"order"`
	Row      provisioner.Row   `json:"row"`
	Rules    profile.Profile   `json:"rules"`    // that it was compared with
	Report   *Report           `json:"report"`   // the scout's; null: none came
	Survey   *Report           `json:"survey"`   // the BMC's account of the same; null: none
	Findings []profile.Finding `json:"findings"` // of the last verdict

	Images   []Image               `json:"images"`   // that were installed, or are to be
	Attempts []Attempt             `json:"attempts"` // oldest first
	Steps    []provisioner.Step    `json:"steps"`    // of the last attempt
	Writes   []provisioner.Write   `json:"writes"`   // destructive acts that were begun
	Given    *Given                `json:"given"`    // by the last install attempt; null: nothing
	BMC      *BMC                  `json:"bmc"`      // null: muster drives none
	Errands  []provisioner.Errand  `json:"errands"`  // of the BMC, the last ones of all attempts
	Booted   *provisioner.CallHome `json:"booted"`   // the installed system's call; null: none came
	Handoff  Handoff               `json:"handoff"`

	Departure *provisioner.Departure `json:"departure"` // that it is off, ready for shipment; null: it is not
	Journal   []provisioner.Entry    `json:"journal"`   // first what happened under ids it had before
}

// Host says who it is and where on its way.
type Host struct {
	ID      provisioner.HostID   `json:"id"`
	Aliases []provisioner.HostID `json:"aliases"`
	Name    string               `json:"name"`
	Serial  string               `json:"serial"`
	UUID    string               `json:"uuid"`
	MACs    []string             `json:"macs"`
	Created time.Time            `json:"created"`
	Phase   provisioner.Phase    `json:"phase"`
	Since   time.Time            `json:"since"`
	Why     string               `json:"why"`
}

// Order is the batch, without what it adds to configurations.
type Order struct {
	Name     provisioner.OrderName `json:"name"`
	Profile  string                `json:"profile"`
	Image    string                `json:"image"` // digest
	Handoff  string                `json:"handoff"`
	Ship     bool                  `json:"ship"`
	Erase    bool                  `json:"erase"`
	After    provisioner.After     `json:"after"`
	Way      provisioner.Way       `json:"transport"`
	Imported time.Time             `json:"imported"`
	Started  time.Time             `json:"started,omitzero"`
}

// Report is an account of the hardware, in full.
type Report = provisioner.Report

// Image is one image by its digest.
type Image struct {
	Digest string   `json:"digest"`
	Names  []string `json:"names"` // tags that it has
	Family string   `json:"family"`
	Size   int64    `json:"size"` // bytes
}

// Attempt is one try at one phase, as the journal tells it.
type Attempt struct {
	ID    provisioner.AttemptID `json:"id"`
	Phase provisioner.Phase     `json:"phase"` // that it was a try at
	Began time.Time             `json:"began"`
	Last  time.Time             `json:"last"` // of its last entry
	End   provisioner.Phase     `json:"end"`  // phase of that entry
}

// Given is what an install attempt gave the host, secrets masked.
type Given struct {
	Attempt   provisioner.AttemptID `json:"attempt"`
	At        time.Time             `json:"at"`
	Way       provisioner.Way       `json:"way"`
	Disk      string                `json:"disk"` // that was written
	Documents []Document            `json:"documents"`
	Problem   string                `json:"problem,omitempty"` // why they are not here
}

// Document is one text of a configuration, secrets masked.
type Document struct {
	Name    string `json:"name"`
	Content string `json:"content"`
}

// BMC is the host's management controller, without how it is entered.
type BMC struct {
	Address string          `json:"address"`
	Seen    provisioner.BMC `json:"seen"`
}

// Handoff is how the host is given to its agent.
type Handoff struct {
	Driver  string               `json:"driver"`
	Receipt *provisioner.Receipt `json:"receipt"` // null: it is not registered here
}

// Input is what a record is made of.
type Input struct {
	Made    time.Time
	Muster  string
	Site    string
	Host    provisioner.Host
	Order   provisioner.Order // the zero value: the host is in none
	Images  []Image
	Given   []Document // masked by who has the secrets
	Problem string     // why Given is not known
	Journal []provisioner.Entry
}

// Build makes the record of a host. It is pure; of the same input it makes the
// same record.
func Build(in Input) Record {
	h := in.Host
	r := Record{
		Format: Format, Made: in.Made.UTC(), Muster: in.Muster, Site: in.Site,
		Host: identity(h), Order: order(in.Order), Row: h.Intent.Row, Rules: h.Intent.Rules,
		Report: h.Facts.Report, Survey: h.Facts.Survey, Findings: list(h.Status.Findings),
		Images: list(in.Images), Attempts: attempts(in.Journal), Steps: list(h.Facts.Steps), Writes: list(h.Facts.Writes),
		Given: given(in), BMC: bmc(h), Errands: list(h.Facts.Errands), Booted: h.Facts.Booted,
		Handoff: Handoff{Driver: h.Intent.Handoff, Receipt: h.Facts.Receipt}, Journal: list(in.Journal),
	}
	if d := h.Facts.Departure; d != nil && d.Attempt == h.Status.Attempt.ID {
		r.Departure = d
	}
	return r
}

// list is l, or an empty list where it is nil.
func list[T any](l []T) []T { return append([]T{}, l...) }

func identity(h provisioner.Host) Host {
	who := Host{
		ID: h.ID, Aliases: list(h.Aliases), Name: h.Intent.Row.Name, Serial: h.Intent.Row.Serial, UUID: h.Intent.Row.UUID,
		MACs: list(h.Intent.Row.MACs), Created: h.Created, Phase: h.Status.Phase, Since: h.Status.Since, Why: h.Status.Why,
	}
	if s := h.Facts.Sighting; s != nil {
		who.MACs = append(who.MACs, s.MACs...)
	}
	if r := h.Facts.Report; r != nil {
		if who.Serial == "" {
			who.Serial = r.Report.System.Serial
		}
		if who.UUID == "" {
			who.UUID = r.Report.System.UUID
		}
		for _, n := range r.Report.NICs {
			who.MACs = append(who.MACs, n.MAC)
		}
	}
	slices.Sort(who.MACs)
	who.MACs = slices.Compact(who.MACs)
	return who
}

func order(o provisioner.Order) Order {
	return Order{Name: o.Name, Profile: o.Profile, Image: o.Image, Handoff: o.Handoff, Ship: o.Ship, Erase: o.Erase,
		After: o.After, Way: o.Way, Imported: o.Imported, Started: o.Started}
}

// attempts are those of the journal, in the order in which they began.
func attempts(journal []provisioner.Entry) []Attempt {
	all := []Attempt{}
	for _, e := range journal {
		if e.Attempt == "" {
			continue
		}
		i := slices.IndexFunc(all, func(a Attempt) bool { return a.ID == e.Attempt })
		if i < 0 {
			all = append(all, Attempt{ID: e.Attempt, Phase: e.Phase, Began: e.At})
			i = len(all) - 1
		}
		all[i].Last, all[i].End = e.At, e.Phase
	}
	return all
}

func given(in Input) *Given {
	p, a := in.Host.Facts.Prepared, in.Host.Status.Attempt
	if p == nil || p.Way == "" || p.Attempt != a.ID {
		return nil
	}
	return &Given{Attempt: p.Attempt, At: p.At, Way: p.Way, Disk: a.Disk, Documents: list(in.Given), Problem: in.Problem}
}

func bmc(h provisioner.Host) *BMC {
	known := h.SeenBMC()
	if known == nil {
		return nil
	}
	seen := *known
	seen.Working = nil // the driver's own note
	return &BMC{Address: h.BMCAddress(), Seen: seen}
}
