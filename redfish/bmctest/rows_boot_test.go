package bmctest

import (
	"slices"
	"testing"
)

func TestBootOverridesFollowTheProduct(t *testing.T) {
	x12 := func(b *bench) string { return b.managerPath() + "/VirtualMedia/VirtualMedia1" }
	checkRows(t, []row{
		{name: "3.7 Supermicro X12: Cd is listed and boots nothing", personality: "supermicro-x12", check: func(b *bench) {
			b.insertAndBoot(x12(b), b.image, "Cd", FirmwareOrder)
		}},
		{name: "3.7 Supermicro X12: a target without Enabled is dropped", personality: "supermicro-x12", check: func(b *bench) {
			b.good("PATCH", b.systemPath(), object{"Boot": object{overrideTarget: "UsbCd"}})
			if target, enabled, _ := b.Override(); target != none || enabled != disabled {
				b.t.Errorf("the override is %s %s", target, enabled)
			}
		}},
		{name: "3.7 Supermicro X12: the mode falls to Legacy unless it is sent", personality: "supermicro-x12", check: func(b *bench) {
			b.inserted(b.insert(x12(b), image(b.image)), x12(b))
			b.good("PATCH", b.systemPath(), bootOnce("UsbCd"))
			if _, _, mode := b.Override(); mode != legacy {
				b.t.Errorf("the mode is %s", mode)
			}
			b.reset("On")
			if got := b.lastBoot(); got == DeviceMedium {
				b.t.Error("a UEFI medium booted in Legacy mode")
			}
		}},
		{name: "3.7 Supermicro X12: Pxe reads back as UefiBootNext", personality: "supermicro-x12", check: func(b *bench) {
			b.good("PATCH", b.systemPath(), object{"Boot": object{overrideTarget: "Pxe", overrideEnabled: once, overrideMode: uefi}})
			if got := b.boot()[overrideTarget]; got != "UefiBootNext" {
				b.t.Errorf("reads back %v", got)
			}
			b.reset("On")
			if b.lastBoot() != DeviceNetwork {
				b.t.Errorf("booted %q", b.lastBoot())
			}
		}},
		{name: "3.7 Supermicro X12: UefiHttp appears in UEFI mode alone", personality: "supermicro-x12", check: func(b *bench) {
			b.good("PATCH", b.systemPath(), object{"Boot": object{overrideMode: legacy}})
			if got := b.targets(); slices.Contains(got, "UefiHttp") {
				b.t.Errorf("lists %v", got)
			}
			b.good("PATCH", b.systemPath(), object{"Boot": object{overrideMode: uefi}})
			if got := b.targets(); !slices.Contains(got, "UefiHttp") {
				b.t.Errorf("lists %v", got)
			}
		}},
		{name: "3.7 Supermicro X10: the targets have names of their own", personality: "supermicro-x10", check: func(b *bench) {
			b.refused(b.ask("PATCH", b.systemPath(), bootOnce("Cd")), 400, "PropertyValueNotInList")
			if got := b.targets(); !slices.Contains(got, "CD/DVD") || !slices.Contains(got, "UefiUsbCd") {
				b.t.Errorf("lists %v", got)
			}
		}},
		{name: "3.7 iDRAC9 before 6.00: the attributes boot the virtual drive", personality: "idrac9-old", check: func(b *bench) {
			p := b.managerPath() + "/VirtualMedia/CD"
			b.inserted(b.insert(p, image(b.image)), p)
			b.good("PATCH", b.managerPath()+"/Attributes", object{"Attributes": object{"ServerBoot.1.FirstBootDevice": "VCD-DVD", "ServerBoot.1.BootOnce": "Enabled"}})
			b.reset("On")
			if b.lastBoot() != DeviceMedium {
				b.t.Errorf("booted %q", b.lastBoot())
			}
			b.reset("ForceRestart")
			if b.lastBoot() == DeviceMedium {
				b.t.Error("it booted the medium twice")
			}
		}},
		{name: "3.7 iDRAC10: the allowable values are null", personality: "idrac10", check: func(b *bench) {
			got, has := b.boot()[overrideTarget+"@Redfish.AllowableValues"]
			if !has || got != nil {
				b.t.Errorf("lists %v", got)
			}
		}},
		{name: "3.7 NVIDIA DGX: no allowable values", personality: "nvidia-dgx", check: func(b *bench) {
			if got, has := b.boot()[overrideTarget+"@Redfish.AllowableValues"]; has {
				b.t.Errorf("lists %v", got)
			}
		}},
		{name: "3.7 iLO: no change during POST", personality: "ilo5", with: slowly, check: func(b *bench) {
			b.reset("On")
			b.refused(b.ask("PATCH", b.systemPath(), bootOnce("Cd")), 400, "UnableToModifyDuringSystemPOST")
			b.await("the end of POST", func() bool { return b.ask("PATCH", b.systemPath(), bootOnce("Cd")).status == 200 || b.passedPOST() })
			b.good("PATCH", b.systemPath(), bootOnce("Cd"))
		}},
		{name: "3.7 iLO: BootOnNextServerReset boots the drive once, during POST too", personality: "ilo5", check: func(b *bench) {
			p := b.managerPath() + "/VirtualMedia/2"
			b.reset("On")
			b.inserted(b.insert(p, image(b.image)), p)
			b.good("PATCH", p, object{"Oem": object{"Hpe": object{"BootOnNextServerReset": true}}})
			b.reset("ForceRestart")
			if b.lastBoot() != DeviceMedium {
				b.t.Errorf("booted %q", b.lastBoot())
			}
		}},
		{name: "3.7 XCC: Continuous is refused", personality: "xcc", check: func(b *bench) {
			got := b.ask("PATCH", b.systemPath(), object{"Boot": object{overrideTarget: "Cd", overrideEnabled: "Continuous"}}, b.tag(b.systemPath())...)
			b.refused(got, 400, "PropertyValueNotInList")
		}},
		{name: "3.7 XCC: Pending takes it too, for the next boot", personality: "xcc", check: func(b *bench) {
			p := b.systemPath() + "/Pending"
			b.good("PATCH", p, object{"Boot": object{overrideTarget: "Pxe", overrideEnabled: once}}, b.tag(p)...)
			if target, _, _ := b.Override(); target != none {
				b.t.Errorf("in force already: %s", target)
			}
			b.reset("On")
			if b.lastBoot() != DeviceNetwork {
				b.t.Errorf("booted %q", b.lastBoot())
			}
		}},
		{name: "3.7 AMI: the settings object takes it, and only with target, enabled and mode", personality: "ami", with: changed, check: func(b *bench) {
			full := object{"Boot": object{overrideTarget: "Pxe", overrideEnabled: once, overrideMode: uefi}}
			b.refused(b.ask("PATCH", b.systemPath(), full, "If-Match", "*"), 400, "PropertyNotWritable")
			sd := b.systemPath() + "/SD"
			b.refused(b.ask("PATCH", sd, bootOnce("Pxe"), "If-Match", "*"), 400, "PropertyMissing")
			b.good("PATCH", sd, full, "If-Match", "*")
			b.reset("On")
			b.await("the boot", func() bool { return len(b.Boots()) == 1 })
			if b.lastBoot() != DeviceNetwork {
				b.t.Errorf("booted %q", b.lastBoot())
			}
		}},
		{name: "3.7 the whole Boot object as read is refused", personality: "openbmc", check: func(b *bench) {
			b.refused(b.ask("PATCH", b.systemPath(), object{"Boot": b.boot()}), 400, "PropertyNotWritable")
		}},
		{name: "3.7 Once holds for one boot, Continuous for all", personality: "openbmc", check: func(b *bench) {
			b.good("PATCH", b.systemPath(), object{"Boot": object{overrideTarget: "Pxe", overrideEnabled: "Continuous"}})
			b.reset("On")
			b.reset("ForceRestart")
			if got := b.Boots(); got[0].Device != DeviceNetwork || got[1].Device != DeviceNetwork {
				b.t.Errorf("booted %v", got)
			}
			b.good("PATCH", b.systemPath(), bootOnce("Pxe"))
			b.reset("ForceRestart")
			b.reset("ForceRestart")
			if got := b.Boots(); got[2].Device != DeviceNetwork || got[3].Device != FirmwareOrder {
				b.t.Errorf("booted %v", got)
			}
		}},
		{name: "3.7 AMI: HttpBootUri is booted", personality: "ami", with: changed, check: func(b *bench) {
			sd := b.systemPath() + "/SD"
			b.good("PATCH", sd, object{"Boot": object{overrideTarget: "UefiHttp", overrideEnabled: once, overrideMode: uefi, overrideURI: b.image}}, "If-Match", "*")
			b.reset("On")
			b.await("the boot", func() bool { return len(b.Boots()) == 1 })
			if got := b.Boots()[0]; got.Device != DeviceHTTP || got.URI != b.image {
				b.t.Errorf("booted %+v", got)
			}
		}},
	})
}

