package engine

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/muster-boot/muster/inventory"
	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/lifecycle"
)

// installed brings the listed host h-1 to the point where its installer wrote
// the disk, and returns the attempt.
func installed(t *testing.T, s *site) provisioner.AttemptID {
	t.Helper()
	s.see(t, mac1)
	ins := s.ask(t, hostID, report("SN-1", mac1))
	if ins.Do != inventory.Install || ins.Netboot == nil {
		t.Fatalf("the scout is told %+v", ins)
	}
	a := provisioner.AttemptID(ins.Attempt)
	s.sync(t)
	for _, stage := range []string{provisioner.StageWriting, provisioner.StageWritten} {
		if err := s.Step(t.Context(), a, stage, ""); err != nil {
			t.Fatal(err)
		}
	}
	return a
}

func TestAHostIsRegisteredByTwoCallsOfTwoPrograms(t *testing.T) {
	s := open(t, bolt(t), newClock())
	s.list(t, hostID, provisioner.Row{Serial: "SN-1", MACs: []string{mac1}})
	a := installed(t, s)
	if err := s.Booted(t.Context(), a, "192.0.2.50"); err != nil {
		t.Fatal(err)
	}
	if p := s.host(t, hostID).Status.Phase; p != provisioner.Installed {
		t.Fatalf("after the boot call-home the host is %s", p)
	}
	receipt, err := s.Register(t.Context(), a, "192.0.2.50", map[string]string{"serial": "SN-1", "agent": "agent/1"})
	if err != nil {
		t.Fatal(err)
	}
	again, err := s.Register(t.Context(), a, "192.0.2.50", map[string]string{"serial": "SN-1", "agent": "agent/1"})
	if err != nil || again != receipt {
		t.Errorf("asked again: %+v, %v; want %+v", again, err, receipt)
	}
	if h := s.host(t, hostID); h.Status.Phase != provisioner.Registered || h.Facts.Receipt.Driver != "callhome" {
		t.Errorf("the host is %s with receipt %+v", h.Status.Phase, h.Facts.Receipt)
	}
	s.checkJournal(t, hostID)
}

func TestAReportWhoseAnswerWasLostMayComeAgain(t *testing.T) {
	s := open(t, bolt(t), newClock())
	s.list(t, hostID, provisioner.Row{MACs: []string{mac1}})
	s.see(t, mac1)
	ins, err := s.Instruction(t.Context(), hostID, "v1", "192.0.2.50")
	if err != nil || ins.Do != inventory.Look {
		t.Fatalf("told %+v, %v", ins, err)
	}
	for range 2 {
		if err := s.Report(t.Context(), hostID, provisioner.AttemptID(ins.Attempt), report("SN-1", mac1)); err != nil {
			t.Errorf("the scout is refused what it may not know was taken: %v", err)
		}
		s.sync(t)
	}
	if p := s.host(t, hostID).Status.Phase; p != provisioner.Verifying {
		t.Errorf("the host is %s", p)
	}
}

func TestOnlyTheBootCallHomeEndsFailedAndSaysWhatWasAwaited(t *testing.T) {
	s := open(t, bolt(t), newClock())
	s.list(t, hostID, provisioner.Row{MACs: []string{mac1}})
	a := installed(t, s)
	if err := s.Booted(t.Context(), a, "192.0.2.50"); err != nil {
		t.Fatal(err)
	}
	s.clock.advance(16 * time.Minute)
	h, err := s.settle(t.Context(), hostID)
	if err != nil || h.Status.Phase != provisioner.Failed || !strings.Contains(h.Status.Why, "the registration of the agent") {
		t.Errorf("%s: %q, %v", h.Status.Phase, h.Status.Why, err)
	}
}

func TestAnAgentOfAnotherMachineGetsNoReceipt(t *testing.T) {
	s := open(t, bolt(t), newClock())
	s.list(t, hostID, provisioner.Row{MACs: []string{mac1}})
	a := installed(t, s)
	_, err := s.Register(t.Context(), a, "192.0.2.50", map[string]string{"serial": "SN-2"})
	if provisioner.KindOf(err) != provisioner.Conflict {
		t.Errorf("registered with another machine's serial: %v", err)
	}
	s.clock.advance(16 * time.Minute)
	h, err := s.settle(t.Context(), hostID)
	if err != nil || h.Status.Phase != provisioner.Failed || !strings.Contains(h.Status.Why, "SN-2") {
		t.Errorf("%s without saying whose agent called: %s, %v", h.Status.Phase, h.Status.Why, err)
	}
	s.checkJournal(t, hostID)
}

