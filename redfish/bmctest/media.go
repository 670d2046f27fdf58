package bmctest

import (
	"net/http"
	"path"
	"slices"
	"strings"
	"time"
)

// slot is one virtual drive as it stands.
type slot struct {
	rules    slotRules
	image    string // as shown; may outlive the medium
	inserted bool
	busy     bool      // an insert or eject is going on
	ghost    bool      // ejected, and not inserted since
	stale    time.Time // until when an ejected medium is shown inserted
	verify   bool
	bootOnce bool
	medium   *Medium // nil if nothing real is in it
	staged   string  // the image that a mount would take (cfgcd)
}

func (e *Emulator) slotPath(s *slot) string {
	switch {
	case s.rules.Control == "cfgcd":
		return e.managerPath() + "/VM1/" + s.rules.ID
	case s.rules.Place == "system":
		return e.systemPath() + "/VirtualMedia/" + s.rules.ID
	}
	return e.managerPath() + "/VirtualMedia/" + s.rules.ID
}

func (e *Emulator) mediaTree() map[string]resource {
	tree := map[string]resource{}
	members := map[string][]*slot{}
	for _, s := range e.slots {
		p := e.slotPath(s)
		members[path.Dir(p)] = append(members[path.Dir(p)], s)
		e.plantSlot(tree, p, s)
	}
	for _, dir := range e.mediaCollections() {
		tree[dir] = resource{get: func() object { return e.showSlots(dir, members[dir]) }}
	}
	return tree
}

// mediaCollections are those that something links to.
func (e *Emulator) mediaCollections() []string {
	dirs := []string{e.managerMedia()}
	if e.rules.Media.SystemLink == "own" {
		dirs = append(dirs, e.systemPath()+"/VirtualMedia")
	}
	return slices.DeleteFunc(dirs, func(d string) bool { return d == "" })
}

// managerMedia is the manager's collection; empty if it links to none.
func (e *Emulator) managerMedia() string {
	for _, s := range e.slots {
		if s.rules.Place == "manager" {
			return path.Dir(e.slotPath(s))
		}
	}
	if len(e.slots) == 0 {
		return e.managerPath() + "/VirtualMedia" // there, and empty
	}
	return ""
}

// plantSlot gives a drive its resource and its actions.
func (e *Emulator) plantSlot(tree map[string]resource, p string, s *slot) {
	actions := p + "/Actions/VirtualMedia."
	insert := func(r *request) answer { return e.insert(s, r.body) }
	eject := func(r *request) answer { return e.eject(s, r) }
	own := resource{get: func() object { return e.showSlot(s) }}
	media := e.rules.Media
	if media.VerifySwitch || media.BootsOnce || s.rules.Control == "patch" {
		own.patch = func(r *request) answer { return e.changeSlot(s, r) }
	}
	switch s.rules.Control {
	case "post":
		tree[actions+"InsertMedia"] = resource{post: insert}
		tree[actions+"EjectMedia"] = resource{post: eject}
	case "view":
		tree[actions+"EjectMedia"] = resource{post: eject}
	case "cfgcd":
		own.patch = func(r *request) answer { return e.stage(s, r) }
		tree[p+"/Actions/IsoConfig.Mount"] = resource{post: func(*request) answer { return e.insert(s, object{"Image": s.staged}) }}
		tree[p+"/Actions/IsoConfig.UnMount"] = resource{post: eject}
	case "vmm":
		tree[e.vmmPath(s)] = resource{post: func(r *request) answer { return e.vmm(s, r) }}
	}
	tree[p] = own
}

func (e *Emulator) vmmPath(s *slot) string {
	return e.slotPath(s) + "/Oem/" + e.rules.Oem + "/Actions/VirtualMedia.VmmControl"
}

func (e *Emulator) showSlots(dir string, slots []*slot) object {
	var members []string
	for _, s := range slots {
		if !e.rules.Media.Hidden || slices.ContainsFunc(slots, (*slot).full) {
			members = append(members, e.slotPath(s))
		}
	}
	return e.collection(dir, "VirtualMedia", members)
}

// take takes the medium out of the drive, if there is one.
func (s *slot) take() {
	if s.medium != nil {
		s.medium.remove()
		s.medium = nil
	}
}

func (s *slot) full() bool { return s.inserted }

