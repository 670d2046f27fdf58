package api

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/muster-boot/muster/inventory/profile"
	"github.com/muster-boot/muster/provisioner"
	v1 "github.com/muster-boot/muster/provisioner/api/v1"
	"github.com/muster-boot/muster/provisioner/store"
)

// Sizes of a journal's answers, in entries.
const (
	recentEntries  = 20
	journalEntries = 1000
)

func (p *people) hostRoutes() []route {
	const ref = "/v1/hosts/{ref}"
	return []route{
		{"GET", "/v1/hosts", Viewer, "hostList", "All hosts", []param{{"order", "only of this order"}, {"phase", "only in this phase"}}, nil, []v1.Host{}, p.listHosts},
		{"GET", ref, Viewer, "hostShow", "One host, by id, serial, name or MAC", nil, nil, v1.Host{}, p.showHost},
		{"GET", ref + "/journal", Viewer, "hostJournal", "What happened to a host, first what did under ids it had before", []param{{"after", "only entries of its present id after this number"}}, nil, []v1.Entry{}, p.journal},
		{"GET", ref + "/why", Viewer, "hostWhy", "Why a host is where it is and what it waits for", nil, nil, v1.Why{}, p.why},
		{"GET", ref + "/report", Viewer, "hostReport", "All that muster holds of a host, as one signed record; of one that was shipped as it was written then", nil, nil, stream("application/json"), p.report},
		{"GET", ref + "/preview", Viewer, "hostPreview", "What a host is given, or would be; secrets are masked", nil, nil, v1.Preview{}, p.preview},
		{"GET", ref + "/medium", Operator, "hostMedium", "Where a host's own ISO of its present attempt is; whoever has the URL can read it", nil, nil, v1.Medium{}, p.medium},
		{"POST", ref + "/approve", Operator, "hostApprove", "Take an unlisted host into an order", nil, v1.Approve{}, v1.Host{}, p.approveHost},
		{"POST", ref + "/hold", Operator, "hostHold", "Stop a host, with a reason", nil, v1.Hold{}, v1.Host{}, p.holdHost},
		{"POST", ref + "/release", Operator, "hostRelease", "Let a held or quarantined host go on", nil, nil, v1.Host{}, p.wish(release)},
		{"POST", ref + "/retry", Operator, "hostRetry", "Try again from the start", nil, nil, v1.Host{}, p.wish(retry)},
		{"POST", ref + "/reinstall", Operator, "hostReinstall", "Install anew; the disk may be erased once", nil, nil, v1.Host{}, p.wish(reinstall)},
		{"DELETE", ref, Operator, "hostRemove", "Forget a host", []param{{"force", "true: also one that muster is working on"}}, nil, nil, p.removeHost},
	}
}

func (p *people) listHosts(r *http.Request) Response {
	order, phase := r.URL.Query().Get("order"), r.URL.Query().Get("phase")
	if phase != "" && !slices.Contains(provisioner.Phases(), provisioner.Phase(phase)) {
		return fail(invalid("there is no phase %.40q; there are %s", phase, strings.Join(texts(provisioner.Phases()), ", ")))
	}
	names, err := p.imageNames(r.Context())
	if err != nil {
		return fail(err)
	}
	shapes := []v1.Host{}
	for _, h := range p.Mirror.Hosts() {
		if order != "" && order != string(h.Intent.Order) || phase != "" && phase != string(h.Status.Phase) {
			continue
		}
		shape := HostShape(h)
		shape.ImageName = names[shape.Image]
		shapes = append(shapes, shape)
	}
	slices.SortFunc(shapes, func(a, b v1.Host) int {
		return cmp.Or(strings.Compare(a.Order, b.Order), strings.Compare(a.Name, b.Name), strings.Compare(a.ID, b.ID))
	})
	return ok(shapes)
}

// imageNames are tags by the digest of the image that they name.
func (p *people) imageNames(ctx context.Context) (map[string]string, error) {
	images, err := p.Images.List(ctx)
	if err != nil {
		return nil, err
	}
	return namesOf(images), nil
}

func namesOf(images []v1.Image) map[string]string {
	names := make(map[string]string, len(images))
	for _, i := range images {
		names[i.Digest] = i.Name
	}
	return names
}

// hostShape is h as people see it.
func (p *people) hostShape(ctx context.Context, h provisioner.Host) (v1.Host, error) {
	shape := HostShape(h)
	if shape.Image == "" {
		return shape, nil
	}
	names, err := p.imageNames(ctx)
	shape.ImageName = names[shape.Image]
	return shape, err
}

// shown answers with a host.
func (p *people) shown(r *http.Request, h provisioner.Host) Response {
	shape, err := p.hostShape(r.Context(), h)
	if err != nil {
		return fail(err)
	}
	return ok(shape)
}

func (p *people) report(r *http.Request) Response {
	h, err := p.host(r)
	if err == nil && p.Reporter == nil {
		err = conflict("this muster writes no records")
	}
	if err != nil {
		return fail(err)
	}
	text, err := p.Reporter.Report(r.Context(), h)
	if err != nil {
		return fail(err)
	}
	return ok(text)
}

func (p *people) preview(r *http.Request) Response {
	return p.given(r, func(h provisioner.Host) (any, error) { return p.Installer.Preview(r.Context(), h) })
}

func (p *people) medium(r *http.Request) Response {
	return p.given(r, func(h provisioner.Host) (any, error) { return p.Installer.Medium(r.Context(), h) })
}

