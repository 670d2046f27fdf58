package bmctest

import "slices"

// bootRules are those of the boot override.
type bootRules struct {
	Targets []string `yaml:"targets"`
	// Media are the targets that boot a virtual medium; the others that name a
	// CD mean a drive in the chassis, which is empty.
	Media   []string `yaml:"media"`
	Listed  string   `yaml:"listed"` // where the targets are: inline, info (ActionInfo), null or none
	Enabled []string `yaml:"enabled"`
	Mode    string   `yaml:"mode"` // at first: UEFI or Legacy
	// NeedsEnabled ignores a target that comes without Enabled.
	NeedsEnabled bool `yaml:"needs_enabled"`
	// Full refuses a change that lacks target, enabled or mode.
	Full bool `yaml:"full"`
	// ForgetsMode falls back to Legacy when the mode is not sent again.
	ForgetsMode bool `yaml:"forgets_mode"`
	// HTTPAfterUEFI lists UefiHttp only in UEFI mode.
	HTTPAfterUEFI bool `yaml:"http_after_uefi"`
	// Settings is the name of a settings object below the System that takes
	// the override; SettingsOnly refuses it at the System itself.
	Settings     string `yaml:"settings"`
	SettingsOnly bool   `yaml:"settings_only"`
	// InPOST refuses changes while the system tests itself.
	InPOST bool `yaml:"in_post"`
	// ReadsBack gives other names to targets that were written.
	ReadsBack map[string]string `yaml:"reads_back"`
	// Attributes takes Dell's ServerBoot attributes at the manager, where the
	// standard override knows no virtual drive.
	Attributes bool `yaml:"attributes"`
	// HTTPURI has HttpBootUri.
	HTTPURI bool `yaml:"http_uri"`
	// MediumTypes are the boot modes in which a medium boots; none means all.
	MediumModes []string `yaml:"medium_modes"`
}

// The names of the override's properties (ComputerSystem v1.13).
const (
	overrideTarget  = "BootSourceOverrideTarget"
	overrideEnabled = "BootSourceOverrideEnabled"
	overrideMode    = "BootSourceOverrideMode"
	overrideURI     = "HttpBootUri"
)

// override is what the BMC does to the next boots.
type override struct {
	target, enabled, mode, uri string
}

const (
	once     = "Once"
	disabled = "Disabled"
	none     = "None"
	uefi     = "UEFI"
	legacy   = "Legacy"
)

func newOverride(r bootRules) override {
	return override{target: none, enabled: disabled, mode: r.Mode}
}

// change applies a Boot object to an override, or gives the key of a refusal
// and the property it is about.
func (r bootRules) change(was override, boot object) (now override, key, about string) {
	now = was
	for _, name := range sortedKeys(boot) {
		value, text := boot[name].(string)
		switch {
		case !slices.Contains(r.writable(), name):
			if slices.Contains(readOnlyBoot, name) {
				return was, "readonly", name
			}
			return was, "unknown", name
		case !text && boot[name] != nil:
			return was, "property-value", name
		case !r.allows(name, value, was):
			return was, "property-value", name
		}
		now.set(name, value)
	}
	return r.settle(was, now, boot)
}

// settle applies the rules about what was sent together.
func (r bootRules) settle(was, now override, boot object) (override, string, string) {
	for _, name := range []string{overrideTarget, overrideEnabled, overrideMode} {
		if _, sent := boot[name]; r.Full && !sent {
			return was, "property-missing", name
		}
	}
	_, enabled := boot[overrideEnabled]
	_, mode := boot[overrideMode]
	if r.NeedsEnabled && !enabled {
		now.target = was.target
	}
	if r.ForgetsMode && !mode {
		now.mode = legacy
	}
	if now.enabled == disabled {
		now.target = none
	}
	return now, "", ""
}

func (o *override) set(name, value string) {
	switch name {
	case overrideTarget:
		o.target = value
	case overrideEnabled:
		o.enabled = value
	case overrideMode:
		o.mode = value
	case overrideURI:
		o.uri = value
	}
}

