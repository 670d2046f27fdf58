// Package survey reads a host's hardware through its BMC, into the same words
// that a scout uses: the second witness.
//
// It judges nothing and fills nothing in: what a BMC does not say is absent,
// what could not be read is a sentence among the report's problems. It reads no
// disk's contents, so no disk of it may be called empty. Start at [Read].
package survey

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/muster-boot/muster/inventory"
	"github.com/muster-boot/muster/redfish"
)

// BMC is what a survey asks of one; [redfish.BMC] is one.
type BMC interface {
	About() redfish.About
	Get(ctx context.Context, path string) (redfish.Object, error)
	Members(ctx context.Context, path string) ([]string, error)
}

// Read makes a report. A part that cannot be read costs that part; the error is
// that of the host's system itself, or of ctx.
func Read(ctx context.Context, b BMC, now func() time.Time) (inventory.Report, error) {
	about := b.About()
	system, err := b.Get(ctx, about.System)
	if err != nil {
		return inventory.Report{}, fmt.Errorf("survey the host: %w", err)
	}
	s := &survey{ctx: ctx, bmc: b}
	s.report = inventory.Report{Witness: inventory.BMC, At: now(), Firmware: inventory.Firmware{Version: system.Text("BiosVersion")}}
	chassis := s.chassis(system)
	s.report.System, s.report.Board = identity(about, system, chassis)
	s.report.CPUs = collect(s, system.Link("Processors"), cpu)
	s.report.DIMMs = collect(s, system.Link("Memory"), dimm)
	s.report.Memory = memory(system, s.report.DIMMs)
	s.report.NICs = collect(s, system.Link("EthernetInterfaces"), nic)
	s.report.Disks = s.disks(system, chassis)
	s.report.TPM = tpm(system)
	s.secureBoot(system)
	s.manager(about, now)
	return s.report, ctx.Err()
}

// survey is one reading under way.
type survey struct {
	ctx    context.Context
	bmc    BMC
	report inventory.Report
}

// read gives a resource, or nothing and a problem. An empty path is nothing.
func (s *survey) read(path string) redfish.Object {
	if path == "" || s.ctx.Err() != nil {
		return nil
	}
	o, err := s.bmc.Get(s.ctx, path)
	if err != nil {
		s.problem(err)
	}
	return o
}

func (s *survey) members(path string) []string {
	if path == "" || s.ctx.Err() != nil {
		return nil
	}
	list, err := s.bmc.Members(s.ctx, path)
	if err != nil {
		s.problem(err)
	}
	return list
}

// problem notes what could not be read, bounded as trees are large.
func (s *survey) problem(err error) {
	const most = 20
	if len(s.report.Problems) < most {
		s.report.Problems = append(s.report.Problems, "the BMC did not show a part: "+err.Error())
	}
}

// collect reads a collection into values, in the order of their paths, which
// some BMCs change from call to call.
func collect[T any](s *survey, path string, parse func(redfish.Object) (T, bool)) []T {
	members := s.members(path)
	slices.SortFunc(members, natural)
	var list []T
	for _, m := range members {
		if o := s.read(m); o != nil {
			if v, ok := parse(o); ok {
				list = append(list, v)
			}
		}
	}
	return list
}

// natural sorts "DIMM2" before "DIMM10".
func natural(a, b string) int {
	if len(a) != len(b) && strings.TrimRight(a, "0123456789") == strings.TrimRight(b, "0123456789") {
		return len(a) - len(b)
	}
	return strings.Compare(a, b)
}

// chassis reads the chassis that the system is in, for what only they tell.
func (s *survey) chassis(system redfish.Object) []redfish.Object {
	const most = 4
	links := system.Links("Links", "Chassis")
	var list []redfish.Object
	for _, path := range links[:min(len(links), most)] {
		if o := s.read(path); o != nil {
			list = append(list, o)
		}
	}
	return list
}

// identity is who the host is. At Dell SerialNumber is the board's and the
// service tag, which SMBIOS type 1 has, is the SKU; some systems say nothing and
// their chassis does.
func identity(about redfish.About, system redfish.Object, chassis []redfish.Object) (inventory.System, inventory.Board) {
	first := func(key string) string {
		for _, o := range append([]redfish.Object{system}, chassis...) {
			if v := said(o.Text(key)); v != "" {
				return v
			}
		}
		return ""
	}
	id := inventory.System{Manufacturer: first("Manufacturer"), Product: first("Model"), Serial: first("SerialNumber"), SKU: said(system.Text("SKU"))}
	if uuid, ok := inventory.NormalUUID(system.Text("UUID")); ok {
		id.UUID = uuid
	}
	var board inventory.Board
	if about.TagIsSKU && id.SKU != "" {
		board.Serial, id.Serial = said(system.Text("SerialNumber")), id.SKU
	}
	return id, board
}

// said is a value, or "" where it says nothing.
func said(v string) string {
	if inventory.Junk(v) {
		return ""
	}
	return v
}

// secureBoot reads whether the last boot was a secure one.
func (s *survey) secureBoot(system redfish.Object) {
	current := s.read(system.Link("SecureBoot")).Text("SecureBootCurrentBoot")
	if current == "Enabled" || current == "Disabled" {
		on := current == "Enabled"
		s.report.Firmware.SecureBoot = &on
	}
}

// manager reads the BMC itself: its address of hardware, and its clock.
func (s *survey) manager(about redfish.About, now func() time.Time) {
	s.report.BMC = &inventory.Controller{Present: true, Via: "redfish"}
	if len(about.Managers) == 0 {
		return
	}
	m := s.read(about.Managers[0])
	if at, err := time.Parse(time.RFC3339, m.Text("DateTime")); err == nil {
		s.report.Clock = &inventory.Clock{SkewSeconds: at.Sub(now()).Seconds()}
	}
	for _, path := range s.members(m.Link("EthernetInterfaces")) {
		port := s.read(path)
		if mac, ok := permanentMAC(port); ok && !insideOnly(port) {
			s.report.BMC.MAC = mac
			s.report.BMC.Address = firstAddress(port)
			return
		}
	}
}

func firstAddress(port redfish.Object) string {
	for _, a := range append(port.Objects("IPv4Addresses"), port.Objects("IPv6Addresses")...) {
		if v := a.Text("Address"); v != "" && v != "0.0.0.0" && v != "::" {
			return v
		}
	}
	return ""
}
