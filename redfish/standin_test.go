package redfish

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/muster-boot/muster/redfish/quirk"
)

// standin is a small BMC that keeps to the standard and can be told to depart
// from it. It knows nothing of quirks.
type standin struct {
	t *testing.T
	*httptest.Server

	mu        sync.Mutex
	tree      map[string]map[string]any // resources by path
	sessions  map[string]bool
	opened    int // sessions ever
	asked     []string
	underWay  map[*http.Request]bool
	most      int // of them at once
	password  string
	basic     bool                                              // no session service
	intercept func(w http.ResponseWriter, r *http.Request) bool // before anything else; true: answered
	onInsert  func(body map[string]any) (status int, id, text string)
	onPatch   func(path string, r *http.Request, body map[string]any) (status int, id, text string)
	staleFor  int // reads of a slot during which it shows its medium after an eject
	inserts   []string
	boots     []string // what each power-on booted
}

const (
	sysPath  = "/redfish/v1/Systems/1"
	mgrPath  = "/redfish/v1/Managers/1"
	slotPath = mgrPath + "/VirtualMedia/2"
	isoURL   = "http://192.0.2.1:8067/m/a1/x.iso"
	isoTLS   = "https://192.0.2.1:8068/m/a1/x.iso"
)

func ref(path string) map[string]any { return map[string]any{"@odata.id": path} }

func newStandin(t *testing.T) *standin {
	s := &standin{t: t, password: "right", sessions: map[string]bool{}, underWay: map[*http.Request]bool{}, tree: map[string]map[string]any{
		"/redfish/v1": {
			"RedfishVersion": "1.6.0", "UUID": "u", "Vendor": "Contoso",
			"Systems": ref("/redfish/v1/Systems"), "Managers": ref("/redfish/v1/Managers"),
			"SessionService": ref("/redfish/v1/SessionService"), "Links": map[string]any{"Sessions": ref("/redfish/v1/SessionService/Sessions")},
		},
		"/redfish/v1/Systems": {"Members": []any{ref(sysPath)}}, "/redfish/v1/Managers": {"Members": []any{ref(mgrPath)}},
		sysPath: {
			"Id": "1", "PowerState": "On", "Manufacturer": "Contoso", "Model": "M1", "Links": map[string]any{"ManagedBy": []any{ref(mgrPath)}},
			"Boot":    map[string]any{"BootSourceOverrideTarget": "None", "BootSourceOverrideEnabled": "Disabled", "BootSourceOverrideMode": "UEFI", "BootSourceOverrideTarget@Redfish.AllowableValues": []any{"None", "Pxe", "Cd", "Hdd"}},
			"Actions": map[string]any{"#ComputerSystem.Reset": map[string]any{"target": sysPath + "/Actions/ComputerSystem.Reset", "ResetType@Redfish.AllowableValues": []any{"On", "ForceOff", "GracefulShutdown"}}},
		},
		mgrPath:                   {"Model": "BMC", "FirmwareVersion": "1.2.3", "VirtualMedia": ref(mgrPath + "/VirtualMedia")},
		mgrPath + "/VirtualMedia": {"Members": []any{ref(mgrPath + "/VirtualMedia/1"), ref(slotPath)}},
	}}
	s.addSlot("1", "Floppy", "USBStick")
	s.addSlot("2", "CD", "DVD")
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	s.Config.ErrorLog = nil
	s.StartTLS()
	t.Cleanup(s.Server.Close)
	t.Cleanup(func() {
		if s.most > 1 {
			t.Errorf("the BMC saw %d requests at once", s.most)
		}
		if len(s.sessions) > 0 {
			t.Errorf("%d sessions are left", len(s.sessions))
		}
	})
	return s
}

func (s *standin) addSlot(id string, types ...string) {
	path := mgrPath + "/VirtualMedia/" + id
	s.tree[path] = map[string]any{
		"Id": id, "MediaTypes": anyList(types), "Inserted": false, "ConnectedVia": "NotConnected", "Image": "",
		"Actions": map[string]any{
			"#VirtualMedia.InsertMedia": map[string]any{"target": path + "/Actions/VirtualMedia.InsertMedia"},
			"#VirtualMedia.EjectMedia":  map[string]any{"target": path + "/Actions/VirtualMedia.EjectMedia"},
		},
	}
}

func anyList(texts []string) []any {
	var list []any
	for _, t := range texts {
		list = append(list, t)
	}
	return list
}

// over notes that a request has ended, or that its client has given it up: the
// server sees that later, when the next may have come.
func (s *standin) over(r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.underWay, r)
}

func (s *standin) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.underWay[r] = true
	s.most = max(s.most, len(s.underWay))
	s.asked = append(s.asked, r.Method+" "+r.URL.Path)
	s.mu.Unlock()
	defer s.over(r)
	if s.intercept != nil && s.intercept(w, r) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	path := strings.TrimSuffix(r.URL.Path, "/")
	data, _ := io.ReadAll(r.Body)
	body := map[string]any{}
	_ = json.Unmarshal(data, &body)
	switch {
	case path == "/redfish/v1":
		s.give(w, path)
	case path == "/redfish/v1/SessionService/Sessions":
		s.login(w, body)
	case !s.allowed(r):
		refuseWith(w, http.StatusUnauthorized, "Base.1.0.NoValidSession", "log in")
	case r.Method == http.MethodGet:
		s.give(w, path)
	case r.Method == http.MethodDelete:
		delete(s.sessions, path[strings.LastIndexByte(path, '/')+1:])
		w.WriteHeader(http.StatusNoContent)
	case r.Method == http.MethodPatch:
		s.patch(w, r, path, body)
	default:
		s.act(w, path, body)
	}
}

