// Package profile says what a correct host of one kind looks like and compares
// a host's inventory with it.
//
// It is pure: it reads no hardware, keeps no state and decides nothing about
// the host but what differs. It never guesses: data that no witness saw is
// "unknown", two disks that fit equally well are a finding, and a disk that
// nobody looked at is not empty. Start at [Profile] for what a file may ask,
// at [Compare] for the verdict, at [InstallDisk] for the disk to be written.
package profile

import (
	"embed"
	"fmt"
	"slices"
	"strings"

	"github.com/muster-boot/muster/inventory"
	"github.com/muster-boot/muster/inventory/strictyaml"
)

// Profile is what an order expects of each of its hosts. A rule that is its
// zero value asks nothing. Profiles travel as YAML (written by people) and as
// JSON (kept in a host's intent) with the same keys.
type Profile struct {
	Name  string `json:"name" yaml:"name"`
	About string `json:"about,omitempty" yaml:"about"`

	System   System   `json:"system,omitzero" yaml:"system"`
	Firmware Firmware `json:"firmware,omitzero" yaml:"firmware"`
	TPM      string   `json:"tpm,omitempty" yaml:"tpm"` // at least this version: "1.2" or "2.0"
	CPU      CPU      `json:"cpu,omitzero" yaml:"cpu"`
	Memory   Memory   `json:"memory,omitzero" yaml:"memory"`
	NICs     NICs     `json:"nics,omitzero" yaml:"nics"`
	Disks    []Disks  `json:"disks,omitempty" yaml:"disks"`

	InstallDisk Target  `json:"install_disk" yaml:"install_disk"`
	MustSee     []Check `json:"must_see,omitempty" yaml:"must_see"` // checks where "unknown" blocks the host
}

// Count is a rule for a number of things: at least Minimum, or exactly Exact.
type Count struct {
	Minimum int `json:"minimum,omitempty" yaml:"minimum"`
	Exact   int `json:"exact,omitempty" yaml:"exact"`
}

// System is an exact rule for maker and model, compared without regard to case.
type System struct {
	Manufacturer string `json:"manufacturer,omitempty" yaml:"manufacturer"`
	Product      string `json:"product,omitempty" yaml:"product"`
}

// Firmware is an exact rule for how the host starts.
type Firmware struct {
	Mode       string `json:"mode,omitempty" yaml:"mode"` // "bios" or "uefi"
	SecureBoot *bool  `json:"secure_boot,omitempty" yaml:"secure_boot"`
}

// CPU is a rule for processors; Cores is the sum over all sockets.
type CPU struct {
	Sockets Count `json:"sockets,omitzero" yaml:"sockets"`
	Cores   Count `json:"cores,omitzero" yaml:"cores"`
}

// Memory is a rule for installed memory: the sum of the DIMMs where a witness
// saw them. Where none did, what the operating system can use is compared with
// Usable, or with Minimum or Exact less a sixteenth, because firmware and
// kernel keep some for themselves.
type Memory struct {
	Minimum MemorySize            `json:"minimum,omitzero" yaml:"minimum"`
	Exact   MemorySize            `json:"exact,omitzero" yaml:"exact"`
	Usable  MemorySize            `json:"usable,omitzero" yaml:"usable"`
	Slots   map[string]MemorySize `json:"slots,omitempty" yaml:"slots"` // exact size of single slots
}

// NICs is a rule for network ports. Only ports with link that run at Speed or
// faster count for Link.
type NICs struct {
	Count Count `json:"count,omitzero" yaml:"count"`
	Link  Count `json:"link,omitzero" yaml:"link"`
	Speed Speed `json:"speed,omitzero" yaml:"speed"`
}

// Disks is a rule for one kind of disk: so many that have all the properties
// named.
type Disks struct {
	Count      Count    `json:"count" yaml:"count"`
	Minimum    DiskSize `json:"minimum,omitzero" yaml:"minimum"` // size of each
	Rotational *bool    `json:"rotational,omitempty" yaml:"rotational"`
	Transport  string   `json:"transport,omitempty" yaml:"transport"`
	Model      string   `json:"model,omitempty" yaml:"model"`
}

// Target names the disk to be written: one by its name under /dev/disk/by-id,
// or the smallest disk of at least Minimum that is neither removable nor
// rotational. Exactly one of the two is set.
type Target struct {
	ByID    string   `json:"by_id,omitempty" yaml:"by_id"`
	Minimum DiskSize `json:"minimum,omitzero" yaml:"minimum"`
}

//go:embed builtin/*.yaml
var builtin embed.FS

// Parse reads a profile that a person wrote. Keys are strict. The error names
// line and column of the first thing that is wrong.
func Parse(data []byte) (Profile, error) {
	var p Profile
	doc, err := strictyaml.Decode(data, &p)
	if err != nil {
		return Profile{}, fmt.Errorf("read profile: %w", err)
	}
	if f := p.fault(); f != nil {
		return Profile{}, fmt.Errorf("read profile: %w", doc.Errorf(f.key, "%s", f.text))
	}
	return p, nil
}

