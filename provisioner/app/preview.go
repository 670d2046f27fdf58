package app

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/muster-boot/muster/images/recipe"
	"github.com/muster-boot/muster/inventory"
	"github.com/muster-boot/muster/provisioner"
	v1 "github.com/muster-boot/muster/provisioner/api/v1"
	"github.com/muster-boot/muster/provisioner/engine"
	"github.com/muster-boot/muster/provisioner/handoff"
	"github.com/muster-boot/muster/provisioner/lifecycle"
)

// viewer shows people what hosts are given, and tries orders. It implements
// [api.Installer].
type viewer struct {
	boots    *boots
	engine   *engine.Engine
	reads    *reads
	networks []network
}

// What stands in for what an attempt would have. The letters are those of the
// real ones.
const (
	wouldBeAttempt = "a-next-attempt"
	wouldBeToken   = "tokenofthenextattempt"
	wouldBeDisk    = "/dev/disk/by-id/disk-of-the-profile"
)

// wouldBe is h as its next install attempt would find it, and sentences on what
// stands in for something.
func (v *viewer) wouldBe(h provisioner.Host) (provisioner.Host, string, []string) {
	notes := []string{"No install attempt has begun: its id, its token and its time stand in for those of the next one."}
	disk := wouldBeDisk
	if byID := h.Intent.Rules.InstallDisk.ByID; byID != "" {
		disk = "/dev/disk/by-id/" + byID
	} else {
		notes = append(notes, "Which disk is written is decided when the scout has seen them: disk-of-the-profile stands in for it.")
	}
	h.Status.Attempt = provisioner.Attempt{ID: wouldBeAttempt, Phase: provisioner.Installing, Token: wouldBeToken, Disk: disk}
	if h.Facts.Report == nil {
		h.Facts.Report = &provisioner.Report{Report: wouldReport(h, disk)}
		notes = append(notes, "The scout has not reported this host: of its hardware only the manifest's row is known, and one disk and one network port stand in for the rest.")
	}
	root, err := v.boots.root(h)
	if err != nil {
		root = v.networks[0].base
		notes = append(notes, "The host was not seen on a network that muster serves: URLs are of "+v.networks[0].Interface+".")
	}
	return h, root, notes
}

// wouldReport is hardware of the right form, for templates that name some.
func wouldReport(h provisioner.Host, disk string) inventory.Report {
	mac := "02:00:00:00:00:01" // locally administered (IEEE 802-2014 §8.2.2)
	if len(h.Intent.Row.MACs) > 0 {
		mac = h.Intent.Row.MACs[0]
	}
	return inventory.Report{
		Disks: []inventory.Disk{{Name: "sda", ByID: []string{strings.TrimPrefix(disk, "/dev/disk/by-id/")}, Serial: "NOTSEENYET", Model: "not seen yet", Size: 1 << 40}},
		NICs:  []inventory.NIC{{Name: "eth0", MAC: mac, Driver: "not-seen-yet", Booted: true}},
	}
}

// Try implements [api.Installer].
func (v *viewer) Try(o provisioner.Order, want provisioner.Intent) (caution string, err error) {
	h, root, _ := v.wouldBe(provisioner.Host{ID: "h-not-seen-yet", Intent: want})
	carry, err := v.carry(context.Background(), o, h, root)
	if err == nil {
		err = v.boots.try(o, h, root, carry.Values)
	}
	if err != nil {
		return "", discreet(err, append(secretsOf(o, h), hiddenIn(carry)...)...)
	}
	return v.boots.unsaid(h), nil
}

// carry is what h's hand-off adds; nothing where muster has no such hand-off,
// which is said elsewhere.
func (v *viewer) carry(ctx context.Context, o provisioner.Order, h provisioner.Host, root string) (handoff.Carry, error) {
	carry, err := v.engine.Carry(ctx, o, h, attemptURL(root, h))
	if provisioner.KindOf(err) == provisioner.NotFound {
		return handoff.Carry{}, nil
	}
	return carry, err
}

