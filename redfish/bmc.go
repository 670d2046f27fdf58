package redfish

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/muster-boot/muster/redfish/quirk"
)

// BMC is one management controller with its one host. Its methods may be called
// concurrently and take turns, so that it never sees two requests at once.
// [BMC.Close] deletes its session.
type BMC struct {
	link       *link
	turn       chan struct{}
	about      About
	system     string   // path
	managers   []string // paths
	reset      string   // path of the action
	resets     []string // allowed types; empty: not said
	enable     string   // path of the manager's action that switches virtual media on
	attributes string   // path of an older iDRAC's attributes
}

// About is what a BMC is and how it is spoken to.
type About struct {
	Product     quirk.Product
	UUID        string // of the service
	System      string // path of the host's system; "" before the login
	Managers    []string
	Family      string // of the row that applies
	Why         string // it applies
	Proof       quirk.Proof
	TagIsSKU    bool   // see [quirk.Quirk]
	Fingerprint string // of the certificate that was seen; to be kept and given in [Target]
	Basic       bool   // there are no sessions, each request carries the password
	// PasswordChanged says that the account now has Target.NewPassword.
	PasswordChanged bool
}

// Hello reads what a BMC says before any login: its service root.
func Hello(ctx context.Context, t Target, o Options) (About, error) {
	o.Pace = o.Pace.orDefaults()
	l, err := newLink(t, o)
	if err != nil {
		return About{}, err
	}
	defer l.wire.transport.CloseIdleConnections()
	if err := l.hello(ctx); err != nil {
		return About{}, fmt.Errorf("ask the BMC at %s: %w", t.Address, err)
	}
	return l.greeted(), nil
}

func (l *link) greeted() About {
	return About{UUID: l.root.Text("UUID"), Fingerprint: l.wire.pin.seen(), Product: quirk.Product{
		Vendor: l.root.Text("Vendor"), Name: l.root.Text("Product"), Redfish: l.root.Text("RedfishVersion"), OEM: l.root.Keys("Oem"),
	}}
}

// Connect asks who the BMC is, logs in with one try for each password, and finds
// the host's system. Where it fails no session is left.
func Connect(ctx context.Context, t Target, o Options) (*BMC, error) {
	o.Pace = o.Pace.orDefaults()
	l, err := newLink(t, o)
	if err != nil {
		return nil, err
	}
	b := &BMC{link: l, turn: make(chan struct{}, 1)}
	if err := b.pick(); err != nil {
		return nil, fmt.Errorf("connect to the BMC at %s: %w", t.Address, err)
	}
	if err := b.open(ctx); err != nil {
		return nil, fmt.Errorf("connect to the BMC at %s: %w", t.Address, errors.Join(err, l.close(ctx)))
	}
	b.about.PasswordChanged = t.NewPassword != "" && l.target.NewPassword == ""
	return b, nil
}

// pick takes the new password where the old one was refused before.
func (b *BMC) pick() error {
	l := b.link
	err := l.options.Guard.Check(l.target)
	if err == nil || l.target.NewPassword == "" {
		return err
	}
	return l.takeNew()
}

func (b *BMC) open(ctx context.Context) error {
	if err := b.link.hello(ctx); err != nil {
		return err
	}
	b.about = b.link.greeted()
	err := b.enterTree(ctx)
	f, ok := errors.AsType[*Fault](err)
	if !ok || b.link.target.NewPassword == "" {
		return err
	}
	switch {
	case f.Cause == NewPassword && !b.link.target.OnlyLogin:
		err = b.link.changePassword(ctx, f.account)
	case f.Cause == WrongPassword: // it may have been changed before, and nobody noted that
		err = b.link.takeNew()
	default:
		return err
	}
	if err != nil {
		return err
	}
	return b.enterTree(ctx)
}

// enterTree logs in and learns what is behind the login.
func (b *BMC) enterTree(ctx context.Context) error {
	if err := b.link.login(ctx); err != nil {
		return err
	}
	system, err := b.findSystem(ctx)
	if err != nil {
		return err
	}
	return b.learn(ctx, system)
}

// Close deletes the session, also when ctx has ended.
func (b *BMC) Close(ctx context.Context) error {
	leave, err := b.enter(context.WithoutCancel(ctx))
	if err != nil {
		return err
	}
	defer leave()
	return b.link.close(ctx)
}

// About says what the BMC is.
func (b *BMC) About() About { return b.about }

// Requests is how many requests the BMC was sent.
func (b *BMC) Requests() int { return b.link.wire.requests }

// enter waits for the turn.
func (b *BMC) enter(ctx context.Context) (leave func(), err error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case b.turn <- struct{}{}:
		return func() { <-b.turn }, nil
	}
}

