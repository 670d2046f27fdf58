package redfish

import (
	"slices"
	"strings"

	"github.com/muster-boot/muster/redfish/quirk"
)

// Power is the state of a host's main power (DSP0268 Resource.PowerState).
type Power string

// The states. Unknown is what a BMC says that says nothing.
const (
	On          Power = "On"
	Off         Power = "Off"
	PoweringOn  Power = "PoweringOn"
	PoweringOff Power = "PoweringOff"
	Paused      Power = "Paused"
	Unknown     Power = ""
)

// Mode is how the firmware boots: UEFI, Legacy, or "" for as it is.
type Mode string

// The modes (DSP0268 ComputerSystem.BootSourceOverrideMode).
const (
	UEFI   Mode = "UEFI"
	Legacy Mode = "Legacy"
)

// State is what was last read of one host.
type State struct {
	Power Power
	Slots []Slot // for CDs: those that can be filled, best first, then the others
	Boot  Override

	enable string // path of the manager's action that switches virtual media on, "" if there is none
}

// Slot is one place for a virtual medium.
type Slot struct {
	Path   string
	ID     string
	Place  quirk.Place
	Image  string // also of a medium that is out, at some BMCs
	Usable bool   // it can be filled, and no row rules it out

	inserted  *bool  // nil: not said
	connected string // ConnectedVia
	insert    string // path of the action, "" if there is none
	eject     string // path of the action, "" if there is none
	patchable bool
	etag      string
	schemes   []string // that the slot says it takes; empty: not said
}

// Connected reports whether a medium is in. Inserted and ConnectedVia say so;
// Image alone does not, as Supermicro leaves it filled.
func (s Slot) Connected() bool {
	switch {
	case s.connected == "NotConnected":
		return false
	case s.inserted != nil:
		return *s.inserted
	case s.connected != "":
		return true
	}
	return s.Image != ""
}

// silent reports whether a slot tells nothing of what is in it.
func (s Slot) silent() bool { return s.inserted == nil && s.connected == "" && s.Image == "" }

// usable are the slots that can be filled: the first ones.
func usable(slots []Slot) []Slot {
	n := slices.IndexFunc(slots, func(s Slot) bool { return !s.Usable })
	if n < 0 {
		n = len(slots)
	}
	return slots[:n]
}

// newSlot reads a VirtualMedia resource (DSP0268 VirtualMedia 1.6).
func newSlot(path string, place quirk.Place, o Object, r reply) Slot {
	s := Slot{
		Path: path, Place: place, Image: o.Text("Image"), connected: o.Text("ConnectedVia"), etag: etagOf(o, r),
		ID:     o.Text("Id"),
		insert: action(o, "InsertMedia"), eject: action(o, "EjectMedia"),
		patchable: strings.Contains(r.header.Get("Allow"), "PATCH"),
	}
	if s.ID == "" {
		s.ID = path[strings.LastIndexByte(strings.TrimSuffix(path, "/"), '/')+1:]
	}
	if in, ok := o.Bool("Inserted"); ok {
		s.inserted = &in
	}
	if mount := action(o, "Mount"); s.insert == "" && mount != "" {
		s.insert, s.eject = mount, action(o, "UnMount")
	}
	if vmm := action(o, "VmmControl"); s.insert == "" && vmm != "" {
		s.insert, s.eject = vmm, vmm
	}
	for _, protocol := range o.Texts("Actions", "#VirtualMedia.InsertMedia", "TransferProtocolType@Redfish.AllowableValues") {
		s.schemes = append(s.schemes, strings.ToLower(protocol))
	}
	return s
}

// action is the target of a resource's action, found by its last name among
// the standard ones and those of makers (below Oem, or below Oem.<maker>.Actions).
func action(o Object, name string) string {
	places := []Object{o.Object("Actions"), o.Object("Actions", "Oem")}
	for _, maker := range o.Keys("Oem") {
		places = append(places, o.Object("Oem", maker, "Actions"))
	}
	for _, maker := range o.Keys("Actions", "Oem") {
		places = append(places, o.Object("Actions", "Oem", maker))
	}
	for _, p := range places {
		for key := range p {
			if strings.HasSuffix(key, "."+name) {
				if target := local(p.Text(key, "target")); target != "" {
					return target
				}
			}
		}
	}
	return ""
}

// takesCD reports whether a slot's media types allow a CD. One that has no
// types at all is believed to.
func takesCD(o Object) bool {
	types := o.Texts("MediaTypes")
	for _, t := range types {
		if strings.EqualFold(t, "CD") || strings.EqualFold(t, "DVD") {
			return true
		}
	}
	return len(types) == 0
}

// Override is the boot override as the BMC tells it (DSP0268
// ComputerSystem.Boot), from the system and from its settings object.
type Override struct {
	Target  string
	Enabled string
	Mode    Mode
	HTTP    string // HttpBootUri

	targets  []string // allowed; empty: not said
	exists   bool     // there is a Boot object, or a settings object that may have one
	etag     string
	settings string    // path of the settings object
	pending  *Override // what the settings object says
}

// newOverride reads the Boot object of a system or of its settings object.
func newOverride(o Object, r reply) Override {
	boot := o.Object("Boot")
	return Override{
		Target:   boot.Text("BootSourceOverrideTarget"),
		Enabled:  boot.Text("BootSourceOverrideEnabled"),
		Mode:     Mode(boot.Text("BootSourceOverrideMode")),
		HTTP:     boot.Text("HttpBootUri"),
		targets:  boot.Texts("BootSourceOverrideTarget@Redfish.AllowableValues"),
		exists:   boot != nil,
		etag:     etagOf(o, r),
		settings: o.Link("@Redfish.Settings", "SettingsObject"),
	}
}
