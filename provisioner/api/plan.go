package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/muster-boot/muster/inventory/manifest"
	"github.com/muster-boot/muster/inventory/profile"
	"github.com/muster-boot/muster/provisioner"
	v1 "github.com/muster-boot/muster/provisioner/api/v1"
	"github.com/muster-boot/muster/provisioner/store"
)

// importer decides what an import does. It is pure: images, time and ids come
// in, a change and what to say about it come out.
type importer struct {
	Draft
	image   func(ref string) (digest string, err error)
	drivers []string
	options func(driver string, options map[string]any) error // what is wrong with a hand-off's options; nil: anything goes
	sealer  Sealer
	site    Site
	now     time.Time
	mint    func(line int) provisioner.HostID // the same for the same line, also in a later try
	try     trial                             // what a host would be given; nil: anything goes
}

// plan compares the draft with what muster holds. With remarks in wrong there
// is nothing to commit.
func (im importer) plan(prior provisioner.Order, hosts []provisioner.Host) (change store.Change, report v1.Imported, wrong []v1.Remark) {
	order, wrong := im.order(prior)
	wants := make([]provisioner.Intent, 0, len(im.Rows))
	for _, row := range im.Rows {
		want, remarks := im.intent(order, row)
		wants, wrong = append(wants, want), append(wrong, remarks...)
	}
	order.RowImages = rowImages(order.Image, wants)
	var without []v1.Remark
	if len(wrong) == 0 {
		wrong, without = im.tried(order, wants)
	}
	matches, remarks := matchRows(order.Name, im.Rows, hosts)
	wrong = append(wrong, remarks...)
	wrong = append(wrong, im.taken(order.Name, matches, hosts)...)
	if len(wrong) > 0 {
		return store.Change{}, v1.Imported{}, wrong
	}
	for i := range wants {
		wants[i].BMC = im.controller(im.Rows[i].BMC, matches[i])
	}
	b := booking{importer: im, report: v1.Imported{
		Order: string(order.Name), Hosts: len(im.Rows), Added: []string{}, Changed: []string{}, Removed: []string{}, Kept: []string{},
		Warnings: slices.Concat(im.Warnings, im.cautions(wants), without, given(prior, order)),
	}}
	listed := make(map[provisioner.HostID]bool)
	for i, want := range wants {
		id := b.put(matches[i], want)
		listed[id] = true
		order.Hosts = append(order.Hosts, id)
	}
	for _, h := range hosts {
		if h.Intent.Order == order.Name && !listed[h.ID] && b.unlist(h) {
			order.Hosts = append(order.Hosts, h.ID)
		}
	}
	b.change.PutOrders = []provisioner.Order{order}
	return b.change, b.report, nil
}

// order is the record of the order itself, without its hosts.
func (im importer) order(prior provisioner.Order) (provisioner.Order, []v1.Remark) {
	o := im.Order
	digest, wrong := im.names(o, "order", 0, o)
	return provisioner.Order{
		Name: provisioner.OrderName(o.Name), Profile: o.Profile, Image: digest, Handoff: o.Handoff.Driver, Ship: o.Ship, Options: o.Handoff.Options,
		Erase: o.Erase == manifest.Allowed, After: provisioner.After(o.After), Config: o.Config,
		Template: o.Template, Secrets: secretsOf(o), Way: provisioner.Way(o.Transport),
		Imported: im.now, Started: prior.Started, Revision: prior.Revision,
	}, wrong
}

