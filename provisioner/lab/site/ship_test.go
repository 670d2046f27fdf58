package site

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "github.com/muster-boot/muster/provisioner/api/v1"
	"github.com/muster-boot/muster/provisioner/evidence"
	"github.com/muster-boot/muster/provisioner/lab"
)

// TestAHostThatLosesPowerWhileInstallingIsRetriedAndShipped takes the power away
// after the installer began to write, lets the deadline pass, and has a person
// retry: the half-written disk is ours and no reason to stop. Then the server is
// killed when the host has called; where the answer was lost, its agent is told.
func TestAHostThatLosesPowerWhileInstallingIsRetriedAndShipped(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]string{"install": "2m"}, silent("line", 21))
	spec := machine(1, lab.BIOS, "line")
	s.orderOf(t, spec, "image: "+ApplianceImage, "ship: true")
	h := s.add(t, spec)
	powerOn(t, h)
	failed := s.cutWhileWriting(t, h, spec)
	powerOn(t, h)
	s.await(t, installTime, spec.Name, "installed")
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	off, cancel := context.WithTimeout(t.Context(), bootTime)
	defer cancel()
	if err := h.WaitOff(off); err != nil {
		t.Fatal(err)
	}
	shipped := s.await(t, bootTime, spec.Name, "shipped")
	if shipped.Attempt == failed.Attempt {
		t.Error("the retry has the failed attempt's id")
	}
	if quiet := time.Since(began); quiet < time.Minute {
		t.Errorf("it was shipped after %s of listening", quiet)
	}
	s.checkJournal(t, spec.Name, "failed", "installed", "shipped")
	s.checkShipped(t, spec, shipped)
}

// cutWhileWriting fails the present attempt of a host by a power cut, and has a
// person ask for another.
func (s *Site) cutWhileWriting(t *testing.T, h *lab.Host, spec lab.Spec) v1.Host {
	t.Helper()
	s.awaitStage(t, bootTime, spec.Serial, "writing")
	if err := h.PowerOff(t.Context()); err != nil {
		t.Fatal(err)
	}
	failed := s.await(t, 3*time.Minute, spec.Serial, "failed")
	if !strings.Contains(failed.Why, "Awaited") || !strings.Contains(failed.Why, "writing") {
		t.Errorf("the sentence names neither what was awaited nor the last evidence: %s", failed.Why)
	}
	s.allow(t, nil) // a busy machine may take longer than it was good to wait for the failure
	if _, err := s.Muster(t.Context(), "host", "retry", spec.Serial); err != nil {
		t.Fatal(err)
	}
	return failed
}

// checkShipped holds that the host's record is whole, signed and shows no token.
func (s *Site) checkShipped(t *testing.T, spec lab.Spec, shipped v1.Host) {
	t.Helper()
	if shipped.Shipment == nil || shipped.Shipment.By != "silence" || shipped.Receipt != nil {
		t.Fatalf("it went off by %+v, with receipt %+v", shipped.Shipment, shipped.Receipt)
	}
	text, err := os.ReadFile(filepath.Join(s.DataDir(), shipped.Shipment.Record))
	if err != nil {
		t.Fatal(err)
	}
	record, key, err := evidence.Check(text)
	if err != nil {
		t.Fatal(err)
	}
	if public, err := os.ReadFile(filepath.Join(s.DataDir(), "records", "key.pem")); err != nil || string(public) != key {
		t.Errorf("the record is signed by another key than the server's: %v", err)
	}
	if record.Host.Serial != spec.Serial || record.Departure == nil || record.Given == nil || len(record.Given.Documents) == 0 || len(record.Images) != 1 || len(record.Attempts) < 3 {
		t.Errorf("the record has %+v, %d images, %d attempts, given %+v", record.Host, len(record.Images), len(record.Attempts), record.Given)
	}
	printed, err := s.Muster(t.Context(), "report", spec.Name)
	if err != nil || strings.TrimSpace(printed) != strings.TrimSpace(string(text)) {
		t.Errorf("muster report prints another record: %v", err)
	}
	if strings.Contains(string(text), "/a/"+shipped.Attempt+"/") && !strings.Contains(string(text), "/a/"+shipped.Attempt+"/********") {
		t.Error("the record shows the attempt's token")
	}
}
