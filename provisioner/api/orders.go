package api

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/muster-boot/muster/provisioner"
	v1 "github.com/muster-boot/muster/provisioner/api/v1"
	"github.com/muster-boot/muster/provisioner/store"
)

// maxTries bounds how often a change of many hosts is planned again because one
// of them changed meanwhile.
const maxTries = 200

func (p *people) orderRoutes() []route {
	const name = "/v1/orders/{name}"
	return []route{
		{"GET", "/v1/orders", Viewer, "orderList", "All orders", nil, nil, []v1.Order{}, p.listOrders},
		{"POST", "/v1/orders", Operator, "orderImport", "Take in an order with its manifest, in whole or not at all", nil, v1.Import{}, v1.Imported{}, p.importOrder},
		{"POST", "/v1/orders/lint", Viewer, "orderLint", "Say what an import would do, or what is wrong, and do nothing", nil, v1.Import{}, v1.Imported{}, p.lintOrder},
		{"GET", name, Viewer, "orderShow", "One order", nil, nil, v1.Order{}, p.showOrder},
		{"GET", name + "/check", Viewer, "orderCheck", "Say whether the hosts of an order could be handed over, and do nothing", nil, nil, v1.Checked{}, p.checkOrder},
		{"POST", name + "/start", Operator, "orderStart", "Let the hosts of an order be installed", nil, nil, v1.Order{}, p.startOrder(true)},
		{"POST", name + "/stop", Operator, "orderStop", "Let no further host of an order begin to install", nil, nil, v1.Order{}, p.startOrder(false)},
	}
}

func (p *people) listOrders(r *http.Request) Response {
	shapes, err := p.orderShapes(r, p.Mirror.Orders()...)
	if err != nil {
		return fail(err)
	}
	return ok(shapes)
}

// orderShapes are orders as people see them.
func (p *people) orderShapes(r *http.Request, orders ...provisioner.Order) ([]v1.Order, error) {
	images, err := p.Images.List(r.Context())
	if err != nil {
		return nil, err
	}
	held, err := p.Store.Handoffs(r.Context())
	if err != nil {
		return nil, err
	}
	hosts, shapes := p.Mirror.Hosts(), []v1.Order{}
	for _, o := range orders {
		shape := OrderShape(o, hosts, held)
		shape.ImageName = namesOf(images)[shape.Image]
		shape.Warnings = append(shape.Warnings, damagedImages(o, images)...)
		shapes = append(shapes, shape)
	}
	return shapes, nil
}

func (p *people) showOrder(r *http.Request) Response {
	o, err := p.order(r)
	if err != nil {
		return fail(err)
	}
	shapes, err := p.orderShapes(r, o)
	if err != nil {
		return fail(err)
	}
	return ok(shapes[0])
}

func (p *people) order(r *http.Request) (provisioner.Order, error) {
	return p.Store.Order(r.Context(), provisioner.OrderName(r.PathValue("name")))
}

func (p *people) lintOrder(r *http.Request) Response {
	draft, err := readImport(r)
	if err != nil {
		return fail(err)
	}
	_, report, err := p.plan(r, draft, mintByLine{}, p.triedOnce())
	if err != nil {
		return fail(err)
	}
	return ok(report)
}

func (p *people) importOrder(r *http.Request) Response {
	draft, err := readImport(r)
	if err != nil {
		return fail(err)
	}
	var reports []v1.Imported
	ids, try := mintByLine{}, p.triedOnce()
	err = p.persist(r, func() (store.Change, error) {
		change, report, err := p.plan(r, draft, ids, try)
		reports = append(reports, report)
		return change, err
	})
	if err != nil {
		return fail(err)
	}
	return ok(reports[0]) // a later try has only what the first one left
}

func readImport(r *http.Request) (Draft, error) {
	var body v1.Import
	if err := decode(r, importBody, &body); err != nil {
		return Draft{}, err
	}
	draft, wrong := ReadDraft(body)
	if len(wrong) > 0 {
		return Draft{}, refusedImport(wrong)
	}
	return draft, nil
}

func refusedImport(wrong []v1.Remark) error {
	return &inputError{what: fmt.Sprintf("nothing was imported: %d to correct", len(wrong)), remarks: wrong}
}

// plan decides what an import does to what muster holds now.
func (p *people) plan(r *http.Request, draft Draft, ids mintByLine, try trial) (store.Change, v1.Imported, error) {
	prior, err := p.Store.Order(r.Context(), provisioner.OrderName(draft.Order.Name))
	if err != nil && provisioner.KindOf(err) != provisioner.NotFound {
		return store.Change{}, v1.Imported{}, err
	}
	im := importer{Draft: draft, image: p.digestOf(r.Context()), drivers: p.Drivers, site: p.Site, sealer: p.Sealer, now: p.Now(), mint: ids.mint, try: try}
	if p.Handoffs != nil {
		im.options = p.Handoffs.CheckOptions
	}
	change, report, wrong := im.plan(prior, p.Mirror.Hosts())
	if len(wrong) > 0 {
		return store.Change{}, v1.Imported{}, refusedImport(wrong)
	}
	return change, report, nil
}

