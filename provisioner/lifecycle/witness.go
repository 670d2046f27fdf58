package lifecycle

import (
	"github.com/muster-boot/muster/inventory"
	"github.com/muster-boot/muster/inventory/profile"
	"github.com/muster-boot/muster/provisioner"
)

// witnessFindings are what BMC and scout tell differently. What makes another
// host of it blocks; names and ports are only shown.
func witnessFindings(h provisioner.Host) []profile.Finding {
	if h.Facts.Survey == nil || h.Facts.Report == nil {
		return nil
	}
	var list []profile.Finding
	for _, d := range inventory.Disagreements(h.Facts.Report.Report, h.Facts.Survey.Report) {
		list = append(list, profile.Finding{
			Check: "witnesses", Slot: d.What,
			Expected: d.BMC + " as the BMC says", Seen: d.Scout + " as the scout says",
			Witness: inventory.Scout, Blocking: d.What != "Maker" && d.What != "Network ports",
			Advice: "One of the two reads another host, or reads this one wrongly: compare both with the label, and the BMC's address with the manifest.",
		})
	}
	return list
}
