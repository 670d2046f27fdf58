package bmctest

import (
	"context"
	_ "embed" // the recorded report
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// recordedReport is what a lab host's scout reported; see testdata/README.md.
//
//go:embed recorded/report.json
var recordedReport []byte

// instruction is what a paper scout understands of what it is told.
type instruction struct {
	Do      string `json:"do"`
	Attempt string `json:"attempt"`
	Again   int    `json:"again"`
	Netboot *struct {
		Kernel  string   `json:"kernel"`
		Initrds []string `json:"initrds"`
		Cmdline string   `json:"cmdline"`
	} `json:"netboot"`
}

// scout steps its clock and then does what it is told.
func (p *Paper) scout(ctx context.Context, root string, medium bool) (ending, error) {
	p.tell("is a scout")
	for range 2 { // once to learn the time, once to see that it is set
		if _, err := p.insist(ctx, http.MethodGet, root+"/time", nil, ""); err != nil {
			return endStay, err
		}
	}
	for ctx.Err() == nil {
		body, err := p.insist(ctx, http.MethodGet, root+"/instruction?version="+url.QueryEscape(p.opts.Version), nil, "")
		if err != nil {
			return endStay, err
		}
		var i instruction
		if err := json.Unmarshal(body, &i); err != nil {
			return endStay, err
		}
		end, over, err := p.obey(ctx, root, i, medium)
		if over || err != nil {
			return end, err
		}
		wait(ctx, p.opts.Second)
	}
	return endStay, nil
}

// obey follows one instruction; over ends the scout.
func (p *Paper) obey(ctx context.Context, root string, i instruction, medium bool) (end ending, over bool, err error) {
	switch i.Do {
	case "look", "verify":
		report, err := p.report(i.Do == "verify", medium)
		if err == nil {
			_, err = p.insist(ctx, http.MethodPost, root+"/report?attempt="+url.QueryEscape(i.Attempt), report, "")
		}
		return endStay, false, err
	case "install":
		end, err := p.kexec(ctx, root, i)
		return end, true, err
	case "reboot":
		return endReboot, true, nil
	case "poweroff":
		return endOff, true, nil
	}
	wait(ctx, time.Duration(i.Again)*p.opts.Second)
	return endStay, false, nil
}

func (p *Paper) kexec(ctx context.Context, root string, i instruction) (ending, error) {
	if i.Netboot == nil {
		return endReboot, nil
	}
	if err := p.fetch(ctx, append([]string{i.Netboot.Kernel}, i.Netboot.Initrds...)...); err != nil {
		return endStay, err
	}
	step := object{"attempt": i.Attempt, "stage": "kexec", "detail": "the scout starts the installer"}
	if _, err := p.insist(ctx, http.MethodPost, root+"/progress", step, ""); err != nil {
		return endStay, err
	}
	return p.kernel(ctx, i.Netboot.Cmdline, nil)
}

// report is the recorded report with this host's identity in it, and whether its
// scout came from a medium.
func (p *Paper) report(contents, medium bool) (object, error) {
	var r object
	if err := json.Unmarshal(recordedReport, &r); err != nil {
		return nil, fmt.Errorf("read the recorded report: %w", err)
	}
	id := p.opts.Identity
	r["version"], r["at"] = p.opts.Version, time.Now().UTC().Format(time.RFC3339Nano)
	r["system"] = object{"manufacturer": id.Manufacturer, "product": id.Product, "serial": id.Serial, "sku": id.SKU, "uuid": id.UUID}
	r["board"] = object{"manufacturer": id.Manufacturer, "serial": id.BoardSerial}
	if firmware, ok := r["firmware"].(map[string]any); ok {
		if medium {
			firmware["medium"] = true
		}
		if p.opts.BIOS {
			firmware["mode"] = "bios"
		} else {
			firmware["mode"] = "uefi"
		}
	}
	memory := 0
	r["dimms"] = each(r["dimms"], id.DIMMs, func(d DIMM, _ int) object {
		memory += d.MiB << 20
		return object{"slot": d.Slot, "size": d.MiB << 20, "serial": d.Serial}
	})
	r["memory"] = memory
	r["cpus"] = each(r["cpus"], id.CPUs, func(c CPU, i int) object {
		return object{"slot": fmt.Sprintf("CPU %d", i), "model": c.Model, "cores": c.Cores, "threads": c.Threads}
	})
	r["nics"] = each(r["nics"], id.NICs, func(n NIC, i int) object {
		return object{"name": fmt.Sprintf("eth%d", i), "mac": n.MAC, "booted": i == 0}
	})
	r["disks"] = each(r["disks"], id.Disks, func(d Disk, i int) object { return paperDisk(d, i, contents) })
	return r, nil
}

func paperDisk(d Disk, i int, contents bool) object {
	o := object{
		"name": fmt.Sprintf("nvme%dn1", i), "model": d.Model, "serial": d.Serial, "size": d.Bytes, "rotational": d.Rotational,
		"by_id": []string{"nvme-" + strings.ReplaceAll(d.Model, " ", "_") + "_" + d.Serial}, "wwid": "nvme." + d.Serial, "signatures": nil,
	}
	if contents {
		o["signatures"] = []string{}
	}
	return o
}

// each makes a list of parts in the form of the recorded list's first one.
func each[T any](recorded any, parts []T, f func(T, int) object) []object {
	var form object
	if list, ok := recorded.([]any); ok && len(list) > 0 {
		form, _ = list[0].(object)
	}
	out := []object{}
	for i, part := range parts {
		o := maps.Clone(form)
		maps.Copy(o, f(part, i))
		out = append(out, o)
	}
	return out
}