// Preview implements [api.Installer].
func (v *viewer) Preview(ctx context.Context, h provisioner.Host) (v1.Preview, error) {
	if h.Intent.Image == "" {
		return v1.Preview{}, conflictOf("host %s has no image to install: its order names none", h.ID)
	}
	order, err := v.boots.orders.Order(ctx, h.Intent.Order)
	if err != nil {
		return v1.Preview{}, err
	}
	s, err := v.present(ctx, order, h)
	if provisioner.KindOf(err) == provisioner.Gone {
		s, err = v.wouldShow(ctx, order, h)
	}
	if err == nil && s.root == "" {
		s.root, err = v.boots.root(h)
	}
	if err != nil {
		return v1.Preview{}, discreetFault(err, s.secrets)
	}
	for _, hidden := range s.rendering.Hidden { // the order may have others by now
		s.secrets = append(s.secrets, hidden.Reveal())
	}
	return v.shape(s)
}

// present is what the present attempt gives. The error is a Gone fault where
// none has begun, or where it is over.
func (v *viewer) present(ctx context.Context, order provisioner.Order, h provisioner.Host) (s shown, err error) {
	s = shown{host: h, secrets: secretsOf(order, h)}
	if _, prepared := lifecycle.Way(h); !prepared || h.Status.Attempt.Phase != provisioner.Installing {
		return s, &provisioner.Fault{Kind: provisioner.Gone, Err: fmt.Errorf("host %s is at no install attempt", h.ID)}
	}
	_, s.rendering, err = v.engine.Rendering(ctx, h.Status.Attempt.ID)
	return s, err
}

// shown is what a preview is made of.
type shown struct {
	host      provisioner.Host
	root      string
	notes     []string
	rendering provisioner.Rendering
	secrets   []string
}

// wouldShow renders what the next attempt would give.
func (v *viewer) wouldShow(ctx context.Context, order provisioner.Order, h provisioner.Host) (shown, error) {
	next, root, notes := v.wouldBe(h)
	if err := agrees(order, h); err != nil {
		notes = append(notes, "Its attempt will wait: "+err.Error()+".")
	}
	s := shown{host: next, root: root, notes: notes, secrets: append(secretsOf(order, next), secretsOf(order, h)...)}
	carry, err := v.carry(ctx, order, next, root)
	if err != nil {
		return s, err
	}
	s.secrets = append(s.secrets, hiddenIn(carry)...)
	s.rendering, err = v.boots.rendered(order, next, root, carry.Values)
	if err != nil {
		err = &provisioner.Fault{Kind: provisioner.Conflict, Err: err}
	}
	if caution := v.boots.unsaid(next); caution != "" && s.rendering.Way == provisioner.WayNetboot {
		s.notes = append(s.notes, strings.ToUpper(caution[:1])+caution[1:]+".")
	}
	return s, err
}

// discreetFault keeps the kind of a fault and hides what its text may quote.
func discreetFault(err error, secrets []string) error {
	return &provisioner.Fault{Kind: provisioner.KindOf(err), Err: discreet(err, secrets...)}
}

func conflictOf(format string, args ...any) error {
	return &provisioner.Fault{Kind: provisioner.Conflict, Err: fmt.Errorf(format, args...)}
}