func (s *standin) allowed(r *http.Request) bool {
	user, password, ok := r.BasicAuth()
	return (s.basic && ok && user == "root" && password == s.password) || s.sessions[r.Header.Get("X-Auth-Token")]
}

func (s *standin) login(w http.ResponseWriter, body map[string]any) {
	if s.basic {
		refuseWith(w, http.StatusMethodNotAllowed, "Base.1.0.OperationNotAllowed", "no sessions here")
		return
	}
	if body["Password"] != s.password {
		refuseWith(w, http.StatusUnauthorized, "Base.1.0.NoValidSession", "wrong")
		return
	}
	s.opened++
	id := fmt.Sprintf("s%d", s.opened)
	s.sessions[id] = true
	w.Header().Set("X-Auth-Token", id)
	w.Header().Set("Location", "/redfish/v1/SessionService/Sessions/"+id)
	w.WriteHeader(http.StatusCreated)
}

func (s *standin) give(w http.ResponseWriter, path string) {
	o, ok := s.tree[path]
	if !ok {
		refuseWith(w, http.StatusNotFound, "Base.1.0.ResourceMissingAtURI", "not here")
		return
	}
	if _, slot := o["Inserted"]; slot && s.staleFor > 0 {
		s.staleFor--
		stale := map[string]any{"Inserted": true, "ConnectedVia": "URI"}
		for k, v := range o {
			if _, set := stale[k]; !set {
				stale[k] = v
			}
		}
		o = stale
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(o)
}

func (s *standin) patch(w http.ResponseWriter, r *http.Request, path string, body map[string]any) {
	if s.onPatch != nil {
		if status, id, text := s.onPatch(path, r, body); status != 0 {
			refuseWith(w, status, id, text)
			return
		}
	}
	merge(s.tree[path], body)
	w.WriteHeader(http.StatusNoContent)
}

func merge(into, from map[string]any) {
	for k, v := range from {
		below, isMap := v.(map[string]any)
		old, wasMap := into[k].(map[string]any)
		if isMap && wasMap {
			merge(old, below)
			continue
		}
		into[k] = v
	}
}

func (s *standin) act(w http.ResponseWriter, path string, body map[string]any) {
	owner, name, _ := strings.Cut(path, "/Actions/")
	o := s.tree[owner]
	switch name {
	case "ComputerSystem.Reset":
		if body["ResetType"] == "On" && o["PowerState"] != "On" {
			s.boot(o)
		}
		o["PowerState"] = map[any]string{"On": "On"}[body["ResetType"]]
		if o["PowerState"] == "" {
			o["PowerState"] = "Off"
		}
	case "VirtualMedia.InsertMedia":
		if s.onInsert != nil {
			if status, id, text := s.onInsert(body); status != 0 {
				refuseWith(w, status, id, text)
				return
			}
		}
		if o["Inserted"] == true {
			refuseWith(w, http.StatusConflict, "Base.1.0.ResourceInUse", "eject first")
			return
		}
		s.inserts = append(s.inserts, body["Image"].(string))
		merge(o, map[string]any{"Image": body["Image"], "Inserted": true, "ConnectedVia": "URI"})
	case "VirtualMedia.EjectMedia":
		merge(o, map[string]any{"Inserted": false, "ConnectedVia": "NotConnected"})
	}
	w.WriteHeader(http.StatusNoContent)
}

// boot consumes the override, as a real boot does.
func (s *standin) boot(o map[string]any) {
	b := o["Boot"].(map[string]any)
	booted := "disk"
	if b["BootSourceOverrideEnabled"] == "Once" {
		booted = b["BootSourceOverrideTarget"].(string)
		merge(b, map[string]any{"BootSourceOverrideEnabled": "Disabled", "BootSourceOverrideTarget": "None"})
	}
	for path, slot := range s.tree {
		if slot["Inserted"] == true && strings.Contains(path, "VirtualMedia/") {
			booted += " " + slot["Image"].(string)
		}
	}
	s.boots = append(s.boots, booted)
}

// refuseWith answers as DSP0266 §8.6 says.
func refuseWith(w http.ResponseWriter, status int, id, text string) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"error": map[string]any{"code": id, "message": text, "@Message.ExtendedInfo": []any{map[string]any{"MessageId": id, "Message": text}}}})
}

func (s *standin) target() Target {
	return Target{Address: s.URL, User: "root", Password: "right"}
}

// quick waits hardly at all.
var quick = Pace{Request: 5 * time.Second, Poll: time.Millisecond, Busy: time.Millisecond, Patience: 20 * time.Millisecond, Settle: 20 * time.Millisecond, Task: 10 * time.Millisecond}

// connect opens a BMC that is closed with the test.
func (s *standin) connect(o Options) *BMC {
	s.t.Helper()
	if o.Pace == (Pace{}) {
		o.Pace = quick
	}
	b, err := Connect(s.t.Context(), s.target(), o)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		if err := b.Close(s.t.Context()); err != nil {
			s.t.Error(err)
		}
	})
	return b
}

// rows makes a book of one row for this BMC.
func rows(t *testing.T, yaml string) *quirk.Book {
	t.Helper()
	book, err := quirk.Parse([]byte("- family: contoso\n  about: a\n  sources: b\n  match: {vendor: [Contoso]}\n  proof: {emulated: none yet, service: none yet, hardware: none yet}\n" + yaml))
	if err != nil {
		t.Fatal(err)
	}
	return &book
}

// changes are the requests that change something, sessions left out.
func (s *standin) changes() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(s.asked), func(a string) bool {
		return strings.HasPrefix(a, "GET ") || strings.Contains(a, "/Sessions")
	})
}
