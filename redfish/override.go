package redfish

import (
	"cmp"
	"slices"

	"github.com/muster-boot/muster/redfish/quirk"
)

// overrideWrite is one way to write the boot override.
type overrideWrite struct {
	target   string
	enabled  string
	settings bool // to the settings object
	full     bool // target, enabled and mode, whether they change or not
	modeless bool // without a mode
	mode     Mode // that is to read back; "" for any
	http     string
	oem      quirk.OEM
}

// writes is the ladder of ways, best first. It depends on what the BMC is, not
// on what it shows just now, so its order stays while it is climbed.
func writes(b Override, w Want, q quirk.Quirk) []overrideWrite {
	if q.Boot.OEM != "" && w.Goal == BootMedium {
		return []overrideWrite{{target: dellVirtualCD, enabled: "Once", oem: q.Boot.OEM}}
	}
	base := overrideWrite{target: target(b, w, q), enabled: "Once", mode: w.Mode}
	switch w.Goal {
	case Cleared:
		base.enabled = "Disabled"
	case BootHTTP:
		base.http = slices.Concat(w.URLs, []string{""})[0]
	case BootMedium, BootNetwork, PoweredOn, PoweredOff, ShutDown:
	}
	places := []bool{false}
	if b.settings != "" && q.Boot.Settings {
		places = []bool{true, false}
	} else if b.settings != "" {
		places = []bool{false, true}
	}
	var ladder []overrideWrite
	for _, full := range []bool{q.Boot.Full, !q.Boot.Full} {
		for _, settings := range places {
			step := base
			step.full, step.settings = full, settings
			ladder = append(ladder, step)
		}
	}
	base.modeless, base.mode = true, "" // the host may boot in the mode that it has
	ladder = append(ladder, base)
	if base.http != "" {
		base.http = "" // UefiHttp without HttpBootUri: DHCP names the file
		ladder = append(ladder, base)
	}
	if w.Goal == Cleared {
		base.target = "None"
		ladder = append(ladder, base)
	}
	return ladder
}

// target is the boot source to name. A row's own list is final: where the BMC
// lists what does not boot, listing proves nothing.
func target(b Override, w Want, q quirk.Quirk) string {
	var wanted []string
	switch w.Goal {
	case BootNetwork:
		return "Pxe"
	case BootHTTP:
		return "UefiHttp"
	case Cleared:
		return "" // as it is
	case BootMedium, PoweredOn, PoweredOff, ShutDown:
		wanted = q.Boot.Medium
		if cmp.Or(w.Mode, b.Mode) == UEFI && len(q.Boot.UEFI) > 0 {
			wanted = q.Boot.UEFI
		}
	}
	if len(wanted) == 0 {
		wanted = []string{"Cd", "UsbCd", "UefiCd", "CD/DVD"}
	}
	rest := slices.DeleteFunc(slices.Clone(wanted), func(t string) bool { return slices.Contains(w.Avoid, t) })
	wanted = append(rest, wanted...) // what is to be avoided is better than what the BMC has not got
	for _, t := range wanted {
		if slices.Contains(b.targets, t) {
			return t
		}
	}
	return wanted[0]
}

// body is what the PATCH carries: what is to change, or all three where a BMC
// wants that. A whole Boot object as it was read is never sent.
func (o overrideWrite) body(b Override, w Want) map[string]any {
	if o.oem == quirk.DellAttributes {
		return map[string]any{"Attributes": map[string]string{dellBootOnce: "Enabled", dellFirstDevice: o.target}}
	}
	mode := w.Mode
	if o.full && mode == "" {
		mode = b.Mode
	}
	fields := map[string]any{"BootSourceOverrideEnabled": o.enabled}
	if o.target != "" && (o.full || o.target != b.Target || o.enabled != b.Enabled) {
		fields["BootSourceOverrideTarget"] = o.target
	}
	if o.target == "" && o.full {
		fields["BootSourceOverrideTarget"] = "None"
	}
	if mode != "" && !o.modeless && (o.full || mode != b.Mode) {
		fields["BootSourceOverrideMode"] = string(mode)
	}
	if o.http != "" {
		fields["HttpBootUri"] = o.http
	}
	return map[string]any{"Boot": fields}
}

// holds reports whether what was written reads back, from the system or as
// pending. Continuous is believed: an independent service shows nothing else,
// and the override is taken away after the boot.
func (o overrideWrite) holds(b Override) bool {
	if o.enabled == "Disabled" {
		return normal(b)
	}
	for _, shown := range []*Override{&b, b.pending} {
		if shown != nil && reads(shown.Target, o.target) && o.keeps(shown.Mode) && (shown.Enabled == "Once" || shown.Enabled == "Continuous") {
			return true
		}
	}
	return false
}

// keeps reports whether the mode reads back: Supermicro falls to Legacy where a
// write leaves it out. A BMC that shows none is believed.
func (o overrideWrite) keeps(shown Mode) bool { return o.mode == "" || shown == "" || shown == o.mode }

// reads reports whether shown is a target as it reads back: Supermicro renames
// Pxe in UEFI mode.
func reads(shown, target string) bool {
	return shown == target || target == "Pxe" && shown == "UefiBootNext"
}

// The attributes of an older iDRAC9 (Dell's own SetNextOneTimeBoot scripts).
const (
	dellBootOnce    = "ServerBoot.1.BootOnce"
	dellFirstDevice = "ServerBoot.1.FirstBootDevice"
	dellVirtualCD   = "VCD-DVD"
)

// dellOverride reads them as an override.
func dellOverride(o Object) *Override {
	b := &Override{Target: o.Text("Attributes", dellFirstDevice), Enabled: "Disabled"}
	if o.Text("Attributes", dellBootOnce) == "Enabled" {
		b.Enabled = "Once"
	}
	return b
}