func TestMessagesOfAnOldAttemptChangeNothing(t *testing.T) {
	s := open(t, bolt(t), newClock())
	s.list(t, hostID, provisioner.Row{MACs: []string{mac1}})
	old := installed(t, s)
	s.clock.advance(31 * time.Minute)
	if _, err := s.settle(t.Context(), hostID); err != nil {
		t.Fatal(err)
	}
	ask := func(h *provisioner.Host) ([]provisioner.Entry, error) {
		h.Intent.Requests.Retry++
		return nil, nil
	}
	if _, err := s.Store.Change(t.Context(), hostID, ask); err != nil {
		t.Fatal(err)
	}
	s.sync(t)
	s.see(t, mac1)
	s.ask(t, hostID, report("SN-1", mac1))
	before := s.host(t, hostID)
	if before.Status.Attempt.ID == old {
		t.Fatal("the retry has no attempt of its own")
	}
	booted := s.Booted(t.Context(), old, "192.0.2.50")
	for name, err := range map[string]error{
		"booted":  booted,
		"writing": s.Step(t.Context(), old, provisioner.StageWriting, ""),
	} {
		if provisioner.KindOf(err) != provisioner.Gone {
			t.Errorf("%s of the old attempt: %v", name, err)
		}
	}
	if _, err := s.Register(t.Context(), old, "192.0.2.50", nil); provisioner.KindOf(err) != provisioner.Gone {
		t.Errorf("registration of the old attempt: %v", err)
	}
	if d, err := s.Document(t.Context(), old, "config"); provisioner.KindOf(err) != provisioner.Gone {
		t.Errorf("configuration of the old attempt: %q, %v", d.Content, err)
	}
	if after := s.host(t, hostID); after.Revision != before.Revision {
		t.Error("the old attempt changed the host")
	}
}

func TestWritingIsRefusedToAnAttemptThatEnded(t *testing.T) {
	s := open(t, bolt(t), newClock())
	s.list(t, hostID, provisioner.Row{MACs: []string{mac1}})
	s.see(t, mac1)
	a := provisioner.AttemptID(s.ask(t, hostID, report("SN-1", mac1)).Attempt)
	s.clock.advance(31 * time.Minute)
	if _, err := s.settle(t.Context(), hostID); err != nil {
		t.Fatal(err)
	}
	s.sync(t)
	if err := s.Step(t.Context(), a, provisioner.StageWriting, ""); provisioner.KindOf(err) != provisioner.Gone {
		t.Errorf("an installer nobody waits for may write: %v", err)
	}
}

func TestAnInstallerThatBootsAgainWritesNothing(t *testing.T) {
	s := open(t, bolt(t), newClock())
	s.installer.set(provisioner.WayMedia, nil)
	s.list(t, hostID, provisioner.Row{MACs: []string{mac1}})
	s.see(t, mac1)
	ins := s.ask(t, hostID, report("SN-1", mac1))
	if ins.Do != inventory.Wait || !strings.Contains(ins.Say, "into its drive") {
		t.Fatalf("the scout is told %s: %s", ins.Do, ins.Say)
	}
	a := s.host(t, hostID).Status.Attempt.ID
	for _, stage := range []string{provisioner.StageMedium, provisioner.StageWriting, provisioner.StageWriting, provisioner.StageWritten} {
		if err := s.Step(t.Context(), a, stage, ""); err != nil {
			t.Fatal(err)
		}
	}
	err := s.Step(t.Context(), a, provisioner.StageWriting, "")
	if provisioner.KindOf(err) != provisioner.Gone || !strings.Contains(err.Error(), "take the installer's medium out") {
		t.Errorf("its ISO stayed in the drive, and it may write again: %v", err)
	}
}

func TestADiskThatWeBeganToWriteIsNotForeignToTheNextAttempt(t *testing.T) {
	s := open(t, bolt(t), newClock())
	s.list(t, hostID, provisioner.Row{MACs: []string{mac1}})
	s.see(t, mac1)
	a := provisioner.AttemptID(s.ask(t, hostID, report("SN-1", mac1)).Attempt)
	s.sync(t)
	if err := s.Step(t.Context(), a, provisioner.StageWriting, ""); err != nil {
		t.Fatal(err)
	}
	s.clock.advance(31 * time.Minute)
	if _, err := s.settle(t.Context(), hostID); err != nil {
		t.Fatal(err)
	}
	s.see(t, mac1) // switched on again
	half := report("SN-1", mac1)
	half.Disks[0].Signatures = []string{"gpt"}
	if ins := s.ask(t, hostID, half); ins.Do != inventory.Install {
		t.Errorf("the scout is told %s: %s", ins.Do, ins.Say)
	}
	if entries := s.checkJournal(t, hostID); len(entries) < 8 {
		t.Errorf("journal has only %d entries", len(entries))
	}
}

