package api

import (
	"fmt"
	"slices"

	"github.com/muster-boot/muster/inventory"
	"github.com/muster-boot/muster/inventory/manifest"
	"github.com/muster-boot/muster/provisioner"
	v1 "github.com/muster-boot/muster/provisioner/api/v1"
)

// matchRows finds the host that each row is already, or nil. A row that is
// several hosts, or one of another order, is wrong. Its BMC names a host only
// where nothing of the host itself does: serials are corrected, and boards are
// swapped behind the addresses of BMCs.
func matchRows(order provisioner.OrderName, rows []manifest.Row, hosts []provisioner.Host) ([]*provisioner.Host, []v1.Remark) {
	m := matching{order: order, matches: make([]*provisioner.Host, len(rows)), lineOf: map[provisioner.HostID]int{}}
	own, bmc := known{}, known{}
	for i := range hosts {
		if hosts[i].Intent.Order == "" {
			continue // the engine recognises unlisted hosts by what they show
		}
		own.add(keysOf(hosts[i]), &hosts[i])
		if c := hosts[i].Intent.BMC; c != nil {
			bmc.add(places(*c), &hosts[i])
		}
	}
	rest := []int{}
	for i, row := range rows {
		found := own.find(keys(row.Serial, row.UUID, row.MACs))
		if len(found) == 0 {
			rest = append(rest, i)
			continue
		}
		m.take(i, row, found)
	}
	for _, i := range rest {
		words := wordsOf(rows[i].BMC)
		m.take(i, rows[i], slices.DeleteFunc(bmc.find(places(words)), func(h *provisioner.Host) bool {
			return m.lineOf[h.ID] > 0 || !h.Intent.BMC.Is(words)
		}))
	}
	slices.SortStableFunc(m.wrong, func(a, b v1.Remark) int { return a.Line - b.Line })
	return m.matches, m.wrong
}

// known are hosts by what identifies them.
type known map[string][]*provisioner.Host

func (k known) add(keys []string, h *provisioner.Host) {
	for _, key := range keys {
		k[key] = append(k[key], h)
	}
}

func (k known) find(keys []string) []*provisioner.Host {
	var found []*provisioner.Host
	for _, key := range keys {
		for _, h := range k[key] {
			if !slices.Contains(found, h) {
				found = append(found, h)
			}
		}
	}
	return found
}

// matching gathers which host each row is.
type matching struct {
	order   provisioner.OrderName
	matches []*provisioner.Host
	lineOf  map[provisioner.HostID]int
	wrong   []v1.Remark
}

// take notes that a row is the one host that was found, or why it is not.
func (m *matching) take(i int, row manifest.Row, found []*provisioner.Host) {
	if len(found) == 0 {
		return
	}
	text := ""
	switch h := found[0]; {
	case len(found) > 1:
		text = fmt.Sprintf("its serial, UUID, MACs or BMC are those of hosts %s and %s: correct the row", h.ID, found[1].ID)
	case h.Intent.Order != m.order:
		text = fmt.Sprintf("host %s of order %s is this one already: remove it first with muster host rm %s", h.ID, h.Intent.Order, h.ID)
	case m.lineOf[h.ID] > 0:
		text = fmt.Sprintf("this is host %s, and so is line %d", h.ID, m.lineOf[h.ID])
	}
	if text != "" {
		m.wrong = append(m.wrong, v1.Remark{Source: "manifest", Line: row.Line, Text: text})
		return
	}
	m.matches[i], m.lineOf[found[0].ID] = found[0], row.Line
}

func keysOf(h provisioner.Host) []string {
	all := keys(h.Intent.Row.Serial, h.Intent.Row.UUID, h.Intent.Row.MACs)
	if r := h.Facts.Report; r != nil {
		all = append(all, keys(r.Report.System.Serial, r.Report.System.UUID, nil)...)
	}
	if r := h.Facts.Survey; r != nil {
		all = append(all, keys(r.Report.System.Serial, r.Report.System.UUID, nil)...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// keys are what identifies a host, as comparable texts; junk is left out.
func keys(serial, uuid string, macs []string) []string {
	var list []string
	if s := inventory.NormalSerial(serial); s != "" {
		list = append(list, "serial "+s)
	}
	if u, genuine := inventory.NormalUUID(uuid); genuine {
		list = append(list, "uuid "+u)
		if swapped, known := inventory.SwapUUID(u); known {
			list = append(list, "uuid "+swapped)
		}
	}
	for _, mac := range macs {
		if m, genuine := inventory.NormalMAC(mac); genuine {
			list = append(list, "mac "+m)
		}
	}
	return list
}