// boot is the System's Boot object.
func (b *bench) boot() object {
	b.t.Helper()
	got, _ := b.good("GET", b.systemPath(), nil).body["Boot"].(object)
	return got
}

func (b *bench) targets() []string {
	b.t.Helper()
	var out []string
	list, _ := b.boot()[overrideTarget+"@Redfish.AllowableValues"].([]any)
	for _, v := range list {
		out = append(out, v.(string))
	}
	return out
}

func (b *bench) passedPOST() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.inPOST()
}

func TestPowerFollowsTheProduct(t *testing.T) {
	act := func(b *bench, kind string) reply {
		return b.ask("POST", b.systemPath()+"/Actions/ComputerSystem.Reset", object{"ResetType": kind})
	}
	checkRows(t, []row{
		{name: "3.8 Supermicro, AMI and OpenBMC list resets in ActionInfo alone", personality: "supermicro-x12", check: func(b *bench) {
			action := b.good("GET", b.systemPath(), nil).body["Actions"].(object)["#ComputerSystem.Reset"].(object)
			if _, inline := action["ResetType@Redfish.AllowableValues"]; inline {
				b.t.Error("they are listed inline")
			}
			info := b.good("GET", action["@Redfish.ActionInfo"].(string), nil).body["Parameters"].([]any)[0].(object)
			if list := info["AllowableValues"].([]any); !slices.Contains(list, any("ForceOff")) {
				b.t.Errorf("lists %v", list)
			}
		}},
		{name: "3.8 XCC lists resets in both places", personality: "xcc", check: func(b *bench) {
			action := b.good("GET", b.systemPath(), nil).body["Actions"].(object)["#ComputerSystem.Reset"].(object)
			if action["ResetType@Redfish.AllowableValues"] == nil || action["@Redfish.ActionInfo"] == nil {
				b.t.Errorf("the action is %v", action)
			}
		}},
		{name: "3.8 iDRAC: off while off answers 409", personality: "idrac9", check: func(b *bench) { b.refused(act(b, "ForceOff"), 409, "PSU501") }},
		{name: "3.8 iLO: a reset against the state is InvalidOperationForSystemState", personality: "ilo5", check: func(b *bench) {
			b.refused(act(b, "ForceRestart"), 400, "InvalidOperationForSystemState")
		}},
		{name: "3.8 iDRAC: not ready is SYS518", personality: "idrac9", check: func(b *bench) {
			b.fail(Fault{Kind: FaultUnavailable, Times: 1})
			b.refused(b.ask("GET", b.systemPath(), nil), 503, "SYS518")
		}},
		{name: "3.8 XCC: GracefulRestart answers well and does nothing", personality: "xcc", check: func(b *bench) {
			b.reset("On")
			if got := act(b, "GracefulRestart"); got.status != 204 {
				b.t.Errorf("answered %d", got.status)
			}
			b.reset("ForceRestart")
			if got := len(b.Boots()); got != 2 {
				b.t.Errorf("booted %d times, want 2", got)
			}
		}},
		{name: "3.8 iLO has no PowerCycle", personality: "ilo5", check: func(b *bench) { b.refused(act(b, "PowerCycle"), 400, "ActionParameterValueNotInList") }},
		{name: "3.8 a power change takes its time", personality: "openbmc", with: slowly, check: func(b *bench) {
			act(b, "On")
			if got := b.good("GET", b.systemPath(), nil).body["PowerState"]; got != "Off" {
				b.t.Errorf("at once it is %v", got)
			}
			b.refused(act(b, "ForceOff"), 409, "ResourceInUse")
			b.await("power", func() bool { return b.good("GET", b.systemPath(), nil).body["PowerState"] == "On" })
		}},
		{name: "3.8 a system may ignore the power button", personality: "openbmc", with: func(_ *Options, p *PaperOptions) { p.Stubborn = true }, check: func(b *bench) {
			b.reset("On")
			b.good("POST", b.systemPath()+"/Actions/ComputerSystem.Reset", object{"ResetType": "GracefulShutdown"})
			b.await("the end of the change", func() bool { return !b.State().Moving })
			if !b.host.On() {
				b.t.Error("it is off")
			}
		}},
	})
}

