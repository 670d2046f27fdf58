package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	v1 "github.com/muster-boot/muster/provisioner/api/v1"
	"github.com/muster-boot/muster/provisioner/evidence"
	"github.com/muster-boot/muster/provisioner/handoff/palette/palettetest"
	"github.com/muster-boot/muster/redfish/bmctest"
)

// judge says what is wrong with a host that should have ended as this role:
// another phase, or the right one without its proof.
func (r role) judge(h v1.Host) error {
	blocks := func(f v1.Finding) bool { return f.Check == r.finding && f.Blocking && f.Sentence != "" }
	switch {
	case h.Phase != r.end:
		return fmt.Errorf("%s is %s, not %s: %s", r.spec.Name, h.Phase, r.end, h.Why)
	case r.boot != "" && h.Boot != r.boot:
		return fmt.Errorf("%s booted by %s, not by %s", r.spec.Name, h.Boot, r.boot)
	case r.end == "registered" && (h.Receipt == nil || h.Receipt.Driver != r.handoff || h.Receipt.Proof == ""):
		return fmt.Errorf("%s is registered without a receipt of %s: %+v", r.spec.Name, r.handoff, h.Receipt)
	case r.end == "registered" && !strings.Contains(h.Receipt.Proof, r.proof):
		return fmt.Errorf("the receipt of %s says nothing of %s: %s", r.spec.Name, r.proof, h.Receipt.Proof)
	case r.end == "shipped" && (h.Shipment == nil || h.Shipment.Proof == "" || h.Shipment.Record == "" || h.Receipt != nil):
		return fmt.Errorf("%s is shipped without proof or record, or with a receipt: %+v, %+v", r.spec.Name, h.Shipment, h.Receipt)
	case r.end == "quarantined" && !slices.ContainsFunc(h.Findings, blocks):
		return fmt.Errorf("%s is quarantined, but not by the check %s: %s", r.spec.Name, r.finding, h.Why)
	case r.end == "unknown" && h.Address != "":
		return fmt.Errorf("%s is in no manifest and was answered: it has the address %s", r.spec.Name, h.Address)
	}
	return nil
}

// central says what is wrong with what Palette knows of a host, by its own
// record: muster is not asked.
func (r role) central(known palettetest.Host, found bool) error {
	switch {
	case !found:
		return fmt.Errorf("the Palette of the demo does not know %s", r.spec.Name)
	case !strings.Contains(fmt.Sprint(known.Device["nics"]), r.spec.NICs[0].MAC):
		return fmt.Errorf("the Palette of the demo knows another machine as %s: %v", known.UID, known.Device["nics"])
	case known.Labels["rack"] != "r4":
		return fmt.Errorf("the Palette of the demo was not told the tags of %s: %v", known.UID, known.Labels)
	}
	return nil
}

// recorded says what is wrong with the record of a host that was shipped, as its
// buyer would check it: text, and the public key that the factory gave out.
func (r role) recorded(text, key []byte) error {
	record, signer, err := evidence.Check(text)
	switch {
	case err != nil:
		return err
	case signer != string(key):
		return fmt.Errorf("the record of %s is signed by another key than the server's", r.spec.Name)
	case record.Host.Serial != r.spec.Serial || record.Departure == nil || record.Given == nil || len(record.Journal) == 0 || record.Report == nil:
		return fmt.Errorf("the record of %s has not its whole way: %+v", r.spec.Name, record.Host)
	}
	return nil
}

// left says what is not as it should be at the BMC of a host that was installed
// from a medium, by the BMC's own state: muster is not asked.
func left(s bmctest.State, requests, media int) error {
	var errs []error
	if !slices.ContainsFunc(s.Boots, func(b bmctest.Boot) bool { return b.Device == bmctest.DeviceMedium }) {
		errs = append(errs, fmt.Errorf("it never booted a medium: %v", s.Boots))
	}
	if len(s.Inserted) > 0 {
		errs = append(errs, fmt.Errorf("a medium is still in: %q", s.Inserted))
	}
	if s.Enabled != "Disabled" {
		errs = append(errs, fmt.Errorf("its boot override still stands: %s %s", s.Target, s.Enabled))
	}
	if s.Sessions > 0 {
		errs = append(errs, fmt.Errorf("%d sessions are open", s.Sessions))
	}
	if requests > 1 || media > 1 {
		errs = append(errs, fmt.Errorf("there were %d requests and %d media at once", requests, media))
	}
	return errors.Join(errs...)
}
