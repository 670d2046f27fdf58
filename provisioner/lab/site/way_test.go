package site

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/muster-boot/muster/provisioner/api/v1"
	"github.com/muster-boot/muster/provisioner/lab"
)

// TestTheWholeWayThenThreeBootsFromTheDisk takes a BIOS host through our own
// undionly.kpxe (loader: always) and a UEFI host from an empty disk to
// registered, and restarts each three times with the network first in its boot
// order: every time the disk's own system must come up. Then it deletes the
// server's data: the disks are now somebody's, and nothing may touch them.
func TestTheWholeWayThenThreeBootsFromTheDisk(t *testing.T) {
	t.Parallel()
	for n, c := range []struct {
		name     string
		firmware lab.Firmware
		always   bool
		boot     string
	}{
		{"bios", lab.BIOS, true, "bios-pxe"},
		{"uefi", lab.UEFI, false, "uefi-pxe"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			network := silent("lan", 10+n)
			network.LoaderAlways = c.always
			s := newSite(t, nil, network)
			spec := machine(1, c.firmware, "lan")
			s.order(t, spec)
			h := s.add(t, spec)
			powerOn(t, h)
			done := s.await(t, installTime, spec.Serial, "registered")
			if done.Boot != c.boot || done.Receipt == nil || done.Receipt.Driver != "callhome" {
				t.Errorf("registered by %s with receipt %+v", done.Boot, done.Receipt)
			}
			s.checkJournal(t, spec.Serial, "discovered", "verifying", "ready", "installing", "installed", "registered")
			if err := h.WaitConsole(t.Context(), agentIsDone); err != nil {
				t.Fatal(err)
			}
			for i := range 3 {
				bootFromDisk(t, h, i)
			}
			forgetAndBootAgain(t, s, h, spec)
		})
	}
}

// systemIsUp is what the appliance's installed system says when its agent runs
// and finds, after a power cut, that it has registered.
const systemIsUp = "registered at an earlier boot"

// agentIsDone is what its agent says when a power cut cannot make it forget that.
const agentIsDone = "registered: "

// bootFromDisk restarts the host and waits for the installed system.
func bootFromDisk(t *testing.T, h *lab.Host, i int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), bootTime)
	defer cancel()
	if err := h.PowerOff(ctx); err != nil {
		t.Fatal(err)
	}
	powerOn(t, h)
	if err := h.WaitConsole(ctx, systemIsUp); err != nil {
		t.Fatalf("restart %d: the installed system did not come up: %v", i+1, err)
	}
}

// forgetAndBootAgain has a server that knows nothing meet the installed host.
func forgetAndBootAgain(t *testing.T, s *Site, h *lab.Host, spec lab.Spec) {
	t.Helper()
	if err := h.PowerOff(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := digest(t, h.DiskPath(0))
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(s.DataDir(), "store")); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.order(t, spec)
	powerOn(t, h)
	q := s.await(t, bootTime, spec.Serial, "quarantined")
	if !strings.Contains(q.Why, "reinstall") && !strings.Contains(q.Why, "erase") {
		t.Errorf("the sentence does not say how to go on: %s", q.Why)
	}
	if err := h.PowerOff(t.Context()); err != nil {
		t.Fatal(err)
	}
	if after := digest(t, h.DiskPath(0)); after != before {
		t.Error("the disk of somebody else's host was changed")
	}
}

// digest reads only what is allocated of a sparse disk: holes are zeros.
func digest(t *testing.T, path string) string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	sum := sha256.New()
	const seekData, seekHole = 3, 4 // lseek(2)
	for at := int64(0); ; {
		from, err := f.Seek(at, seekData)
		if err != nil {
			break // nothing but holes from here
		}
		to, err := f.Seek(from, seekHole)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(sum, "%d-%d\n", from, to)
		if _, err := io.Copy(sum, io.NewSectionReader(f, from, to-from)); err != nil {
			t.Fatal(err)
		}
		at = to
	}
	return fmt.Sprintf("%x", sum.Sum(nil))
}

// catch returns within moments of a host coming to a phase, which may be a short
// one; a host that has already left it ends the test.
func (s *Site) catch(t *testing.T, ref, phase string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), bootTime)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		h, err := s.Client.Host(ctx, ref)
		if err == nil && h.Phase == phase {
			return
		}
		if err == nil && !onItsWay(h.Phase, phase) {
			t.Fatalf("%s was not caught %s: it is %s already: %s", ref, phase, h.Phase, h.Why)
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s never came to %s: it is %s (%v)", ref, phase, h.Phase, err)
		case <-tick.C:
		}
	}
}

// onItsWay tells whether a host in phase now may still come to the other.
func onItsWay(now, to string) bool {
	way := []string{"expected", "discovered", "verifying", "ready", "installing", "installed", "registered"}
	at := slices.Index(way, now)
	return at >= 0 && at < slices.Index(way, to)
}

// checkLeft holds that a host left a phase only after the server was gone: it
// was killed in that phase.
func (s *Site) checkLeft(t *testing.T, ref, phase string, gone time.Time) {
	t.Helper()
	left := slices.IndexFunc(s.journal(t, ref), func(e v1.Entry) bool {
		return e.Kind == "move" && strings.HasPrefix(e.Text, phase+" -> ") && e.At.After(gone)
	})
	if left < 0 {
		t.Errorf("%s did not leave %s after the server was killed at %s: it was killed too late", ref, phase, gone)
	}
}

// restart kills the server, starts it again, and returns when it was gone.
func restart(t *testing.T, s *Site) time.Time {
	t.Helper()
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	gone := time.Now()
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return gone
}

// allow starts the server again with other deadlines; nil means defaults.
func (s *Site) allow(t *testing.T, deadlines map[string]string) {
	t.Helper()
	s.opts.Deadlines = deadlines
	if err := os.WriteFile(s.configPath(), []byte(s.config()), 0o644); err != nil {
		t.Fatal(err)
	}
	restart(t, s)
}

// awaitStage waits until an attempt reported a stage.
func (s *Site) awaitStage(t *testing.T, within time.Duration, ref, stage string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		entries, err := s.Client.Journal(ctx, ref, "")
		for _, e := range entries {
			if strings.HasPrefix(e.Text, "Stage "+stage) {
				return
			}
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s never reported stage %s (%v)", ref, stage, err)
		case <-tick.C:
		}
	}
}
