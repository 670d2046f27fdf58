package bmctest

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"net/http"
	"strings"
	"testing"
	"time"
)

// faultChecks have each fault seen by a client of OpenBMC.
func faultChecks() map[FaultKind]func(*bench) {
	usb := func(b *bench) string { return b.managerPath() + "/VirtualMedia/USB1" }
	return map[FaultKind]func(*bench){
		FaultUnavailable: func(b *bench) {
			b.fail(Fault{Kind: FaultUnavailable, Path: "/Systems", Skip: 1, Times: 1})
			b.good("GET", b.systemPath(), nil)
			got := b.ask("GET", b.systemPath(), nil)
			b.refused(got, 503, "ServiceTemporarilyUnavailable")
			if got.header.Get("Retry-After") == "" {
				b.t.Error("no Retry-After")
			}
			b.good("GET", b.systemPath(), nil)
		},
		FaultReset: func(b *bench) {
			b.fail(Fault{Kind: FaultReset, Method: "POST", Times: 1})
			if _, err := b.try("POST", b.systemPath(), object{}); err == nil {
				b.t.Error("it was answered")
			}
		},
		FaultUnauthorized: func(b *bench) {
			b.fail(Fault{Kind: FaultUnauthorized, Times: 1})
			b.refused(b.ask("GET", b.systemPath(), nil), 401, "NoValidSession")
		},
		FaultSlow: func(b *bench) {
			b.fail(Fault{Kind: FaultSlow, Seconds: 10})
			start := time.Now()
			b.good("GET", b.systemPath(), nil)
			if time.Since(start) < 10*second {
				b.t.Error("it was quick")
			}
		},
		FaultStaleInserted: func(b *bench) {
			b.inserted(b.insert(usb(b), image(b.tls)), usb(b))
			b.fail(Fault{Kind: FaultStaleInserted})
			b.good("POST", usb(b)+"/Actions/VirtualMedia.EjectMedia", object{})
			if got := b.good("GET", usb(b), nil).body; got["Inserted"] != true || got["Image"] != b.tls || len(b.Inserted()) != 0 {
				b.t.Errorf("shows %v, inserted %v", got, b.Inserted())
			}
			b.Heal()
			if got := b.good("GET", usb(b), nil).body; got["Inserted"] != false {
				b.t.Errorf("healed, it shows %v", got)
			}
		},
		FaultEjectIgnored: func(b *bench) {
			b.inserted(b.insert(usb(b), image(b.tls)), usb(b))
			b.fail(Fault{Kind: FaultEjectIgnored, Times: 1})
			b.good("POST", usb(b)+"/Actions/VirtualMedia.EjectMedia", object{})
			if len(b.Inserted()) != 1 {
				b.t.Error("it is out")
			}
		},
		FaultSessions: func(b *bench) {
			b.fail(Fault{Kind: FaultSessions})
			b.refused(b.ask("POST", sessionsPath, object{"UserName": b.User(), "Password": b.Password()}), 503, "SessionLimitExceeded")
		},
		FaultWrongDevice: func(b *bench) {
			b.fail(Fault{Kind: FaultWrongDevice})
			b.inserted(b.insert(usb(b), image(b.tls)), usb(b))
			b.boots("Cd", DeviceDisk)
		},
		FaultLostOverride: func(b *bench) {
			b.fail(Fault{Kind: FaultLostOverride, Times: 1})
			b.good("PATCH", b.systemPath(), bootOnce("Pxe"))
			if target, _, _ := b.Override(); target != none {
				b.t.Errorf("it is %s", target)
			}
		},
		FaultDeafPower: func(b *bench) {
			b.fail(Fault{Kind: FaultDeafPower, Times: 1})
			b.good("POST", b.systemPath()+"/Actions/ComputerSystem.Reset", object{"ResetType": "On"})
			if b.State().Moving || b.host.On() {
				b.t.Error("it heard")
			}
		},
		FaultMediaSlow: func(b *bench) {
			b.fail(Fault{Kind: FaultMediaSlow, Seconds: 5})
			b.inserted(b.insert(usb(b), image(b.tls)), usb(b))
			start := time.Now()
			b.boots("Cd", DeviceMedium)
			if time.Since(start) < 10*second {
				b.t.Error("it read quickly")
			}
		},
		FaultMediaNever: func(b *bench) {
			b.fail(Fault{Kind: FaultMediaNever})
			b.inserted(b.insert(usb(b), image(b.tls)), usb(b))
			b.good("PATCH", b.systemPath(), bootOnce("Cd"))
			b.reset("On")
			b.says("does not reach")
			if got := b.Fetches(); len(got) != 0 {
				b.t.Errorf("fetched %v", got)
			}
		},
		FaultClock: func(b *bench) {
			b.fail(Fault{Kind: FaultClock, Seconds: 86400})
			at, err := time.Parse(time.RFC3339, b.good("GET", b.managerPath(), nil).body["DateTime"].(string))
			if err != nil || time.Until(at) < 23*time.Hour {
				b.t.Errorf("its time is %v, %v", at, err)
			}
		},
		FaultLiesSerial: func(b *bench) { b.lies(FaultLiesSerial, "SerialNumber") },
		FaultLiesUUID:   func(b *bench) { b.lies(FaultLiesUUID, "UUID") },
		FaultLiesMemory: func(b *bench) {
			b.lies(FaultLiesMemory, "MemorySummary")
			b.fail(Fault{Kind: FaultLiesMemory})
			if got := b.members(b.systemPath() + "/Memory"); len(got) != 2*len(b.host.Identity().DIMMs) {
				b.t.Errorf("lists %v", got)
			} else if b.good("GET", got[len(got)-1], nil).body["CapacityMiB"] != 8192.0 {
				b.t.Error("the module that is not there has no size")
			}
		},
		FaultLiesNICs: func(b *bench) {
			b.fail(Fault{Kind: FaultLiesNICs})
			mac := b.good("GET", b.members(b.systemPath() + "/EthernetInterfaces")[0], nil).body["MACAddress"]
			if mac == b.host.Identity().NICs[0].MAC {
				b.t.Errorf("tells %v", mac)
			}
		},
		FaultReboot: func(b *bench) {
			token := b.ask("POST", sessionsPath, object{"UserName": b.User(), "Password": b.Password()}).header.Get("X-Auth-Token")
			b.inserted(b.insert(usb(b), image(b.tls)), usb(b))
			b.reset("On")
			b.fail(Fault{Kind: FaultReboot, Seconds: 10})
			b.refused(b.ask("GET", b.systemPath(), nil), 503, "ServiceTemporarilyUnavailable")
			b.await("the BMC", func() bool { return b.ask("GET", b.systemPath(), nil).status == 200 })
			b.refused(b.ask("GET", b.systemPath(), nil, "X-Auth-Token", token), 401, "NoValidSession")
			if len(b.Inserted()) != 0 || !b.host.On() {
				b.t.Errorf("inserted %v, power %t", b.Inserted(), b.host.On())
			}
		},
		FaultCertificate: func(b *bench) {
			before := b.peer()
			if before != b.Fingerprint() {
				b.t.Error("the fingerprint is of another certificate")
			}
			b.fail(Fault{Kind: FaultCertificate})
			if after := b.peer(); after == before || after != b.Fingerprint() {
				b.t.Error("the certificate is the same")
			}
		},
		FaultForeign: func(b *bench) {
			b.fail(Fault{Kind: FaultForeign, URL: "https://192.0.2.9/their.iso"})
			if got := b.Inserted(); len(got) != 1 || got[0] != "https://192.0.2.9/their.iso" {
				b.t.Errorf("inserted %v", got)
			}
		},
		FaultStuckTask: func(b *bench) {
			b.rules.Media.Answer = http.StatusAccepted
			b.fail(Fault{Kind: FaultStuckTask})
			got := b.insert(usb(b), image(b.tls))
			b.await("the medium", func() bool { return len(b.Inserted()) == 1 })
			if state := b.good("GET", got.header.Get("Location"), nil); state.status != http.StatusAccepted || state.body["TaskState"] != "Running" {
				b.t.Errorf("the task is %d %v", state.status, state.body["TaskState"])
			}
		},
	}
}

