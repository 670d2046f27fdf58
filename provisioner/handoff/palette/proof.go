package palette

import (
	"fmt"
	"math"
	"strings"

	"github.com/muster-boot/muster/inventory"
	"github.com/muster-boot/muster/provisioner"
)

// How far figures of two systems for the same hardware may be apart: the scout
// and the agent count memory in different places, and disks in GB.
const (
	memoryNear = 0.15
	diskNear   = 0.10
)

// differs says in what the record is of another machine than the verified one;
// empty where nothing contradicts.
func (q query) differs(r edgeHost) string {
	uid, have, verified := r.Metadata.UID, r.macs, macsOf(q.host)
	if len(have) > 0 && len(verified) > 0 && !overlap(have, verified) {
		return fmt.Sprintf("Palette at %s has the Edge host %s with the MAC %s, but %s was verified: another machine registered under this host's name; find out which disk is in which machine.",
			q.endpoint, uid, strings.Join(have, ", "), strings.Join(verified, ", "))
	}
	report := q.report()
	if report == nil {
		return ""
	}
	if text := memoryDiffers(r, *report); text != "" {
		return fmt.Sprintf("Palette at %s has the Edge host %s with %s: find out which machine that is.", q.endpoint, uid, text)
	}
	if text := disksDiffer(r, *report); text != "" {
		return fmt.Sprintf("Palette at %s has the Edge host %s with %s: find out which machine that is.", q.endpoint, uid, text)
	}
	return ""
}

func (q query) report() *inventory.Report {
	if r := q.host.Facts.Report; r != nil {
		return &r.Report
	}
	return nil
}

func memoryDiffers(r edgeHost, report inventory.Report) string {
	const mib = 1 << 20
	has, verified := float64(r.Spec.Device.Memory.SizeInMB), float64(report.Memory)/mib
	if has == 0 || verified == 0 || near(has, verified, memoryNear) {
		return ""
	}
	return fmt.Sprintf("%.0f MiB of memory, but %.0f MiB were verified", has, verified)
}

// disksDiffer compares sizes alone: Palette tells no serials. One disk of the
// record must be one that was verified.
func disksDiffer(r edgeHost, report inventory.Report) string {
	if _, found := sameDisk(r, report); found {
		return ""
	}
	var have, verified []string
	for _, d := range r.Spec.Device.Disks {
		if d.Size > 0 {
			have = append(have, fmt.Sprintf("%.0f GB", float64(d.Size)))
		}
	}
	for _, v := range report.Disks {
		verified = append(verified, fmt.Sprintf("%.0f GB", float64(v.Size)/1e9))
	}
	if len(have) == 0 || len(verified) == 0 {
		return ""
	}
	return fmt.Sprintf("disks of %s, but disks of %s were verified", strings.Join(have, ", "), strings.Join(verified, ", "))
}

// sameDisk is the size, in GB, of a disk of the record that was verified. Some
// count GB by 1000 and some by 1024.
func sameDisk(r edgeHost, report inventory.Report) (size float64, found bool) {
	for _, d := range r.Spec.Device.Disks {
		for _, v := range report.Disks {
			size = float64(d.Size)
			if size > 0 && (near(size, float64(v.Size)/1e9, diskNear) || near(size, float64(v.Size)/(1<<30), diskNear)) {
				return size, true
			}
		}
	}
	return 0, false
}

func near(a, b, share float64) bool { return math.Abs(a-b) <= share*max(a, b) }

// receipt is the record as proof. It is the same for the same record.
func (q query) receipt(r edgeHost) *provisioner.Receipt {
	at := r.Metadata.Created.Time
	if at.IsZero() {
		at = q.host.Status.Since
	}
	return &provisioner.Receipt{
		Attempt: q.host.Status.Attempt.ID, Driver: Name, ID: r.Metadata.UID, At: at.UTC(),
		Proof: fmt.Sprintf("Palette at %s has it healthy in project %s%s; %s", q.endpoint, q.project, agentPart(r), q.matched(r)),
	}
}

func agentPart(r edgeHost) string {
	if v := r.Status.Health.Agent; v != "" {
		return " with agent " + clip(v)
	}
	return ""
}

// matched says by what the record is known to be of this machine.
func (q query) matched(r edgeHost) string {
	var by []string
	verified := macsOf(q.host)
	for _, mac := range r.macs {
		if overlap([]string{mac}, verified) {
			by = append(by, "MAC "+mac)
			break
		}
	}
	report := q.report()
	if m := r.Spec.Device.Memory.SizeInMB; m > 0 && report != nil {
		by = append(by, fmt.Sprintf("memory of %.0f MiB", float64(m)))
	}
	if report != nil {
		if size, found := sameDisk(r, *report); found {
			by = append(by, fmt.Sprintf("disk of %.0f GB", size))
		}
	}
	return strings.Join(by, ", ") + " as verified"
}
