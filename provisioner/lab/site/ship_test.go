package site

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/muster-boot/muster/provisioner/evidence"
	"github.com/muster-boot/muster/provisioner/lab"
)

// TestAHostOfAnOrderThatShipsEndsSwitchedOffAndRecorded has its server killed
// when the host called; where the answer was lost, its agent is told.
func TestAHostOfAnOrderThatShipsEndsSwitchedOffAndRecorded(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil, silent("line", 21))
	spec := machine(1, lab.BIOS, "line")
	yaml := "name: batch\nprofile: edge-minimum\nimage: " + ApplianceImage + "\nhandoff: {driver: callhome}\nafter: reboot\nship: true\n"
	if err := s.Order(t.Context(), yaml, fmt.Sprintf("serial,mac,name\n%s,%s,%s\n", spec.Serial, spec.NICs[0].MAC, spec.Name)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Muster(t.Context(), "order", "start", "batch"); err != nil {
		t.Fatal(err)
	}
	h := s.add(t, spec)
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
	if quiet := time.Since(began); quiet < time.Minute {
		t.Errorf("it was shipped after %s of listening", quiet)
	}
	s.checkJournal(t, spec.Name, "installing", "installed", "shipped")
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
