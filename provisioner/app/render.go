package app

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/muster-boot/muster/images"
	"github.com/muster-boot/muster/images/overlay"
	"github.com/muster-boot/muster/images/recipe"
	"github.com/muster-boot/muster/inventory"
	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/handoff"
	"github.com/muster-boot/muster/provisioner/lifecycle"
)

// maxDocument bounds one text that a host is given, in bytes: a rendering has
// several of them and is kept in the store.
const maxDocument = 512 << 10

// Render implements [engine.Installer]: all that an attempt gives its host, by
// the way that its image takes. What keeps it from that a person must mend.
func (b *boots) Render(ctx context.Context, h provisioner.Host, carry handoff.Carry) (provisioner.Rendering, error) {
	root, err := b.root(h)
	if err != nil {
		return provisioner.Rendering{}, err
	}
	order, err := b.orders.Order(ctx, h.Intent.Order)
	if err != nil {
		return provisioner.Rendering{}, err
	}
	if err := agrees(order, h); err != nil {
		return provisioner.Rendering{}, err
	}
	r, err := b.rendered(order, h, root, carry.Values)
	if err != nil {
		return r, &provisioner.Fault{Kind: provisioner.Operator, Err: discreet(err, append(secretsOf(order, h), hiddenIn(carry)...)...)}
	}
	for _, name := range slices.Sorted(maps.Keys(order.Secrets)) {
		r.Hidden = append(r.Hidden, order.Secrets[name])
	}
	return r, nil
}

// agrees refuses an order that does not open, and to mix two imports of one,
// which takes more than one transaction: the template of one must not come with
// the image of the other.
func agrees(order provisioner.Order, h provisioner.Host) error {
	if len(order.Sealed) > 0 {
		return operator("the template, config and secrets of order %s do not open with the key in the data directory: put back the one that was there, or import the order again", order.Name)
	}
	if h.Intent.Image == order.Image || slices.Contains(order.RowImages, h.Intent.Image) {
		return nil
	}
	do := "run muster host hold %[1]s, import the order again, then run muster host release %[1]s"
	if h.Intent.Row.Line == 0 { // approved, so no import changes it
		do = "run muster host rm --force %[1]s, boot it and approve it again"
	}
	return operator("order %s names another image by now than host %s was given: %s", order.Name, h.ID, fmt.Sprintf(do, h.ID))
}

// try says what is wrong with what h would be given.
func (b *boots) try(order provisioner.Order, h provisioner.Host, root string, carry map[string]any) error {
	image, err := b.image(h, h.Intent.Image)
	if err != nil {
		return err
	}
	rec, err := b.recipe(image)
	if err != nil {
		return err
	}
	if _, _, err := b.way(image, rec, h); err != nil {
		return err
	}
	if err := rec.CheckSource(sourceOf(order), b.values(order, h, image, root, carry)); err != nil {
		return err
	}
	_, err = b.rendered(order, h, root, carry)
	return err
}

// sourceOf is what the order adds for each of its hosts.
func sourceOf(order provisioner.Order) recipe.Source {
	return recipe.Source{Template: order.Template, Config: order.Config}
}

// rendered makes a rendering, without who and when. Its errors may quote what a
// template made of secrets.
func (b *boots) rendered(order provisioner.Order, h provisioner.Host, root string, carry map[string]any) (provisioner.Rendering, error) {
	image, err := b.image(h, h.Intent.Image)
	if err != nil {
		return provisioner.Rendering{}, err
	}
	rec, err := b.recipe(image)
	if err != nil {
		return provisioner.Rendering{}, err
	}
	way, because, err := b.way(image, rec, h)
	if err != nil {
		return provisioner.Rendering{}, err
	}
	got, err := rec.Render(b.values(order, h, image, root, carry), sourceOf(order))
	if err != nil {
		return provisioner.Rendering{}, err
	}
	r := carried(way, got)
	r.Image, r.Because = image.Digest, because
	if err := checkSizes(r); err != nil {
		return r, err
	}
	if way == provisioner.WayMedia || way == provisioner.WayUEFIHTTP {
		_, err = b.overlay(r) // that it can be made is known before the host waits for it
	}
	return r, err
}

// carried is what a host gets of a rendering by one way; the rest nobody reads.
func carried(way provisioner.Way, got recipe.Rendered) provisioner.Rendering {
	r := provisioner.Rendering{Way: way, Documents: documents(got.Documents)}
	switch way {
	case provisioner.WayNetboot:
		r.Args = got.Args
	case provisioner.WayMedia, provisioner.WayUEFIHTTP:
		for _, c := range got.Medium {
			r.Medium = append(r.Medium, provisioner.Change{Path: c.Path, Content: c.Content, Args: c.Args, Drop: c.Drop})
		}
	case provisioner.WayWrite:
		r.Seed = documents(got.Seed)
	}
	return r
}

func documents(list []recipe.Document) []provisioner.Document {
	var out []provisioner.Document
	for _, d := range list {
		out = append(out, provisioner.Document{Name: d.Name, Type: d.Type, Content: d.Content})
	}
	return out
}

