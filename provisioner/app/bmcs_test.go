package app

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/engine"
	"github.com/muster-boot/muster/provisioner/lifecycle"
	"github.com/muster-boot/muster/redfish/bmctest"
)

// TestEveryPersonalityBringsItsHostFromPowerOffToRegistered goes by media where
// the BMC can, else by the network.
func TestEveryPersonalityBringsItsHostFromPowerOffToRegistered(t *testing.T) {
	noMedia := []string{"huawei", "intel", "xcc-old"}
	y := newYard(t)
	t.Run("all", func(t *testing.T) {
		for n, name := range bmctest.Names() {
			p := y.build(t, name, n+1)
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				y.listPlace(t, p, nil)
				h := y.arrives(t, p)
				y.idle(t, p)
				want := provisioner.WayMedia
				if slices.Contains(noMedia, name) {
					want = provisioner.WayNetboot
				}
				told := strings.Contains(y.said(t, h), "The BMC has the new password of its account now.")
				if given := len(h.Intent.BMC.NewPassword) > 0; told != given || h.BMCRenewed() != given {
					t.Errorf("its journal tells of a new password: %t; %+v", told, h.Facts.BMC)
				}
				if way, _ := lifecycle.Way(h); way != want || h.Facts.Survey == nil || h.Facts.BMC == nil || h.Facts.BMC.Quirks == "" {
					t.Errorf("it went by %s, its BMC seen as %+v", way, h.Facts.BMC)
				}
				if err := p.host.Await(t.Context(), func(line string) bool { return line == "registered" }); err != nil || !p.host.On() {
					t.Errorf("it is on: %t; %v", p.host.On(), err)
				}
			})
		}
	})
}

// TestEachFaultOfABMCEndsInItsPhaseWithItsSentence lets a BMC fail for as long as
// its host is on its way.
func TestEachFaultOfABMCEndsInItsPhaseWithItsSentence(t *testing.T) {
	const media, netboot = provisioner.WayMedia, provisioner.WayNetboot
	y := newYard(t)
	t.Run("all", func(t *testing.T) {
		for n, tc := range []struct {
			name  string
			fault bmctest.Fault
			phase provisioner.Phase
			way   provisioner.Way // of a host that is registered
			say   string          // somewhere in why, what is awaited, and the journal
		}{
			{"503 for a while", bmctest.Fault{Kind: bmctest.FaultUnavailable, Times: 6}, provisioner.Registered, media, ""},
			{"503 for ever", bmctest.Fault{Kind: bmctest.FaultUnavailable}, provisioner.Expected, "", "busy"},
			{"resets for ever", bmctest.Fault{Kind: bmctest.FaultReset}, provisioner.Expected, "", "look at its power, cable and address"},
			{"a wrong password", bmctest.Fault{Kind: bmctest.FaultUnauthorized, Method: "POST", Path: "Sessions"}, provisioner.Expected, "", "muster host retry"},
			{"all sessions taken", bmctest.Fault{Kind: bmctest.FaultSessions}, provisioner.Expected, "", "session"},
			{"slow answers", bmctest.Fault{Kind: bmctest.FaultSlow, Seconds: 3, Times: 10}, provisioner.Registered, media, ""},
			{"a stuck task", bmctest.Fault{Kind: bmctest.FaultStuckTask}, provisioner.Registered, media, ""},
			{"stale after an eject", bmctest.Fault{Kind: bmctest.FaultStaleInserted, For: 20}, provisioner.Registered, media, ""},
			{"another device than it was told", bmctest.Fault{Kind: bmctest.FaultWrongDevice}, provisioner.Registered, netboot, "the host started its scout instead"},
			{"an override that is lost", bmctest.Fault{Kind: bmctest.FaultLostOverride}, provisioner.Failed, "", "set the boot order in the firmware"},
			{"a reset that does nothing", bmctest.Fault{Kind: bmctest.FaultDeafPower}, provisioner.Discovered, "", "look at its power supply"},
			{"an image that is read slowly", bmctest.Fault{Kind: bmctest.FaultMediaSlow, Seconds: 2, Times: 20}, provisioner.Registered, media, ""},
			{"no image is ever reached", bmctest.Fault{Kind: bmctest.FaultMediaNever}, provisioner.Registered, netboot, "the host started its scout instead"},
			{"a clock that is wrong", bmctest.Fault{Kind: bmctest.FaultClock, Seconds: 86400}, provisioner.Registered, media, ""},
			{"another serial", bmctest.Fault{Kind: bmctest.FaultLiesSerial}, provisioner.Quarantined, "", "as the BMC says"},
			{"twice the memory", bmctest.Fault{Kind: bmctest.FaultLiesMemory}, provisioner.Quarantined, "", "as the scout says"},
			{"somebody's medium", bmctest.Fault{Kind: bmctest.FaultForeign, URL: "http://198.51.100.9/os/theirs.iso"}, provisioner.Registered, netboot, "http://198.51.100.9/os/theirs.iso"},
			{"a restart", bmctest.Fault{Kind: bmctest.FaultReboot, Seconds: 60}, provisioner.Registered, media, ""},
		} {
			p := y.build(t, "openbmc", n+1)
			t.Run(tc.name, func(t *testing.T) {
				t.Parallel()
				if err := p.Fail(tc.fault); err != nil {
					t.Fatal(err)
				}
				y.listPlace(t, p, nil)
				h := y.comes(t, p, string(tc.phase)+", saying "+tc.say, func(h provisioner.Host) bool {
					return h.Status.Phase == tc.phase && strings.Contains(y.said(t, h), tc.say)
				})
				if way, _ := lifecycle.Way(h); tc.phase == provisioner.Registered && way != tc.way {
					t.Errorf("it went by %s: %s", way, y.said(t, h))
				}
				p.Heal()
				if _, _, leaked := p.Sessions(); leaked > 0 || p.Locked() {
					t.Errorf("%d sessions leaked, locked %t", leaked, p.Locked())
				}
				if requests, media := p.Peak(); requests > 1 || media > 1 {
					t.Errorf("%d requests and %d media at once", requests, media)
				}
			})
		}
	})
}