// Get reads one resource.
func (b *BMC) Get(ctx context.Context, path string) (Object, error) {
	leave, err := b.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	o, _, err := b.link.get(ctx, path)
	return o, err
}

// Members reads which resources a collection has, over all its pages.
func (b *BMC) Members(ctx context.Context, path string) ([]string, error) {
	leave, err := b.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	return b.link.members(ctx, path)
}

// system is one candidate for the host's system.
type system struct {
	path string
	o    Object
}

// findSystem reads the systems and takes the host's.
func (b *BMC) findSystem(ctx context.Context) (system, error) {
	collection := b.link.root.Link("Systems")
	if collection == "" {
		return system{}, operator(Unreachable, "this Redfish service has no systems; is it the BMC of a chassis or a switch?")
	}
	paths, err := b.link.members(ctx, collection)
	if err != nil {
		return system{}, err
	}
	var found []system
	var problems []error
	for _, path := range paths {
		o, _, err := b.link.get(ctx, path)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		found = append(found, system{path, o})
	}
	if len(found) == 0 && len(problems) > 0 {
		return system{}, problems[0]
	}
	return chooseSystem(found, b.link.target.System)
}

// chooseSystem takes the named one, else the only one that can be reset: GPU
// boards are systems too.
func chooseSystem(found []system, name string) (system, error) {
	resettable := slices.DeleteFunc(slices.Clone(found), func(s system) bool { return action(s.o, "Reset") == "" })
	if name != "" {
		resettable = slices.DeleteFunc(slices.Clone(found), func(s system) bool { return !s.called(name) })
	} else if len(found) == 1 {
		resettable = found
	}
	var ids []string
	for _, s := range found {
		ids = append(ids, s.o.Text("Id"))
	}
	switch {
	case len(resettable) == 1:
		return resettable[0], nil
	case name != "":
		return system{}, operator(SeveralSystems, fmt.Sprintf("this BMC has %d systems called %q; it has: %s", len(resettable), name, strings.Join(ids, ", ")))
	case len(resettable) == 0:
		return system{}, retry(Refused, "this BMC shows no system that can be switched on; it may be starting still", nil)
	}
	return system{}, operator(SeveralSystems, "this BMC has several systems, say which one the host is: "+strings.Join(ids, ", "))
}

// called reports whether a person's word names the system.
func (s system) called(name string) bool {
	return s.path == name || slices.ContainsFunc([]string{"Id", "Name", "UUID", "SerialNumber", "SKU"}, func(key string) bool {
		return strings.EqualFold(s.o.Text(key), name)
	})
}

// learn reads what the BMC is, and so which row applies.
func (b *BMC) learn(ctx context.Context, s system) error {
	b.system = s.path
	b.reset = action(s.o, "Reset")
	if err := b.learnResets(ctx, s.o); err != nil {
		return err
	}
	b.managers = s.o.Links("Links", "ManagedBy")
	if len(b.managers) == 0 {
		if list, err := b.link.members(ctx, b.link.root.Link("Managers")); err == nil {
			b.managers = list
		}
	}
	p := &b.about.Product
	p.Maker, p.Model = s.o.Text("Manufacturer"), s.o.Text("Model")
	for _, path := range b.managers {
		m, _, err := b.link.get(ctx, path)
		if err != nil {
			if errors.As(err, new(*Fault)) && CauseOf(err) == Refused {
				continue // one fact less
			}
			return err
		}
		p.Manager, p.Firmware = m.Text("Model"), m.Text("FirmwareVersion")
		b.attributes = path + "/Attributes"
		break
	}
	book := quirk.Builtin()
	if b.link.options.Quirks != nil {
		book = *b.link.options.Quirks
	}
	row, why := book.Match(*p)
	b.about.Family, b.about.Why, b.about.Proof, b.about.TagIsSKU = row.Family, why, row.Proof, row.TagIsSKU
	b.about.System, b.about.Managers, b.about.Basic = b.system, b.managers, b.link.basic
	b.link.quirk = b.link.options.Working.over(row)
	b.link.wire.fresh = row.HTTP.Close
	return nil
}

// learnResets reads the allowed reset types, from the action or its ActionInfo.
func (b *BMC) learnResets(ctx context.Context, o Object) error {
	const key = "#ComputerSystem.Reset"
	b.resets = o.Texts("Actions", key, "ResetType@Redfish.AllowableValues")
	info := local(o.Text("Actions", key, "@Redfish.ActionInfo"))
	if len(b.resets) > 0 || info == "" {
		return nil
	}
	r, err := b.link.call(ctx, http.MethodGet, info, nil, nil)
	if err != nil || !r.ok() {
		return err
	}
	list, _ := parseObject(r.body)
	for _, p := range list.Objects("Parameters") {
		if p.Text("Name") == "ResetType" {
			b.resets = p.Texts("AllowableValues")
		}
	}
	return nil
}
