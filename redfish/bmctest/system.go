package bmctest

import (
	"maps"
	"net/http"
)

func (e *Emulator) systemPath() string  { return root + "/Systems/" + e.rules.System.ID }
func (e *Emulator) managerPath() string { return root + "/Managers/" + e.rules.Manager.ID }
func (e *Emulator) chassisPath() string { return root + "/Chassis/" + e.rules.Chassis }

func (e *Emulator) systemTree() map[string]resource {
	p := e.systemPath()
	systems := []string{p}
	tree := map[string]resource{
		p:                                   {get: e.showSystem, patch: e.changeSystem},
		p + "/Actions/ComputerSystem.Reset": {post: e.resetSystem},
		p + "/ResetActionInfo":              {get: e.resetInfo},
		p + "/BootSourceInfo":               {get: e.bootInfo},
		p + "/LogServices":                  e.listed(p+"/LogServices", "LogService", p+"/LogServices/SEL"),
		p + "/LogServices/SEL":              {get: e.showLog},
		p + "/LogServices/SEL/Entries":      {get: e.showEntries},
		p + "/Bios":                         {get: e.showBios},
	}
	if e.rules.Parts.SecureBoot {
		tree[p+"/SecureBoot"] = resource{get: e.showSecureBoot}
	}
	if s := e.rules.Boot.Settings; s != "" {
		tree[p+"/"+s] = resource{get: e.showSettings, patch: e.changeSettings}
	}
	if d := e.rules.System.Decoy; d != "" {
		decoy := root + "/Systems/" + d
		systems = []string{decoy, p}
		tree[decoy] = fixed(e.decoy(decoy))
	}
	tree[root+"/Systems"] = e.listed(root+"/Systems", "ComputerSystem", systems...)
	tree[root+"/Chassis"] = e.listed(root+"/Chassis", "Chassis", e.chassisPath())
	tree[e.chassisPath()] = resource{get: e.showChassis}
	return tree
}

// decoy is a System that nobody can switch on.
func (e *Emulator) decoy(p string) object {
	o := e.node(p, "ComputerSystem.v1_17_0.ComputerSystem", "Baseboard")
	o["SystemType"], o["PowerState"], o["Status"] = "Physical", "On", status("Enabled")
	return o
}

func (e *Emulator) showSystem() object {
	p := e.systemPath()
	o := e.node(p, "ComputerSystem.v1_17_0.ComputerSystem", "System")
	o["SystemType"], o["Status"] = "Physical", status("Enabled")
	o["PowerState"] = e.powerState()
	maps.Copy(o, e.identityFields())
	o["Boot"] = e.showBoot(e.override)
	o["Actions"] = object{"#ComputerSystem.Reset": e.resetAction()}
	for _, name := range []string{"Processors", "Memory", "Storage", "EthernetInterfaces", "LogServices", "Bios"} {
		o[name] = e.ref(p + "/" + name)
	}
	switch e.rules.Media.SystemLink {
	case "own":
		o["VirtualMedia"] = e.ref(p + "/VirtualMedia")
	case "manager":
		o["VirtualMedia"] = e.ref(e.managerPath() + "/VirtualMedia")
	}
	if e.rules.Parts.SecureBoot {
		o["SecureBoot"] = e.ref(p + "/SecureBoot")
	}
	if e.rules.Parts.TPM {
		o["TrustedModules"] = []object{{"ModuleType": "TPM2_0", "FirmwareVersion": "7.2", "Status": status("Enabled")}}
	}
	if e.rules.Boot.Settings != "" {
		o["@Redfish.Settings"] = object{"@odata.type": "#Settings.v1_3_5.Settings", "SettingsObject": e.ref(p + "/" + e.rules.Boot.Settings)}
	}
	o["Links"] = object{"Chassis": []object{e.ref(e.chassisPath())}, "ManagedBy": []object{e.ref(e.managerPath())}}
	return o
}

// showBoot is the Boot object of an override.
func (e *Emulator) showBoot(v override) object {
	r := e.rules.Boot
	b := object{overrideTarget: r.shown(v.target), overrideEnabled: v.enabled, overrideMode: v.mode}
	if v.target == "" {
		b[overrideTarget] = nil
	}
	if r.HTTPURI {
		b[overrideURI] = v.uri
	}
	b["BootOptions"] = e.ref(e.systemPath() + "/BootOptions")
	b[overrideEnabled+"@Redfish.AllowableValues"] = r.Enabled
	b[overrideMode+"@Redfish.AllowableValues"] = []string{legacy, uefi}
	switch r.Listed {
	case "inline":
		b[overrideTarget+"@Redfish.AllowableValues"] = r.targets(v.mode)
	case "null":
		b[overrideTarget+"@Redfish.AllowableValues"] = nil
	case "info":
		b["@Redfish.ActionInfo"] = e.link(e.systemPath() + "/BootSourceInfo")
	}
	return b
}

