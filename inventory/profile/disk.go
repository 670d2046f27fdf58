package profile

import (
	"fmt"
	"slices"
	"strings"

	"github.com/muster-boot/muster/inventory"
)

// disks counts, for each rule, the disks that have all its properties.
func (c *comparison) disks() {
	for _, want := range c.profile.Disks {
		fit, unsure := 0, 0
		for _, d := range c.report.Disks {
			switch want.fits(d) {
			case yes:
				fit++
			case perhaps:
				unsure++
			}
		}
		blind := unsure > 0 || len(c.report.Disks) == 0
		c.count(CheckDisks, want.Count, fit, blind, want.noun(), "Compare the disks fitted with the order: "+listDisks(c.report.Disks)+".")
	}
}

// answer is a verdict that may rest on data nobody has.
type answer int

const (
	no answer = iota
	perhaps
	yes
)

func (want Disks) fits(d inventory.Disk) answer {
	if d.Removable || d.BootMedium || DiskSize(d.Size) < want.Minimum {
		return no
	}
	if want.Transport != "" && !strings.EqualFold(want.Transport, d.Transport) ||
		want.Model != "" && !strings.EqualFold(want.Model, d.Model) {
		return no
	}
	if want.Rotational == nil {
		return yes
	}
	if d.Rotational == nil {
		return perhaps
	}
	if *d.Rotational == *want.Rotational {
		return yes
	}
	return no
}

// noun names the kind of disk that the rule counts.
func (want Disks) noun() string {
	var qualities []string
	if want.Rotational != nil {
		qualities = append(qualities, map[bool]string{true: "rotating", false: "solid-state"}[*want.Rotational])
	}
	for _, q := range []string{want.Transport, want.Model} {
		if q != "" {
			qualities = append(qualities, q)
		}
	}
	if want.Minimum > 0 {
		qualities = append(qualities, want.Minimum.String()+" or more")
	}
	if len(qualities) == 0 {
		return "disk"
	}
	return "disk (" + strings.Join(qualities, ", ") + ")"
}

// InstallDisk chooses the disk to be written. It never chooses a boot medium,
// a disk that something holds open, or a read-only one, not even by name. When
// it cannot choose, the finding says why not for each disk; a finding always
// blocks and no disk may be written.
func InstallDisk(p Profile, r inventory.Report) (inventory.Disk, *Finding) {
	f := Finding{Check: CheckInstallDisk, Expected: p.InstallDisk.words(), Witness: r.Witness, Blocking: true}
	if len(r.Disks) == 0 {
		f.Seen = unknown
		f.Advice = "No disk was reported: check that one is fitted and that its controller is not set to firmware RAID."
		return inventory.Disk{}, &f
	}
	best, rejected := p.InstallDisk.candidates(r.Disks)
	switch len(best) {
	case 1:
		return best[0], nil
	case 0:
		f.Seen = strings.Join(rejected, "; ")
		f.Advice = "Fit a disk that qualifies, or correct install_disk in the profile."
	default:
		f.Slot = strings.Join(diskNames(best), ", ")
		f.Seen = fmt.Sprintf("%d disks that fit equally well: %s", len(best), listDisks(best))
		f.Advice = "Say which one it is by install_disk with by_id, in the profile or in the host's row of the manifest."
	}
	return inventory.Disk{}, &f
}

func (t Target) words() string {
	if t.ByID != "" {
		return "the disk " + strings.TrimPrefix(t.ByID, byIDDir)
	}
	return "a solid-state disk of at least " + t.Minimum.String() + " that is not removable"
}

// candidates returns the disks that fit best, and for each other one why not.
func (t Target) candidates(disks []inventory.Disk) (best []inventory.Disk, rejected []string) {
	for _, d := range disks {
		if why := t.refuses(d); why != "" {
			rejected = append(rejected, diskName(d)+" "+why)
			continue
		}
		if len(best) > 0 && d.Size > best[0].Size {
			continue
		}
		if len(best) > 0 && d.Size < best[0].Size {
			best = nil
		}
		best = append(best, d)
	}
	return best, rejected
}

// refuses says why a disk may not be written, "" when it may.
func (t Target) refuses(d inventory.Disk) string {
	switch {
	case t.ByID != "" && !holdsName(d, t.ByID):
		return "has another name"
	case d.BootMedium:
		return "is the medium that the running system came from"
	case len(d.Holders) > 0:
		return "is in use by " + strings.Join(d.Holders, ", ")
	case d.ReadOnly:
		return "is read-only"
	case t.ByID != "":
		return ""
	case d.Removable:
		return "is removable"
	case d.Transport == "usb":
		return "is attached by USB; name it with by_id if it is meant"
	case DiskSize(d.Size) < t.Minimum:
		return "has only " + DiskSize(d.Size).String()
	case d.Rotational == nil:
		return "may be rotating, nobody could see"
	case *d.Rotational:
		return "is rotating"
	case len(d.ByID) == 0:
		return "has no name under " + byIDDir + " to call it by on the next boot"
	}
	return ""
}

// diskEmpty is in every profile: the disk to be written must hold nothing, as
// far as known signatures tell. It lets a disk pass unlooked-at only where
// erasing is allowed, or where we ourselves began to write to it.
func (c *comparison) diskEmpty(allow Allow) {
	d, f := InstallDisk(c.profile, c.report)
	if f != nil {
		c.add(*f)
		return
	}
	if allow.Erase || allow.oursIs(d, c.report.Disks) || d.Signatures != nil && len(d.Signatures) == 0 {
		return
	}
	if d.Signatures == nil {
		c.add(Finding{Check: CheckDiskEmpty, Slot: diskName(d), Expected: "an empty disk", Seen: unknown, Blocking: true,
			Advice: "Nobody looked at what is on it; verify the host again."})
		return
	}
	c.wrong(CheckDiskEmpty, diskName(d), "an empty disk", strings.Join(d.Signatures, ", "),
		"There is data on the disk. Fit an empty one, or let muster erase it: erase: allowed in the order, or muster host reinstall.")
}

// oursIs reports whether an earlier attempt of ours began to write to d. A
// serial that is junk, or that two disks of the host share, proves nothing.
func (a Allow) oursIs(d inventory.Disk, all []inventory.Disk) bool {
	serial := inventory.NormalSerial(d.Serial)
	if serial == "" {
		return false
	}
	same := 0
	for _, other := range all {
		if inventory.NormalSerial(other.Serial) == serial {
			same++
		}
	}
	return same == 1 && slices.ContainsFunc(a.Ours, func(ours string) bool { return inventory.NormalSerial(ours) == serial })
}

// diskName is how a person finds the disk: its kernel name for this boot and
// what is printed on its label.
func diskName(d inventory.Disk) string {
	if d.Serial != "" {
		return d.Name + " (serial " + d.Serial + ")"
	}
	return d.Name
}

func diskNames(disks []inventory.Disk) []string {
	names := make([]string, len(disks))
	for i, d := range disks {
		names[i] = d.Name
	}
	return names
}

func listDisks(disks []inventory.Disk) string {
	if len(disks) == 0 {
		return "no disk was seen"
	}
	words := make([]string, len(disks))
	for i, d := range disks {
		words[i] = diskName(d) + " " + strings.TrimSpace(DiskSize(d.Size).String()+" "+d.Model)
	}
	return strings.Join(words, ", ")
}