// seen tells whether the drive is shown with something in it.
func (e *Emulator) seen(s *slot) bool {
	if s.inserted {
		return true
	}
	_, haunted := e.fault(FaultStaleInserted)
	return s.ghost && (haunted || e.opts.Now().Before(s.stale))
}

func (e *Emulator) showSlot(s *slot) object {
	p := e.slotPath(s)
	o := e.node(p, "VirtualMedia.v1_4_0.VirtualMedia", "Virtual Media "+s.rules.ID)
	if len(s.rules.Types) > 0 {
		o["MediaTypes"] = s.rules.Types
	}
	seen := e.seen(s)
	o["Inserted"], o["WriteProtected"], o["ConnectedVia"] = seen, true, "NotConnected"
	o["Image"], o["ImageName"] = nil, nil
	if seen {
		o["ConnectedVia"] = "URI"
	}
	switch {
	case seen || e.rules.Media.KeepsImage && s.image != "":
		o["Image"], o["ImageName"] = s.image, path.Base(s.image)
	case e.rules.Media.EmptyImage:
		o["Image"], o["ImageName"] = "", ""
	}
	if e.rules.Media.VerifySwitch {
		o["VerifyCertificate"] = s.verify
	}
	if e.rules.Media.BootsOnce {
		o["Oem"] = object{"Hpe": object{"BootOnNextServerReset": s.bootOnce}}
	}
	if actions := e.slotActions(s); len(actions) > 0 {
		o["Actions"] = actions
	}
	return o
}

func (e *Emulator) slotActions(s *slot) object {
	p, actions := e.slotPath(s), object{}
	add := func(name, target string) { actions[name] = object{"target": target} }
	switch s.rules.Control {
	case "post":
		add("#VirtualMedia.InsertMedia", p+"/Actions/VirtualMedia.InsertMedia")
		if !s.rules.EjectLate || s.inserted {
			add("#VirtualMedia.EjectMedia", p+"/Actions/VirtualMedia.EjectMedia")
		}
	case "view":
		add("#VirtualMedia.EjectMedia", p+"/Actions/VirtualMedia.EjectMedia")
	case "cfgcd":
		add("#IsoConfig.Mount", p+"/Actions/IsoConfig.Mount")
		add("#IsoConfig.UnMount", p+"/Actions/IsoConfig.UnMount")
	case "vmm":
		actions["Oem"] = object{e.rules.Oem: object{"#VirtualMedia.VmmControl": object{"target": e.vmmPath(s)}}}
	}
	return actions
}

// insert takes an image in. What needs the network comes after the lock.
func (e *Emulator) insert(s *slot, body object) answer {
	if key := e.closed(s); key != "" {
		return e.refuse(key)
	}
	in, key, about := e.rules.Media.readInsert(body)
	if key != "" {
		return e.refuse(key, about)
	}
	if key := e.occupied(s); key != "" {
		return e.refuse(key)
	}
	if !in.inserted { // it is noted, and nothing else happens
		s.image = in.image
		return e.done(http.StatusOK)
	}
	s.busy = true
	if e.rules.Media.Answer == http.StatusAccepted {
		a, _ := e.startTask("Insert virtual media")
		t := e.tasks[len(e.tasks)-1]
		e.after(1, func() { e.finishInsert(s, in, t) })
		return a
	}
	return answer{then: func() answer {
		if bad := e.mount(s, in.image); bad != nil {
			return answer{status: bad.Status, body: errorBody(*bad, in.image)}
		}
		return e.done(e.rules.Media.Answer)
	}}
}

func (e *Emulator) finishInsert(s *slot, in insertion, t *task) {
	bad := e.mount(s, in.image)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.endTask(t, bad)
}

// closed is why the drive takes nothing at all.
func (e *Emulator) closed(s *slot) string {
	switch {
	case e.opts.Unlicensed:
		return "licence"
	case !e.service:
		return "service"
	}
	return s.rules.Fails
}

// occupied is why the drive takes nothing now.
func (e *Emulator) occupied(s *slot) string {
	others := slices.ContainsFunc(e.slots, func(o *slot) bool { return o != s && o.inserted })
	switch {
	case s.busy || s.inserted && e.rules.Media.Occupied:
		return "occupied"
	case others && e.rules.Media.Single:
		return "single"
	case s.ghost && e.opts.Now().Before(s.stale):
		return "stale"
	}
	return ""
}

