package api

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/muster-boot/muster/inventory"
	"github.com/muster-boot/muster/inventory/profile"
	"github.com/muster-boot/muster/provisioner"
	v1 "github.com/muster-boot/muster/provisioner/api/v1"
	"github.com/muster-boot/muster/provisioner/lifecycle"
)

// The conversions from the domain's words to the shapes of v1 are pure. What
// has no field there, tokens above all, cannot leave.

// HostShape is h as people see it, but for the name of its image.
func HostShape(h provisioner.Host) v1.Host {
	shape := v1.Host{
		ID: string(h.ID), Name: h.Intent.Row.Name, Order: string(h.Intent.Order),
		Serial: h.Intent.Row.Serial, UUID: h.Intent.Row.UUID, MACs: macs(h),
		Phase: string(h.Status.Phase), Since: h.Status.Since, Why: h.Status.Why,
		NextEvidence: lifecycle.Awaiting(h), Deadline: moment(lifecycle.Due(h)),
		Attempt: string(h.Status.Attempt.ID), Tries: h.Status.Tries, Started: h.Intent.Started, Hold: h.Intent.Hold, Pending: pending(h),
		Profile: h.Intent.Profile, Image: h.Intent.Image, Way: way(h), Handoff: h.Intent.Handoff, Boot: string(lifecycle.BootedBy(h)), Ship: h.Intent.Ship,
		Findings: findings(h.Status.Findings), Progress: progress(h), Receipt: receipt(h.Facts.Receipt), Shipment: shipment(h),
		BMC: bmcShape(h), Static: staticShape(h.Intent.Row.Static),
		Aliases: texts(h.Aliases), Created: h.Created, Entries: h.Entries,
	}
	if told := h.Listed(); h.Facts.Report == nil {
		shape.Serial, shape.UUID = told.Serial, told.UUID
	}
	if s := h.Facts.Sighting; s != nil {
		shape.Network, shape.Address = s.Network, s.Address
		shape.UUID = cmp.Or(shape.UUID, s.UUID)
	}
	if r := h.Facts.Report; r != nil {
		shape.Serial = cmp.Or(shape.Serial, r.Report.System.Serial)
		shape.UUID = cmp.Or(shape.UUID, r.Report.System.UUID)
		shape.Report = summary(*r)
	}
	shape.Address = cmp.Or(lastAddress(h), shape.Address)
	shape.LastSeen = moment(lastSeen(h))
	return shape
}

// pending tells whether a person's request is still to be acted on.
func pending(h provisioner.Host) bool {
	asked, handled := h.Intent.Requests, h.Status.Handled
	return asked.Retry > handled.Retry || asked.Release > handled.Release || asked.Reinstall > handled.Reinstall
}

// way is how the image reaches the host: what its attempt goes by, else what
// people want.
func way(h provisioner.Host) string {
	if p := h.Facts.Prepared; p != nil && p.Attempt == h.Status.Attempt.ID && p.Way != "" {
		return string(p.Way)
	}
	return string(h.Intent.Way)
}

// macs are the listed, then the seen addresses, each once.
func macs(h provisioner.Host) []string {
	all := append([]string{}, h.Listed().MACs...)
	if s := h.Facts.Sighting; s != nil {
		all = append(all, s.MACs...)
	}
	if r := h.Facts.Report; r != nil {
		for _, n := range r.Report.NICs {
			all = append(all, n.MAC)
		}
	}
	seen := make(map[string]bool)
	return slices.DeleteFunc(all, func(mac string) bool {
		again := seen[mac] || mac == ""
		seen[mac] = true
		return again
	})
}

// lastAddress is where the newest call came from; empty before any call.
func lastAddress(h provisioner.Host) string {
	var address string
	var at time.Time
	note := func(t time.Time, a string) {
		if a != "" && t.After(at) {
			address, at = a, t
		}
	}
	if c := h.Facts.Scout; c != nil {
		note(c.Last, c.Address)
	}
	if b := h.Facts.Booted; b != nil {
		note(b.At, b.Address)
	}
	if r := h.Facts.Registration; r != nil {
		note(r.At, r.Address)
	}
	return address
}

func lastSeen(h provisioner.Host) time.Time {
	times := []time.Time{}
	if s := h.Facts.Sighting; s != nil {
		times = append(times, s.Last)
	}
	if c := h.Facts.Scout; c != nil {
		times = append(times, c.Last)
	}
	if r := h.Facts.Report; r != nil {
		times = append(times, r.Received)
	}
	for _, s := range h.Facts.Steps {
		times = append(times, s.At)
	}
	for _, p := range h.Facts.Progress {
		times = append(times, p.At)
	}
	if b := h.Facts.Booted; b != nil {
		times = append(times, b.At)
	}
	if f := h.Facts.Farewell; f != nil {
		times = append(times, f.Last)
	}
	if r := h.Facts.Registration; r != nil {
		times = append(times, r.At)
	}
	if len(times) == 0 {
		return time.Time{}
	}
	return slices.MaxFunc(times, time.Time.Compare)
}

func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func findings(list []profile.Finding) []v1.Finding {
	shapes := make([]v1.Finding, 0, len(list))
	for _, f := range list {
		shapes = append(shapes, v1.Finding{
			Check: string(f.Check), Slot: f.Slot, Expected: f.Expected, Seen: f.Seen,
			Witness: string(f.Witness), Blocking: f.Blocking, Sentence: f.Sentence(),
		})
	}
	return shapes
}