func checkSizes(r provisioner.Rendering) error {
	for _, d := range slices.Concat(r.Documents, r.Seed) {
		if len(d.Content) > maxDocument {
			return fmt.Errorf("template: the host's %s would have %d KiB, more than %d", d.Name, len(d.Content)>>10, maxDocument>>10)
		}
	}
	for _, c := range r.Medium {
		if len(c.Content) > maxDocument {
			return fmt.Errorf("template: %s on the host's ISO would have %d KiB, more than %d", c.Path, len(c.Content)>>10, maxDocument>>10)
		}
	}
	return nil
}

// way is how the image reaches h: as its order says, else as lifecycle chooses
// among the recipe's ways that this image and this host can go. because says why,
// where that is not the recipe's first.
func (b *boots) way(image images.Image, rec recipe.Recipe, h provisioner.Host) (way provisioner.Way, because string, err error) {
	if err := rec.Installs(); err != nil {
		return "", "", fmt.Errorf("image %s: %w", title(image), err)
	}
	if want := h.Intent.Way; want != "" {
		if why := b.barred(image, rec, recipe.Transport(want), h); why != "" {
			return "", "", fmt.Errorf("transport: image %s cannot reach the host by %s: %s", title(image), want, why)
		}
		return want, "", nil
	}
	offers := b.offers(image, rec, h)
	if way, because = lifecycle.ChooseWay(h, offers); way != "" {
		return way, because, nil
	}
	var reasons []string
	for _, o := range offers {
		reasons = append(reasons, fmt.Sprintf("by %s not, because %s", o.Way, o.Barred))
	}
	return "", "", fmt.Errorf("image %s cannot reach the host: %s", title(image), strings.Join(reasons, "; "))
}

// offers are the ways of an image for h, in the order of its recipe: also of
// those that a trait of the image bars.
func (b *boots) offers(image images.Image, rec recipe.Recipe, h provisioner.Host) []lifecycle.Offer {
	var offers []lifecycle.Offer
	for _, t := range rec.Carried {
		offers = append(offers, lifecycle.Offer{Way: provisioner.Way(t), Barred: b.barred(image, rec, t, h), Leaves: leaves(image, t)})
	}
	for _, w := range rec.Ways(image.Told().Traits...) {
		if !slices.Contains(rec.Carried, w.Transport) {
			offers = append(offers, lifecycle.Offer{Way: provisioner.Way(w.Transport), Barred: b.barred(image, rec, w.Transport, h)})
		}
	}
	return offers
}

// leaves is what a host needs of an image and a transport does not bring, as a
// part of a sentence.
func leaves(image images.Image, t recipe.Transport) string {
	if t != recipe.Netboot {
		return ""
	}
	var things []string
	for _, thing := range image.Left {
		things = append(things, thing.String())
	}
	return strings.Join(things, " and ")
}

// unsaid is a sentence on what h goes without by the way that muster chooses;
// nothing where it gets all, or where its order chose.
func (b *boots) unsaid(h provisioner.Host) string {
	image, err := b.image(h, h.Intent.Image)
	if err != nil || h.Intent.Way != "" {
		return ""
	}
	rec, _ := b.catalog.Recipe(image)
	way, _, err := b.way(image, rec, h)
	left := leaves(image, recipe.Transport(way))
	if err != nil || left == "" {
		return ""
	}
	return fmt.Sprintf("netboot leaves %s of image %s behind: say transport: media in the order to have all of it, or transport: netboot to do without", left, title(image))
}

// barred says why the image cannot reach h by a transport; nothing: it can.
func (b *boots) barred(image images.Image, rec recipe.Recipe, t recipe.Transport, h provisioner.Host) string {
	if why := barred(b.catalog, image, rec, t); why != "" {
		return why
	}
	if report := h.Facts.Report; t == recipe.UEFIHTTP && report != nil && report.Report.Firmware.Mode == "bios" {
		return "its firmware is a BIOS; switch it to UEFI, or choose another transport"
	}
	return ""
}

// barred says why the image cannot reach any host by a transport; nothing: it
// can.
func barred(c *images.Catalog, image images.Image, rec recipe.Recipe, t recipe.Transport) string {
	if err := rec.WhyNot(t, image.Told().Traits...); err != nil {
		return err.Error()
	}
	if len(image.Damage) > 0 {
		return images.ErrDamaged.Error()
	}
	if t != recipe.Medium && t != recipe.UEFIHTTP {
		return ""
	}
	if _, err := c.Index(image.Digest); err != nil {
		return err.Error()
	}
	return ""
}

