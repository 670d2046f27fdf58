package lifecycle

import (
	"strings"
	"testing"
	"time"

	"github.com/muster-boot/muster/inventory"
	"github.com/muster-boot/muster/provisioner"
)

// by is h with something prepared that goes by a way.
func by(h provisioner.Host, way provisioner.Way) provisioner.Host {
	h.Facts.Prepared = &provisioner.Prepared{Attempt: h.Status.Attempt.ID, Way: way}
	return h
}

func TestBootOfEachPhase(t *testing.T) {
	unknown := provisioner.Host{Status: provisioner.Status{Phase: provisioner.Unknown}}
	stray := at(t, provisioner.Discovered) // discovered elsewhere, in no order
	stray.Intent.Order = ""
	heldStray := stray
	heldStray.Status.Phase = provisioner.Quarantined
	quarantined := at(t, provisioner.Verifying)
	quarantined.Status.Phase = provisioner.Quarantined
	heldAfterInstall := at(t, provisioner.Registered)
	heldAfterInstall.Status.Phase = provisioner.Quarantined
	written := by(at(t, provisioner.Installing), provisioner.WayNetboot)
	written.Facts.Steps = append(written.Facts.Steps, provisioner.Step{Attempt: written.Status.Attempt.ID, Stage: provisioner.StageWritten})
	oldWritten := by(at(t, provisioner.Installing), provisioner.WayNetboot)
	oldWritten.Facts.Steps = append(oldWritten.Facts.Steps, provisioner.Step{Attempt: "a-old", Stage: provisioner.StageWritten})

	oldPrepared := by(at(t, provisioner.Installing), provisioner.WayNetboot)
	oldPrepared.Facts.Prepared.Attempt = "a-old"
	scoutWrites := by(at(t, provisioner.Installing), provisioner.WayWrite)
	scoutWrote := scoutWrites
	scoutWrote.Facts.Steps = []provisioner.Step{{Attempt: scoutWrote.Status.Attempt.ID, Stage: provisioner.StageWritten}}
	scoutWroteLast := scoutWrote
	scoutWroteLast.Intent.After = provisioner.AfterPowerOff

	cases := []struct {
		name      string
		host      provisioner.Host
		want      provisioner.Boot // on a silent network
		discovers provisioner.Boot // on one that discovers
		do        inventory.Action
	}{
		{"unknown", unknown, provisioner.BootSilence, provisioner.BootDiscover, inventory.Wait},
		{"discovered elsewhere, in no order", stray, provisioner.BootSilence, provisioner.BootDiscover, inventory.Look},
		{"held, in no order", heldStray, provisioner.BootSilence, provisioner.BootDiscover, inventory.Wait},
		{"expected", listedHost(t), provisioner.BootDiscover, provisioner.BootDiscover, inventory.Wait},
		{"discovered", at(t, provisioner.Discovered), provisioner.BootDiscover, provisioner.BootDiscover, inventory.Look},
		{"verifying", at(t, provisioner.Verifying), provisioner.BootDiscover, provisioner.BootDiscover, inventory.Verify},
		{"installing, nothing prepared", at(t, provisioner.Installing), provisioner.BootDiscover, provisioner.BootDiscover, inventory.Wait},
		{"installing, an old attempt was prepared", oldPrepared, provisioner.BootDiscover, provisioner.BootDiscover, inventory.Wait},
		{"installing by netboot", by(at(t, provisioner.Installing), provisioner.WayNetboot), provisioner.BootInstall, provisioner.BootInstall, inventory.Install},
		{"installing by its medium", by(at(t, provisioner.Installing), provisioner.WayMedia), provisioner.BootDiscover, provisioner.BootDiscover, inventory.Wait},
		{"installing by HTTP boot", by(at(t, provisioner.Installing), provisioner.WayUEFIHTTP), provisioner.BootImage, provisioner.BootImage, inventory.Reboot},
		{"installing by the scout", scoutWrites, provisioner.BootDiscover, provisioner.BootDiscover, inventory.WriteDisk},
		{"written by the scout", scoutWrote, provisioner.BootLocalDisk, provisioner.BootLocalDisk, inventory.Reboot},
		{"written by the scout, to be powered off", scoutWroteLast, provisioner.BootLocalDisk, provisioner.BootLocalDisk, inventory.PowerOff},
		{"installing, disk written", written, provisioner.BootLocalDisk, provisioner.BootLocalDisk, inventory.Reboot},
		{"installing, an old attempt wrote", oldWritten, provisioner.BootInstall, provisioner.BootInstall, inventory.Install},
		{"installed", at(t, provisioner.Installed), provisioner.BootLocalDisk, provisioner.BootLocalDisk, inventory.Reboot},
		{"registered", at(t, provisioner.Registered), provisioner.BootLocalDisk, provisioner.BootLocalDisk, inventory.Reboot},
		{"quarantined before an install", quarantined, provisioner.BootDiscover, provisioner.BootDiscover, inventory.Wait},
		{"held after it was registered", heldAfterInstall, provisioner.BootLocalDisk, provisioner.BootLocalDisk, inventory.Wait},
	}
	for _, c := range cases {
		if got := BootFor(c.host, false); got != c.want {
			t.Errorf("%s: offered %s on a silent network, want %s", c.name, got, c.want)
		}
		if got := BootFor(c.host, true); got != c.discovers {
			t.Errorf("%s: offered %s on a discovering network, want %s", c.name, got, c.discovers)
		}
		if got := InstructionFor(c.host); got.Do != c.do || got.Say == "" {
			t.Errorf("%s: scout told %s (%q), want %s", c.name, got.Do, got.Say, c.do)
		}
	}
}