// readOnlyBoot are properties of Boot that a BMC shows and nobody writes.
var readOnlyBoot = []string{
	"BootOptions", "BootSourceOverrideTarget@Redfish.AllowableValues", "BootSourceOverrideEnabled@Redfish.AllowableValues",
	"BootSourceOverrideMode@Redfish.AllowableValues", "UefiTargetBootSourceOverride", "BootNext", "BootOrder@Redfish.AllowableValues",
}

func (r bootRules) writable() []string {
	names := []string{overrideTarget, overrideEnabled, overrideMode}
	if r.HTTPURI {
		names = append(names, overrideURI)
	}
	return names
}

func (r bootRules) allows(name, value string, was override) bool {
	switch name {
	case overrideTarget:
		return slices.Contains(r.targets(was.mode), value)
	case overrideEnabled:
		return slices.Contains(r.Enabled, value)
	case overrideMode:
		return value == uefi || value == legacy
	}
	return true
}

// targets are those of a mode.
func (r bootRules) targets(mode string) []string {
	if r.HTTPAfterUEFI && mode != uefi {
		return slices.DeleteFunc(slices.Clone(r.Targets), func(t string) bool { return t == "UefiHttp" })
	}
	return r.Targets
}

// boot is what the firmware does by an override, and what is left of it.
func (r bootRules) boot(o override, medium bool) (b Boot, left override) {
	left = o
	b.Legacy = o.mode == legacy
	if o.enabled == disabled {
		return b, left
	}
	b.Device = r.device(o, medium)
	b.URI = o.uri
	if o.enabled == once {
		left = override{target: none, enabled: disabled, mode: o.mode, uri: o.uri}
	}
	return b, left
}

func (r bootRules) device(o override, medium bool) Device {
	switch {
	case slices.Contains(r.Media, o.target):
		if medium && (len(r.MediumModes) == 0 || slices.Contains(r.MediumModes, o.mode)) {
			return DeviceMedium
		}
		return FirmwareOrder
	case o.target == "Pxe":
		return DeviceNetwork
	case o.target == "Hdd":
		return DeviceDisk
	case o.target == "UefiHttp":
		return DeviceHTTP
	case o.target == "BiosSetup":
		return DeviceSetup
	}
	return FirmwareOrder
}

// shown is the target as it is read back.
func (r bootRules) shown(target string) string {
	if other, ok := r.ReadsBack[target]; ok {
		return other
	}
	return target
}

// nextBoot is asked by the machine at each boot.
func (e *Emulator) nextBoot() Boot {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.applyStaged()
	medium := e.bootable()
	b, left := e.rules.Boot.boot(e.override, medium != nil)
	e.override = left
	if e.takeOnce(medium) || e.takeAttribute(medium) {
		b.Device = DeviceMedium
	}
	if _, ok := e.fault(FaultWrongDevice); ok {
		b.Device = DeviceDisk
	}
	e.power.post = e.opts.Now().Add(e.opts.seconds(e.rules.Power.POST))
	e.record.boots = append(e.record.boots, b)
	return b
}

// takeOnce uses up a slot's own order to be booted once.
func (e *Emulator) takeOnce(s *slot) bool {
	if s == nil || !s.bootOnce {
		return false
	}
	s.bootOnce = false
	return true
}

// takeAttribute uses up the order of the manager's attributes.
func (e *Emulator) takeAttribute(s *slot) bool {
	if s == nil || e.oemBoot["ServerBoot.1.FirstBootDevice"] != "VCD-DVD" {
		return false
	}
	if e.oemBoot["ServerBoot.1.BootOnce"] == "Enabled" {
		e.oemBoot = nil
	}
	return true
}

// applyStaged puts what the settings object holds into force.
func (e *Emulator) applyStaged() {
	if e.staged == nil {
		return
	}
	now, key, _ := e.rules.Boot.change(e.override, e.staged)
	if key == "" {
		e.override = now
	}
	e.staged = nil
}

// Override is what stands: target, enabled and mode.
func (e *Emulator) Override() (target, enabled, mode string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.override.target, e.override.enabled, e.override.mode
}