func TestAHostListedBySerialIsRecognisedByItsReport(t *testing.T) {
	s := open(t, bolt(t), newClock())
	s.list(t, hostID, provisioner.Row{Serial: "SN-9", Name: "edge-9"})
	h, err := s.See(t.Context(), Seen{MAC: "52:54:00:00:00:09", Network: "br1", Netboot: true, Discover: true})
	if err != nil || h.Status.Phase != provisioner.Discovered || h.ID == hostID {
		t.Fatalf("seen: %s %s, %v", h.ID, h.Status.Phase, err)
	}
	s.sync(t)
	ins := s.ask(t, h.ID, report("SN-8", "52:54:00:00:00:09"))
	if ins.Do != inventory.Wait || !strings.Contains(ins.Say, "approve") {
		t.Fatalf("a serial in no manifest: told %s: %s", ins.Do, ins.Say)
	}
	if got := s.host(t, hostID).Status.Phase; got != provisioner.Expected {
		t.Fatalf("the listed host is %s", got)
	}

	other, err := s.See(t.Context(), Seen{MAC: "52:54:00:00:00:0a", Network: "br1", Netboot: true, Discover: true})
	if err != nil {
		t.Fatal(err)
	}
	s.sync(t)
	key := other.Status.Key
	ins = s.ask(t, other.ID, report("sn-9", "52:54:00:00:00:0a"))
	if ins.Do != inventory.Install {
		t.Fatalf("told %s: %s", ins.Do, ins.Say)
	}
	joined := s.host(t, hostID)
	if joined.Status.Key != key || joined.Intent.Row.Name != "edge-9" || joined.Facts.Sighting == nil {
		t.Errorf("the listed host did not take over what was seen: %+v", joined)
	}
	if by, ok := s.Mirror.Host(other.ID); !ok || by.ID != hostID {
		t.Error("a scout that runs with the old id finds nothing")
	}
	s.checkJournal(t, hostID)
}

func TestTwoHostsWithOneSerialAreBothQuarantined(t *testing.T) {
	s := open(t, bolt(t), newClock())
	s.list(t, "h-1", provisioner.Row{MACs: []string{mac1}})
	s.list(t, "h-2", provisioner.Row{MACs: []string{"52:54:00:00:00:02"}})
	s.see(t, mac1)
	s.ask(t, "h-1", report("SN-1", mac1))
	s.see(t, "52:54:00:00:00:02")
	ins := s.ask(t, "h-2", report("SN-1", "52:54:00:00:00:02"))
	if ins.Do != inventory.Wait || !strings.Contains(ins.Say, "SN-1") {
		t.Errorf("second host told %s: %s", ins.Do, ins.Say)
	}
	if _, err := s.settle(t.Context(), "h-1"); err != nil {
		t.Fatal(err)
	}
	for _, id := range []provisioner.HostID{"h-1", "h-2"} {
		if h := s.host(t, id); h.Status.Phase != provisioner.Quarantined || !strings.Contains(h.Status.Why, "SN-1") {
			t.Errorf("%s is %s: %s", id, h.Status.Phase, h.Status.Why)
		}
	}
}

func TestAnOldScoutIsToldOnceToRebootIntoTheNewOne(t *testing.T) {
	s := open(t, bolt(t), newClock())
	s.list(t, hostID, provisioner.Row{MACs: []string{mac1}})
	s.see(t, mac1)
	first, err := s.Instruction(t.Context(), hostID, "v0", "192.0.2.50")
	if err != nil || first.Do != inventory.Reboot || !strings.Contains(first.Say, "v0") {
		t.Fatalf("told %+v, %v", first, err)
	}
	second, err := s.Instruction(t.Context(), hostID, "v0", "192.0.2.50")
	if err != nil || second.Do == inventory.Reboot {
		t.Errorf("a ramdisk that carries the old scout makes the host reboot for ever: %+v, %v", second, err)
	}
}

