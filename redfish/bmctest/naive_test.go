package bmctest

import (
	"strings"
	"testing"
)

// naive is what a client does that knows the standard's words and no product:
// the first System, the first drive, everything in the body, each step once.
// It goes on until something is refused.
func (b *bench) naive(image string) (step string, got reply) {
	b.t.Helper()
	system := b.members(root + "/Systems")[0]
	manager := b.good("GET", b.members(root + "/Managers")[0], nil).body
	collection, _ := manager["VirtualMedia"].(object)
	if collection == nil {
		return "find a drive", reply{}
	}
	slots := b.members(collection["@odata.id"].(string))
	if len(slots) == 0 {
		return "find a drive", reply{}
	}
	for _, s := range []struct {
		step, method, path string
		body               object
	}{
		{"insert", "POST", slots[0] + "/Actions/VirtualMedia.InsertMedia", object{"Image": image, "Inserted": true, "WriteProtected": true}},
		{"override", "PATCH", system, bootOnce("Cd")},
		{"reset", "POST", system + "/Actions/ComputerSystem.Reset", object{"ResetType": "On"}},
	} {
		// A link may end in a slash; a naive client joins anyway.
		path := strings.ReplaceAll(s.path, "//", "/")
		if got = b.ask(s.method, path, s.body); got.status >= 300 {
			return s.step, got
		}
	}
	b.await("a boot", func() bool { return len(b.Boots()) > 0 })
	return "", got
}

// TestTheNaiveClientFailsOnEachPersonalityAsTheProductDoes gives for each
// personality the row of our notes on BMCs, where the naive client stops and
// with which message; or, where all was answered well, that the host did not
// boot the medium.
func TestTheNaiveClientFailsOnEachPersonalityAsTheProductDoes(t *testing.T) {
	for _, c := range []struct {
		row, personality string
		step             string // empty: all is answered well and the wrong device boots
		status           int
		message          string
	}{
		{"3.1 iDRAC9 from 6.00: the manager's drives answer RAC0904", "idrac9", "insert", 400, "RAC0904"},
		{"3.7 iDRAC9 before 6.00: Cd is the drive in the chassis", "idrac9-old", "", 0, ""},
		{"3.1 iDRAC10: the manager has no drives", "idrac10", "find a drive", 0, ""},
		{"3.1 iLO5: the first drive is a floppy", "ilo5", "", 0, ""},
		{"3.1 iLO6: the first drive is a floppy", "ilo6", "", 0, ""},
		{"3.1 XCC: drives have no actions", "xcc", "insert", 404, "ResourceMissingAtURI"},
		{"3.1 XCC before 2.50: no drive is listed", "xcc-old", "find a drive", 0, ""},
		{"3.1 Supermicro X10: CfgCD has no standard action", "supermicro-x10", "insert", 404, "ResourceMissingAtURI"},
		{"3.2 Supermicro X11: Inserted is no valid property", "supermicro-x11", "insert", 400, "PropertyUnknown"},
		{"3.2 Supermicro X12: Inserted is no valid property", "supermicro-x12", "insert", 400, "PropertyUnknown"},
		{"3.1 OpenBMC: Slot_0 has no InsertMedia", "openbmc", "insert", 404, "ResourceMissingAtURI"},
		{"3.10 AMI: the password must be changed first", "ami", "find the system", 403, "PasswordChangeRequired"},
		{"3.1 Huawei: no standard action", "huawei", "insert", 404, "ResourceMissingAtURI"},
		{"3.2 Lenovo SR655: TransferProtocolType is missing", "lenovo-sr655", "insert", 400, "ActionParameterMissing"},
		{"3.2 NVIDIA DGX: UserName is missing", "nvidia-dgx", "insert", 400, "ActionParameterMissing"},
		{"3.1 Cisco: the first drive is for the vKVM", "cisco", "insert", 400, "GeneralError"},
		{"3 all of it: the first System has no drives at its manager", "strict", "find a drive", 0, ""},
		{"3.1 Intel: there is no drive", "intel", "find a drive", 0, ""},
	} {
		t.Run(c.row, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, c.personality)
			if c.step == "find the system" {
				b.refused(b.ask("GET", root+"/Systems", nil), c.status, c.message)
				return
			}
			step, got := b.naive(b.image)
			if step != c.step {
				t.Fatalf("stopped at %q, want %q: %d %s %s", step, c.step, got.status, got.message, got.text)
			}
			if c.status != 0 {
				b.refused(got, c.status, c.message)
			}
			if step == "" && b.lastBoot() == DeviceMedium {
				t.Error("the host booted the medium")
			}
		})
	}
}