func receipt(r *provisioner.Receipt) *v1.Receipt {
	if r == nil {
		return nil
	}
	return &v1.Receipt{Driver: r.Driver, ID: r.ID, At: r.At, Proof: r.Proof}
}

// shipment is how the host's present attempt went off; null before it did.
func shipment(h provisioner.Host) *v1.Shipment {
	d, off := lifecycle.Departed(h)
	if !off {
		return nil
	}
	s := &v1.Shipment{At: d.At, By: string(d.By), Proof: d.Proof}
	if r := h.Facts.Record; r != nil && r.Attempt == d.Attempt {
		s.Record, s.Digest = r.File, r.Digest
	}
	return s
}

func summary(r provisioner.Report) *v1.Summary {
	report := r.Report
	s := &v1.Summary{
		Received: r.Received, Witness: string(report.Witness), Version: report.Version,
		Manufacturer: report.System.Manufacturer, Product: report.System.Product,
		Firmware: report.Firmware.Mode, SecureBoot: report.Firmware.SecureBoot,
		CPUs: []string{}, Memory: uint64(report.Memory), Disks: disks(report.Disks), NICs: nics(report.NICs),
		Gaps: []string{}, Problems: texts(report.Problems),
	}
	for _, c := range report.CPUs {
		s.CPUs = append(s.CPUs, c.Model)
		s.Cores += c.Cores
	}
	if report.TPM != nil {
		s.TPM = report.TPM.Version
	}
	for _, g := range report.Gaps {
		s.Gaps = append(s.Gaps, fmt.Sprintf("%s (%s) needs %s: rebuild with muster ramdisk build --firmware", g.Device, g.Driver, g.Blob))
	}
	return s
}

func disks(list []inventory.Disk) []v1.Disk {
	shapes := make([]v1.Disk, 0, len(list))
	for _, d := range list {
		shape := v1.Disk{Name: d.Name, Model: d.Model, Serial: d.Serial, Size: uint64(d.Size), Kind: d.Transport}
		if len(d.ByID) > 0 {
			shape.ByID = d.ByID[0]
		}
		shapes = append(shapes, shape)
	}
	return shapes
}

func nics(list []inventory.NIC) []v1.NIC {
	shapes := make([]v1.NIC, 0, len(list))
	for _, n := range list {
		shapes = append(shapes, v1.NIC{Name: n.Name, MAC: n.MAC, Driver: n.Driver, SpeedMbps: n.SpeedMbps, Link: n.Link, Booted: n.Booted})
	}
	return shapes
}

// EntryShape is one line of a journal as people see it.
func EntryShape(e provisioner.Entry) v1.Entry {
	return v1.Entry{
		Host: string(e.Host), Seq: e.Seq, At: e.At, Kind: string(e.Kind), Phase: string(e.Phase),
		Attempt: string(e.Attempt), Text: e.Text, By: e.By,
	}
}

// OrderShape is o as people see it, but for the name of its image; hosts are all that muster holds.
func OrderShape(o provisioner.Order, hosts []provisioner.Host, held []provisioner.Handoff) v1.Order {
	shape := v1.Order{
		Name: string(o.Name), Profile: o.Profile, Image: o.Image, Handoff: o.Handoff, Ship: o.Ship, Erase: o.Erase, After: string(o.After),
		Transport: string(o.Way), Config: names(o.Config), Secrets: names(o.Secrets), Template: lineCount(o.Template),
		Imported: o.Imported, Started: moment(o.Started), Hosts: []string{}, Phases: map[string]int{},
	}
	var locked []string
	for _, h := range hosts {
		if h.Intent.Order == o.Name {
			if h.BMCLacks() != "" {
				locked = append(locked, cmp.Or(h.Intent.Row.Name, h.Intent.Row.Serial, string(h.ID)))
			}
			shape.Hosts = append(shape.Hosts, string(h.ID))
			shape.Phases[string(h.Status.Phase)]++
		}
	}
	slices.Sort(shape.Hosts)
	slices.Sort(locked)
	shape.Warnings = append(lockedHosts(locked), unopened(o)...)
	shape.Held = heldShapes(o.Name, held)
	return shape
}

// heldShapes are those of one order, without what drivers keep.
func heldShapes(order provisioner.OrderName, all []provisioner.Handoff) []v1.Held {
	shapes := []v1.Held{}
	for _, h := range all {
		if h.Order == order {
			shapes = append(shapes, v1.Held{
				Handoff: h.Driver, Opened: h.Opened, Closing: moment(h.Closing), Closed: moment(h.Closed), Said: h.Said, Ask: h.Ask,
			})
		}
	}
	return shapes
}

// names are the keys of a map in alphabetical order, never nil.
func names[V any](m map[string]V) []string { return append([]string{}, slices.Sorted(maps.Keys(m))...) }

// lineCount counts the lines of a text.
func lineCount(text string) int {
	if text == "" {
		return 0
	}
	return strings.Count(strings.TrimSuffix(text, "\n"), "\n") + 1
}

// texts copies a slice of some string type; the copy is never nil.
func texts[S ~string](list []S) []string {
	out := make([]string, 0, len(list))
	for _, s := range list {
		out = append(out, string(s))
	}
	return out
}