func TestFaultsStrikeAsTheySay(t *testing.T) {
	checks := faultChecks()
	for _, kind := range Faults() {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			check, ok := checks[kind]
			if !ok {
				t.Fatal("nobody looks at this fault")
			}
			check(newBench(t, "openbmc"))
		})
	}
}

// lies wants a property of the System to change with a fault and to come back.
func (b *bench) lies(kind FaultKind, property string) {
	b.t.Helper()
	show := func() string {
		return strings.ReplaceAll(strings.TrimSpace(jsonOf(b.t, b.good("GET", b.systemPath(), nil).body[property])), " ", "")
	}
	truth := show()
	b.fail(Fault{Kind: kind})
	if show() == truth {
		b.t.Errorf("%s is still %s", property, truth)
	}
	b.Heal(kind)
	if got := show(); got != truth {
		b.t.Errorf("healed, %s is %s, was %s", property, got, truth)
	}
}

// peer is the fingerprint of the certificate that a client sees.
func (b *bench) peer() string {
	b.t.Helper()
	conn, err := tls.Dial("tcp", strings.TrimPrefix(b.HTTPS(), "https://"), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		b.t.Fatal(err)
	}
	defer conn.Close()
	sum := sha256.Sum256(conn.ConnectionState().PeerCertificates[0].Raw)
	return hex.EncodeToString(sum[:])
}

func TestAFaultThatThereIsNotIsRefused(t *testing.T) {
	b := newBench(t, "openbmc")
	if err := b.Fail(Fault{Kind: "no-such"}); err == nil {
		t.Error("a fault that there is not was taken")
	}
}

// TestTheControlPathFailsAndHeals drives the faults over HTTP, as the demo does.
func TestTheControlPathFailsAndHeals(t *testing.T) {
	b := newBench(t, "openbmc", func(o *Options, _ *PaperOptions) { o.Control, o.HTTPSOnly = true, true })
	if got := b.ask("POST", controlRoot+"fail", Fault{Kind: FaultUnavailable}); got.status != 204 {
		t.Fatalf("answered %d", got.status)
	}
	b.refused(b.ask("GET", b.systemPath(), nil), 503, "ServiceTemporarilyUnavailable")
	if got := b.good("GET", controlRoot+"state", nil).body; got["personality"] != "openbmc" || got["on"] != false {
		t.Errorf("the state is %v", got)
	}
	b.good("POST", controlRoot+"heal", nil)
	b.good("GET", b.systemPath(), nil)
	if requests, media := b.Peak(); requests != 1 || media != 0 {
		t.Errorf("at most %d requests and %d media at once", requests, media)
	}
}