// persist commits what plan decides, planning again where a host changed
// meanwhile: hosts that boot change all the time. What an earlier try wrote is
// no change in the next. Where all fits one transaction (about 60 hosts) it is
// one; a crash between two leaves what the next import completes.
func (p *people) persist(r *http.Request, plan func() (store.Change, error)) error {
	p.names.Lock()
	defer p.names.Unlock()
	for tries := 1; ; tries++ {
		if err := p.Mirror.Sync(r.Context()); err != nil {
			return err
		}
		change, err := plan()
		if err != nil {
			return err
		}
		err = p.Store.CommitParts(r.Context(), change)
		if err == nil {
			return p.Mirror.Sync(r.Context())
		}
		if !errors.Is(err, store.ErrConflict) || tries == maxTries {
			return err
		}
	}
}

func (p *people) checkOrder(r *http.Request) Response {
	checked, err := p.checked(r)
	if err != nil {
		return fail(err)
	}
	return ok(checked)
}

// checked is what the hand-offs of an order say of it.
func (p *people) checked(r *http.Request) (v1.Checked, error) {
	o, err := p.order(r)
	if err != nil {
		return v1.Checked{}, err
	}
	checked := v1.Checked{}
	if p.Handoffs != nil {
		checked, err = p.Handoffs.Check(r.Context(), o)
	}
	checked.Order, checked.Wrong, checked.Notes = string(o.Name), texts(checked.Wrong), texts(checked.Notes)
	return checked, err
}

// mayStart refuses to start an order whose hosts could not be installed, or not
// be handed over. Started already it may be started again: that changes nothing.
func (p *people) mayStart(r *http.Request) error {
	o, err := p.order(r)
	if err != nil || !o.Started.IsZero() {
		return err
	}
	images, err := p.Images.List(r.Context())
	if err != nil {
		return err
	}
	checked, err := p.checked(r)
	if err != nil {
		return err
	}
	var wrong []v1.Remark
	for _, text := range damagedImages(o, images) {
		wrong = append(wrong, v1.Remark{Source: "image", Text: text})
	}
	for _, text := range checked.Wrong {
		wrong = append(wrong, v1.Remark{Source: "hand-off", Text: text})
	}
	if len(wrong) == 0 {
		return nil
	}
	return &inputError{what: fmt.Sprintf("order %s was not started: %d to correct", o.Name, len(wrong)), remarks: wrong}
}

func (p *people) startOrder(start bool) func(*http.Request) Response {
	return func(r *http.Request) Response {
		if start {
			if err := p.mayStart(r); err != nil {
				return fail(err)
			}
		}
		err := p.persist(r, func() (store.Change, error) {
			o, err := p.order(r)
			if err != nil {
				return store.Change{}, err
			}
			return p.started(o, p.Mirror.Hosts(), start), nil
		})
		if err != nil {
			return fail(err)
		}
		return p.showOrder(r)
	}
}

// started is the change that starts or stops an order. Started again, or
// stopped again, it changes nothing.
func (p *people) started(o provisioner.Order, hosts []provisioner.Host, start bool) store.Change {
	change := store.Change{}
	text := "Order " + string(o.Name) + " was stopped."
	if start {
		text = "Order " + string(o.Name) + " was started."
	}
	for _, h := range hosts {
		if h.Intent.Order != o.Name || h.Intent.Started == start {
			continue
		}
		h.Intent.Started = start
		change.Put = append(change.Put, h)
		change.Entries = append(change.Entries, p.entry(h, text))
	}
	if o.Started.IsZero() != start {
		return change
	}
	o.Started = time.Time{}
	if start {
		o.Started = p.Now()
	}
	change.PutOrders = []provisioner.Order{o}
	return change
}

// trial says why the host of a row could not be given what its order wants, or
// what it goes without.
type trial func(line int, o provisioner.Order, want provisioner.Intent) (caution string, err error)

// triedOnce tries each row once, however often an import is planned.
func (p *people) triedOnce() trial {
	if p.Installer == nil {
		return nil
	}
	type answer struct {
		caution string
		err     error
	}
	tried := map[int]answer{}
	return func(line int, o provisioner.Order, want provisioner.Intent) (string, error) {
		a, known := tried[line]
		if !known {
			a.caution, a.err = p.Installer.Try(o, want)
			tried[line] = a
		}
		return a.caution, a.err
	}
}

// mintByLine remembers which id a line of a manifest was given.
type mintByLine map[int]provisioner.HostID

func (m mintByLine) mint(line int) provisioner.HostID {
	if _, minted := m[line]; !minted {
		m[line] = provisioner.MintHost()
	}
	return m[line]
}
