package bmctest

// licencesPath is the collection of licences (DSP0268 LicenseService).
const licencesPath = root + "/LicenseService/Licenses"

// licenceTree are the licences where the product has a service of them.
func (e *Emulator) licenceTree() map[string]resource {
	if !e.rules.Licence.Service {
		return nil
	}
	member := licencesPath + "/LIC-1"
	return map[string]resource{
		root + "/LicenseService": {get: func() object {
			o := e.node(root+"/LicenseService", "LicenseService.v1_1_0.LicenseService", "License Service")
			o["Licenses"] = e.ref(licencesPath)
			return o
		}},
		licencesPath: e.listed(licencesPath, "License", member),
		member: {get: func() object {
			o := e.node(member, "License.v1_1_1.License", "LIC-1")
			o["Description"], o["EntitlementId"], o["Status"] = e.licence(), "LIC-1", status("Enabled")
			o["LicenseType"], o["AuthorizationScope"] = "Production", "Service"
			return o
		}},
	}
}

// licence is the name of the one that is installed.
func (e *Emulator) licence() string {
	if e.opts.Unlicensed {
		return e.rules.Licence.Basic
	}
	return e.rules.Licence.Full
}
