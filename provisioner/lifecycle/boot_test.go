package lifecycle

import (
	"testing"
	"time"

	"github.com/muster-boot/muster/inventory"
	"github.com/muster-boot/muster/provisioner"
)

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
	written := at(t, provisioner.Installing)
	written.Facts.Steps = append(written.Facts.Steps, provisioner.Step{Attempt: written.Status.Attempt.ID, Stage: provisioner.StageWritten})
	oldWritten := at(t, provisioner.Installing)
	oldWritten.Facts.Steps = append(oldWritten.Facts.Steps, provisioner.Step{Attempt: "a-old", Stage: provisioner.StageWritten})

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
		{"installing", at(t, provisioner.Installing), provisioner.BootInstall, provisioner.BootInstall, inventory.Install},
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