func TestTheWebServerFollowsTheProduct(t *testing.T) {
	login := func(b *bench) reply {
		return b.ask("POST", sessionsPath, object{"UserName": b.User(), "Password": b.Password()})
	}
	checkRows(t, []row{
		{name: "3.9 XCC and AMI: a PATCH needs If-Match", personality: "xcc", check: func(b *bench) {
			b.refused(b.ask("PATCH", b.systemPath(), bootOnce("Cd")), 428, "PreconditionRequired")
			b.refused(b.ask("PATCH", b.systemPath(), bootOnce("Cd"), "If-Match", "*"), 412, "PreconditionFailed")
		}},
		{name: "3.9 XCC: the tag of a compressed answer does not match", personality: "xcc", check: func(b *bench) {
			zipped := b.good("GET", b.systemPath(), nil, "Accept-Encoding", "gzip").header.Get("ETag")
			b.refused(b.ask("PATCH", b.systemPath(), bootOnce("Cd"), "If-Match", zipped), 412, "PreconditionFailed")
			plain := b.good("GET", b.systemPath(), nil, "Accept-Encoding", "identity").header.Get("ETag")
			b.good("PATCH", b.systemPath(), bootOnce("Cd"), "If-Match", plain)
		}},
		{name: "3.9 AMI: a star matches", personality: "ami", with: changed, check: func(b *bench) {
			sd := b.systemPath() + "/SD"
			b.good("PATCH", sd, object{"Boot": object{overrideTarget: "Pxe", overrideEnabled: once, overrideMode: uefi}}, "If-Match", "*")
			b.refused(b.ask("PATCH", sd, object{"Boot": object{}}), 428, "PreconditionRequired")
		}},
		{name: "3.9 AMI: weak tags", personality: "ami", with: changed, check: func(b *bench) {
			if tag := b.good("GET", b.systemPath(), nil).header.Get("ETag"); len(tag) < 3 || tag[:2] != "W/" {
				b.t.Errorf("the tag is %q", tag)
			}
		}},
		{name: "3.9 iLO: registries are not sent uncompressed", personality: "ilo5", check: func(b *bench) {
			b.refused(b.ask("GET", root+"/Registries", nil, "Accept-Encoding", "identity"), 406, "NotAcceptable")
		}},
		{name: "3.9 iLO: sessions are few", personality: "ilo5", check: func(b *bench) {
			for range b.rules.Session.Max {
				if got := login(b); got.status != 201 {
					b.t.Fatalf("answered %d", got.status)
				}
			}
			b.refused(login(b), 400, "SessionLimitExceeded")
		}},
		{name: "3.9 a session ends when it is deleted, and is leaked when it times out", personality: "ami", with: changed, check: func(b *bench) {
			first := login(b)
			token := first.header.Get("X-Auth-Token")
			b.good("GET", b.systemPath(), nil, "X-Auth-Token", token)
			b.good("DELETE", first.header.Get("Location"), nil, "X-Auth-Token", token)
			b.refused(b.ask("GET", b.systemPath(), nil, "X-Auth-Token", token), 401, "NoValidSession")
			login(b)
			b.await("the time-out", func() bool { open, _, _ := b.Sessions(); return open == 0 })
			if open, opened, leaked := b.Sessions(); open != 0 || opened != 2 || leaked != 1 {
				b.t.Errorf("%d open of %d, %d leaked", open, opened, leaked)
			}
		}},
		{name: "3.9 one that timed out under its user is not leaked", personality: "ami", with: changed, check: func(b *bench) {
			token := login(b).header.Get("X-Auth-Token")
			b.await("the time-out", func() bool { open, _, _ := b.Sessions(); return open == 0 })
			b.refused(b.ask("GET", b.systemPath(), nil, "X-Auth-Token", token), 401, "NoValidSession")
			if _, _, leaked := b.Sessions(); leaked != 0 {
				b.t.Errorf("%d leaked", leaked)
			}
		}},
		{name: "3.9 iLO: a connection used again is reset", personality: "ilo5", check: func(b *bench) {
			if err := b.untilReset(b.rules.HTTP.ResetReused + 1); err == nil {
				b.t.Error("no reset came")
			}
		}},
		{name: "3.9 iLO: stray 401s", personality: "ilo5", check: func(b *bench) {
			token, stray := login(b).header.Get("X-Auth-Token"), 0
			for range 2 * b.rules.HTTP.Stray401 {
				if b.ask("GET", b.systemPath(), nil, "X-Auth-Token", token).status == 401 {
					stray++
				}
			}
			if stray == 0 || stray > 2 {
				b.t.Errorf("%d stray answers", stray)
			}
		}},
		{name: "3.9 iLO: links end in a slash", personality: "ilo5", check: func(b *bench) {
			if got := b.members(root + "/Systems/"); !slices.Equal(got, []string{b.systemPath() + "/"}) {
				b.t.Errorf("lists %v", got)
			}
		}},
		{name: "3.9 Supermicro X12: an insert is a task", personality: "supermicro-x12", check: func(b *bench) {
			got := b.insert(b.managerPath()+"/VirtualMedia/VirtualMedia1", image(b.image))
			if got.status != 202 {
				b.t.Fatalf("answered %d", got.status)
			}
			monitor := got.header.Get("Location")
			b.await("the task", func() bool { return b.ask("GET", monitor, nil).status == 200 })
			if state := b.good("GET", monitor, nil).body["TaskState"]; state != "Completed" {
				b.t.Errorf("the task is %v", state)
			}
		}},
		{name: "3.9 a task fails for what the insert could not know", personality: "supermicro-x12", check: func(b *bench) {
			b.files.set(func(s *imageServer) { s.redirect = "/elsewhere" })
			monitor := b.insert(b.managerPath()+"/VirtualMedia/VirtualMedia1", image(b.image)).header.Get("Location")
			b.await("the task", func() bool { return b.ask("GET", monitor, nil).status == 200 })
			if state := b.good("GET", monitor, nil).body["TaskState"]; state != "Exception" || len(b.Inserted()) != 0 {
				b.t.Errorf("the task is %v, inserted %v", state, b.Inserted())
			}
		}},
		{name: "3.9 AMI: $expand gives no members, empty ones are null", personality: "ami", with: changed, check: func(b *bench) {
			if got := b.members(root + "/Systems?$expand=."); len(got) != 0 {
				b.t.Errorf("expanded to %v", got)
			}
			if got, has := b.good("GET", tasksPath, nil).body["Members"]; !has || got != nil {
				b.t.Errorf("no tasks are %v", got)
			}
		}},
		{name: "3.9 Intel: no sessions, Basic alone", personality: "intel", check: func(b *bench) {
			if login(b).status != 404 {
				b.t.Error("it has sessions")
			}
			if _, has := b.good("GET", root, nil).body["SessionService"]; has {
				b.t.Error("it links to sessions")
			}
		}},
		{name: "3.10 Supermicro: three wrong passwords lock for 30 seconds", personality: "supermicro-x12", check: func(b *bench) {
			for range 3 {
				b.refused(b.ask("POST", sessionsPath, object{"UserName": b.User(), "Password": "wrong"}), 401, "NoValidSession")
			}
			if got := login(b); got.status != 401 || !b.Locked() {
				b.t.Errorf("the right password is answered %d", got.status)
			}
			b.await("the lock's end", func() bool { return !b.Locked() })
			if login(b).status != 201 {
				b.t.Error("still locked")
			}
		}},
		{name: "3.10 AMI: the first password must be changed, at its slot", personality: "ami", check: func(b *bench) {
			b.refused(b.ask("GET", b.systemPath(), nil), 403, "PasswordChangeRequired")
			own := b.accountPath()
			b.refused(b.ask("PATCH", own, object{"Password": "short"}, "If-Match", "*"), 400, "PropertyValueFormatError")
			b.refused(b.ask("PATCH", own, object{"Password": "longer-than-twenty-characters"}, "If-Match", "*"), 400, "PropertyValueFormatError")
			b.good("PATCH", own, object{"Password": "a-new-secret"}, "If-Match", "*")
			b.good("GET", b.systemPath(), nil)
		}},
		{name: "3.10 iDRAC: accounts are slots and are not made", personality: "idrac9", check: func(b *bench) {
			b.refused(b.ask("POST", accountsPath, object{"UserName": "other"}), 405, "OperationNotAllowed")
			b.good("GET", accountsPath+"/2", nil)
		}},
		{name: "4 the service root needs no login", personality: "idrac9", check: func(b *bench) {
			if got := b.ask("GET", root, nil, "Authorization", "Basic bm9ib2R5OndyaXRlcw=="); got.status != 200 || got.body["Vendor"] != "Dell" {
				b.t.Errorf("answered %d %v", got.status, got.body)
			}
			if b.Locked() {
				b.t.Error("that counted as a wrong password")
			}
		}},
	})
}