// values are all that a template may say of h in its present attempt.
func (b *boots) values(order provisioner.Order, h provisioner.Host, image images.Image, root string, carry map[string]any) recipe.Values {
	base := attemptURL(root, h)
	v := recipe.Values{
		Site: b.site, Order: recipe.Order{Name: string(order.Name)},
		Host:    recipe.Identity{ID: string(h.ID), Name: hostName(h), Serial: h.Intent.Row.Serial, UUID: h.Intent.Row.UUID, MACs: h.Intent.Row.MACs},
		Attempt: string(h.Status.Attempt.ID), Disk: target(h), After: string(lifecycle.After(h)), Ship: h.Intent.Ship, Label: image.Label, Version: image.Told().Version, Handoff: carry,
		Secrets: map[string]string{},
		Network: fixed(h.Intent.Row.Static),
		URL: recipe.URLs{
			Config: base + configPath, Seed: base + seedPath, Early: step(base, provisioner.StageEarly),
			Writing: step(base, provisioner.StageWriting), Written: step(base, provisioner.StageWritten),
			Booted: base + "/booted", PhoneHome: base + "/phone-home", Report: base + "/report", Register: base + "/register",
		},
	}
	for name, secret := range order.Secrets {
		v.Secrets[name] = secret.Reveal()
	}
	if r := h.Facts.Report; r != nil {
		seen(&v, r.Report)
	}
	return v
}

func step(base, stage string) string { return base + "/step/" + stage }

// seen fills in what the scout saw of a host; what was ordered stays.
func seen(v *recipe.Values, r inventory.Report) {
	if v.Host.Serial == "" && !inventory.Junk(r.System.Serial) {
		v.Host.Serial = r.System.Serial
	}
	if v.Host.UUID == "" {
		v.Host.UUID, _ = inventory.NormalUUID(r.System.UUID)
	}
	v.Host.MACs = slices.Clone(v.Host.MACs)
	for _, n := range r.NICs {
		v.NICs = append(v.NICs, recipe.NIC{Name: n.Name, MAC: n.MAC, Driver: n.Driver, Booted: n.Booted})
		if mac, genuine := inventory.NormalMAC(n.MAC); genuine && !slices.Contains(v.Host.MACs, mac) {
			v.Host.MACs = append(v.Host.MACs, mac)
		}
	}
}

// target is the disk of h's present attempt, as the scout saw it.
func target(h provisioner.Host) recipe.Target {
	t := recipe.Target{ByID: diskName(h)}
	if h.Facts.Report == nil {
		return t
	}
	for _, d := range h.Facts.Report.Report.Disks {
		if slices.Contains(d.ByID, t.ByID) {
			t.Kernel, t.Serial, t.Model, t.Bytes = d.Name, d.Serial, d.Model, uint64(d.Size)
		}
	}
	return t
}

// overlay makes a host's own ISO of a rendering: of nothing else, so that it is
// the same for ever. Its bytes are read through [overlay.Overlay.On].
func (b *boots) overlay(r provisioner.Rendering) (*overlay.Overlay, error) {
	index, err := b.catalog.Index(r.Image)
	if err != nil {
		return nil, err
	}
	base, err := b.catalog.Base(r.Image)
	if err != nil {
		return nil, err
	}
	defer base.Close()
	changes := make([]overlay.Change, len(r.Medium))
	for n, c := range r.Medium {
		changes[n] = overlay.Change{Path: c.Path, Content: c.Content, Args: c.Args, Drop: c.Drop, Time: r.Made}
	}
	return overlay.Build(base, index, changes)
}

// secretsOf are the texts that nobody may read in what is said of h.
func secretsOf(order provisioner.Order, h provisioner.Host) []string {
	secrets := []string{h.Status.Attempt.Token.Reveal(), h.Status.Key.Reveal()}
	for _, s := range order.Secrets {
		secrets = append(secrets, s.Reveal())
	}
	return secrets
}

// hiddenIn are the texts of a hand-off that nobody may read.
func hiddenIn(c handoff.Carry) []string {
	var hidden []string
	for _, s := range c.Hidden {
		hidden = append(hidden, s.Reveal())
	}
	return hidden
}

// Image implements [engine.Installer].
func (b *boots) Image(digest string) (handoff.Image, bool) {
	image, err := b.catalog.Get(digest)
	told := image.Told()
	return handoff.Image{Name: title(image), Family: image.Family, Traits: told.Traits, Version: told.Version}, err == nil
}

// masked is what is shown in the place of a secret.
const masked = "********"

// discreet is an error without the secrets that its text may quote.
func discreet(err error, secrets ...string) error {
	return &quiet{hide(err.Error(), secrets), err}
}

// hide takes secrets out of a text, as they are and as %q writes them; of two
// that begin alike the longer goes first.
func hide(text string, secrets []string) string {
	const least = 4 // bytes; what is shorter would be found anywhere
	var forms []string
	for _, s := range secrets {
		if len(s) >= least {
			forms = append(forms, s, strings.Trim(strconv.Quote(s), `"`))
		}
	}
	slices.SortFunc(forms, func(a, b string) int { return len(b) - len(a) })
	for _, form := range forms {
		text = strings.ReplaceAll(text, form, masked)
	}
	return text
}

// quiet is an error under another text.
type quiet struct {
	text string
	err  error
}

func (q *quiet) Error() string { return q.text }
func (q *quiet) Unwrap() error { return q.err }
