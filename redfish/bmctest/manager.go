package bmctest

import "net/http"

func (e *Emulator) managerTree() map[string]resource {
	p := e.managerPath()
	tree := map[string]resource{
		root + "/Managers":          e.listed(root+"/Managers", "Manager", p),
		p:                           {get: e.showManager},
		p + "/EthernetInterfaces":   e.listed(p+"/EthernetInterfaces", "EthernetInterface", p+"/EthernetInterfaces/1"),
		p + "/EthernetInterfaces/1": {get: e.showManagerNIC},
	}
	if e.rules.Boot.Attributes {
		tree[p+"/Attributes"] = resource{get: e.showAttributes, patch: e.changeAttributes}
	}
	if e.rules.Media.ServiceOff {
		tree[p+"/Actions/Oem/AMIVirtualMedia.EnableRMedia"] = resource{post: e.enableMedia}
	}
	return tree
}

func (e *Emulator) showManager() object {
	p := e.managerPath()
	o := e.node(p, "Manager.v1_14_0.Manager", "Manager")
	o["ManagerType"], o["Status"], o["PowerState"] = "BMC", status("Enabled"), "On"
	o["Model"], o["FirmwareVersion"] = e.rules.Manager.Model, e.rules.Manager.Firmware
	o["DateTime"] = e.clock().Format("2006-01-02T15:04:05-07:00")
	o["EthernetInterfaces"] = e.ref(p + "/EthernetInterfaces")
	if dir := e.managerMedia(); dir != "" {
		o["VirtualMedia"] = e.ref(dir)
	}
	if e.rules.Boot.Attributes {
		o["Links"] = object{"Oem": object{e.rules.Oem: object{"DellAttributes": []object{e.ref(p + "/Attributes")}}}}
	}
	if e.rules.Media.ServiceOff {
		o["Actions"] = object{"Oem": object{"#AMIVirtualMedia.EnableRMedia": object{"target": p + "/Actions/Oem/AMIVirtualMedia.EnableRMedia"}}}
		o["Oem"] = object{e.rules.Oem: object{"VirtualMedia": object{"RMediaStatus": e.mediaService()}}}
	}
	if l := e.rules.Licence; l.Full != "" && !l.Service {
		o["Oem"] = object{e.rules.Oem: object{"License": object{"LicenseString": e.licence(), "LicenseType": "Perpetual"}}}
	}
	return o
}

func (e *Emulator) mediaService() string {
	if e.service {
		return "Enabled"
	}
	return "Disabled"
}

func (e *Emulator) showManagerNIC() object {
	o := e.node(e.managerPath()+"/EthernetInterfaces/1", "EthernetInterface.v1_8_0.EthernetInterface", "Manager NIC")
	o["MACAddress"], o["Status"] = e.machine.Identity().BMCMAC, status("Enabled")
	o["IPv4Addresses"] = []object{{"Address": e.opts.Address}}
	return o
}

// enableMedia turns the remote media service on or off (AMI).
func (e *Emulator) enableMedia(r *request) answer {
	switch r.body["RMediaState"] {
	case "Enable":
		e.service = true
	case "Disable":
		e.service = false
	default:
		return e.refuse("missing", "RMediaState")
	}
	return e.done(http.StatusOK)
}

// showAttributes are Dell's, as far as they order a boot.
func (e *Emulator) showAttributes() object {
	o := e.node(e.managerPath()+"/Attributes", "DellAttributes.v1_0_0.DellAttributes", "Attributes")
	device, bootOnce := e.oemBoot["ServerBoot.1.FirstBootDevice"], e.oemBoot["ServerBoot.1.BootOnce"]
	if device == "" {
		device, bootOnce = "Normal", "Disabled"
	}
	o["Attributes"] = object{"ServerBoot.1.FirstBootDevice": device, "ServerBoot.1.BootOnce": bootOnce}
	return o
}

func (e *Emulator) changeAttributes(r *request) answer {
	given, ok := r.body["Attributes"].(object)
	if !ok {
		return e.refuse("property-missing", "Attributes")
	}
	now := map[string]string{}
	for _, name := range sortedKeys(given) {
		value, text := given[name].(string)
		if !text || name != "ServerBoot.1.FirstBootDevice" && name != "ServerBoot.1.BootOnce" {
			return e.refuse("unknown", name)
		}
		now[name] = value
	}
	e.oemBoot = now
	return e.done(http.StatusOK)
}