// mount opens the image as the personality does, and puts it in the drive. It
// is called without the lock.
func (e *Emulator) mount(s *slot, image string) *refuse {
	m := e.newMedium(image, s)
	err := m.probe(e.ctx, e.rules.Media.Probe)
	if err == nil && s.rules.disc() && !s.rules.Dead {
		err = e.machine.InsertMedium(e.ctx, m)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	s.busy = false
	if err != nil {
		bad := e.rules.words("unreachable")
		e.record.problems = append(e.record.problems, err.Error())
		return &bad
	}
	s.take()
	s.image, s.inserted, s.ghost, s.medium = image, true, false, m
	e.record.mounted(e.slots)
	return nil
}

func (e *Emulator) eject(s *slot, r *request) answer {
	switch {
	case e.rules.Media.EjectBody && !r.json:
		return e.refuse("body")
	case !s.inserted && e.rules.Media.EjectEmpty:
		return e.refuse("empty")
	}
	return e.empty(s)
}

// empty takes the medium out, unless a fault keeps it.
func (e *Emulator) empty(s *slot) answer {
	if _, kept := e.fault(FaultEjectIgnored); kept {
		return e.done(http.StatusNoContent)
	}
	real := s.medium != nil && !s.rules.Dead
	e.drop(s)
	return answer{then: func() answer {
		if real {
			if err := e.machine.EjectMedium(e.ctx); err != nil {
				return answer{status: http.StatusInternalServerError, body: errorBody(refuse{Message: "Base.1.8.InternalError", Text: err.Error()})}
			}
		}
		return e.done(http.StatusNoContent)
	}}
}

// drop notes that the drive is empty.
func (e *Emulator) drop(s *slot) {
	if s.inserted {
		s.ghost, s.stale = true, e.opts.Now().Add(e.opts.seconds(e.rules.Media.Stale))
	}
	s.take()
	s.inserted, s.bootOnce = false, false
}

// changeSlot is a PATCH of a drive: its switches, and where it has no actions,
// the medium.
func (e *Emulator) changeSlot(s *slot, r *request) answer {
	body := object{}
	for _, name := range sortedKeys(r.body) {
		switch {
		case name == "VerifyCertificate" && e.rules.Media.VerifySwitch:
			s.verify, _ = r.body[name].(bool)
		case name == "Oem" && e.rules.Media.BootsOnce:
			s.bootOnce = hpeOnce(r.body)
		case s.rules.Control == "patch":
			body[name] = r.body[name]
		default:
			return e.refuse("readonly", name)
		}
	}
	if len(body) == 0 {
		return e.done(http.StatusOK)
	}
	if inserted, said := body["Inserted"].(bool); said && !inserted || body["Image"] == nil {
		return e.empty(s)
	}
	return e.insert(s, body)
}

func hpeOnce(body object) bool {
	oem, _ := body["Oem"].(object)
	hpe, _ := oem["Hpe"].(object)
	on, _ := hpe["BootOnNextServerReset"].(bool)
	return on
}

// stage keeps host and path for the mount that follows (Supermicro CfgCD).
func (e *Emulator) stage(s *slot, r *request) answer {
	host, okHost := r.body["Host"].(string)
	file, okPath := r.body["Path"].(string)
	if !okHost || !okPath {
		return e.refuse("property-missing", "Host")
	}
	s.staged = strings.TrimRight(host, "/") + "/" + strings.TrimLeft(strings.ReplaceAll(file, `\`, "/"), "/")
	return e.done(http.StatusOK)
}

// vmm is Huawei's only way to a medium.
func (e *Emulator) vmm(s *slot, r *request) answer {
	kind, _ := r.body["VmmControlType"].(string)
	switch kind {
	case "Connect":
		return e.insert(s, object{"Image": r.body["Image"]})
	case "Disconnect":
		return e.empty(s)
	}
	return e.refuse("missing", "VmmControlType")
}

// bootable is the drive that a boot would find a medium in.
func (e *Emulator) bootable() *slot {
	for _, s := range e.slots {
		if s.inserted && s.medium != nil && s.rules.disc() && !s.rules.Dead {
			return s
		}
	}
	return nil
}

// Inserted lists the images that are really in a drive.
func (e *Emulator) Inserted() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var images []string
	for _, s := range e.slots {
		if s.inserted {
			images = append(images, s.image)
		}
	}
	return images
}