// Builtin returns the profile of that name which muster ships with.
func Builtin(name string) (Profile, bool) {
	if !slices.Contains(Builtins(), name) {
		return Profile{}, false
	}
	data, err := builtin.ReadFile("builtin/" + name + ".yaml")
	if err != nil {
		return Profile{}, false
	}
	p, err := Parse(data)
	return p, err == nil
}

// Builtins lists the names of the profiles that muster ships with, sorted.
func Builtins() []string {
	entries, err := builtin.ReadDir("builtin")
	if err != nil {
		return nil
	}
	var names []string
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".yaml"))
	}
	return names
}

// fault is the first thing wrong with a profile's meaning, by dotted key.
type fault struct {
	key, text string
}

func (p Profile) fault() *fault {
	for _, f := range []*fault{
		p.nameFault(),
		p.modeFault(),
		countFault("cpu.sockets", p.CPU.Sockets),
		countFault("cpu.cores", p.CPU.Cores),
		countFault("nics.count", p.NICs.Count),
		countFault("nics.link", p.NICs.Link),
		p.Memory.fault(),
		p.disksFault(),
		p.InstallDisk.fault(),
		p.mustSeeFault(),
	} {
		if f != nil {
			return f
		}
	}
	return nil
}

func (p Profile) nameFault() *fault {
	const letters = "abcdefghijklmnopqrstuvwxyz0123456789-"
	if p.Name == "" || len(p.Name) > 63 || strings.Trim(p.Name, letters) != "" {
		return &fault{"name", "give the profile a name of 1 to 63 small letters, digits and hyphens"}
	}
	return nil
}

func (p Profile) modeFault() *fault {
	if m := p.Firmware.Mode; m != "" && m != "bios" && m != "uefi" {
		return &fault{"firmware.mode", fmt.Sprintf("%q is neither bios nor uefi", m)}
	}
	if p.Firmware.Mode == "bios" && p.Firmware.SecureBoot != nil && *p.Firmware.SecureBoot {
		return &fault{"firmware.secure_boot", "Secure Boot needs mode: uefi"}
	}
	if p.TPM != "" && p.TPM != "1.2" && p.TPM != "2.0" {
		return &fault{"tpm", fmt.Sprintf("%q is neither \"1.2\" nor \"2.0\"", p.TPM)}
	}
	return nil
}

func countFault(key string, c Count) *fault {
	if c.Minimum < 0 || c.Exact < 0 {
		return &fault{key, "a number of things cannot be negative"}
	}
	if c.Minimum > 0 && c.Exact > 0 {
		return &fault{key, "say minimum or exact, not both"}
	}
	return nil
}

func (m Memory) fault() *fault {
	if m.Minimum > 0 && m.Exact > 0 {
		return &fault{"memory", "say minimum or exact, not both"}
	}
	if m.Usable > 0 && m.installed() == 0 {
		return &fault{"memory.usable", "say minimum or exact too; usable is only compared where nobody saw the DIMMs"}
	}
	if m.Usable > m.installed() {
		return &fault{"memory.usable", fmt.Sprintf("%v is more than the %v installed", m.Usable, m.installed())}
	}
	return nil
}

func (p Profile) disksFault() *fault {
	for i, d := range p.Disks {
		key := fmt.Sprintf("disks[%d]", i)
		if d.Count == (Count{}) {
			return &fault{key, "say how many: count with minimum or exact"}
		}
		if f := countFault(key+".count", d.Count); f != nil {
			return f
		}
	}
	return nil
}

func (t Target) fault() *fault {
	if (t.ByID == "") == (t.Minimum == 0) {
		return &fault{"install_disk", "name the disk by by_id, or give the minimum size that the smallest fitting disk must have"}
	}
	if strings.ContainsAny(strings.TrimPrefix(t.ByID, byIDDir), "/ \t\n") {
		return &fault{"install_disk.by_id", "give one name as it stands under " + byIDDir}
	}
	return nil
}

func (p Profile) mustSeeFault() *fault {
	for i, c := range p.MustSee {
		if !slices.Contains(checks(), c) {
			return &fault{fmt.Sprintf("must_see[%d]", i), fmt.Sprintf("there is no check %q; there are %s", c, joinChecks(checks()))}
		}
	}
	return nil
}

// byIDDir is where udev keeps the names that stay the same between boots.
const byIDDir = "/dev/disk/by-id/"

// holdsName reports whether name, with or without its directory, is one of d's
// names under /dev/disk/by-id.
func holdsName(d inventory.Disk, name string) bool {
	return slices.Contains(d.ByID, strings.TrimPrefix(name, byIDDir))
}
