package bmctest

import (
	"fmt"
	"maps"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"
)

// root is the service root (DSP0266 §6.2).
const root = "/redfish/v1"

type object = map[string]any

// resource is what can be asked of one path. Its functions run with the
// emulator's lock held.
type resource struct {
	get    func() object
	patch  func(*request) answer
	post   func(*request) answer
	remove func(*request) answer
	// code is the status of a GET; nil means 200.
	code func() int
}

// allow is the Allow header (DSP0266 §8.2).
func (r resource) allow() string {
	var methods []string
	for _, m := range []struct {
		name string
		has  bool
	}{
		{"GET", r.get != nil}, {"HEAD", r.get != nil}, {http.MethodPatch, r.patch != nil},
		{http.MethodPost, r.post != nil}, {http.MethodDelete, r.remove != nil},
	} {
		if m.has {
			methods = append(methods, m.name)
		}
	}
	return strings.Join(methods, ", ")
}

// find looks a path up, in the tree that stands and in what comes and goes.
func (e *Emulator) find(p string) (resource, bool) {
	if r, ok := e.tree[p]; ok {
		return r, ok
	}
	dir, id := path.Split(p)
	switch dir = strings.TrimRight(dir, "/"); dir {
	case sessionsPath:
		return e.sessionResource(id)
	case tasksPath:
		return e.taskResource(id)
	case monitorsPath:
		return e.monitorResource(id)
	}
	return e.partResource(dir, id)
}

// plant makes the tree that stands.
func (e *Emulator) plant() map[string]resource {
	tree := map[string]resource{
		"/redfish":           {get: func() object { return object{"v1": root + "/"} }},
		root:                 {get: e.serviceRoot},
		root + "/Registries": {get: func() object { return e.collection(root+"/Registries", "MessageRegistryFile", nil) }},
	}
	for _, part := range []map[string]resource{
		e.authTree(), e.taskTree(), e.systemTree(), e.managerTree(), e.mediaTree(), e.partsTree(), e.updateTree(), e.licenceTree(),
	} {
		maps.Copy(tree, part)
	}
	return tree
}

func (e *Emulator) serviceRoot() object {
	o := e.node(root, "ServiceRoot.v1_9_0.ServiceRoot", "Root Service")
	o["RedfishVersion"] = e.rules.Redfish
	o["UUID"] = e.machineUUID()
	if e.rules.Vendor != "" {
		o["Vendor"] = e.rules.Vendor
	}
	if e.rules.Product != "" {
		o["Product"] = e.rules.Product
	}
	if e.rules.Oem != "" {
		o["Oem"] = object{e.rules.Oem: object{}}
	}
	for _, name := range []string{"Systems", "Managers", "Chassis", "AccountService", "UpdateService", "Registries"} {
		o[name] = e.ref(root + "/" + name)
	}
	o["Tasks"] = e.ref(root + "/TaskService")
	if e.rules.Licence.Service {
		o["LicenseService"] = e.ref(root + "/LicenseService")
	}
	if !e.rules.Session.None {
		o["SessionService"] = e.ref(root + "/SessionService")
		o["Links"] = object{"Sessions": e.ref(sessionsPath)}
	}
	return o
}

// ref is a link.
func (e *Emulator) ref(p string) object { return object{"@odata.id": e.link(p)} }

func (e *Emulator) link(p string) string {
	if e.rules.HTTP.Slash {
		return p + "/"
	}
	return p
}

// node is a resource with what every one has.
func (e *Emulator) node(p, kind, name string) object {
	return object{"@odata.id": e.link(p), "@odata.type": "#" + kind, "Id": path.Base(p), "Name": name}
}

// collection lists members by their paths.
func (e *Emulator) collection(p, kind string, members []string) object {
	o := e.node(p, kind+"Collection."+kind+"Collection", kind+" Collection")
	delete(o, "Id")
	refs := []object{}
	for _, m := range members {
		refs = append(refs, e.ref(m))
	}
	o["Members"], o["Members@odata.count"] = refs, len(refs)
	if len(refs) == 0 && e.rules.HTTP.NullMembers {
		o["Members"] = nil
	}
	return o
}

// listed is a collection that stands.
func (e *Emulator) listed(p, kind string, members ...string) resource {
	return resource{get: func() object { return e.collection(p, kind, members) }}
}

// fixed is a resource that never changes.
func fixed(o object) resource {
	return resource{get: func() object { return maps.Clone(o) }}
}

// clock is the BMC's own time.
func (e *Emulator) clock() time.Time {
	now := e.opts.Now()
	if f, ok := e.fault(FaultClock); ok {
		now = now.Add(time.Duration(f.Seconds) * time.Second)
	}
	return now
}

func (e *Emulator) updateTree() map[string]resource {
	p := root + "/UpdateService"
	firmware := p + "/FirmwareInventory/BMC"
	return map[string]resource{
		p: {get: func() object {
			o := e.node(p, "UpdateService.v1_8_0.UpdateService", "Update Service")
			o["ServiceEnabled"] = true
			o["FirmwareInventory"] = e.ref(p + "/FirmwareInventory")
			return o
		}},
		p + "/FirmwareInventory": e.listed(p+"/FirmwareInventory", "SoftwareInventory", firmware),
		firmware: {get: func() object {
			o := e.node(firmware, "SoftwareInventory.v1_4_0.SoftwareInventory", "BMC firmware")
			o["Version"], o["Updateable"] = e.rules.Manager.Firmware, false
			return o
		}},
	}
}

func sortedKeys(o object) []string { return slices.Sorted(maps.Keys(o)) }

func status(state string) object { return object{"State": state, "Health": "OK"} }

func numbered(format string, n int) string { return fmt.Sprintf(format, n) }