// shape is a preview as people see it: everything is masked.
func (v *viewer) shape(s shown) (v1.Preview, error) {
	r, h := s.rendering, s.host
	secrets := slices.DeleteFunc(s.secrets, func(text string) bool { return text == "" })
	got := recipe.Mask(recipe.Rendered{
		Documents: recipeDocuments(r.Documents), Seed: recipeDocuments(r.Seed), Medium: recipeChanges(r.Medium), Args: r.Args,
	}, secrets)
	p := v1.Preview{
		Host: string(h.ID), Attempt: string(r.Attempt), Image: r.Image, Way: string(r.Way), Notes: append([]string{}, s.notes...),
		Documents: documentShapes(got.Documents), Seed: documentShapes(got.Seed), Medium: []v1.PreviewChange{}, Initrds: []string{}, Disk: diskName(h),
	}
	for _, c := range got.Medium {
		p.Medium = append(p.Medium, v1.PreviewChange{
			Path: c.Path, Content: string(c.Content), Args: append([]string{}, c.Args...), Drop: append([]string{}, c.Drop...)})
	}
	switch r.Way {
	case provisioner.WayNetboot:
		r.Args = got.Args
		n, err := v.boots.installer(h, r, s.root)
		if err != nil {
			return p, discreetFault(err, secrets)
		}
		p.Kernel, p.Initrds, p.Cmdline = n.Kernel, append(p.Initrds, n.Initrds...), hide(n.Cmdline, secrets)
	case provisioner.WayWrite:
		image, err := v.boots.image(h, r.Image)
		if err != nil {
			return p, err
		}
		p.Coding = image.Coding
	case provisioner.WayMedia, provisioner.WayUEFIHTTP:
	}
	return p, nil
}

func recipeDocuments(list []provisioner.Document) []recipe.Document {
	var out []recipe.Document
	for _, d := range list {
		out = append(out, recipe.Document{Name: d.Name, Type: d.Type, Content: d.Content})
	}
	return out
}

func recipeChanges(list []provisioner.Change) []recipe.Change {
	var out []recipe.Change
	for _, c := range list {
		out = append(out, recipe.Change{Path: c.Path, Content: c.Content, Args: c.Args, Drop: c.Drop})
	}
	return out
}

func documentShapes(list []recipe.Document) []v1.PreviewDocument {
	out := []v1.PreviewDocument{}
	for _, d := range list {
		out = append(out, v1.PreviewDocument{Name: d.Name, Type: d.Type, Content: string(d.Content)})
	}
	return out
}

// Medium implements [api.Installer].
func (v *viewer) Medium(ctx context.Context, h provisioner.Host) (v1.Medium, error) {
	way, prepared := lifecycle.Way(h)
	if !prepared || h.Status.Attempt.Phase != provisioner.Installing {
		return v1.Medium{}, conflictOf("host %s is %s and has no ISO of its own: one is made when its install attempt begins", h.ID, h.Status.Phase)
	}
	if way != provisioner.WayMedia && way != provisioner.WayUEFIHTTP {
		return v1.Medium{}, conflictOf("host %s has no ISO of its own: its image comes by %s; its order can say transport: media", h.ID, way)
	}
	_, r, err := v.engine.Rendering(ctx, h.Status.Attempt.ID)
	if provisioner.KindOf(err) == provisioner.Gone {
		return v1.Medium{}, conflictOf("host %s is %s and its ISO is served no more: a new one is made when its next install attempt begins", h.ID, h.Status.Phase)
	}
	if err != nil {
		return v1.Medium{}, err
	}
	o, err := v.boots.overlay(r)
	if err != nil {
		return v1.Medium{}, conflictOf("%w", err)
	}
	root, err := v.boots.root(h)
	if err != nil {
		return v1.Medium{}, err
	}
	m := v1.Medium{URL: root + mediumPath(h), Attempt: string(h.Status.Attempt.ID), Way: string(way), Size: o.Size(), Readers: []v1.Reader{}}
	for _, who := range v.reads.readers(h.Status.Attempt.ID) {
		m.Readers = append(m.Readers, v1.Reader{Address: who.address, First: who.first, Last: who.last, Bytes: who.spans.bytes})
	}
	m.Say = "Give this URL to the virtual drive of the host's BMC, or write what is there to a stick, and boot the host from it. It is for this attempt only, and whoever has it can read the host's configuration."
	if way == provisioner.WayUEFIHTTP {
		m.Say = "The host's firmware is told this URL by DHCP: choose UEFI HTTP boot in its boot order."
	}
	if len(m.Readers) == 0 {
		m.Say += " Nobody has fetched a byte of it since muster started."
	}
	return m, nil
}