// said is all that a person may read of a host.
func (y *yard) said(t *testing.T, h provisioner.Host) string {
	t.Helper()
	entries, err := y.store.Journal(t.Context(), h.ID, 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	lines := []string{h.Status.Why, lifecycle.Awaiting(h)}
	for _, e := range entries {
		lines = append(lines, e.Text)
	}
	return strings.Join(lines, "\n")
}

func TestABMCWithTheRightPasswordGoesOnWhenAPersonSaysSo(t *testing.T) {
	y := newYard(t)
	p := y.build(t, "ilo5", 1)
	if err := p.Fail(bmctest.Fault{Kind: bmctest.FaultUnauthorized, Method: "POST", Path: "Sessions"}); err != nil {
		t.Fatal(err)
	}
	y.listPlace(t, p, nil)
	y.comes(t, p, "the refusal", func(h provisioner.Host) bool { return strings.Contains(lifecycle.Awaiting(h), "muster host retry") })
	p.Heal()
	y.skip(t, p, time.Hour)
	if n := p.logins(); n != 1 {
		t.Errorf("it was shown %d times", n)
	}
	_, err := y.store.Change(t.Context(), p.id, func(h *provisioner.Host) ([]provisioner.Entry, error) {
		h.Intent.Requests.Retry++
		return nil, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	y.arrives(t, p)
	y.idle(t, p)
}

// TestARefusedPasswordIsNotShownAgainAfterARestart has a new server meet the host
// in another phase, in which its BMC is to be surveyed anew.
func TestARefusedPasswordIsNotShownAgainAfterARestart(t *testing.T) {
	y := newYard(t)
	p := y.build(t, "supermicro-x12", 1)
	y.listPlace(t, p, func(h *provisioner.Host) {
		h.Intent.BMC.Password = y.box.Seal([]byte("not-the-password"), h.Intent.BMC.Context())
	})
	const remedy = "muster bmc add"
	y.comes(t, p, "the refusal", func(h provisioner.Host) bool { return strings.Contains(lifecycle.Awaiting(h), "refused the account") })
	if err := y.stop(); err != nil {
		t.Fatal(err)
	}
	y.start(t)
	_, err := y.engine.See(t.Context(), engine.Seen{MAC: p.host.Identity().NICs[0].MAC, Network: y.nets[0].Interface, Boot: provisioner.BootUEFI, Netboot: true})
	if err != nil {
		t.Fatal(err)
	}
	y.comes(t, p, "the survey in its new phase", func(h provisioner.Host) bool {
		last := h.Facts.Errands[len(h.Facts.Errands)-1]
		return h.Status.Phase == provisioner.Discovered && last.Final && !last.Began.Before(h.Status.Since) && strings.Contains(last.Problem, remedy)
	})
	if n := p.logins(); n != 1 || p.Locked() {
		t.Errorf("it was shown %d times, locked %t", n, p.Locked())
	}
}

// logins is how often the BMC was shown a password.
func (p *place) logins() int {
	n := 0
	for _, r := range p.Requests() {
		if r.Method == "POST" && strings.Contains(r.Path, "Sessions") {
			n++
		}
	}
	return n
}

func TestAHostWhoseBMCAndScoutCountDifferentlyIsQuarantinedWithBothNumbers(t *testing.T) {
	y := newYard(t)
	p := y.build(t, "idrac9", 1, func(id *bmctest.Identity) { id.DIMMs = []bmctest.DIMM{{Slot: "DIMM 0", MiB: 32 << 10, Serial: "D1"}} })
	if err := p.Fail(bmctest.Fault{Kind: bmctest.FaultLiesMemory}); err != nil {
		t.Fatal(err)
	}
	y.listPlace(t, p, nil)
	h := y.comes(t, p, "quarantine", func(h provisioner.Host) bool { return h.Status.Phase == provisioner.Quarantined })
	for _, want := range []string{"64 GiB as the BMC says", "32 GiB as the scout says"} {
		if !strings.Contains(h.Status.Why, want) {
			t.Errorf("%q is not said: %s", want, h.Status.Why)
		}
	}
	y.idle(t, p)
}

// TestAServerKilledAtAnyActAtABMCEndsTheSame kills the server at the n-th act of
// a kind: it gets no answer any more, leaves its session behind, and is started
// again over what it wrote down.
func TestAServerKilledAtAnyActAtABMCEndsTheSame(t *testing.T) {
	for method, most := range map[string]int{"POST": 13, "PATCH": 3, "DELETE": 3} {
		for n := range most {
			t.Run(fmt.Sprintf("%s-%d", method, n), func(t *testing.T) {
				t.Parallel()
				y := newYard(t)
				p := y.build(t, "openbmc", 1)
				if err := p.Fail(bmctest.Fault{Kind: bmctest.FaultReset, Method: method, Skip: n}); err != nil {
					t.Fatal(err)
				}
				y.listPlace(t, p, nil)
				struck := func(h provisioner.Host) bool {
					return h.Status.Phase == provisioner.Registered || slices.ContainsFunc(p.Requests(), func(r bmctest.Request) bool { return r.Status == 0 })
				}
				y.comes(t, p, "the act", struck)
				if err := p.Fail(bmctest.Fault{Kind: bmctest.FaultReset}); err != nil {
					t.Fatal(err)
				}
				if err := y.stop(); err != nil {
					t.Fatal(err)
				}
				p.Heal()
				y.start(t)
				var stuck bool // it booted while the server was away, and found nothing
				h := y.comes(t, p, "registered", func(h provisioner.Host) bool {
					if did := p.host.History(); len(did) > 0 && did[len(did)-1] == "nothing to boot" {
						stuck = true
						y.skip(t, p, time.Minute)
					}
					return h.Status.Phase == provisioner.Registered
				})
				if h.Status.Tries != 0 && !stuck {
					t.Errorf("after %d tries: %s", h.Status.Tries, y.said(t, h))
				}
				y.comes(t, p, "the end of its errands", func(h provisioner.Host) bool { _, due := lifecycle.Errand(h, y.now()); return !due })
				if _, media := p.Peak(); media > 1 || len(p.Inserted()) > 0 {
					t.Errorf("%d media at once, %q left in", media, p.Inserted())
				}
			})
		}
	}
}