func TestEveryPersonalityHasItsOwnMachine(t *testing.T) {
	for _, name := range Names() {
		p, err := Named(name)
		if err != nil {
			t.Fatal(err)
		}
		if p.Name != name || p.About == "" {
			t.Errorf("%s calls itself %q, about %q", name, p.Name, p.About)
		}
		if a, b := p.Identity(1), p.Identity(2); a.UUID == b.UUID && p.Parts.UUID != "tag" || a.Serial == b.Serial || len(a.UUID) != 36 {
			t.Errorf("%s: identities %+v and %+v", name, a, b)
		}
	}
}

// TestTheSaneClientBootsTheMediumOnOpenBMC is the whole standard sequence.
func TestTheSaneClientBootsTheMediumOnOpenBMC(t *testing.T) {
	b := newBench(t, "openbmc")
	system, slot := b.systemPath(), b.managerPath()+"/VirtualMedia/USB1"
	b.reset("ForceOff") // off already: this family answers well
	b.good("POST", slot+"/Actions/VirtualMedia.EjectMedia", object{})
	b.good("POST", slot+"/Actions/VirtualMedia.InsertMedia", object{"Image": b.tls, "TransferProtocolType": "HTTPS", "TransferMethod": "Stream"})
	if got := b.good("GET", slot, nil).body; got["Inserted"] != true || got["Image"] != b.tls || got["ConnectedVia"] != "URI" {
		t.Fatalf("the drive shows %v", got)
	}
	b.good("PATCH", system, object{"Boot": object{overrideTarget: "Cd", overrideEnabled: once, overrideMode: uefi}})
	if target, enabled, mode := b.Override(); target != "Cd" || enabled != once || mode != uefi {
		t.Fatalf("the override is %s %s %s", target, enabled, mode)
	}
	b.reset("On")
	b.says("boots COS_LIVE from the medium")
	if target, enabled, _ := b.Override(); target != none || enabled != disabled {
		t.Errorf("after its boot the override is %s %s", target, enabled)
	}
	b.reset("ForceRestart")
	if b.lastBoot() != FirmwareOrder {
		t.Error("a second boot went to the medium again")
	}
	b.good("POST", slot+"/Actions/VirtualMedia.EjectMedia", object{})
	if in := b.Inserted(); len(in) != 0 {
		t.Errorf("left inserted: %v", in)
	}
	for _, f := range b.Fetches() {
		if f.Status != 206 && f.Method != "HEAD" {
			t.Errorf("the medium was not read by ranges: %+v", f)
		}
	}
}

// TestACarefulClientBootsTheMediumOnTheStrictest does what every rule wants.
func TestACarefulClientBootsTheMediumOnTheStrictest(t *testing.T) {
	b := newBench(t, "strict", func(_ *Options, p *PaperOptions) { p.BIOS = false })
	system, slot := b.systemPath(), b.systemPath()+"/VirtualMedia/V4"
	got := b.insert(slot, object{"Image": b.tls, "TransferProtocolType": "HTTPS"})
	b.inserted(got, slot)
	pending := system + "/Pending"
	b.good("PATCH", pending, object{"Boot": object{overrideTarget: "UsbCd", overrideEnabled: once, overrideMode: uefi}}, b.tag(pending)...)
	b.reset("On")
	b.says("boots COS_LIVE from the medium")
	b.reset("ForceOff")
	b.good("POST", slot+"/Actions/VirtualMedia.EjectMedia", object{})
	if len(b.Inserted()) != 0 {
		t.Error("the medium is still in")
	}
}
