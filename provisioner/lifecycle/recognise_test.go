package lifecycle

import (
	"testing"

	"github.com/muster-boot/muster/inventory"
	"github.com/muster-boot/muster/provisioner"
)

// TestAHostIsRecognisedByWhatItsBMCTold has a row that names a BMC and nothing
// else, and a machine that boots from the network.
func TestAHostIsRecognisedByWhatItsBMCTold(t *testing.T) {
	const port = "52:54:00:00:00:05"
	row := provisioner.Host{ID: "h-row", Intent: provisioner.Intent{Order: "o1", BMC: &provisioner.Controller{Address: "192.0.2.3"}}}
	row.Facts.Survey = &provisioner.Report{Report: inventory.Report{
		System: inventory.System{Serial: "7XK2M13"}, NICs: []inventory.NIC{{MAC: port}},
	}}
	seen := provisioner.Host{ID: "h-seen"}
	seen.Facts.Sighting = &provisioner.Sighting{MACs: []string{port}}
	if r := Recognise(seen, []provisioner.Host{row}); r.Row != "h-row" || r.Conflict != "" {
		t.Errorf("by its port: %+v", r)
	}
	seen.Facts.Sighting.MACs = []string{"52:54:00:00:00:99"}
	if r := Recognise(seen, []provisioner.Host{row}); r.Row != "" || r.Conflict != "" {
		t.Errorf("by another port: %+v", r)
	}
	seen.Facts.Report = &provisioner.Report{Report: inventory.Report{System: inventory.System{Serial: "7xk2m13"}}}
	if r := Recognise(seen, []provisioner.Host{row}); r.Row != "h-row" || r.Conflict != "" {
		t.Errorf("by its serial: %+v", r)
	}
	row.Intent.Row.Serial = "OTHER99"
	if r := Recognise(seen, []provisioner.Host{row}); r.Row != "" {
		t.Errorf("though its row says another serial than its BMC: %+v", r)
	}
}