func TestLateEvidenceOfTheLastAttemptIsBelieved(t *testing.T) {
	h := at(t, provisioner.Installing)
	late := h.Status.Deadline.Add(time.Second)
	h = settle(t, h, late)
	h.Facts.Booted = &provisioner.CallHome{Attempt: h.Status.Attempt.ID, At: late.Add(time.Minute)}
	h = settle(t, h, late.Add(time.Minute))
	if h.Status.Phase != provisioner.Installed {
		t.Errorf("a call-home after the deadline left the host %s", h.Status.Phase)
	}
	h = settle(t, h, h.Status.Deadline.Add(time.Second))
	if h.Status.Phase != provisioner.Failed {
		t.Errorf("without a receipt the host is %s", h.Status.Phase)
	}
}

func TestAnInstallingHostSaysWhatIsAwaitedOnItsWay(t *testing.T) {
	reached := func(h provisioner.Host, stages ...string) provisioner.Host {
		for _, s := range stages {
			h.Facts.Steps = append(h.Facts.Steps, provisioner.Step{Attempt: h.Status.Attempt.ID, Stage: s})
		}
		return h
	}
	on := func(way provisioner.Way) provisioner.Host { return by(at(t, provisioner.Installing), way) }
	stuck := by(at(t, provisioner.Installing), "")
	stuck.Facts.Prepared.Problem = "Mend the template of order o1."
	lost := by(at(t, provisioner.Installing), provisioner.WayNetboot)
	lost.Facts.Prepared.Problem = "what it gives is lost; run: muster host retry h-1"
	pxe := on(provisioner.WayUEFIHTTP)
	pxe.Facts.Sighting = &provisioner.Sighting{Boot: provisioner.BootUEFI}
	httpBoot := on(provisioner.WayUEFIHTTP)
	httpBoot.Facts.Sighting = &provisioner.Sighting{Boot: provisioner.BootHTTP}
	for name, c := range map[string]struct {
		host provisioner.Host
		want string
	}{
		"nothing prepared":           {at(t, provisioner.Installing), "muster is preparing"},
		"cannot be prepared":         {stuck, "Mend the template of order o1."},
		"netboot":                    {on(provisioner.WayNetboot), "the installer's start"},
		"netboot, it runs":           {reached(on(provisioner.WayNetboot), provisioner.StageRootfs), "fetching its configuration. One that has had its root file system for a minute goes on without"},
		"netboot, it has its config": {reached(on(provisioner.WayNetboot), provisioner.StageRootfs, provisioner.StageConfig), "beginning to write"},
		"netboot, it read its lines": {reached(on(provisioner.WayNetboot), provisioner.StageEarly), "beginning to write"},
		"medium":                     {on(provisioner.WayMedia), "muster host medium h-1"},
		"medium, it is read":         {reached(on(provisioner.WayMedia), provisioner.StageMedium), "whose ISO is being read"},
		"its rendering is lost":      {lost, "a person. what it gives is lost"},
		"HTTP boot":                  {on(provisioner.WayUEFIHTTP), "UEFI HTTP boot"},
		"HTTP boot, it did that":     {httpBoot, "its firmware fetching the host's ISO"},
		"HTTP boot, it came by PXE":  {pxe, "a person. Its firmware came by PXE (uefi-pxe)"},
		"HTTP boot, it is read":      {reached(on(provisioner.WayUEFIHTTP), provisioner.StageMedium), "whose ISO is being read"},
		"HTTP boot, it writes":       {reached(on(provisioner.WayUEFIHTTP), provisioner.StageMedium, provisioner.StageWriting), "the end of the installation"},
		"scout":                      {on(provisioner.WayWrite), "the scout beginning to write"},
		"scout writes":               {reached(on(provisioner.WayWrite), provisioner.StageWriting, provisioner.StageWrite), "the scout writing"},
		"scout reads back":           {reached(on(provisioner.WayWrite), provisioner.StageWriting, provisioner.StageVerify), "reading back"},
		"scout is done":              {reached(on(provisioner.WayWrite), provisioner.StageWritten), "call-home of the installed system"},
	} {
		if got := Awaiting(c.host); !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q in it", name, got, c.want)
		}
		if do := InstructionFor(c.host); !strings.Contains(do.Say, c.want) && name != "scout is done" {
			t.Errorf("%s: the scout says %q, want %q in it", name, do.Say, c.want)
		}
	}
}