// names checks that the image and the hand-off which o names exist. Where a row
// says the same as the order, the order's remark is enough.
func (im importer) names(o manifest.Order, source string, line int, order manifest.Order) (digest string, wrong []v1.Remark) {
	say := func(column, format string, args ...any) {
		at := line
		if at == 0 {
			at = im.Order.Lines[column]
		}
		wrong = append(wrong, v1.Remark{Source: source, Line: at, Column: column, Text: fmt.Sprintf(format, args...)})
	}
	inOrder := line == 0
	if inOrder && o.Image == "" && (o.Template != "" || o.Transport != "") && !im.imaged() {
		say("image", "the order names no image, so nobody reads its template and nothing is transported: name one, or leave these keys out")
	}
	if inOrder && o.Ship && o.Image == "" && !im.imaged() {
		say("ship", "the order names no image, so nothing is installed that could be shipped: name one, or leave ship out")
	}
	if o.Image != "" {
		found, err := im.image(o.Image)
		if digest = found; err != nil && (inOrder || o.Image != order.Image) {
			say("image", "%v", err)
		}
		if o.Handoff.Driver == "" && !inOrder {
			say("image", "say in the order how an installed host becomes registered, for example handoff: {driver: callhome}")
		}
	}
	driver := o.Handoff.Driver
	if driver != "" && !slices.Contains(im.drivers, driver) && (inOrder || driver != order.Handoff.Driver) {
		say("handoff", "this muster has no hand-off %q; it has %s", driver, strings.Join(im.drivers, ", "))
	}
	if driver != "" && im.options != nil && (inOrder || driver != order.Handoff.Driver) {
		if err := im.options(driver, o.Handoff.Options); err != nil {
			say("handoff", "%v", err)
		}
	}
	return digest, wrong
}

// intent is what the manifest wants of one host.
func (im importer) intent(order provisioner.Order, row manifest.Row) (provisioner.Intent, []v1.Remark) {
	o := im.Order.For(row)
	digest, wrong := im.names(o, "manifest", row.Line, im.Order)
	rules, _ := im.rules(o.Profile) // reading the draft found it
	if row.Overrides.InstallDisk != "" {
		rules.InstallDisk = profile.Target{ByID: row.Overrides.InstallDisk}
	}
	return provisioner.Intent{
		Order:   order.Name,
		Row:     provisioner.Row{Line: row.Line, Serial: row.Serial, UUID: row.UUID, MACs: row.MACs, Name: row.Name, Static: provisioner.Static(row.Static)},
		Profile: o.Profile, Rules: rules, Image: digest, Handoff: o.Handoff.Driver, Ship: o.Ship,
		Erase: o.Erase == manifest.Allowed, After: provisioner.After(o.After), Way: provisioner.Way(o.Transport), Started: !order.Started.IsZero(),
	}, wrong
}

// imaged tells whether any row names an image.
func (im importer) imaged() bool {
	return slices.ContainsFunc(im.Rows, func(r manifest.Row) bool { return r.Overrides.Image != "" })
}

// rowImages are the images that rows name beside their order's.
func rowImages(ordered string, wants []provisioner.Intent) []string {
	var named []string
	for _, want := range wants {
		if want.Image != "" && want.Image != ordered {
			named = append(named, want.Image)
		}
	}
	slices.Sort(named)
	return slices.Compact(named)
}

// secretsOf are the order's secrets as they are kept.
func secretsOf(o manifest.Order) map[string]provisioner.Secret {
	if len(o.Secrets) == 0 {
		return nil
	}
	secrets := make(map[string]provisioner.Secret, len(o.Secrets))
	for name, value := range o.Secrets {
		secrets[name] = provisioner.Secret(value)
	}
	return secrets
}

// tried says what is wrong with what each host would be given, and what hosts go
// without whose BMC could not bring it to them. What is said of all of them is
// the order's, and said once.
func (im importer) tried(order provisioner.Order, wants []provisioner.Intent) (wrong, without []v1.Remark) {
	if im.try == nil {
		return nil, nil
	}
	said := map[string]bool{}
	for i, want := range wants {
		if want.Image == "" {
			continue
		}
		caution, err := im.try(want.Row.Line, order, want)
		switch {
		case err != nil && !said[err.Error()]:
			said[err.Error()] = true
			wrong = append(wrong, im.trial(want, err))
		case err == nil && caution != "" && !said[caution] && !im.Rows[i].BMC.Listed():
			said[caution] = true
			without = append(without, im.lost(order, want, caution))
		}
	}
	return wrong, without
}

// trial names the place of a fault: the key of the order that the sentence
// begins with, or else the row.
func (im importer) trial(want provisioner.Intent, err error) v1.Remark {
	for _, key := range []string{"template", "config", "transport", "handoff"} {
		if line := im.Order.Lines[key]; line > 0 && strings.HasPrefix(err.Error(), key) {
			return v1.Remark{Source: "order", Line: line, Column: key, Text: strings.TrimPrefix(err.Error(), key+": ")}
		}
	}
	return v1.Remark{Source: "manifest", Line: want.Row.Line, Text: err.Error()}
}