func (b *bench) fail(f Fault) {
	b.t.Helper()
	if err := b.Fail(f); err != nil {
		b.t.Fatal(err)
	}
}

func TestPartsAreToldAsTheProductDoes(t *testing.T) {
	checkRows(t, []row{
		{name: "2 Dell: SerialNumber is the board's, the service tag is SKU", personality: "idrac9", check: func(b *bench) {
			got, id := b.good("GET", b.systemPath(), nil).body, b.host.Identity()
			if got["SerialNumber"] != id.BoardSerial || got["SKU"] != id.Serial {
				b.t.Errorf("serial %v, SKU %v", got["SerialNumber"], got["SKU"])
			}
		}},
		{name: "2 XCC: GPUs are among the processors, ToManager among the NICs", personality: "xcc", check: func(b *bench) {
			if got := b.members(b.systemPath() + "/Processors"); len(got) != 9 {
				b.t.Errorf("lists %v", got)
			}
			nics := b.members(b.systemPath() + "/EthernetInterfaces")
			if len(nics) != 2 || nics[0] != b.systemPath()+"/EthernetInterfaces/ToManager" {
				b.t.Errorf("lists %v", nics)
			}
		}},
		{name: "2 HPE: absent modules are listed, NICs have a MAC alone, drives a Storage each", personality: "ilo5", check: func(b *bench) {
			dimms := b.members(b.systemPath() + "/Memory")
			last := b.good("GET", dimms[len(dimms)-1], nil).body
			if len(dimms) != 8 || last["CapacityMiB"] != 0.0 || last["Status"].(object)["State"] != "Absent" {
				b.t.Errorf("%d modules, the last %v", len(dimms), last)
			}
			nic := b.good("GET", b.members(b.systemPath() + "/EthernetInterfaces")[0], nil).body
			if nic["MACAddress"] == nil || nic["LinkStatus"] != nil {
				b.t.Errorf("the NIC is %v", nic)
			}
			if got := b.members(b.systemPath() + "/Storage"); len(got) != len(b.host.Identity().Disks) {
				b.t.Errorf("lists %v", got)
			}
		}},
		{name: "2 Supermicro: drives hang on the chassis", personality: "supermicro-x12", check: func(b *bench) {
			if got := b.members(b.systemPath() + "/Storage"); len(got) != 0 {
				b.t.Errorf("lists %v", got)
			}
			if got := b.members(b.chassisPath() + "/Drives"); len(got) != 1 {
				b.t.Errorf("lists %v", got)
			}
		}},
		{name: "2 Supermicro X10: the serial is blanks", personality: "supermicro-x10", check: func(b *bench) {
			if got := b.good("GET", b.systemPath(), nil).body["SerialNumber"].(string); got == "" || got[0] != ' ' {
				b.t.Errorf("it is %q", got)
			}
		}},
		{name: "2 NVIDIA DGX: of two Systems one has a reset, and no NICs", personality: "nvidia-dgx", check: func(b *bench) {
			systems := b.members(root + "/Systems")
			if len(systems) != 2 || b.good("GET", systems[0], nil).body["Actions"] != nil || b.good("GET", systems[1], nil).body["Actions"] == nil {
				b.t.Errorf("lists %v", systems)
			}
			if got := b.members(b.systemPath() + "/EthernetInterfaces"); len(got) != 0 {
				b.t.Errorf("lists NICs %v", got)
			}
		}},
		{name: "2 the UUID may come in the other byte order", personality: "openbmc", with: func(o *Options, _ *PaperOptions) { o.Personality.Parts.UUIDSwapped = true }, check: func(b *bench) {
			got, own := b.good("GET", b.systemPath(), nil).body["UUID"].(string), b.host.Identity().UUID
			if got == own || swapUUID(got) != own {
				b.t.Errorf("tells %s, is %s", got, own)
			}
		}},
		{name: "2 Supermicro: the UUID is zeros and the BMC's MAC", personality: "supermicro-x12", check: func(b *bench) {
			if got := b.good("GET", b.systemPath(), nil).body["UUID"]; got != "00000000-0000-0000-0000-02bc00000007" {
				b.t.Errorf("it is %v", got)
			}
		}},
	})
}