func TestAWriteThatDidNotWorkFailsWithTheScoutsSentenceAndIsTriedAgain(t *testing.T) {
	h := by(at(t, provisioner.Installing), provisioner.WayWrite)
	now := start.Add(time.Minute)
	h.Facts.Steps = []provisioner.Step{{Attempt: h.Status.Attempt.ID, Stage: provisioner.StageWriteFailed, Detail: "the image has 8 GB, the disk 4 GB", At: now}}
	h = settle(t, h, now)
	if h.Status.Phase != provisioner.Failed || !strings.Contains(h.Status.Why, "The disk could not be written: the image has 8 GB, the disk 4 GB.") {
		t.Fatalf("%s: %s", h.Status.Phase, h.Status.Why)
	}
	h.Facts.Scout = &provisioner.Contact{Last: now.Add(time.Second)}
	if h = settle(t, h, now.Add(time.Second)); h.Status.Phase != provisioner.Discovered || h.Status.Tries != 1 {
		t.Errorf("its scout asks again and it is %s after %d tries", h.Status.Phase, h.Status.Tries)
	}
}

func TestALateWordOfAFailedWriteDoesNotUndoAWrittenDisk(t *testing.T) {
	h := by(at(t, provisioner.Installing), provisioner.WayWrite)
	for _, s := range []string{provisioner.StageWriteFailed, provisioner.StageWritten} {
		h.Facts.Steps = append(h.Facts.Steps, provisioner.Step{Attempt: h.Status.Attempt.ID, Stage: s})
	}
	if h = settle(t, h, start.Add(time.Minute)); h.Status.Phase != provisioner.Installing {
		t.Errorf("it is %s", h.Status.Phase)
	}
}

func TestCountsAreOfThePresentAttemptOnly(t *testing.T) {
	h := at(t, provisioner.Installing)
	h.Facts.Progress = []provisioner.Progress{{Attempt: h.Status.Attempt.ID, Stage: provisioner.StageRootfs, Bytes: 1}}
	if h = settle(t, h, h.Status.Deadline.Add(time.Second)); len(h.Facts.Progress) != 1 {
		t.Fatal("a failed attempt keeps no count to look at")
	}
	h.Intent.Requests.Retry++
	way()[0].on(&h, h.Status.Since.Add(time.Second))
	if h = settle(t, h, h.Status.Since.Add(time.Second)); h.Status.Phase != provisioner.Discovered || len(h.Facts.Progress) != 0 {
		t.Errorf("%s with the counts %v of the attempt before", h.Status.Phase, h.Facts.Progress)
	}
}

func TestHowAHostBootedIsSaidByWhoeverSawItLast(t *testing.T) {
	at8 := time.Date(2026, 11, 1, 8, 0, 0, 0, time.UTC)
	seen := func(h provisioner.Host, netboot time.Time) provisioner.Host {
		h.Facts.Sighting = &provisioner.Sighting{Boot: provisioner.BootUEFI, Netboot: netboot}
		return h
	}
	fromMedium := func(h provisioner.Host) provisioner.Host {
		h.Facts.Report = &provisioner.Report{Received: at8, Report: inventory.Report{Firmware: inventory.Firmware{Medium: true}}}
		return h
	}
	reached := func(h provisioner.Host, way provisioner.Way, stage string) provisioner.Host {
		h = by(h, way)
		h.Facts.Steps = []provisioner.Step{{Attempt: h.Status.Attempt.ID, Stage: stage}}
		return h
	}
	verifying, installing := at(t, provisioner.Verifying), seen(at(t, provisioner.Installing), at8)
	verifying.Facts.Sighting, verifying.Facts.Report = nil, nil
	for _, c := range []struct {
		name string
		host provisioner.Host
		want provisioner.BootKind
	}{
		{"nobody saw it", verifying, ""},
		{"its packets", seen(verifying, at8), provisioner.BootUEFI},
		{"its scout, of which no packet was seen", fromMedium(verifying), provisioner.BootMedia},
		{"its scout, after a system's packets", fromMedium(seen(verifying, time.Time{})), provisioner.BootMedia},
		{"its scout, which came later", fromMedium(seen(verifying, at8.Add(-time.Minute))), provisioner.BootMedia},
		{"its packets, which came later", fromMedium(seen(verifying, at8.Add(time.Minute))), provisioner.BootUEFI},
		{"its installer's medium", reached(installing, provisioner.WayMedia, provisioner.StageEarly), provisioner.BootMedia},
		{"its installer's medium, only read so far", reached(installing, provisioner.WayMedia, provisioner.StageMedium), provisioner.BootUEFI},
		{"its installer's medium, while it netboots the scout", reached(installing, provisioner.WayMedia, provisioner.StageScript), provisioner.BootUEFI},
		{"its installer by HTTP boot", reached(installing, provisioner.WayUEFIHTTP, provisioner.StageWritten), provisioner.BootHTTP},
		{"its installer by netboot", reached(installing, provisioner.WayNetboot, provisioner.StageWritten), provisioner.BootUEFI},
	} {
		if got := BootedBy(c.host); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
