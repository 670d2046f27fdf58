package bmctest

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// row is one rule of our notes on BMCs, held against a personality. Its name
// begins with the section there.
type row struct {
	name, personality string
	check             func(b *bench)
	with              func(*Options, *PaperOptions)
}

func checkRows(t *testing.T, rows []row) {
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			var with []func(*Options, *PaperOptions)
			if r.with != nil {
				with = append(with, r.with)
			}
			r.check(newBench(t, r.personality, with...))
		})
	}
}

func unlicensed(o *Options, _ *PaperOptions) { o.Unlicensed = true }

// image is a body with an image alone.
func image(url string) object { return object{"Image": url} }

// actions are the names of a drive's actions.
func (b *bench) actions(slot string) []string {
	b.t.Helper()
	list, _ := b.good("GET", slot, nil).body["Actions"].(object)
	return sortedKeys(list)
}

func TestDrivesAreWhereTheProductHasThem(t *testing.T) {
	checkRows(t, []row{
		{name: "3.1 iDRAC9 from 6.00: the System's drives boot", personality: "idrac9", check: func(b *bench) {
			b.insertAndBoot(b.systemPath()+"/VirtualMedia/1", b.image, "Cd", DeviceMedium)
		}},
		{name: "3.1 iDRAC10: only drive 1 boots", personality: "idrac10", check: func(b *bench) {
			b.insertAndBoot(b.systemPath()+"/VirtualMedia/2", b.image, "Cd", FirmwareOrder)
		}},
		{name: "3.1 iDRAC10: drive 1 boots", personality: "idrac10", check: func(b *bench) {
			b.insertAndBoot(b.systemPath()+"/VirtualMedia/1", b.image, "Cd", DeviceMedium)
		}},
		{name: "3.1 iLO: the System links to no drives, and drive 2 boots", personality: "ilo6", check: func(b *bench) {
			if link := b.good("GET", b.systemPath(), nil).body["VirtualMedia"]; link != nil {
				b.t.Errorf("the System links to %v", link)
			}
			b.insertAndBoot(b.managerPath()+"/VirtualMedia/2", b.image, "Cd", DeviceMedium)
		}},
		{name: "3.1 XCC: a drive is changed by PATCH, as Allow says", personality: "xcc", check: func(b *bench) {
			slot := b.managerPath() + "/VirtualMedia/EXT1"
			got := b.good("GET", slot, nil)
			if !strings.Contains(got.header.Get("Allow"), http.MethodPatch) || got.body["Actions"] != nil {
				b.t.Errorf("Allow %q, actions %v", got.header.Get("Allow"), got.body["Actions"])
			}
			b.good("PATCH", slot, object{"Image": b.image, "Inserted": true, "WriteProtected": true}, b.tag(slot)...)
			b.boots("Cd", DeviceMedium)
		}},
		{name: "3.1 XCC: RDOC and Remote take no URL", personality: "xcc", check: func(b *bench) {
			for _, id := range []string{"RDOC1", "Remote1"} {
				slot := b.managerPath() + "/VirtualMedia/" + id
				got := b.ask("PATCH", slot, object{"Image": b.image, "Inserted": true}, b.tag(slot)...)
				b.refused(got, 400, "PropertyValueConflict")
			}
		}},
		{name: "3.1 XCC before 2.50: drives are listed once something is mounted", personality: "xcc-old", check: func(b *bench) {
			slot := b.managerPath() + "/VirtualMedia/EXT1"
			if got := b.members(b.managerPath() + "/VirtualMedia"); len(got) != 0 {
				b.t.Errorf("lists %v", got)
			}
			b.good("PATCH", slot, object{"Image": b.image, "Inserted": true}, b.tag(slot)...)
			if got := b.members(b.managerPath() + "/VirtualMedia"); !slices.Contains(got, slot) {
				b.t.Errorf("lists %v", got)
			}
		}},
		{name: "3.1 Supermicro X12: EjectMedia is absent until inserted", personality: "supermicro-x12", check: func(b *bench) {
			slot := b.managerPath() + "/VirtualMedia/VirtualMedia1"
			if got := b.actions(slot); slices.Contains(got, "#VirtualMedia.EjectMedia") {
				b.t.Errorf("empty, it offers %v", got)
			}
			b.insertAndBoot(slot, b.image, "UsbCd", DeviceMedium)
			if got := b.actions(slot); !slices.Contains(got, "#VirtualMedia.EjectMedia") {
				b.t.Errorf("full, it offers %v", got)
			}
		}},
		{name: "3.1 Supermicro X12: the System links to the manager's drives", personality: "supermicro-x12", check: func(b *bench) {
			link, _ := b.good("GET", b.systemPath(), nil).body["VirtualMedia"].(object)
			if link["@odata.id"] != b.managerPath()+"/VirtualMedia" {
				b.t.Errorf("links to %v", link)
			}
		}},
		{name: "3.1 Supermicro X10: CfgCD takes host and path, then a mount", personality: "supermicro-x10", check: func(b *bench) {
			slot := b.managerPath() + "/VM1/CfgCD"
			host, file, _ := strings.Cut(strings.TrimPrefix(b.image, "http://"), "/")
			b.good("PATCH", slot, object{"Host": "http://" + host, "Path": `\` + strings.ReplaceAll(file, "/", `\`)})
			b.good("POST", slot+"/Actions/IsoConfig.Mount", object{})
			b.boots("UsbCd", DeviceMedium)
			b.good("POST", slot+"/Actions/IsoConfig.UnMount", object{})
		}},
		{name: "3.1 Supermicro X10: the path must have a folder", personality: "supermicro-x10", check: func(b *bench) {
			slot := b.managerPath() + "/VM1/CfgCD"
			b.good("PATCH", slot, object{"Host": strings.TrimSuffix(b.image, "/media/host.iso"), "Path": "/host.iso"})
			b.refused(b.ask("POST", slot+"/Actions/IsoConfig.Mount", object{}), 400, "ActionParameterValueFormatError")
		}},
		{name: "3.1 OpenBMC: Slot_0 ejects and never inserts", personality: "openbmc", check: func(b *bench) {
			if got := b.actions(b.managerPath() + "/VirtualMedia/Slot_0"); !slices.Equal(got, []string{"#VirtualMedia.EjectMedia"}) {
				b.t.Errorf("offers %v", got)
			}
		}},
		{name: "3.1 AMI: MediaTypes is missing, and the service must be enabled first", personality: "ami", with: changed, check: func(b *bench) {
			slot := b.managerPath() + "/VirtualMedia/CD1"
			if got, has := b.good("GET", slot, nil).body["MediaTypes"]; has {
				b.t.Errorf("has MediaTypes %v", got)
			}
			b.refused(b.insert(slot, image(b.image)), 400, "ServiceDisabled")
			b.good("POST", b.managerPath()+"/Actions/Oem/AMIVirtualMedia.EnableRMedia", object{"RMediaState": "Enable"})
			b.inserted(b.insert(slot, image(b.image)), slot)
		}},
		{name: "3.1 Cisco: drives for the vKVM answer 400, another lists DVD alone", personality: "cisco", check: func(b *bench) {
			b.refused(b.insert(b.managerPath()+"/VirtualMedia/vKVM0", image(b.image)), 400, "GeneralError")
			b.insertAndBoot(b.managerPath()+"/VirtualMedia/3", b.image, "Cd", DeviceMedium)
		}},
		{name: "3.1 Huawei: VmmControl refuses http", personality: "huawei", check: func(b *bench) {
			path := b.managerPath() + "/VirtualMedia/CD/Oem/Huawei/Actions/VirtualMedia.VmmControl"
			b.refused(b.ask("POST", path, object{"Image": b.image, "VmmControlType": "Connect"}), 400, "FileTransferProtocolMismatch")
			got := b.good("POST", path, object{"Image": "nfs://192.0.2.1/share/host.iso", "VmmControlType": "Connect"})
			if got.status != http.StatusAccepted || got.header.Get("Location") == "" {
				b.t.Errorf("nfs is answered %d", got.status)
			}
		}},
		{name: "3.1 Intel: the collection is empty, the network boots", personality: "intel", check: func(b *bench) {
			if got := b.members(b.managerPath() + "/VirtualMedia"); len(got) != 0 {
				b.t.Errorf("lists %v", got)
			}
			b.boots("Pxe", DeviceNetwork)
		}},
	})
}

// changed is a BMC whose first password was changed already.
func changed(o *Options, _ *PaperOptions) { o.Personality.Account.Change = false }

// inserted wants an insert that is done, by a task or at once.
func (b *bench) inserted(got reply, slot string) {
	b.t.Helper()
	if got.status >= 300 {
		b.t.Fatalf("insert: %d %s %s", got.status, got.message, got.text)
	}
	b.await("the medium", func() bool { return b.good("GET", slot, nil).body["Inserted"] == true })
}

// insertAndBoot inserts with the image alone, orders a boot and wants it to go
// to a device.
func (b *bench) insertAndBoot(slot, url, target string, want Device) {
	b.t.Helper()
	b.inserted(b.insert(slot, image(url)), slot)
	b.boots(target, want)
}

// boots orders one boot with everything that anybody wants, and powers on.
func (b *bench) boots(target string, want Device) {
	b.t.Helper()
	system := b.systemPath()
	b.good("PATCH", system, object{"Boot": object{overrideTarget: target, overrideEnabled: once, overrideMode: b.rules.Boot.Mode}}, b.tag(system)...)
	b.reset("On")
	if got := b.lastBoot(); got != want {
		b.t.Fatalf("booted %q, want %q", got, want)
	}
	if want == DeviceMedium {
		b.says("boots COS_LIVE from the medium")
	}
}

func TestInsertTakesWhatTheProductTakes(t *testing.T) {
	slot := func(b *bench, id string) string { return b.managerPath() + "/VirtualMedia/" + id }
	checkRows(t, []row{
		{name: "3.2 Supermicro: WriteProtected is no valid property, the image alone is taken", personality: "supermicro-x11", check: func(b *bench) {
			b.refused(b.insert(slot(b, "CD1"), object{"Image": b.image, "WriteProtected": true}), 400, "PropertyUnknown")
			b.inserted(b.insert(slot(b, "CD1"), image(b.image)), slot(b, "CD1"))
		}},
		{name: "3.2 XCC: without Inserted nothing is mounted", personality: "xcc", check: func(b *bench) {
			p := slot(b, "EXT1")
			b.good("PATCH", p, image(b.image), b.tag(p)...)
			if got := b.good("GET", p, nil).body; got["Inserted"] != false || len(b.Inserted()) != 0 {
				b.t.Errorf("shows %v", got)
			}
		}},
		{name: "3.2 Lenovo SR655: the error names TransferProtocolType, with it the insert goes", personality: "lenovo-sr655", check: func(b *bench) {
			got := b.insert(slot(b, "CD1"), image(b.image))
			b.refused(got, 400, "ActionParameterMissing")
			if !strings.Contains(got.text, "TransferProtocolType") {
				b.t.Errorf("the error is %q", got.text)
			}
			b.inserted(b.insert(slot(b, "CD1"), object{"Image": b.image, "TransferProtocolType": "HTTP"}), slot(b, "CD1"))
		}},
		{name: "3.2 NVIDIA DGX: user and password are wanted, any will do", personality: "nvidia-dgx", check: func(b *bench) {
			b.refused(b.insert(slot(b, "CD1"), object{"Image": b.image, "UserName": "none"}), 400, "ActionParameterMissing")
			b.inserted(b.insert(slot(b, "CD1"), object{"Image": b.image, "UserName": "none", "Password": "none"}), slot(b, "CD1"))
		}},
		{name: "3.2 OpenBMC: http is refused", personality: "openbmc", check: func(b *bench) {
			b.refused(b.insert(slot(b, "USB1"), image(b.image)), 400, "ResourceAtUriInUnknownFormat")
		}},
		{name: "3.2 OpenBMC: only Stream, never Inserted false, and the type of the URL", personality: "openbmc", check: func(b *bench) {
			for _, more := range []object{{"TransferMethod": "Upload"}, {"Inserted": false}, {"TransferProtocolType": "CIFS"}} {
				more["Image"] = b.tls
				b.refused(b.insert(slot(b, "USB1"), more), 400, "ActionParameterValueNotInList")
			}
		}},
		{name: "3.2 iLO: an eject without a JSON body is refused", personality: "ilo5", check: func(b *bench) {
			p := slot(b, "2")
			b.inserted(b.insert(p, image(b.image)), p)
			b.refused(b.ask("POST", p+"/Actions/VirtualMedia.EjectMedia", nil), 415, "UnsupportedMediaType")
			b.good("POST", p+"/Actions/VirtualMedia.EjectMedia", object{})
			if got := b.good("GET", p, nil).body; got["Image"] != "" || got["Inserted"] != false {
				b.t.Errorf("empty, it shows %v", got)
			}
		}},
		{name: "3.2 iLO: one scripted medium a drive", personality: "ilo5", check: func(b *bench) {
			b.inserted(b.insert(slot(b, "2"), image(b.image)), slot(b, "2"))
			b.refused(b.insert(slot(b, "2"), image(b.image)), 400, "MaxVirtualMediaConnectionEstablished")
		}},
		{name: "3.2 OpenBMC: a full drive must be ejected before", personality: "openbmc", check: func(b *bench) {
			b.inserted(b.insert(slot(b, "USB1"), image(b.tls)), slot(b, "USB1"))
			b.refused(b.insert(slot(b, "USB1"), image(b.tls)), 409, "ResourceInUse")
		}},
		{name: "3.2 iDRAC9: an ejected medium is shown for a while, and an insert answers 5xx", personality: "idrac9", with: slowly, check: func(b *bench) {
			p := b.systemPath() + "/VirtualMedia/1"
			b.inserted(b.insert(p, image(b.image)), p)
			b.good("POST", p+"/Actions/VirtualMedia.EjectMedia", object{})
			if b.good("GET", p, nil).body["Inserted"] != true {
				b.t.Error("it is shown empty at once")
			}
			if len(b.Inserted()) != 0 {
				b.t.Error("it is not out")
			}
			b.refused(b.insert(p, image(b.image)), 500, "VRM0012")
			b.await("the drive to be shown empty", func() bool { return b.good("GET", p, nil).body["Inserted"] == false })
			b.inserted(b.insert(p, image(b.image)), p)
		}},
		{name: "3.2 iDRAC9: the eject of an empty drive is refused", personality: "idrac9", check: func(b *bench) {
			b.refused(b.ask("POST", b.systemPath()+"/VirtualMedia/1/Actions/VirtualMedia.EjectMedia", object{}), 500, "VRM0009")
		}},
		{name: "3.2 Supermicro: Image outlives the eject", personality: "supermicro-x11", check: func(b *bench) {
			p := slot(b, "CD1")
			b.inserted(b.insert(p, image(b.image)), p)
			b.good("POST", p+"/Actions/VirtualMedia.EjectMedia", object{})
			if got := b.good("GET", p, nil).body; got["Image"] != b.image || got["Inserted"] != false || got["ConnectedVia"] != "NotConnected" {
				b.t.Errorf("empty, it shows %v", got)
			}
		}},
		{name: "3.6 iLO: without a licence", personality: "ilo5", with: unlicensed, check: func(b *bench) {
			b.refused(b.insert(slot(b, "2"), image(b.image)), 403, "LicenseKeyRequired")
		}},
		{name: "3.6 Supermicro: without a licence", personality: "supermicro-x12", with: unlicensed, check: func(b *bench) {
			b.refused(b.insert(slot(b, "VirtualMedia1"), image(b.image)), 403, "OemLicenseNotPassed")
		}},
		{name: "3.6 iDRAC: without a licence", personality: "idrac9", with: unlicensed, check: func(b *bench) {
			b.refused(b.insert(b.systemPath()+"/VirtualMedia/1", image(b.image)), 400, "LIC501")
		}},
	})
}

// slowly makes a BMC's second long enough for a test to look twice within two.
func slowly(o *Options, _ *PaperOptions) { o.Second = time.Second / 5 }

func TestURLsAndServersAreJudgedAsTheProductDoes(t *testing.T) {
	cd := func(b *bench) string { return b.systemPath() + "/VirtualMedia/1" }
	checkRows(t, []row{
		{name: "3.3 the path must end in .iso", personality: "idrac9", check: func(b *bench) {
			b.refused(b.insert(cd(b), image(strings.TrimSuffix(b.image, ".iso"))), 400, "ActionParameterValueFormatError")
		}},
		{name: "3.3 a query is refused", personality: "idrac9", check: func(b *bench) {
			for _, url := range []string{b.image + "?x.iso", strings.Replace(b.image, "host", "a&b", 1)} {
				b.refused(b.insert(cd(b), image(url)), 400, "ActionParameterValueFormatError")
			}
		}},
		{name: "3.3 a host name is refused, there is no DNS", personality: "idrac9", check: func(b *bench) {
			b.refused(b.insert(cd(b), image("http://muster.example/media/host.iso")), 400, "ActionParameterValueFormatError")
		}},
		{name: "3.3 a URL of more than 255 characters is refused", personality: "idrac9", check: func(b *bench) {
			b.refused(b.insert(cd(b), image(strings.Replace(b.image, "host", strings.Repeat("h", 255), 1))), 400, "ActionParameterValueFormatError")
		}},
		{name: "3.3 Supermicro: the file lies in a folder", personality: "supermicro-x12", check: func(b *bench) {
			p := b.managerPath() + "/VirtualMedia/VirtualMedia1"
			b.refused(b.insert(p, image(strings.Replace(b.image, "/media", "", 1))), 400, "ActionParameterValueFormatError")
		}},
		{name: "3.3 redirects are not followed", personality: "idrac9", check: func(b *bench) {
			b.files.set(func(s *imageServer) { s.redirect = b.tls })
			b.refused(b.insert(cd(b), image(b.image)), 500, "RAC0904")
			for _, f := range b.Fetches() {
				if f.URL != b.image {
					b.t.Errorf("it went to %s", f.URL)
				}
			}
		}},
		{name: "3.4 iDRAC: HEAD first, then ranges; a server without ranges is RAC0904", personality: "idrac9", check: func(b *bench) {
			b.files.set(func(s *imageServer) { s.noRanges = true })
			b.refused(b.insert(cd(b), image(b.image)), 500, "RAC0904")
			fetches := b.Fetches()
			if len(fetches) != 2 || fetches[0].Method != "HEAD" || fetches[1].Range == "" {
				b.t.Errorf("fetched %+v", fetches)
			}
		}},
		{name: "3.4 bytes that change under a URL do not boot", personality: "idrac9", check: func(b *bench) {
			b.inserted(b.insert(cd(b), image(b.image)), cd(b))
			b.files.set(func(s *imageServer) { s.tag = `"two"` })
			b.good("PATCH", b.systemPath(), bootOnce("Cd"))
			b.reset("On")
			b.says("no boot from medium: read the medium: the image at " + b.image + " changed")
		}},
		{name: "3.4 a host reads by ranges of the product's size, never the whole", personality: "ilo5", check: func(b *bench) {
			b.insertAndBoot(b.managerPath()+"/VirtualMedia/2", b.image, "Cd", DeviceMedium)
			b.says("installs nothing")
			read := 0
			for _, f := range b.Fetches() {
				if f.Method == "GET" && (f.Range == "" || f.Bytes > b.rules.Media.Chunk) {
					b.t.Errorf("read %+v", f)
				}
				read += f.Bytes
			}
			if read == 0 || read > len(b.files.content)/2 {
				b.t.Errorf("read %d of %d bytes", read, len(b.files.content))
			}
		}},
		{name: "3.5 the image's certificate is verified once that is switched on", personality: "idrac9", check: func(b *bench) {
			b.inserted(b.insert(cd(b), image(b.tls)), cd(b))
			b.good("POST", cd(b)+"/Actions/VirtualMedia.EjectMedia", object{})
			b.good("PATCH", cd(b), object{"VerifyCertificate": true})
			b.await("the eject", func() bool { return b.good("GET", cd(b), nil).body["Inserted"] == false })
			b.refused(b.insert(cd(b), image(b.tls)), 500, "RAC0904")
		}},
	})
}