// given answers with what a host is given.
func (p *people) given(r *http.Request, what func(provisioner.Host) (any, error)) Response {
	h, err := p.host(r)
	if err == nil && p.Installer == nil {
		err = conflict("this muster installs no hosts")
	}
	if err != nil {
		return fail(err)
	}
	shape, err := what(h)
	if err != nil {
		return fail(err)
	}
	return ok(shape)
}

func (p *people) host(r *http.Request) (provisioner.Host, error) {
	return p.Mirror.Resolve(r.PathValue("ref"))
}

func (p *people) showHost(r *http.Request) Response {
	h, err := p.host(r)
	if err != nil {
		return fail(err)
	}
	return p.shown(r, h)
}

func (p *people) journal(r *http.Request) Response {
	after, err := strconv.ParseUint(cmp.Or(r.URL.Query().Get("after"), "0"), 10, 64)
	if err != nil {
		return fail(invalid("after=%q is no entry's number", r.URL.Query().Get("after")))
	}
	h, err := p.host(r)
	if err != nil {
		return fail(err)
	}
	var entries []provisioner.Entry
	if after > 0 {
		entries, err = p.Store.Journal(r.Context(), h.ID, after, journalEntries)
	} else {
		entries, err = p.Store.History(r.Context(), h, journalEntries)
	}
	if err != nil {
		return fail(err)
	}
	return ok(entryShapes(entries))
}

func (p *people) why(r *http.Request) Response {
	h, err := p.host(r)
	if err != nil {
		return fail(err)
	}
	after := h.Entries - min(h.Entries, recentEntries)
	entries, err := p.Store.Journal(r.Context(), h.ID, after, recentEntries)
	if err != nil {
		return fail(err)
	}
	shape, err := p.hostShape(r.Context(), h)
	if err != nil {
		return fail(err)
	}
	return ok(v1.Why{Host: shape, Recent: entryShapes(entries)})
}

func entryShapes(entries []provisioner.Entry) []v1.Entry {
	shapes := make([]v1.Entry, 0, len(entries))
	for _, e := range entries {
		shapes = append(shapes, EntryShape(e))
	}
	return shapes
}

// wish serves a wish that needs nothing but the host.
func (p *people) wish(w wish) func(*http.Request) Response {
	return func(r *http.Request) Response {
		h, err := p.host(r)
		if err != nil {
			return fail(err)
		}
		return p.grant(r, h.ID, w)
	}
}

// grant writes a wish down with its journal entry.
func (p *people) grant(r *http.Request, id provisioner.HostID, w wish) Response {
	h, err := p.Store.Change(r.Context(), id, func(h *provisioner.Host) ([]provisioner.Entry, error) {
		text, err := w(h)
		if err != nil {
			return nil, err
		}
		return []provisioner.Entry{p.entry(*h, text)}, nil
	})
	if err != nil {
		return fail(err)
	}
	return p.shown(r, h)
}

func (p *people) holdHost(r *http.Request) Response {
	var body v1.Hold
	if err := decode(r, smallBody, &body); err != nil {
		return fail(err)
	}
	reason := clean(body.Reason, maxReason)
	if reason == "" {
		return fail(invalid("say why the host is held: the next person will want to know"))
	}
	return p.wish(hold(reason))(r)
}

func (p *people) approveHost(r *http.Request) Response {
	var body v1.Approve
	if err := decode(r, smallBody, &body); err != nil {
		return fail(err)
	}
	order, err := p.Store.Order(r.Context(), provisioner.OrderName(body.Order))
	if err != nil {
		return fail(err)
	}
	want, err := p.intentOf(order)
	if err != nil {
		return fail(err)
	}
	return p.wish(approve(order, want))(r)
}

// intentOf is what an order wants of a host that has no row of its own.
func (p *people) intentOf(o provisioner.Order) (provisioner.Intent, error) {
	rules, err := p.rulesOf(o)
	if err != nil {
		return provisioner.Intent{}, err
	}
	return provisioner.Intent{
		Order: o.Name, Profile: o.Profile, Rules: rules, Image: o.Image, Handoff: o.Handoff, Ship: o.Ship,
		Erase: o.Erase, After: o.After, Way: o.Way, Started: !o.Started.IsZero(),
	}, nil
}

// rulesOf finds the order's profile: with a host of it, as it was imported, or
// among those that muster brings.
func (p *people) rulesOf(o provisioner.Order) (profile.Profile, error) {
	for _, h := range p.Mirror.Hosts() {
		if h.Intent.Order == o.Name && h.Intent.Profile == o.Profile {
			return h.Intent.Rules, nil
		}
	}
	if rules, found := profile.Builtin(o.Profile); found {
		return rules, nil
	}
	return profile.Profile{}, conflict("no host of order %s has its profile %s any more: import the order again", o.Name, o.Profile)
}

func (p *people) removeHost(r *http.Request) Response {
	h, err := p.host(r)
	if err != nil {
		return fail(err)
	}
	if busy(h) && r.URL.Query().Get("force") != "true" {
		return fail(conflict("host %s is %s: wait, hold it first, or remove it by force", h.ID, h.Status.Phase))
	}
	text := "Removed."
	if h.Status.Phase != provisioner.Expected {
		text = "Removed while " + string(h.Status.Phase) + "."
	}
	change := store.Change{Delete: []provisioner.Host{h}, Entries: []provisioner.Entry{p.entry(h, text)}}
	if err := p.Store.Commit(r.Context(), change); err != nil {
		return fail(err)
	}
	return done()
}