// lost names the place of a caution about an image: where it is named.
func (im importer) lost(order provisioner.Order, want provisioner.Intent, caution string) v1.Remark {
	if line := im.Order.Lines["image"]; line > 0 && want.Image == order.Image {
		return v1.Remark{Source: "order", Line: line, Column: "image", Text: caution}
	}
	return v1.Remark{Source: "manifest", Line: want.Row.Line, Column: "image", Text: caution}
}

// given says that an order was changed in what no row shows.
func given(prior, order provisioner.Order) []v1.Remark {
	if prior.Revision == 0 || len(prior.Sealed) > 0 {
		return nil
	}
	config := len(prior.Config)+len(order.Config) == 0 || sameJSON(prior.Config, order.Config)
	if config && prior.Template == order.Template && maps.Equal(prior.Secrets, order.Secrets) {
		return nil
	}
	return []v1.Remark{{Source: "order", Text: "what it gives its hosts was changed, and counts for install attempts that begin from now on"}}
}

// booking gathers what an import changes.
type booking struct {
	importer
	change store.Change
	report v1.Imported
}

// put books one row: a new host, a changed one, or nothing where it says what
// it said before.
func (b *booking) put(match *provisioner.Host, want provisioner.Intent) provisioner.HostID {
	if match == nil {
		return b.add(want)
	}
	h := *match
	want.Hold, want.Requests = h.Intent.Hold, h.Intent.Requests
	if sameIntent(h.Intent, want) {
		return h.ID
	}
	if busy(h) {
		b.warn("host %s is %s: what its row says now was not taken over; import again when it is done", h.ID, h.Status.Phase)
		return h.ID
	}
	h.Intent = want
	b.write(h, fmt.Sprintf("Its row in order %s (line %d) was changed.", want.Order, want.Row.Line))
	b.report.Changed = append(b.report.Changed, string(h.ID))
	return h.ID
}

func (b *booking) add(want provisioner.Intent) provisioner.HostID {
	h := provisioner.Host{ID: b.mint(want.Row.Line), Created: b.now, Intent: want, Status: provisioner.Status{
		Phase: provisioner.Expected, Since: b.now, Why: fmt.Sprintf("Listed in order %s, not seen yet.", want.Order),
	}}
	b.write(h, fmt.Sprintf("Listed in order %s (line %d).", want.Order, want.Row.Line))
	b.report.Added = append(b.report.Added, string(h.ID))
	return h.ID
}

// unlist books a host that is in the order but no longer in its manifest, and
// reports whether it is kept.
func (b *booking) unlist(h provisioner.Host) bool {
	if wasSeen(h) {
		b.report.Kept = append(b.report.Kept, string(h.ID))
		b.warn("host %s is no longer listed but was seen (it is %s), so it is kept: remove it with muster host rm %s", h.ID, h.Status.Phase, h.ID)
		return true
	}
	b.change.Delete = append(b.change.Delete, h)
	b.change.Entries = append(b.change.Entries, b.entry(h, fmt.Sprintf("No longer listed in order %s and never seen: removed.", h.Intent.Order)))
	b.report.Removed = append(b.report.Removed, string(h.ID))
	return false
}

// wasSeen tells whether anything showed that h is there.
func wasSeen(h provisioner.Host) bool {
	f := h.Facts
	return f.Sighting != nil || f.Scout != nil || f.Report != nil || f.BMC != nil || len(f.Errands) > 0
}

func (b *booking) write(h provisioner.Host, text string) {
	b.change.Put = append(b.change.Put, h)
	b.change.Entries = append(b.change.Entries, b.entry(h, text))
}

func (b *booking) entry(h provisioner.Host, text string) provisioner.Entry {
	return wanted(h, b.now, text)
}

func (b *booking) warn(format string, args ...any) {
	b.report.Warnings = append(b.report.Warnings, v1.Remark{Source: "manifest", Text: fmt.Sprintf(format, args...)})
}

// sameIntent compares what would be stored; the line in a file is no wish.
func sameIntent(a, b provisioner.Intent) bool {
	a.Row.Line, b.Row.Line = 0, 0
	return sameJSON(a, b)
}

// sameJSON compares what is written of two values: one that was read has other
// types for its numbers.
func sameJSON(a, b any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}