func (e *Emulator) bootInfo() object {
	o := e.node(e.systemPath()+"/BootSourceInfo", "ActionInfo.v1_2_0.ActionInfo", "Boot sources")
	o["Parameters"] = []object{{"Name": overrideTarget, "AllowableValues": e.rules.Boot.targets(e.override.mode)}}
	return o
}

func (e *Emulator) changeSystem(r *request) answer {
	boot, bad, refused := e.bootOf(r)
	if refused {
		return bad
	}
	if e.rules.Boot.SettingsOnly {
		return e.refuse("readonly", "Boot")
	}
	now, key, about := e.rules.Boot.change(e.override, boot)
	if key != "" {
		return e.refuse(key, about)
	}
	if _, lost := e.fault(FaultLostOverride); !lost {
		e.override = now
	}
	return e.done(http.StatusNoContent)
}

// bootOf is the Boot object of a PATCH, which may hold nothing else.
func (e *Emulator) bootOf(r *request) (boot object, bad answer, refused bool) {
	for _, name := range sortedKeys(r.body) {
		if name != "Boot" {
			return nil, e.refuse("readonly", name), true
		}
	}
	boot, ok := r.body["Boot"].(object)
	if !ok {
		return nil, e.refuse("property-missing", "Boot"), true
	}
	if e.rules.Boot.InPOST && e.inPOST() {
		return nil, e.refuse("post"), true
	}
	return boot, answer{}, false
}

func (e *Emulator) showSettings() object {
	o := e.node(e.systemPath()+"/"+e.rules.Boot.Settings, "ComputerSystem.v1_17_0.ComputerSystem", "Pending settings")
	now, _, _ := e.rules.Boot.change(e.override, e.staged)
	if e.staged == nil {
		now = e.override
	}
	o["Boot"] = e.showBoot(now)
	return o
}

// changeSettings keeps a change until the next boot puts it into force.
func (e *Emulator) changeSettings(r *request) answer {
	boot, bad, refused := e.bootOf(r)
	if refused {
		return bad
	}
	if _, key, about := e.rules.Boot.change(e.override, boot); key != "" {
		return e.refuse(key, about)
	}
	e.staged = boot
	return e.done(http.StatusNoContent)
}

func (e *Emulator) showChassis() object {
	o := e.node(e.chassisPath(), "Chassis.v1_17_0.Chassis", "Chassis")
	id := e.identity()
	o["ChassisType"], o["Status"], o["PowerState"] = "RackMount", status("Enabled"), e.powerState()
	o["Manufacturer"], o["Model"], o["SerialNumber"], o["PartNumber"] = id.Manufacturer, id.Product, id.Serial, id.SKU
	o["Links"] = object{"ComputerSystems": []object{e.ref(e.systemPath())}, "ManagedBy": []object{e.ref(e.managerPath())}}
	if e.rules.Parts.Drives == "chassis" {
		o["Drives"] = e.ref(e.chassisPath() + "/Drives")
	}
	return o
}

func (e *Emulator) showSecureBoot() object {
	o := e.node(e.systemPath()+"/SecureBoot", "SecureBoot.v1_1_0.SecureBoot", "UEFI Secure Boot")
	o["SecureBootEnable"], o["SecureBootCurrentBoot"], o["SecureBootMode"] = false, "Disabled", "UserMode"
	return o
}

func (e *Emulator) showBios() object {
	o := e.node(e.systemPath()+"/Bios", "Bios.v1_2_0.Bios", "BIOS settings")
	o["Attributes"] = object{"BootMode": e.override.mode}
	return o
}

func (e *Emulator) showLog() object {
	p := e.systemPath() + "/LogServices/SEL"
	o := e.node(p, "LogService.v1_3_0.LogService", "System event log")
	o["DateTime"] = e.clock().Format("2006-01-02T15:04:05-07:00")
	o["Entries"] = e.ref(p + "/Entries")
	return o
}

// showEntries is the log: one entry for each boot.
func (e *Emulator) showEntries() object {
	p := e.systemPath() + "/LogServices/SEL/Entries"
	o := e.collection(p, "LogEntry", nil)
	entries := []object{}
	for i, b := range e.record.boots {
		one := e.node(numbered(p+"/%d", i+1), "LogEntry.v1_10_0.LogEntry", "Log entry")
		one["EntryType"], one["Severity"], one["Message"] = "SEL", "OK", "System boot initiated: "+bootWord(b)
		entries = append(entries, one)
	}
	o["Members"], o["Members@odata.count"] = entries, len(entries)
	return o
}

func bootWord(b Boot) string {
	if b.Device == FirmwareOrder {
		return "boot order"
	}
	return string(b.Device)
}