func TestAnOldScoutThatCameByAMediumStays(t *testing.T) {
	s := open(t, bolt(t), newClock())
	s.list(t, hostID, provisioner.Row{MACs: []string{mac1}})
	h := s.see(t, mac1)
	h, err := s.Store.Change(t.Context(), h.ID, func(h *provisioner.Host) ([]provisioner.Entry, error) {
		h.Facts.Prepared = &provisioner.Prepared{Attempt: h.Status.Attempt.ID, Way: provisioner.WayMedia}
		return nil, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	first, err := s.Instruction(t.Context(), hostID, "v0", "192.0.2.50")
	if err != nil || first.Do != inventory.Look {
		t.Fatalf("before its first report it is told %+v, %v", first, err)
	}
	if !cameByMedium(h) {
		t.Error("a scout that waits for its attempt's medium is not known as one of it")
	}
	h.Facts.Prepared = nil
	h.Facts.Report = &provisioner.Report{Received: s.Now(), Report: inventory.Report{Firmware: inventory.Firmware{Medium: true}}}
	if !cameByMedium(h) {
		t.Error("a scout that said so itself is not known as one of a medium")
	}
}

func TestARegistrationAfterItsDeadlineIsAccepted(t *testing.T) {
	s := open(t, bolt(t), newClock())
	s.list(t, hostID, provisioner.Row{MACs: []string{mac1}})
	a := installed(t, s)
	if err := s.Booted(t.Context(), a, "192.0.2.50"); err != nil {
		t.Fatal(err)
	}
	s.clock.advance(16 * time.Minute)
	if h, err := s.settle(t.Context(), hostID); err != nil || h.Status.Phase != provisioner.Failed {
		t.Fatalf("%s, %v", h.Status.Phase, err)
	}
	s.clock.advance(time.Minute)
	if _, err := s.Register(t.Context(), a, "192.0.2.50", map[string]string{"agent": "agent/1"}); err != nil {
		t.Errorf("late, and refused for ever: %v", err)
	}
	if p := s.host(t, hostID).Status.Phase; p != provisioner.Registered {
		t.Errorf("the host is %s", p)
	}
}

func TestAUUIDThatNobodyListedClaimsNoRecord(t *testing.T) {
	const uuid = "4c4c4544-0042-3510-8054-b4c04f4d3232"
	s := open(t, bolt(t), newClock())
	s.list(t, hostID, provisioner.Row{MACs: []string{mac1}})
	see := func(mac string) provisioner.Host {
		s.clock.advance(time.Second)
		h, err := s.See(t.Context(), Seen{MAC: mac, UUID: uuid, Network: "br0", Netboot: true})
		if err != nil {
			t.Fatal(err)
		}
		s.sync(t)
		return h
	}
	see(mac1)
	if h := see("52:54:00:00:00:02"); h.ID == hostID {
		t.Error("a machine with a copied UUID is taken for the listed one")
	}
	s.list(t, "h-2", provisioner.Row{UUID: "44454c4c-4200-1035-8054-b4c04f4d3233"})
	h, err := s.See(t.Context(), Seen{MAC: "52:54:00:00:00:03", UUID: "4c4c4544-0042-3510-8054-b4c04f4d3233", Network: "br0", Netboot: true})
	if err != nil || h.ID != "h-2" {
		t.Errorf("listed by UUID in the other byte order, it is taken for %s, %v", h.ID, err)
	}
}

func TestTheOtherPortOfAHostIsNoHostOfItsOwn(t *testing.T) {
	s := open(t, bolt(t), newClock())
	s.list(t, hostID, provisioner.Row{MACs: []string{mac1}})
	const second = "52:54:00:00:00:02"
	ghost := s.see(t, second)
	s.see(t, mac1)
	r := report("SN-1", mac1)
	r.NICs = append(r.NICs, inventory.NIC{Name: "eth1", MAC: second})
	s.ask(t, hostID, r)
	if _, err := s.settle(t.Context(), ghost.ID); err != nil {
		t.Fatal(err)
	}
	if h := s.host(t, ghost.ID); h.ID != hostID {
		t.Errorf("the port is still a host: %s %s", h.ID, h.Status.Why)
	}
	s.checkJournal(t, hostID)
}

func TestAClockThatIsSetBackHidesNoEvidence(t *testing.T) {
	s := open(t, bolt(t), newClock())
	s.list(t, hostID, provisioner.Row{MACs: []string{mac1}})
	s.clock.advance(-time.Hour)
	if h := s.see(t, mac1); h.Status.Phase != provisioner.Discovered {
		t.Fatalf("seen after the clock went back, the host is %s", h.Status.Phase)
	}
	if ins := s.ask(t, hostID, report("SN-1", mac1)); ins.Do != inventory.Install {
		t.Errorf("told %s: %s", ins.Do, ins.Say)
	}
}

func TestAClientThatDoesNotNetbootIsNoHost(t *testing.T) {
	s := open(t, bolt(t), newClock())
	h, err := s.See(t.Context(), Seen{MAC: mac1, Network: "br0"})
	if err != nil || h.ID != "" || len(s.Mirror.Hosts()) != 0 {
		t.Errorf("a telephone became host %q, %v", h.ID, err)
	}
}

func TestAHostOfManyStagesStillKnowsThatItsDiskIsWritten(t *testing.T) {
	s := open(t, bolt(t), newClock())
	s.list(t, hostID, provisioner.Row{MACs: []string{mac1}})
	a := installed(t, s)
	refused := false
	for i := range 2 * maxStepFacts {
		err := s.Step(t.Context(), a, fmt.Sprintf("noise-%d", i), "")
		refused = refused || provisioner.KindOf(err) == provisioner.Invalid
	}
	if h := s.host(t, hostID); !refused || !lifecycle.SystemOnDisk(h) {
		t.Errorf("refused %t; the disk counts as written %t", refused, lifecycle.SystemOnDisk(h))
	}
}
